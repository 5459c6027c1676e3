"""The probe of one ads account: its requests and checks, its findings, and its recording."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final, get_args

from bidbeacon_pipelines.accounts.tables import AdsAccount
from bidbeacon_pipelines.amazon_ads.entities import ExportKind
from bidbeacon_pipelines.amazon_ads.errors import AdsApiError, NotAuthorized, Rejected, UnknownField
from bidbeacon_pipelines.amazon_ads.reports import Report
from bidbeacon_pipelines.contract.rules import FIELD, GROUPING, HISTORY, PERIOD, Contract
from bidbeacon_pipelines.datasets.registry import Dataset, DatasetReport
from bidbeacon_pipelines.probe.amazon import REFUSED_TOGETHER, Amazon, GaveUpError
from bidbeacon_pipelines.probe.answers import (
    CALLS,
    FileFacts,
    Listener,
    find_oldest_day,
    read_listed,
    read_report,
)
from bidbeacon_pipelines.probe.comparisons import (
    ISSUE,
    Comparison,
    Override,
    Verdict,
    as_json,
    judged,
    refusal_of,
    refused,
    unchecked,
)
from bidbeacon_pipelines.values.decode import BrokenPartError
from bidbeacon_pipelines.windows.contract_changes import change_contract
from bidbeacon_pipelines.windows.rules import oldest_served

FORMAT: Final = "bidbeacon-probe-2"
PUBLISHED: Final = (456, 459, 95, 96, 65, 66, 60, 61)
"""Published histories in days (15 months, and the older API's), each with one too long."""
LONGEST_PUBLISHED: Final = 730
"""The longest published history in days: 24 months."""
_GRANT: Final = (
    "Grant the authorizing user the rights to view campaigns and to edit reports, "
    "or choose another --account."
)
KINDS: Final[tuple[ExportKind, ...]] = get_args(ExportKind)
_PORTFOLIOS: Final = "portfolios"
_UNKNOWN_FIELD: Final = "metric.unheardOf"
_NOT_REQUESTED: Final = "not requested"
_REQUEST: Final = "request"
_ACCEPTED: Final = "accepted"
_LIMITS: Final = {HISTORY: "days back", PERIOD: "days in one report"}


@dataclass
class Probe:
    """Compares an ads account's answers with what the product relies on.

    Attributes:
        contract: How the product requests the datasets.
        day: The day whose rows are read.
        today: The present date, UTC, from which limits count.
        files: Facts on the rows of each export and report.
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
    _found: list[Comparison] = field(default_factory=list)
    _is_refused: bool = False

    @property
    def reports(self) -> list[DatasetReport]:
        """The reports that the product requests; each is created twice."""
        return [report for dataset in self.datasets for report in self.contract.reports(dataset)]

    @property
    def findings(self) -> list[Comparison]:
        """The findings so far, with a finding for each check that was not reached."""
        found = [*self._of_answers(), *self._found]
        reached = {finding.subject for finding in found}
        reason = "interrupted" if self.is_interrupted else _NOT_REQUESTED
        planned = [*KINDS, _PORTFOLIOS, *map(_subject, self.reports), "countries", "unknown field"]
        return found + [
            unchecked(subject, "everything", reason)
            for subject in planned
            if subject not in reached
        ]

    def run(self, amazon: Amazon) -> None:
        """Make all requests and checks."""
        self.amazon = amazon
        for kind in KINDS:
            with self._step(kind, "rows"), amazon.exported(kind) as entities:
                self._check_entities(kind, entities)
        with self._step(_PORTFOLIOS, "rows"):
            self._check_entities(_PORTFOLIOS, amazon.portfolios())
        for dataset in self.datasets:
            self._check_dataset(dataset)
        if not self._is_refused:
            self._check_countries()
            self._check_unknown_field()

    def apply(self) -> None:
        """Store the overrides of the findings in the contract."""
        context, ads_account = self.amazon.context, self.ads_account
        with context.engine.begin() as connection:
            for override in filter(None, (finding.override for finding in self._found)):
                change_contract(
                    connection,
                    self.amazon.session,
                    ads_account.region,
                    override.dataset,
                    override.what,
                    override.value,
                    ads_account=ads_account if override.of_account else None,
                    by="probe",
                    at=context.now(),
                )
        self._found = [
            replace(one, verdict=Verdict.APPLIED, to_do="") if one.override else one
            for one in self._found
        ]

    def write_recording(self, path: Path) -> None:
        """Write shapes of answers and findings to a file, without ids, names and amounts.

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
        findings = [{name: asdict(one)[name] for name in recorded} for one in self.findings]
        of = {"format": FORMAT, "region": self.ads_account.region, "day": str(self.day)}
        recording = of | {"answers": answers, "files": files, "findings": findings}
        path.write_text(json.dumps(recording, indent=1) + "\n")

    @contextmanager
    def _step(self, subject: str, check: str) -> Iterator[None]:
        """Turn an error in the block into a finding."""
        try:
            yield
        except AdsApiError as error:
            is_refused = isinstance(error, NotAuthorized)
            self._is_refused |= is_refused and check == _REQUEST
            to_do = _GRANT if is_refused else f"{ISSUE}." if isinstance(error, Rejected) else ""
            self._found.append(refused(subject, check, error, to_do=to_do))
        except GaveUpError as error:
            self._found.append(unchecked(subject, check, str(error)))
        except BrokenPartError:
            self._found.append(unchecked(subject, check, "the file is broken"))

    def _check_entities(self, kind: str, entities: Iterable[Any]) -> None:
        self.files[kind] = FileFacts()
        read_listed(self.files[kind], entities, kind)
        self._judge_rows(kind)

    def _check_dataset(self, dataset: Dataset) -> None:
        """Check the reports of a dataset; split those whose ad products are refused together."""
        requested, groups = self.contract.reports(dataset), list[str]()
        refused_together: list[DatasetReport] = []
        for report in self.contract.all_reports(dataset):
            parts = [report]
            if report in requested and not self._is_refused and not self._check_report(report):
                refused_together.append(report)
                parts = _apart(report)
                for part in parts:
                    self._check_report(part)
            groups.extend(part.name for part in parts)
        accepted = {one.subject for one in self._found if one.found == _ACCEPTED}
        for report in refused_together:
            override = Override(dataset.name, GROUPING, ",".join(groups))
            if accepted.issuperset(map(_subject, _apart(report))):
                self._differs(_subject(report), GROUPING, "refused in one report", override)
            else:
                problem = "refused in one report, and not accepted apart"
                self._found.append(judged(_subject(report), GROUPING, [problem]))
        for ours, name in self.amazon.names.get(dataset.name, {}).items():
            override = Override(dataset.name, f"{FIELD}:{ours}", name)
            self._differs(dataset.name, "names", f"{ours} is {name}", override)

    def _check_report(self, report: DatasetReport) -> bool:
        """Check a report; return False if Amazon refuses its ad products together."""
        subject, day = _subject(report), self.day
        with self._step(subject, _REQUEST):
            self.amazon.on_progress(f"Requesting {subject}, {day}")
            try:
                created = self.amazon.create(report, day, day)
            except Rejected as error:
                if error.cause_code != REFUSED_TOGETHER or len(report.ad_products) == 1:
                    raise
                return False
            self._found.append(judged(subject, _REQUEST, [], found=_ACCEPTED))
            with self._step(subject, "rows"):
                self._check_rows(report, self.amazon.finish(created))
            with self._step(subject, "limits"):
                self._check_limits(report)
        return True

    def _check_rows(self, report: DatasetReport, finished: Report) -> None:
        subject, countries = _subject(report), self.amazon.countries
        spellings = self.amazon.contract.spellings(report.dataset)
        with self.amazon.report_files(finished) as paths:
            facts = self.files[subject] = FileFacts()
            for path in paths:
                read_report(facts, path, report, countries, self.day, spellings=spellings)
        self._judge_rows(subject)
        others = [f"{count} rows of {product}" for product, count in facts.products.items()]
        self._found.append(
            judged(subject, "filter", others, to_do="Such rows are counted and not loaded")
        )

    def _check_limits(self, report: DatasetReport) -> None:
        """Check a report's history and longest period; if one is refused, find the limit."""
        rows = list[int]()

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
        history = expected = (self.today - oldest).days
        recent = (self.today - self.day).days
        requested = longest = min(report.longest_period_days, expected - recent + 1)
        given: int | None = longest if is_given(expected, longest) else None
        if given is None and not is_given(expected, 1):
            history = find_history(lambda days: is_given(days, 1), given=recent, refused=expected)
            requested = longest = min(longest, history - recent + 1)
            given = longest if is_given(history, longest) else None
        if given is None:
            given = find_longest(lambda days: is_given(history, days), refused=longest)
        may_be_longer = history == expected and not report.dataset.is_hourly
        if may_be_longer and given and expected + 1 < LONGEST_PUBLISHED:
            with self._step(_subject(report), "longer history"):
                is_given(LONGEST_PUBLISHED, given)
        self._judge_history(report, max(rows, default=0), history, expected)
        self._judge_limit(report, PERIOD, given or 0, requested)

    def _check_countries(self) -> None:
        seen = {country for facts in self.files.values() for country in facts.countries}
        expected = {account.country_code for account in self.amazon.countries}
        if not seen:
            found = "no report has rows: choose a busier account by --account, or a --day"
            self._found.append(unchecked("countries", "rows", found))
            return
        missing = [f"no report has rows of {code}" for code in sorted(expected - seen)]
        to_do = (
            f"If its campaigns delivered: {ISSUE.lower()}, since its days would stay unconfirmed"
        )
        here = ", ".join(sorted(expected & seen))
        self._found.append(judged("countries", "rows", missing, found=here, to_do=to_do))

    def _check_unknown_field(self) -> None:
        """Check the refusal of an unknown field, from which the product learns new names."""
        report, differences = _apart(self.reports[0])[0], list[str]()
        with self._step("unknown field", "refusal"):
            self.amazon.on_progress("Requesting a field that Amazon should refuse")
            try:
                created = self.amazon.create(report, self.day, self.day, more=[_UNKNOWN_FIELD])
                self.amazon.finish(created)
                differences = ["Amazon accepts it"]
            except UnknownField as error:
                if _UNKNOWN_FIELD not in error.reason:
                    differences = ["the refusal does not name the field"]
            except Rejected as error:
                differences = [f"{refusal_of(error)}, expected code 400005"]
            to_do = (
                "The product can't learn other names of fields: "
                "set them by `bidbeacon contract set`"
            )
            self._found.append(judged("unknown field", "refusal", differences, to_do=to_do))

    def _judge_history(self, report: DatasetReport, rows: int, given: int, expected: int) -> None:
        """Judge how many days back Amazon serves a report; only rows prove it.

        All are ages in days: of the oldest row, of the oldest day that Amazon does not refuse, and
        of the contract's oldest day, which leaves one day as safety.
        """
        days = rows if rows > expected + 1 else given
        if rows >= days:
            self._judge_limit(report, HISTORY, days, expected)
            return
        found = f"no rows come from {expected} days back"
        if rows:
            found = f"rows come from {rows} days back only, expected {expected}"
        if given < expected:
            found += f"; more than {given} days back is refused"
        self._found.append(unchecked(_subject(report), HISTORY, found))

    def _judge_limit(self, report: DatasetReport, what: str, days: int, expected: int) -> None:
        found = f"{days} {_LIMITS[what]}"
        if days == expected or (what == PERIOD and days > expected):
            self._found.append(judged(_subject(report), what, [], found=found))
            return
        name, value = f"{what}:{report.name}", str(max(days, 1))
        override = Override(report.dataset.name, name, value, of_account=what == PERIOD)
        self._differs(_subject(report), what, f"{found}, expected {expected}", override)

    def _judge_rows(self, subject: str) -> None:
        facts = self.files[subject]
        if not facts.rows:
            self._found.append(unchecked(subject, "rows", "there are no rows"))
            return
        to_do, found = f"{facts.consequence}. {ISSUE}", f"{facts.rows} rows"
        self._found.append(judged(subject, "rows", facts.differences, found=found, to_do=to_do))

    def _differs(self, subject: str, check: str, found: str, override: Override) -> None:
        to_do = f"Run it again with --apply, or: {override.command(self.ads_account.region)}"
        finding = Comparison(subject, check, Verdict.DIFFERS, found, to_do, override=override)
        self._found.append(finding)

    def _of_answers(self) -> Iterator[Comparison]:
        for call in CALLS:
            answers = [one for one in self.listener.answers.values() if one.call == call]
            good = [one for one in answers if one.is_success]
            if good:
                differences = dict.fromkeys(text for one in good for text in one.differences)
                to_do = f"New fields are ignored. {ISSUE} if any is missing or different"
                yield judged(call, "answer", differences, to_do=to_do)
            else:
                reason = f"HTTP {answers[-1].status}" if answers else _NOT_REQUESTED
                yield unchecked(call, "answer", reason)


def find_history(is_given: Callable[[int], bool], *, given: int, refused: int) -> int:
    """Return the most days back that Amazon serves, between a `given` and a `refused` number.

    A refusal alone proves no limit: it is refused, and given for one day less.
    """
    while refused - given > 1:
        between = (days for days in PUBLISHED if given < days < refused)
        days = next(between, (given + refused) // 2)
        if is_given(days):
            given = days
        else:
            refused = days
    return given


def find_longest(is_given: Callable[[int], bool], *, refused: int) -> int | None:
    """Return the first accepted period in days, by halving a refused one; None without any."""
    days = refused
    while days > 1:
        days = (days + 1) // 2
        if is_given(days):
            return days
    return None


def _apart(report: DatasetReport) -> list[DatasetReport]:
    return [replace(report, ad_products=(product,)) for product in report.ad_products]


def _subject(report: DatasetReport) -> str:
    return f"{report.dataset.name} {report.name}"
