"""The reports that were asked for: their life from PENDING to their end, and their rows."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import chain
from typing import TypeVar
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict

from bidbeacon_sandbox.accounts import Account
from bidbeacon_sandbox.catalog import World
from bidbeacon_sandbox.entities import AD_PRODUCTS, AdProduct, Catalog
from bidbeacon_sandbox.files import Journal
from bidbeacon_sandbox.report_request import (
    COUNTRY_FIELDS,
    ReportFilter,
    ReportRequest,
    first_day_of,
    passes,
)
from bidbeacon_sandbox.row_changes import with_more_rows, with_rules
from bidbeacon_sandbox.rows import RowWriter
from bidbeacon_sandbox.rules import (
    AnyRule,
    Limits,
    Parts,
    Refuse,
    ReportEnd,
    ReportEnds,
    RowChange,
    Rows,
)
from bidbeacon_sandbox.seeded import digest, unit_interval
from bidbeacon_sandbox.settings import SandboxConfig
from bidbeacon_sandbox.traffic import age_of

_Rule = TypeVar("_Rule", bound=Limits)
_PENDING_SHARE = 0.3


class Report(BaseModel):
    """One report that was accepted, with the rules that struck its creation; it never changes.

    `ready_at` is when it completes or fails; None: it stays PENDING for ever.
    """

    model_config = ConfigDict(frozen=True)

    report_id: str
    client: str
    request: ReportRequest
    created_at: AwareDatetime
    ready_at: AwareDatetime | None
    rules: tuple[AnyRule, ...] = ()

    def rules_of(self, kind: type[_Rule]) -> tuple[_Rule, ...]:
        """Return its rules of one kind."""
        return tuple(rule for rule in self.rules if isinstance(rule, kind))

    @property
    def end_rule(self) -> ReportEnds | None:
        """The rule that makes it end otherwise than COMPLETED; None where it has none."""
        days = (self.request.end - self.request.start).days + 1
        return next(
            (
                rule
                for rule in self.rules_of(ReportEnds)
                if rule.status not in {"COMPLETED", "PENDING"}
                and days > (rule.longer_than_days or 0)
            ),
            None,
        )

    @property
    def part_count(self) -> int | None:
        """How many parts it has; None: as many as its rows need. A single url is for one part."""
        parts = self.rules_of(Parts)
        if any(rule.single_url for rule in parts):
            return 1
        return next((rule.count for rule in parts if rule.count), None)

    def end(self, now: datetime) -> ReportEnd | None:
        """Return how it has ended by an instant; None while it is in flight."""
        if self.ready_at is None or now < self.ready_at:
            return None
        return self.end_rule.status if self.end_rule else "COMPLETED"

    def status(self, now: datetime) -> str:
        """Return its status at an instant, as the API says it: usually PENDING, PROCESSING and then COMPLETED."""
        end = self.end(now)
        if end is not None:
            return end
        rules = self.rules_of(ReportEnds)
        word = next((rule.word for rule in rules if rule.word), None)
        if word is not None:
            return word
        if self.ready_at is None or any(rule.seconds is not None for rule in rules):
            return "PENDING"
        begins = self.created_at + (self.ready_at - self.created_at) * _PENDING_SHARE
        return "PENDING" if now < begins else "PROCESSING"

    def is_in_flight(self, now: datetime) -> bool:
        """Return whether it has not ended yet."""
        return self.end(now) is None


class _Deleted(BaseModel):
    report_id: str


class Reports:
    """All reports of a sandbox."""

    def __init__(self, config: SandboxConfig, world: World) -> None:
        self._config = config
        self._world = world
        self._journal = Journal(config.state_dir, "reports", Report)
        self._deletions = Journal(config.state_dir, "deleted-reports", _Deleted)
        deleted = {one.report_id for one in self._deletions.read()}
        self._reports = {
            report.report_id: report
            for report in self._journal.read()
            if report.report_id not in deleted
        }
        self._created = len(self._reports)
        self._polled: dict[str, datetime] = {}

    def create(
        self,
        request: ReportRequest,
        now: datetime,
        rules: tuple[Limits, ...] = (),
        client: str = "",
    ) -> Report:
        """Accept a request; its id depends on the seed, the request, the time and how many came before."""
        seed = self._config.seed
        self._created += 1
        report_id = str(UUID(bytes=digest(seed, "report", request, now, self._created)))
        seconds = self._config.report_seconds * (
            0.5 + unit_interval(seed, "report seconds", report_id)
        )
        report = Report(
            report_id=report_id,
            client=client,
            request=request,
            created_at=now,
            ready_at=_ready_at(now, seconds, rules),
            rules=rules,
        )
        self._reports[report_id] = report
        self._journal.append(report)
        return report

    def delete(self, report: Report) -> None:
        """Forget a report, also after a restart."""
        del self._reports[report.report_id]
        self._deletions.append(_Deleted(report_id=report.report_id))

    def find(self, report_id: str) -> Report | None:
        """Return the report with this id; None where there is none (or none since a restart)."""
        return self._reports.get(report_id)

    def __len__(self) -> int:
        """Return how many reports were accepted."""
        return len(self._reports)

    def __iter__(self) -> Iterator[Report]:
        """Return the reports, oldest first."""
        return iter(self._reports.values())

    def in_flight(self, account: Account, now: datetime) -> list[Report]:
        """Return an account's reports that have not ended."""
        own = (report for report in self if report.request.account_id == account.account_id)
        return [report for report in own if report.is_in_flight(now)]

    def is_polled_too_soon(self, report: Report, now: datetime) -> bool:
        """Return whether a report is polled sooner than allowed after the last poll, and count this poll where not."""
        last = self._polled.get(report.report_id)
        if last is not None and now < last + timedelta(seconds=self._config.poll_min_seconds):
            return True
        self._polled[report.report_id] = now
        return False

    def rows(self, report: Report) -> Iterator[str]:
        """Return a report's rows as JSON texts, of all countries of its account, as of its creation."""
        account = self._world.accounts.find(report.request.account_id)
        if account is None:
            return iter(())
        rows = _account_rows(self._world, account, report)
        return with_rules(rows, report.rules_of(Rows), report.report_id)


