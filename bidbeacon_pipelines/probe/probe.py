"""Checks Amazon's answers for one ads account against the contract, and records them."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Final

from bidbeacon_pipelines.accounts.tables import AdsAccount
from bidbeacon_pipelines.amazon_ads.errors import AdsApiError, NotAuthorized, Rejected, UnknownField
from bidbeacon_pipelines.amazon_ads.reports import Report
from bidbeacon_pipelines.contract.rules import FIELD, GROUPING, HISTORY, PERIOD, Contract
from bidbeacon_pipelines.datasets.registry import Dataset, DatasetReport
from bidbeacon_pipelines.probe.amazon import KINDS, REFUSED_TOGETHER, Amazon, GaveUpError
from bidbeacon_pipelines.probe.answers import (
    CALLS,
    FileFacts,
    Listener,
    find_oldest_day,
    read_listed,
    read_report,
)
from bidbeacon_pipelines.probe.comparisons import (
    APPLIED,
    DIFFERS,
    ISSUE,
    UNCHECKED,
    Comparison,
    Override,
    as_json,
    compared,
    refusal_of,
)
from bidbeacon_pipelines.values.decode import BrokenPartError
from bidbeacon_pipelines.windows.contract_changes import change_contract
from bidbeacon_pipelines.windows.rules import oldest_served

FORMAT: Final = "bidbeacon-probe-3"
PUBLISHED: Final = (456, 459, 95, 96, 65, 66, 60, 61)
"""Histories in days that Amazon publishes, each followed by a slightly longer one to try.

