"""Actions on report windows and report requests.

`account` is the account's key; `windows` are account-local days.
"""

from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import ClassVar, Final

from pydantic import Field

from bidbeacon_pipelines.causes import Cause
from bidbeacon_sessions import Action, Reference
from bidbeacon_sessions.sentences import Part, Template, parse_template


class SkipReason(StrEnum):
    """Why a window was skipped."""

    ALREADY_FRESH = "already fresh"
    WORKED_ON_ELSEWHERE = "another run is working on it"
    WAITS_FOR_COUNTRIES = "days of the ads account's other countries are due soon"
    WAITS_FOR_AMAZON = "no report may be created at Amazon now"
    OFFSET_MISSED = "a later refresh covers it"
    NOT_SERVED = "Amazon no longer serves this day"
    NOT_OVER = "the day is not over in the account's time zone"
    ACCOUNT_STOPPED = "the account is paused or disabled"
    ACCOUNT_NEEDS_ATTENTION = "the account needs attention"


_NOT_REQUESTED = frozenset(
    {
        SkipReason.NOT_OVER,
        SkipReason.NOT_SERVED,
        SkipReason.ACCOUNT_STOPPED,
        SkipReason.ACCOUNT_NEEDS_ATTENTION,
    }
)
"""Reasons for which a window is not requested, so that its session ends without loading it."""


_WAITS = frozenset(
    {
        SkipReason.WORKED_ON_ELSEWHERE,
        SkipReason.WAITS_FOR_COUNTRIES,
        SkipReason.WAITS_FOR_AMAZON,
    }
)
"""Reasons for which a window is only loaded later."""


class _WindowsAction(Action):
    effect: ClassVar[str]

    account: str
    dataset: str
    windows: list[date]

    def references(self) -> list[Reference]:
        """Return one reference per window."""
        return [
            Reference(self.account, self.effect, self.dataset, day.isoformat())
            for day in self.windows
        ]


class _ReportAction(_WindowsAction):
    """An action on one report.

    If several countries wait for the report, `account` is the key of their ads account, `windows`
    has the days of all countries, and `accounts` has the days of each country's account.
    """

    ends_wait_for = "Amazon"

    accounts: dict[str, list[date]] = Field(default_factory=dict)

    def references(self) -> list[Reference]:
        """Return one reference per window of each account."""
        if not self.accounts:
            return super().references()
        return [
            Reference(account, self.effect, self.dataset, day.isoformat())
            for account, days in self.accounts.items()
            for day in days
        ]


class _RequestEnded(_WindowsAction):
    """Recorded when a request ends; with `more_countries`, actions on other countries follow."""

    request_id: int
    more_countries: bool = False


class WindowsPlanned(Action):
    """The missing windows of an account up to the day `through` were created in the database."""

    sentence = (
        "Planned {created:count:new window} of {dataset:badge} for {account:account}, "
        "through {through:windows}"
    )

    account: str
    dataset: str
    created: int
    through: date


class WindowsExpired(_WindowsAction):
    """Windows were given up: they were never loaded, and Amazon no longer serves their days."""

    sentence = (
        "Gave up {windows:count:window} of {dataset:badge}, too old for Amazon: {windows:windows}"
    )
    tone = "warning"
    effect = "expired"


class WindowsNotServed(_WindowsAction):
    """Amazon serves no data for windows: it refuses them as too old, or has no rows that old.

    `ad_products` has the ad products without rows; with `is_partly`, Amazon serves the other ad
    products of the windows.
    """

    sentence = (
        "Marked {windows:count:window} of {dataset:badge} as [partly{is_partly:flag} ]not served"
        "[ in {ad_products}]: {windows:windows} ({cause:cause})"
    )
    tone = "warning"
    effect = "not-served"

    ad_products: str | None = None
    is_partly: bool = False
    cause: Cause

    def references(self) -> list[Reference]:
        """Return one reference per window.

        The effect is `partly-not-served` if the report has ad products that Amazon serves, else
        `not-served`.
        """
        effect = "partly-not-served" if self.is_partly else self.effect
        days = [day.isoformat() for day in self.windows]
        return [Reference(self.account, effect, self.dataset, day) for day in days]


