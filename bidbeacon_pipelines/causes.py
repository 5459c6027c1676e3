"""Causes of failures: stored as a code with parameters, shown as sentence and advice.

A cause is a JSON object: `{"code": "field-refused", "field": "clicks", "detail": {"reason": "…"}}`.
Causes with the same code and parameters are equal. `detail` has the facts of one occurrence
(counts, ids, days, Amazon's own words), so SQL groups by `cause - 'detail'`.

Sentences and advice are templates for `str.format`. A part in brackets is left out if one of its
values is missing, because a cause may have no detail. `[a|b]` stands for b if a value that a needs
is missing, and for a otherwise.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Final, Literal, TypeVar

from bidbeacon_sessions.sentences import join_sentences, without_stop

T = TypeVar("T")
Cause = dict[str, Any]
ButtonAction = Literal["load", "resume", "accept", "acknowledge"]
"""The action of the button beside a cause."""

_OPTIONAL: Final = re.compile(r"\[([^\[\]]*)\]")


class Severity(StrEnum):
    """The severity of a finding or a state."""

    FINE = "fine"
    """There is nothing to do and nothing to wait for."""
    WAITING = "waiting"
    """BidBeacon continues by itself, in the usual time."""
    WARNING = "warning"
    """BidBeacon continues by itself, but something is unusual."""
    ERROR = "error"
    """The problem lasts for days, or until a person acts."""


@dataclass(frozen=True)
class CauseKind:
    """The sentence, advice and severity of all causes with the same code.

    Attributes:
        code: The code. It is stored, so it must never be renamed.
        sentence: Describes the failure: a template, or a function of parameters and detail.
        advice: A template of what the user can do, or of what BidBeacon does by itself.
        severity: The severity of a finding with such a cause.
        action: The action of the button beside the cause; None if there is no button.
        link: The path of the page with more information, such as `/sessions`.
        parameters: The names of the parameters by which two causes with this code can differ.
    """

    code: str
    sentence: str | Callable[[Mapping[str, Any]], str]
    advice: str
    severity: Severity = Severity.ERROR
    action: ButtonAction | None = None
    link: str | None = None
    parameters: tuple[str, ...] = ()


@dataclass(frozen=True)
class Explained:
    """A cause as sentences for users; `advice` may be empty."""

    code: str
    severity: Severity
    sentence: str
    advice: str = ""
    action: ButtonAction | None = None
    link: str | None = None

    @property
    def text(self) -> str:
        """The sentence, followed by the advice."""
        return join_sentences(self.sentence, self.advice)


def _fields_invalid(values: Mapping[str, Any]) -> str:
    faults = values.get("faults")
    if not faults:
        return f"The field {values['field']} is missing or invalid."
    return f"{'; '.join(map(_fault, faults))}."


def _fault(fault: Mapping[str, str]) -> str:
    return _filled("{field}: [expected {expected}, got: {got}|missing]", fault)


def _windows_not_loaded(values: Mapping[str, Any]) -> str:
    one = values.get("windows") == 1
    which = "[{windows:,} window{s} of {dataset} {were}|Windows were] not loaded"
    head = _filled(which, {**values, "s": "" if one else "s", "were": "was" if one else "were"})
    first, *others = values.get("all") or values.get("causes") or [None]
    why = "" if first is None else f": {without_stop(explain(first).sentence)}"
    more = f" (and {len(others)} more cause{'s' if len(others) > 1 else ''})" if others else ""
    return f"{head}{why}{more}."


def _recovers(
    code: str,
    sentence: str,
    advice: str,
    action: ButtonAction | None = None,
    parameters: tuple[str, ...] = (),
) -> CauseKind:
    """Return the kind of a cause after which BidBeacon retries, with severity `WARNING`."""
    return CauseKind(code, sentence, advice, Severity.WARNING, action, None, parameters)


_START = (
    "If everything runs on one machine, `bidbeacon dev` starts all processes. Otherwise see "
    "docs/how-to/on-call.md."
)
_CHECK_DAGSTER = f"Check that Dagster is running, and start it again if it is not. {_START}"
_NO_OTHER_ALERT = "No other alerts are sent until this is resolved."
_KEPT_ASIDE = (
    "If this is a row of a report, and a later version or another setting of BidBeacon accepts it, "
    "`bidbeacon quarantine replay` loads the row. If this is an entity, the next sync reads it "
    "again."
)

_TABLE = (
    # Credentials and accounts
    CauseKind(
        "token-revoked",
        "Amazon refused our refresh token[ of credential {credential_name}][: {reason}].",
        "Authorize BidBeacon again, set BIDBEACON_ADS_API_REFRESH_TOKEN (or refresh_token in "
        "BIDBEACON_CREDENTIALS_FILE) to the new token, restart BidBeacon, then run "
        "`bidbeacon accounts sync`.",
        parameters=("credential_name",),
    ),
    CauseKind(
        "client-refused",
        "Amazon refused our client id and client secret[ of credential {credential_name}]"
        "[: {reason}].",
        "Check BIDBEACON_ADS_API_CLIENT_ID and BIDBEACON_ADS_API_CLIENT_SECRET (or the entry of "
        "the client in BIDBEACON_CREDENTIALS_FILE), restart BidBeacon, then run "
        "`bidbeacon accounts sync`.",
        parameters=("credential_name",),
    ),
    CauseKind(
        "credentials-refused",
        "Amazon refused our credentials[ ({credential_name})][: {reason}].",
        "Check the BIDBEACON_ADS_API_… settings or BIDBEACON_CREDENTIALS_FILE, restart BidBeacon, "
        "then run `bidbeacon accounts sync`.",
        parameters=("credential_name",),
    ),
    CauseKind(
        "credential-not-set",
        "The credential {credential_name} is no longer configured.",
        "If you still use this credential, add it to BIDBEACON_CREDENTIALS_FILE and restart "
        "BidBeacon. In any case, run `bidbeacon accounts sync`, which assigns accounts of missing "
        "credentials to other credentials that list them.",
        parameters=("credential_name",),
    ),
    CauseKind(
        "listed-twice",
        "The credentials {credential_name} and {others} list the same account; "
        "it belongs to {credential_name}.",
        "Choose the credential that the account belongs to: "
        "`bidbeacon credentials assign NAME[ {account}| ACCOUNT]`.",
        Severity.WARNING,
        parameters=("credential_name", "others"),
    ),
    CauseKind(
        "credentials-incomplete",
        "The credentials of the Ads API are incomplete.",
        "Set BIDBEACON_ADS_API_CLIENT_ID, …_CLIENT_SECRET and …_REFRESH_TOKEN, or none of them.",
    ),
    CauseKind(
        "account-refused",
        "Amazon refused the account[: {reason}].",
        "Check that the user who authorized BidBeacon may see this account, and that the account "
        "belongs to the region that BidBeacon uses for it. Then run "
        "`bidbeacon accounts resume[ {account}| ACCOUNT]`.",
        action="resume",
    ),
    CauseKind(
        "reporting-not-allowed",
        "Amazon lists the account but refuses its reports[: {reason}].",
        "Grant the user who authorized BidBeacon the right to view campaigns and edit reports of "
        "the account, or the viewer role of the account's manager account. Then run "
        "`bidbeacon accounts resume[ {account}| ACCOUNT]`.",
        action="resume",
    ),
    CauseKind(
        "account-paused",
        "The account is paused[ (by {by})].",
        "To refresh it again, run `bidbeacon accounts resume[ {account}| ACCOUNT]`.",
        Severity.FINE,
        action="resume",
    ),
    CauseKind(
        "account-disabled",
        "Amazon has disabled the account.",
        "The account is refreshed again when Amazon enables it.",
        Severity.FINE,
    ),
    CauseKind(
        "no-profile",
        "Amazon lists no profile for the account.",
        "Check in Amazon's console that the account has Sponsored ads.",
    ),
    # Answers of Amazon to any call
    _recovers(
        "throttled",
        "Amazon throttled the request[ to {operation}] (429)[: {reason}].",
        "BidBeacon repeats the request later. If this lasts, request higher limits from Amazon's "
        "support.",
    ),
    _recovers(
        "rate-limited",
        "BidBeacon's own rate limits delay the request[ to {operation}][: {reason}].",
        "The request is sent as soon as the limits allow it.",
    ),
    _recovers(
        "amazon-unavailable",
        "Amazon answered [the request to {operation} ]with an error of its own[ (HTTP {status})]"
        "[: {reason}].",
        "BidBeacon tries again later.",
    ),
    _recovers(
        "unreachable",
        "Amazon could not be reached[: {reason}].",
        "Check the network. BidBeacon tries again later.",
    ),
    _recovers(
        "answer-unreadable",
        "Amazon's answer could not be read[: {reason}].",
        "BidBeacon tries again later. If this lasts, check whether a proxy answers instead of "
        "Amazon. If there is no proxy, Amazon's API has changed: please report it.",
    ),
    CauseKind(
        "request-refused",
        "Amazon refused the request[ to {operation}][: {reason}].",
        "Repeating the request does not help. Read Amazon's reason on the session's page.",
    ),
    # Reports at Amazon
    CauseKind(
        "field-refused",
        "Amazon refused [the field {field}|a field][: {reason}].",
        "If Amazon has another name for the field, store that name with `bidbeacon contract set`.",
        parameters=("field",),
    ),
    CauseKind(
        "fields-refused-together",
        "Amazon refused a combination of fields in one report[: {reason}].",
        "[To request the report's ad products in separate reports, run `{command}`.|Request the ad "
        "products in separate reports: `bidbeacon contract set REGION DATASET grouping SP,SB+SD`.]",
    ),
    CauseKind(
        "report-too-old",
        "Amazon refused the report as too old[: {reason}].",
        "Amazon may no longer serve the days of the report.",
    ),
    _recovers(
        "report-too-large",
        "The report is too large for Amazon[: {reason}].",
        "[To request the report's ad products in separate reports, run `{command}`.|BidBeacon "
        "requests the report's days again in shorter reports.]",
        action="load",
    ),
    _recovers(
        "not-found",
        "Amazon does not know the requested object[: {reason}].",
        "If it is a report, BidBeacon requests a new one.",
        action="load",
    ),
    _recovers(
        "report-duplicate",
        "Amazon calls the report a duplicate of another report[: {reason}].",
        "BidBeacon requests the report again later.",
    ),
    CauseKind(
        "report-failed",
        "Amazon reported {status}[ ({reason})].",
        "Load the days again, or wait until they are due.",
        action="load",
        parameters=("status",),
    ),
    CauseKind(
        "report-stuck",
        "The report was still {status} after {hours} hours.",
        "Load the days again, or wait until they are due.",
        action="load",
        parameters=("status", "hours"),
    ),
    CauseKind(
        "report-unanswered",
        "Amazon did not answer the last request for the report.",
        "Load the days again, or wait until they are due.",
        action="load",
    ),
    _recovers(
        "report-not-loaded",
        "The report could not be loaded in {loads} attempts.",
        "BidBeacon requests the report again.",
        action="load",
        parameters=("loads",),
    ),
    # Files
    CauseKind(
        "download-refused",
        "BidBeacon refused the download[: {reason}].",
        "If a proxy is between BidBeacon and Amazon, check whether it changes Amazon's data. "
        "Otherwise, please report this failure.",
    ),
    _recovers(
        "download-expired",
        "No download URL of the report works[: {reason}].",
        "BidBeacon requests the report again.",
        action="load",
    ),
    _recovers(
        "file-missing",
        "A file of the report is missing at Amazon[: {reason}].",
        "BidBeacon requests the report again.",
        action="load",
    ),
    _recovers(
        "report-changed",
        "The report changed while it was downloaded[: {reason}].",
        "The report is downloaded again.",
    ),
    _recovers(
        "file-incomplete",
        "A file is incomplete or damaged[: {reason}].",
        "The file is downloaded again.",
        action="load",
    ),
    CauseKind(
        "file-not-written",
        "[{host} can't write downloads to {folder}|Downloads can't be written][: {reason}].",
        "Free space on the folder's disk, or correct the folder's permissions. Until then, the "
        "host's loads pause. They continue by themselves within five minutes afterwards, and "
        "nothing is requested from Amazon again.",
        parameters=("host", "folder"),
    ),
    CauseKind(
        "rows-refused-by-database",
        "The database refused the report's rows[: {reason}].",
        "This is a bug in BidBeacon; please report it.",
    ),
    # Rows
    CauseKind(
        "rows-invalid",
        "[{bad:,} of {rows:,} rows ({share:.1%})|Too many rows] failed validation[ ({faults})].",
        "The rows are in quarantine: `bidbeacon quarantine list` shows them.",
        action="load",
    ),
    CauseKind(
        "rows-undated",
        "[{bad:,} of {rows:,} rows ({share:.1%})|Too many rows] of the report had no readable date "
        "or country[ ({faults})].",
        "The rows are in quarantine: `bidbeacon quarantine list` shows them.",
        action="load",
    ),
    _recovers(
        "rows-lost",
        "The report lost nearly all rows[ of {ad_products}]"
        "[: {new_rows:,} instead of {old_rows:,}].",
        "The old rows are kept. A second report is requested to confirm the loss.",
        parameters=("ad_products",),
    ),
    CauseKind(
        "final-rows-lost",
        "A report has far fewer rows for final days of {dataset} than are loaded"
        "[: {new_rows:,} instead of {old_rows:,}][, spend {new_spend} instead of {old_spend}].",
        "The loaded rows are kept. Check these days in Amazon's console, then accept what Amazon "
        "reports (`bidbeacon windows accept`) or keep the loaded rows (`bidbeacon windows keep`).",
        Severity.WARNING,
        action="accept",
        parameters=("account", "dataset"),
    ),
    _recovers(
        "rows-missing",
        "The report has no rows of the country, though the country has deliverable campaigns.",
        "A second report is requested to confirm this.",
    ),
    CauseKind("fields-invalid", _fields_invalid, _KEPT_ASIDE, parameters=("field",)),
    CauseKind("row-unreadable", "Expected a JSON object[, got: {got}].", _KEPT_ASIDE),
    # Windows and loads by hand
    CauseKind(
        "overdue",
        "The day is overdue, and no report has been requested.",
        "Check that Dagster's daemon is running.",
        action="load",
    ),
    _recovers(
        "late-at-amazon",
        "Amazon takes far longer than usual to create the report.",
        "The report is requested again if it is not complete after 24 hours.",
    ),
    CauseKind(
        "expired",
        "The day was never loaded while Amazon served it.",
        "The day stays empty. If Amazon serves days of this age, set a longer history with "
        "`bidbeacon contract set`: BidBeacon then requests the day.",
    ),
    CauseKind(
        "not-served",
        "Amazon refuses the day as too old[: {reason}].",
        "The youngest of the refused days is requested again 28 days after its refusal. If Amazon "
        "serves it then, the other days become due. To request a day now, load it by hand.",
        Severity.WAITING,
        action="load",
    ),
    CauseKind(
        "history-not-proven",
        "Amazon reports no rows of old days, though the account had campaigns then, and BidBeacon "
        "has never received rows of days that old.",
        "Amazon may no longer serve such days, so they do not count as zeros and are not in sums. "
        "If Amazon later sends rows of days that old for the same ad product, the days become "
        "zeros without a new request. To check, compare a day with Amazon's console. "
        "To request fewer days, run `bidbeacon contract set REGION DATASET history:REPORT DAYS`.",
        Severity.WARNING,
        parameters=("account",),
    ),
    CauseKind(
        "day-not-served",
        "Amazon no longer serves this day[; the oldest day that it serves is {oldest}].",
        "Load younger days. If Amazon serves days of this age, set a longer history with "
        "`bidbeacon contract set`.",
    ),
    CauseKind(
        "day-not-over",
        "The day is not over in the account's time zone[ ({zone})].",
        "The scheduled refresh loads the day when it is over.",
        Severity.WAITING,
    ),
    CauseKind(
        "still-at-amazon",
        "Amazon has not completed the report yet.",
        "The scheduled refresh loads it later.",
        Severity.WAITING,
    ),
    CauseKind(
        "no-slot-yet",
        "The report was not requested[: {why}].",
        "Load the days again, or wait until they are due.",
        Severity.WAITING,
        action="load",
    ),
    CauseKind(
        "windows-not-loaded",
        _windows_not_loaded,
        "For each day, `bidbeacon explain` shows why it was not loaded, and what happens next.",
        action="load",
        parameters=("causes",),
    ),
    # Entities and accounts
    _recovers(
        "export-failed",
        "The export of {kind} failed[: {reason}].",
        "The next sync requests the export again.",
        parameters=("kind",),
    ),
    CauseKind(
        "export-not-ready",
        "The export of {kind} is not ready yet[: {status}].",
        "The next sync continues with the same export.",
        Severity.WAITING,
        parameters=("kind",),
    ),
    # Findings
    _recovers(
        "region-not-listed",
        "The accounts of region {region} can't be listed[ for credential {credential_name}]"
        "[: {reason}].",
        "BidBeacon tries again each hour. If this lasts, run `bidbeacon credentials check`. Known "
        "accounts of the region are still refreshed, but BidBeacon does not see new accounts or "
        "changes at Amazon.",
        parameters=("region", "credential_name"),
    ),
    CauseKind(
        "country-silent",
        "Two reports in a row have no rows of a country that has deliverable campaigns.",
        "The days of these reports count as days without traffic. Check in Amazon's console "
        "whether that is true.",
        Severity.WARNING,
    ),
    CauseKind(
        "campaigns-not-reported",
        "Amazon's reports leave out enabled Sponsored Brands campaigns of the old kind, which have "
        "no ad groups.",
        "Their spend and sales are missing in all datasets; `left_out` of `reports.days` lists "
        "the campaigns. Convert them to campaigns with ad groups in Amazon's console, and read "
        "their numbers there until then. If a campaign is new, add its first ad group.",
        Severity.WARNING,
    ),
    CauseKind(
        "rows-removed",
        "Removed [{rows:,} |]rows of {dataset}[, spend {spend}], because two reports in a row did "
        "not have them.",
        "Check the days of these rows in Amazon's console, then acknowledge the loss. "
        "`bidbeacon restatements` shows the previous numbers of a day.",
        Severity.WARNING,
        action="acknowledge",
        parameters=("account", "dataset"),
    ),
    CauseKind(
        "totals-differ",
        "Totals of {dataset} differ from those of the dataset that they are compared with.",
        "The check rows_reconcile_with_daily_totals in Dagster lists the days. Load these days "
        "again in both datasets. If the totals still differ, Amazon's reports disagree.",
        Severity.WARNING,
        parameters=("dataset",),
    ),
    CauseKind(
        "nothing-happens",
        "No job has run[ for {time}].",
        _CHECK_DAGSTER,
        link="/sessions",
    ),
    CauseKind(
        "quarantine-too-large",
        "Too many rows of an account are in quarantine.",
        "More than 0.2 % of its rows are invalid. `bidbeacon quarantine list` shows the rows "
        "with the reasons. `bidbeacon quarantine replay` loads the rows that are valid after a "
        "fix.",
        Severity.WARNING,
    ),
    CauseKind(
        "reports-not-polled",
        "Reports have been waiting to be polled or loaded for too long.",
        _CHECK_DAGSTER,
    ),
    # What BidBeacon runs on
    CauseKind(
        "disk-nearly-full",
        "The disk is nearly full[: {free} GiB of {total} are free in {folder}].",
        "Make room, or set BIDBEACON_SCRATCH_FOLDER to a larger disk.",
    ),
    CauseKind(
        "logs-not-written",
        "The output of runs can't be written[ to {folder}: {reason}].",
        "Free space on the folder's disk, or correct the folder's permissions. Runs continue, and "
        "their sessions are complete.",
        Severity.WARNING,
    ),
    CauseKind(
        "many-partitions",
        "Dagster's UI soon can't show all partitions[: {accounts:,} accounts × {days:,} days are "
        "{partitions:,} per asset, and Dagster can show {most:,}].",
        "[Set BIDBEACON_PARTITION_MONTHS={months} and restart Dagster. Older days are still kept "
        "and refreshed in Postgres. After you set more months again, launch the job record_again, "
        "which shows Dagster the days that it missed.|If a smaller BIDBEACON_PARTITION_MONTHS is "
        "not enough, spread the accounts over several installations.]",
        Severity.WARNING,
    ),
    CauseKind(
        "several-daemons",
        "Several Dagster daemons are running[: {hosts}].",
        "Stop all of these daemons but one.",
        Severity.WARNING,
    ),
    CauseKind(
        "versions-differ",
        "Processes run different versions[: {versions}].",
        "Upgrade the processes with older versions.",
        Severity.WARNING,
    ),
    CauseKind(
        "clocks-differ",
        "Clocks of hosts differ from the database's[: {clocks}].",
        "Synchronize them with NTP. If all differ by the same amount, correct the database's "
        "clock.",
        Severity.WARNING,
    ),
    CauseKind(
        "process-silent",
        "No {kind} is running any more.",
        f"Start the process again. {_START}",
        Severity.WARNING,
        parameters=("kind",),
    ),
    CauseKind(
        "alerts-not-watched",
        "The stream, which sends alerts, is not running.",
        f"Start `bidbeacon stream` again. {_START}",
        Severity.WARNING,
    ),
    CauseKind(
        "alerts-not-delivered",
        "Alerts can't be delivered[: {reason}].",
        "Run `bidbeacon alerts test`.",
        Severity.WARNING,
    ),
    CauseKind(
        "database-away",
        "The database does not answer.",
        f"Start the database, or restore its network. {_NO_OTHER_ALERT}",
    ),
    CauseKind(
        "check-failed",
        "The check for problems fails.",
        f"Run `bidbeacon doctor`, and see the log of `bidbeacon stream`. {_NO_OTHER_ALERT}",
    ),
    # Failures of our own
    CauseKind(
        "process-killed",
        "The run's process died.",
        "The next run continues its work.",
    ),
    CauseKind(
        "unexpected-error",
        "[{type}|An unexpected error][: {message}].",
        "Please report it with the session's traceback.",
        parameters=("type",),
    ),
    CauseKind(
        "other",
        "[{reason}|No reason is known].",
        "The timeline of the session has the details.",
        parameters=("reason",),
    ),
)

CAUSE_KINDS: Final[Mapping[str, CauseKind]] = {kind.code: kind for kind in _TABLE}
"""All kinds of causes by code."""


def cause(
    code: str, *, detail: Mapping[str, Any] | None = None, **parameters: Any
) -> dict[str, Any]:
    """Return a cause in its stored form; parameters and details that are None are left out.

    Raises:
        ValueError: `CAUSE_KINDS` has no such code, or the code has no such parameter.
    """
    kind = CAUSE_KINDS.get(code)
    if kind is None:
        raise ValueError(f"expected a code of causes.CAUSE_KINDS, got: {code}")
    if unknown := parameters.keys() - set(kind.parameters):
        raise ValueError(f"expected parameters {kind.parameters} of {code}, got: {sorted(unknown)}")
    stored = _storable(detail or {})
    return {"code": code, **_storable(parameters), **({"detail": stored} if stored else {})}


def invalid_fields(faults: Sequence[Mapping[str, str]]) -> Cause:
    """Return the cause that explains missing or invalid fields of a row or entity.

    Each fault has `field` and `expected`, and `got` unless the field is missing.
    """
    return cause("fields-invalid", field=faults[0]["field"], detail={"faults": list(faults)})


def with_detail(cause: Cause, **detail: Any) -> dict[str, Any]:
    """Return a copy of a cause with these facts added to its detail."""
    return {**cause, "detail": {**cause.get("detail", {}), **_storable(detail)}}


def without_detail(cause: Cause) -> Cause:
    """Return a cause's code and parameters, which decide whether two causes are equal."""
    return {name: value for name, value in cause.items() if name != "detail"}