The published ones are 15 months, and the histories of the older API.
"""
LONGEST_PUBLISHED: Final = 730
"""The longest published history in days: 24 months."""
_GRANT: Final = (
    "Grant the authorizing user the rights to view campaigns and to edit reports, "
    "or choose another --account."
)
_UNKNOWN_FIELD: Final = "metric.unheardOf"
_NOT_REQUESTED: Final = "not requested"
_REQUEST: Final = "request"
_UNITS: Final = {HISTORY: "days back", PERIOD: "days in one report"}


@dataclass
class Probe:
    """Compares Amazon's answers for an ads account with what the product relies on.

    Attributes:
        contract: How the product requests the datasets.
        day: The day whose rows are read.
        today: The present date in UTC; histories are counted back from it.
        files: Facts about the rows of each export and report.
    """

    ads_account: AdsAccount
    contract: Contract
    datasets: Sequence[Dataset]
    day: date
    today: date
    listener: Listener
    amazon: Amazon = field(init=False)
    files: dict[str, FileFacts] = field(default_factory=dict)
    is_interrupted: bool = False
    _made: list[Comparison] = field(default_factory=list)
    _is_refused: bool = False

    @property
    def reports(self) -> list[DatasetReport]:
        """The reports that the product requests; the probe checks the rows and limits of each."""
        return [report for dataset in self.datasets for report in self.contract.reports(dataset)]

    @property
    def comparisons(self) -> list[Comparison]:
        """The results of all checks so far; each subject not reached has the result `UNCHECKED`."""
        made = [*self._of_answers(), *self._made]
        reached = {one.subject for one in made}
        reason = "interrupted" if self.is_interrupted else _NOT_REQUESTED
        planned = [*KINDS, *map(_subject, self.reports), "countries", "unknown field"]
        left = [subject for subject in planned if subject not in reached]
        return made + [Comparison(subject, "everything", UNCHECKED, reason) for subject in left]

    def run(self, amazon: Amazon) -> None:
        """Make all requests and checks."""
        self.amazon = amazon
        for kind in KINDS:
            with self._step(kind, "rows"), amazon.listed(kind) as entities:
                self._compare_rows(kind, read_listed(entities, kind))
        for dataset in self.datasets:
            self._check_dataset(dataset)
        if not self._is_refused:
            self._check_countries()
            self._check_unknown_field()

    def apply(self) -> None:
        """Store in the contract the overrides that the comparisons propose."""
        context, ads_account = self.amazon.context, self.ads_account
        with context.engine.begin() as connection:
            for override in filter(None, (one.override for one in self._made)):
                change_contract(
                    connection,
                    self.amazon.session,
                    ads_account.region,
                    override.dataset,
                    override.subject,
                    override.value,
                    ads_account=ads_account if override.of_account else None,
                    by="probe",
                    at=context.now(),
                )
        for number, one in enumerate(self._made):
            if one.override is not None:
                self._made[number] = replace(one, verdict=APPLIED, to_do="")

    def write_recording(self, path: Path) -> None:
        """Write shapes of answers and comparisons to a file, without ids, names and amounts.

        Raises:
            OSError: the file can't be written.
        """
        answers = [
            {
                "call": one.call,
                "status": one.status,
                "count": one.count,
                "slowest_seconds": round(one.slowest, 1),
                "shape": as_json(one.shape),
            }
            for one in self.listener.answers.values()
        ]
        files = {
            subject: {"rows": facts.rows, "shape": as_json(facts.shape)}
            for subject, facts in self.files.items()
        }
        recorded = ("subject", "check", "verdict", "found")
        comparisons = [{name: getattr(one, name) for name in recorded} for one in self.comparisons]
        of = {"format": FORMAT, "region": self.ads_account.region, "day": str(self.day)}
        recording = of | {"answers": answers, "files": files, "comparisons": comparisons}
        path.write_text(json.dumps(recording, indent=1) + "\n")

    @contextmanager
    def _step(self, subject: str, check: str) -> Iterator[None]:
        """Record an error in the block as the result of a check, instead of raising it."""
        try:
            yield
        except AdsApiError as error:
            is_refused = isinstance(error, NotAuthorized)
            self._is_refused |= is_refused and check == _REQUEST
            to_do = _GRANT if is_refused else f"{ISSUE}." if isinstance(error, Rejected) else ""
            verdict, found = DIFFERS if to_do else UNCHECKED, refusal_of(error)
            refused = Comparison(subject, check, verdict, found, to_do, amazon=error.reason)
            self._made.append(refused)
        except GaveUpError as error:
            self._leave(subject, check, str(error))
        except BrokenPartError:
            self._leave(subject, check, "the file is broken")

    def _compare(self, subject: str, check: str, *differences: str, **more: str) -> None:
        self._made.append(compared(subject, check, *differences, **more))

    def _leave(self, subject: str, check: str, reason: str) -> None:
        self._made.append(Comparison(subject, check, UNCHECKED, reason))

    def _differs(self, subject: str, check: str, found: str, override: Override) -> None:
        to_do = f"Run the probe again with --apply, or: {override.command(self.ads_account.region)}"
        self._made.append(Comparison(subject, check, DIFFERS, found, to_do, override=override))

    def _compare_rows(self, subject: str, facts: FileFacts) -> None:
        self.files[subject] = facts
        if not facts.rows:
            self._leave(subject, "rows", "there are no rows")
            return
        to_do = f"BidBeacon would set {facts.set_aside} of {facts.rows} rows aside. {ISSUE}"
        found = f"{facts.rows} rows"
        self._compare(subject, "rows", *facts.differences, found=found, to_do=to_do)

    def _check_dataset(self, dataset: Dataset) -> None:
        for report in self.contract.reports(dataset):
            if not self._is_refused:
                self._check_report(report)
        for ours, name in self.amazon.names.get(dataset.name, {}).items():
            override = Override(dataset.name, f"{FIELD}:{ours}", name)
            self._differs(dataset.name, "names", f"{ours} is {name}", override)

    def _check_report(self, report: DatasetReport) -> bool:
        """Check a report; return whether Amazon accepted it.

        If Amazon refuses several ad products in one report, check each in a separate report.
        """
        subject, day, is_accepted = _subject(report), self.day, False
        with self._step(subject, _REQUEST):
            self.amazon.on_progress(f"Requesting {subject}, {day}")
            try:
                created = self.amazon.create(report, day, day)
            except Rejected as error:
                if error.cause_code != REFUSED_TOGETHER or len(report.ad_products) == 1:
                    raise
                self._check_apart(report)
                return False
            is_accepted = True
            self._compare(subject, _REQUEST, found="accepted")
            with self._step(subject, "rows"):
                self._check_rows(report, self.amazon.finish(created))
            with self._step(subject, "limits"):
                self._check_limits(report)
        return is_accepted

    def _check_apart(self, together: DatasetReport) -> None:
        """Check each ad product of a refused report in a separate report.

        If Amazon accepts all of them, propose an override that requests them separately.
        """
        apart = [replace(together, ad_products=(one,)) for one in together.ad_products]
        subject, dataset = _subject(together), together.dataset
        accepted = [self._check_report(report) for report in apart]
        if not all(accepted):
            self._compare(subject, GROUPING, "refused in one report; not all accepted separately")
            return
        every = self.contract.all_reports(dataset)
        groups = [part.name for one in every for part in (apart if one == together else [one])]
        override = Override(dataset.name, GROUPING, ",".join(groups))
        self._differs(subject, GROUPING, "refused in one report", override)

    def _check_rows(self, report: DatasetReport, finished: Report) -> None:
        subject, spellings = _subject(report), self.contract.spellings(report.dataset)
        with self.amazon.report_files(finished) as paths:
            facts = read_report(paths, report, self.amazon.countries, self.day, spellings)
        self._compare_rows(subject, facts)
        others = [f"{count} rows of {product}" for product, count in facts.products.items()]
        to_do = "Such rows are counted and not loaded"
        self._compare(subject, "filter", *others, to_do=to_do)

    def _check_limits(self, report: DatasetReport) -> None:
        """Check a report's history and its longest period, both in days.

        A history is the age of the oldest day served. If Amazon refuses the history or period that
        the contract expects, search for one that Amazon accepts.
        """
        rows = list[int]()

        @cache
        def is_given(days_ago: int, length: int) -> bool:
            start = self.today - timedelta(days=days_ago)
            end = start + timedelta(days=length - 1)
            if (ended := self.amazon.find_ended(report, start, end)) is None:
                return False
            with self.amazon.report_files(ended) as paths:
                oldest_row = find_oldest_day(paths, start, end)
            if oldest_row is not None:
                rows.append((self.today - oldest_row).days)
            return True

        oldest = oldest_served(report.dataset, self.today, report.history_days)
        expected = (self.today - oldest).days
        history, recent = expected, (self.today - self.day).days
        longest = min(report.longest_period_days, expected - recent + 1)
        if not is_given(expected, longest) and not is_given(expected, 1):
            history = search_history(lambda days: is_given(days, 1), given=recent, refused=expected)
        longest = min(longest, history - recent + 1)
        given = find_longest(lambda days: is_given(history, days), longest) or 0
        may_be_longer = history == expected and not report.dataset.is_hourly
        if may_be_longer and given and expected + 1 < LONGEST_PUBLISHED:
            with self._step(_subject(report), "longer history"):
                is_given(LONGEST_PUBLISHED, given)
        self._compare_history(report, max(rows, default=0), history, expected)
        self._compare_limit(report, PERIOD, given, longest)

    def _compare_history(self, report: DatasetReport, rows: int, given: int, expected: int) -> None:
        """Compare a report's history with the history in the contract; all numbers are in days.

        `rows` is the age of the oldest row, `given` is the age of the oldest accepted day, and
        `expected` is the history in the contract. Only rows prove that Amazon serves a day. The
        contract's history may be one day shorter than Amazon's, to be safe.
        """
        days = rows if rows > expected + 1 else given
        if rows >= days:
            self._compare_limit(report, HISTORY, days, expected)
            return
        found = f"no rows come from {expected} days back"
        if rows:
            found = f"rows come from {rows} days back only, expected {expected}"
        if given < expected:
            found += f"; more than {given} days back is refused"
        self._leave(_subject(report), HISTORY, found)

    def _compare_limit(self, report: DatasetReport, what: str, days: int, expected: int) -> None:
        found = f"{days} {_UNITS[what]}"
        if days == expected:
            self._compare(_subject(report), what, found=found)
            return
        name, value = f"{what}:{report.name}", str(max(days, 1))
        override = Override(report.dataset.name, name, value, of_account=what == PERIOD)
        self._differs(_subject(report), what, f"{found}, expected {expected}", override)

    def _check_countries(self) -> None:
        seen = {country for facts in self.files.values() for country in facts.countries}
        expected = {account.country_code for account in self.amazon.countries}
        if not seen:
            found = "no report has rows: choose a busier account with --account, or another --day"
            self._leave("countries", "rows", found)
            return
        missing = [f"no report has rows of {code}" for code in sorted(expected - seen)]
        to_do = (
            f"If the country's campaigns delivered: {ISSUE.lower()}, "
            "since the country's days would stay unconfirmed"
        )
        here = ", ".join(sorted(expected & seen))
        self._compare("countries", "rows", *missing, found=here, to_do=to_do)

    def _check_unknown_field(self) -> None:
        """Check that Amazon names an unknown field in its refusal, since BidBeacon relies on it."""
        single = replace(self.reports[0], ad_products=self.reports[0].ad_products[:1])
        differences = list[str]()
        with self._step("unknown field", "refusal"):
            self.amazon.on_progress("Requesting a field that Amazon should refuse")
            try:
                created = self.amazon.create(single, self.day, self.day, more=[_UNKNOWN_FIELD])
                self.amazon.finish(created)
                differences = ["Amazon accepts the unknown field"]
            except UnknownField as error:
                if _UNKNOWN_FIELD not in error.reason:
                    differences = ["the refusal does not name the field"]
            except Rejected as error:
                differences = [f"{refusal_of(error)}, expected code 400005"]
            to_do = (
                "The product can't learn Amazon's new names of fields: "
                "set them with `bidbeacon contract set`"
            )
            self._compare("unknown field", "refusal", *differences, to_do=to_do)

    def _of_answers(self) -> Iterator[Comparison]:
        for call in CALLS:
            answers = [one for one in self.listener.answers.values() if one.call == call]
            good = [one for one in answers if one.is_success]
            if good:
                differences = dict.fromkeys(text for one in good for text in one.differences)
                to_do = f"New fields are ignored. {ISSUE} if any is missing or different"
                yield compared(call, "answer", *differences, to_do=to_do)
            else:
                reason = f"HTTP {answers[-1].status}" if answers else _NOT_REQUESTED
                yield Comparison(call, "answer", UNCHECKED, reason)


def search_history(is_given: Callable[[int], bool], *, given: int, refused: int) -> int:
    """Return the longest history in days that Amazon serves: `given` or more, below `refused`.

    A refusal alone does not show the limit. Search until Amazon serves the result, but refuses a
    history that is one day longer.
    """
    while refused - given > 1:
        between = (days for days in PUBLISHED if given < days < refused)
        days = next(between, (given + refused) // 2)
        if is_given(days):
            given = days
        else:
            refused = days
    return given


def find_longest(is_given: Callable[[int], bool], longest: int) -> int | None:
    """Return a period in days that Amazon accepts, or None if even one day is refused.

    Try `longest` first, then halve the period after each refusal.
    """
    days = longest
    while not is_given(days):
        if days <= 1:
            return None
        days = (days + 1) // 2
    return days


def _subject(report: DatasetReport) -> str:
    return f"{report.dataset.name} {report.name}"