class WindowsReopened(_WindowsAction):
    """Windows are due again: Amazon serves their days after all.

    Their status was `expired` or `not_served`.
    """

    sentence = (
        "Reopened {windows:count:window} of {dataset:badge}, "
        "marked too early as expired or not served: {windows:windows}"
    )
    effect = "reopened"


class ReportsPlanned(Action):
    """Reports were planned for due windows of an ads account; priority decides their order."""

    sentence = (
        "Planned {reports:count:report} of {dataset:badge} for {windows:count:due window} "
        "of {account:account}, {start:windows} to {end:windows}"
    )
    effect: ClassVar[str] = "planned"

    account: str
    dataset: str
    reports: int
    windows: int
    start: date
    end: date

    def references(self) -> list[Reference]:
        """Return one reference to the dataset, not one per window: there may be thousands."""
        return [Reference(self.account, self.effect, self.dataset)]


class LoadRequested(_WindowsAction):
    """A person requested a load of windows, whether or not they are due.

    `wanted_at` is the time of the request, if it was before the run began.
    """

    sentence = (
        "Requested a load of {windows:count:window} of {dataset:badge} {windows:windows}"
        "[ at {wanted_at:time}], by {by}"
    )
    effect = "wanted"

    by: str
    wanted_at: datetime | None = None


class WindowsQueued(_ReportAction):
    """Windows were attached to a report request, which is sent to Amazon right afterwards."""

    sentence = (
        "Queued {windows:count:report window} of {dataset:badge}[ in {accounts:count:account}] "
        "{windows:windows}[ by hand{by_hand:flag}]"
    )
    ends_wait_for = "a free report slot"
    effect = "queued"

    request_id: int | None = None
    by_hand: bool = False


class WindowSkipped(_WindowsAction):
    """Windows were skipped, or wait, for the given reason."""

    sentence = (
        "Skipped[ {windows:count:window} of] {dataset:badge}: {reason}[ {windows:windows}]"
        "[ ({detail})][ ({cause:cause})]"
    )
    waiting: ClassVar[Template] = parse_template(
        "Waiting[ with {windows:count:window} of] {dataset:badge}: {reason}[ {windows:windows}]"
        "[ ({detail})]"
    )
    effect = "skipped"
    not_requested: ClassVar[str] = "not-requested"

    reason: SkipReason
    detail: str | None = None
    cause: Cause | None = None

    def references(self) -> list[Reference]:
        """Return one reference per window, or one to the dataset if there are no windows."""
        effect = self.not_requested if self.reason in _NOT_REQUESTED else self.effect
        windows = [
            Reference(self.account, effect, self.dataset, day.isoformat()) for day in self.windows
        ]
        return windows or [Reference(self.account, self.effect, self.dataset)]

    def parts(self) -> list[Part]:
        """Return the sentence as parts; "Waiting …" if the windows are loaded later."""
        template = self.waiting if self.reason in _WAITS else self.template
        return template.render(self.__dict__)


class WaitGivenUp(_WindowsAction):
    """A load that a user requested waited as long as allowed; its windows are not loaded yet."""

    sentence = (
        "Stopped waiting for {windows:count:window} of {dataset:badge}: "
        "{cause:cause} {windows:windows}"
    )
    tone = "warning"
    ends_wait_for = "Amazon"
    effect = "wait-given-up"

    cause: Cause


class ReportRequested(_ReportAction):
    """A report was requested from Amazon; the report covers every window of its range."""

    sentence = (
        "Requested report {report_id:badge} of {dataset:badge} for {windows:count:window}"
        "[ in {accounts:count:account}][, {bridged} of them not due,] {windows:windows}"
    )
    tone = "progress"
    effect = "requested"

    request_id: int
    report_id: str
    attempt: int = 1
    bridged: int = 0