def _ready_at(now: datetime, seconds: float, rules: tuple[Limits, ...]) -> datetime | None:
    ends = [rule for rule in rules if isinstance(rule, ReportEnds)]
    if any(rule.status == "PENDING" for rule in ends):
        return None
    return now + timedelta(seconds=max(seconds, *(rule.seconds or 0 for rule in ends), 0))


def _account_rows(world: World, account: Account, report: Report) -> Iterator[str]:
    request, rules = report.request, report.rules_of(Refuse)
    row_filter = None if _find_change(report, "all_products") else request.filter
    today = account.first_day(report.created_at)
    catalogs = _catalogs(world, account, report)
    writers = [
        (
            catalog,
            first_day_of(catalog.product, today, rules, hourly=request.is_hourly),
            RowWriter(catalog, request.fields, passing),
        )
        for catalog in catalogs
        if (passing := _passing_campaigns(catalog, row_filter)) != frozenset()
    ]
    days = [
        request.start + timedelta(days=index)
        for index in range((request.end - request.start).days + 1)
    ]
    spans = [[day] for day in days] if {"date.value", "hour.value"} & {*request.fields} else [days]
    return chain.from_iterable(
        writer.rows(
            [(day, age_of(catalog, day, report.created_at)) for day in span if day >= first],
            (request.start, request.end),
        )
        for span in spans
        for catalog, first, writer in writers
    )


def _catalogs(world: World, account: Account, report: Report) -> list[Catalog]:
    """Return the catalogs of all countries and ad products that have rows in a report."""
    catalogs = [
        catalog
        for product in _products_with_rows(report)
        for catalog in world.catalogs(account, product)
    ]
    if rule := _find_change(report, "no_country"):
        left_out = rule.country or account.countries[0].country
        catalogs = [catalog for catalog in catalogs if catalog.market.country != left_out]
    if rule := _find_change(report, "appear"):
        catalogs = [with_more_rows(catalog, rule.share_of_rows) for catalog in catalogs]
    return catalogs


def _find_change(report: Report, change: RowChange) -> Rows | None:
    return next((rule for rule in report.rules_of(Rows) if change in rule.change), None)


def _products_with_rows(report: Report) -> list[AdProduct]:
    """Return the ad products that have rows of these fields.

    Sponsored Display has no search terms or placements; only Sponsored Products has hours, unless
    a rule accepts the others.
    """
    fields = set(report.request.fields)
    no_display = not fields.isdisjoint(
        ("searchTerm.value", "placementClassification.value", "placement.value")
    )
    accepts_hours = any("hours_of_all_products" in rule.accept for rule in report.rules_of(Refuse))
    if "hour.value" in fields and not accepts_hours:
        return ["SPONSORED_PRODUCTS"]
    return [
        product for product in AD_PRODUCTS if not (no_display and product == "SPONSORED_DISPLAY")
    ]


def _passing_campaigns(catalog: Catalog, asked: ReportFilter | None) -> frozenset[str] | None:
    """Return the ids of the campaigns that pass a report's filter; None where all of them do."""
    if asked is None:
        return None
    of_catalog = {"adProduct.value": catalog.product} | dict.fromkeys(
        COUNTRY_FIELDS, catalog.market.country
    )
    ids = [campaign.campaign_id for campaign in catalog.campaigns]
    passing = frozenset(
        campaign_id
        for campaign_id in ids
        if passes(asked, of_catalog | {"campaign.id": campaign_id})
    )
    return None if len(passing) == len(ids) else passing