def cause_key(cause: Cause) -> str:
    """Return a text that is the same for equal causes, and differs for unequal causes."""
    return json.dumps(without_detail(cause), sort_keys=True)


def group_by_cause(items: Iterable[tuple[Cause, T]]) -> list[tuple[Cause, list[T]]]:
    """Return each distinct cause with its items; the cause has the detail of the first item."""
    groups: dict[str, tuple[Cause, list[T]]] = {}
    for why, item in items:
        groups.setdefault(cause_key(why), (why, []))[1].append(item)
    return list(groups.values())


def explain_kind(kind: CauseKind) -> Explained:
    """Return the sentence and advice of all causes of a kind, with parameters in braces."""
    names = (name for name in kind.parameters if name != "causes")
    return explain({"code": kind.code, **{name: f"{{{name}}}" for name in names}})


def explain(cause: Mapping[str, Any] | None) -> Explained:
    """Return a cause as sentences for users; never raise, even if the stored value is invalid."""
    cause = cause if isinstance(cause, Mapping) else {"code": "other"}
    code, detail = str(cause.get("code")), cause.get("detail")
    kind = CAUSE_KINDS.get(code)
    values = {**(detail if isinstance(detail, Mapping) else {}), **cause}
    try:
        if kind is not None:
            return _explained(kind, values)
    except (AttributeError, KeyError, TypeError, ValueError):
        pass  # stored by another version
    unknown = f"The cause is {code}, which this version of BidBeacon can't explain."
    return Explained(code, Severity.ERROR, unknown)


