"""The reports that were asked for: their life from PENDING to their end, and their rows."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import chain
from typing import Any, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict

from bidbeacon_sandbox.accounts import Account
from bidbeacon_sandbox.catalog import World
from bidbeacon_sandbox.config import SandboxConfig
from bidbeacon_sandbox.entities import AD_PRODUCTS, AdProduct, Catalog
from bidbeacon_sandbox.faults import FaultName, FaultRule
from bidbeacon_sandbox.files import Journal
from bidbeacon_sandbox.report_request import (
    COUNTRY_FIELDS,
    ReportFilter,
    ReportRequest,
    first_day_of,
)
from bidbeacon_sandbox.row_faults import with_faults, with_more_rows
from bidbeacon_sandbox.rows import RowWriter
from bidbeacon_sandbox.seeded import digest, unit_interval
from bidbeacon_sandbox.traffic import age_of
from bidbeacon_sandbox.variants import vary_rows

EndStatus = Literal["COMPLETED", "FAILED", "CANCELLED", "EXPIRED"]
_PENDING_SHARE = 0.3
_ENDS: dict[FaultName, EndStatus] = {
    "too_large_later": "FAILED",
    "report_failed": "FAILED",
    "report_cancelled": "CANCELLED",
    "report_expired": "EXPIRED",
}


class Report(BaseModel):
    """One report that was accepted, with the faults it got at birth; it never changes.

    `ready_at` is when it completes or fails; None: it stays PENDING for ever.
    """

    model_config = ConfigDict(frozen=True)

    report_id: str
    request: ReportRequest
    created_at: AwareDatetime
    ready_at: AwareDatetime | None
    faults: tuple[FaultRule, ...] = ()

    def find_fault(self, name: FaultName) -> FaultRule | None:
        """Return the fault of this name that it has; None where it has none."""
        return next((rule for rule in self.faults if rule.fault == name), None)

    @property
    def end_fault(self) -> FaultRule | None:
        """The fault that makes it end otherwise than COMPLETED; None where it has none."""
        return next(
            (rule for rule in self.faults if rule.fault in _ENDS and self._strikes(rule)), None
        )

    def _strikes(self, rule: FaultRule) -> bool:
        days = (self.request.end - self.request.start).days + 1
        return rule.fault != "too_large_later" or days > rule.options.days

    @property
    def part_count(self) -> int | None:
        """How many parts it has; None: as many as its rows need. A single url is for one part."""
        if self.find_fault("single_url"):
            return 1
        more = self.find_fault("more_parts")
        return more.options.parts if more else None

    def end(self, now: datetime) -> EndStatus | None:
        """Return how it has ended by an instant; None while it is in flight."""
        if self.ready_at is None or now < self.ready_at:
            return None
        return _ENDS[self.end_fault.fault] if self.end_fault else "COMPLETED"

    def status(self, now: datetime) -> str:
        """Return its status at an instant, as the API says it: usually PENDING, PROCESSING and then COMPLETED."""
        end = self.end(now)
        if end is not None:
            return end
        odd = self.find_fault("odd_status")
        if odd is not None:
            return odd.options.word
        if self.ready_at is None or self.find_fault("report_pending"):
            return "PENDING"
        begins = self.created_at + (self.ready_at - self.created_at) * _PENDING_SHARE
        return "PENDING" if now < begins else "PROCESSING"

    def is_in_flight(self, now: datetime) -> bool:
        """Return whether it has not ended yet."""
        return self.end(now) is None


class Reports:
    """All reports of a sandbox."""

    def __init__(self, config: SandboxConfig, world: World) -> None:
        self._config = config
        self._world = world
        self._journal = Journal(config.state_dir, "reports", Report)
        self._reports = {report.report_id: report for report in self._journal.read()}
        self._polled: dict[str, datetime] = {}

    def create(
        self, request: ReportRequest, now: datetime, faults: tuple[FaultRule, ...]
    ) -> Report:
        """Accept a request; its id depends on the seed, the request, the time and how many came before."""
        seed = self._config.seed
        report_id = str(UUID(bytes=digest(seed, "report", request, now, len(self._reports))))
        seconds = self._config.report_seconds * (
            0.5 + unit_interval(seed, "report seconds", report_id)
        )
        ready_at = _ready_at(now, seconds, faults)
        report = Report(
            report_id=report_id, request=request, created_at=now, ready_at=ready_at, faults=faults
        )
        self._reports[report_id] = report
        self._journal.append(report)
        return report

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
        rows = _account_rows(self._world, account, report, self._config)
        faulty = with_faults(rows, report.faults, report.report_id)
        return vary_rows(faulty, self._config.variants, "rows")

    def summary(self) -> list[dict[str, Any]]:
        """Return all reports as JSON data, oldest first; for looking at, not for the wire."""
        return [report.model_dump(mode="json") for report in self]


def _ready_at(now: datetime, seconds: float, faults: tuple[FaultRule, ...]) -> datetime | None:
    pending = next((rule for rule in faults if rule.fault == "report_pending"), None)
    if pending is None:
        return now + timedelta(seconds=seconds)
    longer = pending.options.seconds
    return None if longer is None else now + timedelta(seconds=max(seconds, longer))


def _account_rows(
    world: World, account: Account, report: Report, config: SandboxConfig
) -> Iterator[str]:
    request = report.request
    row_filter = None if report.find_fault("filter_ignored") else request.filter
    catalogs = [
        catalog
        for product in _products_with_rows(request.fields)
        for catalog in world.catalogs(account, product)
    ]
    if missing := report.find_fault("country_missing"):
        left_out = missing.country or account.countries[0].country
        catalogs = [catalog for catalog in catalogs if catalog.market.country != left_out]
    if appear := report.find_fault("appear_rows"):
        share = 0.01 if appear.options.share is None else appear.options.share
        catalogs = [with_more_rows(catalog, share) for catalog in catalogs]
    today = account.first_day(report.created_at)
    writers = [
        (
            catalog,
            first_day_of(catalog.product, today, config, hourly=request.is_hourly),
            RowWriter(catalog, request.fields, passing),
        )
        for catalog in catalogs
        if (passing := _passing_campaigns(catalog, row_filter)) != frozenset()
    ]
    days = [
        request.start + timedelta(days=index)
        for index in range((request.end - request.start).days + 1)
    ]
    return chain.from_iterable(
        writer.rows(day, age_of(catalog, day, report.created_at))
        for day in days
        for catalog, first, writer in writers
        if day >= first
    )


def _products_with_rows(fields: tuple[str, ...]) -> list[AdProduct]:
    """Return the ad products that have rows of these fields: Sponsored Display has no search terms or placements."""
    no_display = not set(fields).isdisjoint(
        ("searchTerm.value", "placementClassification.value", "placement.value")
    )
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
        if asked.passes(of_catalog | {"campaign.id": campaign_id})
    )
    return None if len(passing) == len(ids) else passing