class ReportAdopted(_ReportAction):
    """Amazon rejected a report as a duplicate; the report already in flight is used instead."""

    sentence = (
        "Adopted report {report_id:badge} in flight for {windows:count:window}"
        "[ in {accounts:count:account}] {windows:windows}"
    )
    tone = "progress"
    effect = "adopted"

    request_id: int
    report_id: str


class ReportPending(_ReportAction):
    """A report is not complete yet; it is polled again later.

    Only the action of the first poll has a reference per window.
    """

    sentence = (
        "Report {report_id:badge} is {amazon_status} at Amazon after {waited_seconds:duration}"
        "[ ({cause:cause})][, checked {polls:count:time}], next check at {next_poll_at:time}"
    )
    effect = "pending"

    request_id: int
    report_id: str
    amazon_status: str
    waited_seconds: float
    next_poll_at: datetime
    polls: int = 0
    cause: Cause | None = None

    def references(self) -> list[Reference]:
        """Return one reference per window at the first poll, and one to the dataset later."""
        if self.polls <= 1:
            return super().references()
        return [
            Reference(key, self.effect, self.dataset) for key in self.accounts or (self.account,)
        ]


class ReportProcessed(_RequestEnded):
    """A report was loaded. The action is recorded in the transaction that stores the rows.

    `spend` and `sales` are null if the dataset has no such column.
    """

    sentence = (
        "Loaded {rows:count:row} of {dataset:badge}[, spend {spend:money:currency},] "
        "for {windows:count:window} {windows:windows}[, {changed} changed][, {vanished} vanished]"
        "[, {summed} merged into others with the same key]"
        "[, {unresolved:count:row} with unknown targets][, {quarantined} quarantined]"
        "[, ignored {foreign:count:row} of other days or accounts]"
    )
    tone = "success"
    warns_with = "quarantined"
    ends_wait_for = "Amazon"
    own_seconds = "load_seconds"
    effect = "loaded"

    report_id: str
    rows: int
    changed: int = 0
    vanished: int = 0
    summed: int = 0
    unresolved: int = 0
    quarantined: int = 0
    foreign: int = 0
    part_count: int = 0
    size_bytes: int = 0
    spend: Decimal | None = None
    sales: Decimal | None = None
    currency: str | None = None
    load_seconds: float = 0


class OtherProductsReported(Action):
    """A report had rows of ad products that were not requested; these rows were not loaded."""

    sentence = (
        "Did not load {rows:count:row} of {dataset:badge}: report {report_id:badge} was not "
        "requested for their ad products, {ad_products}"
    )
    tone = "warning"

    account: str
    dataset: str
    request_id: int
    report_id: str
    rows: int
    ad_products: str

    def references(self) -> list[Reference]:
        """Return one reference to the dataset."""
        return [Reference(self.account, "set-aside", self.dataset)]


class ReportSuspicious(_ReportAction, _RequestEnded):
    """A report lacks nearly all loaded rows of windows or ad products; the loaded rows stay.

    The windows are requested again, or wait for a person's decision if their data is final.
    """

    sentence = (
        "Report of {dataset:badge} was suspicious for {windows:count:day}"
        "[ in {accounts:count:account}], old data kept: {cause:cause} {windows:windows}"
    )
    tone = "warning"
    effect = "suspicious"

    report_id: str
    cause: Cause


class WindowsUnconfirmed(_ReportAction, _RequestEnded):
    """A report had no rows of a country with enabled campaigns; a second report follows."""

    sentence = (
        "Left {windows:count:day} of {dataset:badge}[ in {accounts:count:account}] unconfirmed: "
        "{cause:cause} {windows:windows}"
    )
    tone = "warning"
    effect = "unconfirmed"

    report_id: str
    cause: Cause


class ReportAccepted(_WindowsAction):
    """A person accepted the next report of final days, however few rows it has.

    A day is final if no further refresh is scheduled.
    """

    sentence = (
        "Accepted the next report of {dataset:badge} for "
        "{windows:count:final day} {windows:windows}, by {by}"
    )
    effect = "accepted"

    by: str