def explain_as_json(cause: Mapping[str, Any]) -> dict[str, Any]:
    """Return a cause as sentences for users, as JSON data."""
    return asdict(explain(cause))


def _explained(kind: CauseKind, values: Mapping[str, Any]) -> Explained:
    made = kind.sentence
    sentence = _filled(made, values) if isinstance(made, str) else made(values)
    tries = _filled("[Given up after {attempts} attempts.]", values)
    advice = join_sentences(tries, _filled(kind.advice, values))
    return Explained(kind.code, kind.severity, sentence, advice, kind.action, kind.link)


def _storable(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values for jsonb: drop those that are None, replace NUL and lone surrogates."""
    return {
        name: value.replace("\x00", "␀").encode("utf-8", "replace").decode()
        if isinstance(value, str)
        else value
        for name, value in values.items()
        if value is not None
    }


def _filled(template: str, values: Mapping[str, Any]) -> str:
    shown = {name: _shown(value) for name, value in values.items()}
    return "".join(_segments(template, shown))


def _segments(template: str, values: Mapping[str, Any]) -> Iterator[str]:
    """Yield the filled parts of a template; omit bracketed parts with missing values.

    `[a|b]` stands for b if a value that a needs is missing, and for a otherwise.
    """
    for place, part in enumerate(_OPTIONAL.split(template)):
        if place % 2 == 0:
            yield part.format_map(values)
            continue
        wanted, _, otherwise = part.partition("|")
        try:
            yield wanted.format_map(values)
        except KeyError:
            yield otherwise


def _shown(value: Any) -> Any:
    if isinstance(value, str):
        return without_stop(value)
    return ", ".join(map(str, value)) if isinstance(value, list) else value