class RowsKept(_WindowsAction):
    """A person kept the loaded rows of final days, not the far fewer rows of a later report.

    A day is final if no further refresh is scheduled.
    """

    sentence = (
        "{by} kept the loaded rows of {dataset:badge} for {windows:count:final day} "
        "{windows:windows}, and rejected the rows of a later report"
    )
    effect = "kept"

    by: str


class SilenceAccepted(_WindowsAction):
    """Windows were loaded without rows: two reports had no rows, despite enabled campaigns."""

    sentence = (
        "Accepted {windows:count:window} of {dataset:badge} {windows:windows} as empty: "
        "two reports have no rows, though the country has deliverable campaigns"
    )
    tone = "warning"
    effect = "silent"

    request_id: int
    report_id: str


class ReportFailed(_ReportAction, _RequestEnded):
    """A report request was given up, or the rows of its report were refused.

    All `windows` have the same cause.
    """

    sentence = (
        "Report of {dataset:badge} failed for {windows:count:day}[ in {accounts:count:account}]: "
        "{cause:cause} {windows:windows}[ (report {report_id:badge})]"
    )
    tone = "error"
    effect = "failed"

    report_id: str | None = None
    cause: Cause


class ReportSplit(_ReportAction, _RequestEnded):
    """Amazon refused a report as too large or too old; shorter reports are requested instead."""

    sentence = (
        "Requesting {windows:count:window} of {dataset:badge} again "
        "in {reports:count:shorter report}: {cause:cause} {windows:windows}"
    )
    tone = "warning"
    effect = "split"

    cause: Cause
    reports: int


class RegistryOverridden(Action):
    """An override of the dataset registry was set or removed, by a person or by BidBeacon."""

    sentence = (
        "Changed {subject} of {dataset:badge} in {region}[ for {account:account}] to {value}, "
        "by {by}"
    )

    region: str
    dataset: str
    account: str = ""
    subject: str
    value: str
    by: str


class RequestRetried(_ReportAction):
    """An attempt to create, poll or load a report failed, and BidBeacon tries again later.

    After the last attempt, `report-failed` is recorded instead.
    """

    sentence = (
        "Attempt {attempt} for {windows:count:window} of {dataset:badge} failed, "
        "retrying at {retry_at:time}: {cause:cause} {windows:windows}"
    )
    effect = "retried"

    request_id: int
    attempt: int
    cause: Cause
    retry_at: datetime


class QuarantineReplayed(_WindowsAction):
    """Quarantined rows were checked again, and rows that are valid now were loaded."""

    sentence = (
        "Replayed {rows:count:quarantined row} of {dataset:badge} for {account:account}"
        "[ into {windows:windows}][, ignored {foreign:count:row} of other days or accounts]"
        "[, {left} still invalid]"
    )
    tone = "success"
    warns_with = "left"
    effect = "replayed"

    request_id: int
    rows: int
    foreign: int = 0
    left: int = 0


class CreatesPaused(Action):
    """Amazon throttled report creation (429); creation is paused in the region until `until`.

    After the pause, at most `limit` reports are generated at the same time. `late_windows` is the
    number of windows that will be late when the pause ends.
    """

    sentence = (
        "Amazon throttled report creation in {region} (429): paused until {until:time},"
        " then at most {limit:count:report} at a time[, {refusals:count:refusal} in a row]"
        "[, {late_windows:count:late window} waiting]"
    )
    warns_with = "late_windows"
    ends_wait_for = "Amazon"

    region: str
    until: datetime
    limit: int
    refusals: int
    late_windows: int = 0


class LoadsRecorded(Action):
    """Loads that were missing in Dagster were recorded there as materializations."""

    sentence = "Recorded {loads:count:materialization} in Dagster"

    loads: int


UNLOADED: Final = frozenset(
    {
        WindowsExpired.effect,
        WindowsNotServed.effect,
        WindowSkipped.not_requested,
        WaitGivenUp.effect,
        ReportSuspicious.effect,
        WindowsUnconfirmed.effect,
        ReportFailed.effect,
    }
)
"""The effects of actions by which a session ends its work on windows without loading them."""
