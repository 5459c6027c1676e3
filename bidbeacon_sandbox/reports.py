"""Requested reports: their status over time, and their rows."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from uuid import UUID

from bidbeacon_sandbox.accounts import AdsAccount
from bidbeacon_sandbox.catalog import World
from bidbeacon_sandbox.entities import AD_PRODUCTS, AdProduct, Catalog
from bidbeacon_sandbox.fields import has_hours
from bidbeacon_sandbox.jobs import Job, Jobs
from bidbeacon_sandbox.report_request import (
    COUNTRY_FIELDS,
    ReportRequest,
    first_day_of,
    read_conditions,
)
from bidbeacon_sandbox.row_changes import old_brands, with_more_rows, with_rules
from bidbeacon_sandbox.rows import RowWriter
from bidbeacon_sandbox.rules import (
    History,
    Limits,
    OldBrands,
    Parts,
    ReportEnd,
    ReportEnds,
    RowChange,
    Rows,
)
from bidbeacon_sandbox.seeded import seed_number, unit_interval
from bidbeacon_sandbox.traffic import age_of

_PENDING_SHARE = 0.3


@dataclass(frozen=True, kw_only=True)
class Report(Job):
    """A requested report; if `ready_at` is None, the report stays PENDING forever."""

    client: str
    request: ReportRequest

    @property
    def end_rule(self) -> ReportEnds | None:
        """The rule that makes the report end in a status other than COMPLETED, or None."""
        ends = (rule for rule in self.rules_of(ReportEnds) if rule.status != "COMPLETED")
        return next((one for one in ends if self.request.days > one.longer_than_days), None)

    @property
    def datasets(self) -> tuple[str, ...]:
        """The datasets (names in `datasets.json`) that the report matches."""
        return self.request.datasets

    @property
    def part_count(self) -> int | None:
        """The number of the report's parts; None means as many as its rows need."""
        parts = self.rules_of(Parts)
        if any(rule.single_url for rule in parts):
            return 1
        return next((rule.count for rule in parts if rule.count), None)

    def end(self, now: datetime) -> ReportEnd | None:
        """Return the final status if the report has ended by `now`, else None."""
        if self.ready_at is None or now < self.ready_at:
            return None
        return self.end_rule.status if self.end_rule else "COMPLETED"

    def status(self, now: datetime) -> str:
        """Return the status at `now`: usually PENDING, then PROCESSING, then COMPLETED."""
        end, rules = self.end(now), self.rules_of(ReportEnds)
        word = next((rule.word for rule in rules if rule.word), None)
        if end or word:
            return end or f"{word}"
        if self.ready_at is None or any(rule.seconds is not None for rule in rules):
            return "PENDING"
        begins = self.created_at + (self.ready_at - self.created_at) * _PENDING_SHARE
        return "PENDING" if now < begins else "PROCESSING"

    def is_in_flight(self, now: datetime) -> bool:
        """Return whether the report has not ended by `now`."""
        return self.end(now) is None


class Reports(Jobs[Report]):
    """All reports of a sandbox."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world
        self._created = 0
        self.polled: dict[str, datetime] = {}
        """When each report was last polled."""

    def create(
        self,
        request: ReportRequest,
        now: datetime,
        rules: tuple[Limits, ...] = (),
        client: str = "",
    ) -> Report:
        """Add a report; its id depends on seed, request, time and number of reports so far."""
        config = self._world.config
        self._created += 1
        report_id = str(UUID(int=seed_number(config.seed, "report", request, now, self._created)))
        spread = 0.5 + unit_interval(config.seed, "report seconds", report_id)
        return self.keep(
            Report(
                id=report_id,
                account_id=request.account_id,
                client=client,
                request=request,
                created_at=now,
                ready_at=_ready_at(now, config.report_seconds * spread, rules),
                rules=rules,
            )
        )

    def in_flight(self, account: AdsAccount, now: datetime) -> list[Report]:
        """Return an account's reports that have not ended."""
        own = (report for report in self if report.account_id == account.account_id)
        return [report for report in own if report.is_in_flight(now)]

    def rows(self, job: Report) -> Iterator[str]:
        """Return a report's rows for all countries, with metrics as known when it was created."""
        account = self._world.accounts.find(job.account_id)
        if account is None:
            return iter(())
        return with_rules(_account_rows(self._world, account, job), job.rules_of(Rows), job.id)


def _ready_at(now: datetime, seconds: float, rules: tuple[Limits, ...]) -> datetime | None:
    ends = [rule for rule in rules if isinstance(rule, ReportEnds)]
    if any(rule.status == "PENDING" for rule in ends):
        return None
    return now + timedelta(seconds=max(seconds, *(rule.seconds or 0 for rule in ends), 0))


def _account_rows(world: World, account: AdsAccount, report: Report) -> Iterator[str]:
    request, now = report.request, report.created_at
    today, histories = account.first_day(now), report.rules_of(History)
    writers = [
        (
            catalog,
            first_day_of(catalog.product, today, histories, hourly=request.is_hourly),
            RowWriter(catalog, request.fields, _passing_campaigns(catalog, report)),
        )
        for catalog in _catalogs(world, account, report)
    ]
    days = [request.start + timedelta(days=index) for index in range(request.days)]
    is_of_days = not {"date.value", "hour.value"}.isdisjoint(request.fields)
    return chain.from_iterable(
        writer.rows(
            [(day, age_of(catalog, day, now)) for day in span if day >= first],
            (request.start, request.end),
        )
        for span in ([[day] for day in days] if is_of_days else [days])
        for catalog, first, writer in writers
    )


def _catalogs(world: World, account: AdsAccount, report: Report) -> list[Catalog]:
    countries = account.countries
    if rule := _find_change(report, "no_country"):
        left_out = rule.country or countries[0].country
        countries = tuple(one for one in countries if one.country != left_out)
    catalogs = [
        world.catalog(account, country, product)
        for product in _products_with_rows(report)
        for country in countries
    ]
    if rule := _find_change(report, "appear"):
        return [with_more_rows(catalog, rule.share_of_rows) for catalog in catalogs]
    return catalogs


def _find_change(report: Report, change: RowChange) -> Rows | None:
    return next((rule for rule in report.rules_of(Rows) if change in rule.change), None)


def _products_with_rows(report: Report) -> tuple[AdProduct, ...]:
    """Return the ad products that may have rows in a report, by its filter and fields."""
    request = report.request
    named = AD_PRODUCTS if _find_change(report, "all_products") else request.products
    named = tuple(product for product in named if has_hours(request.fields, product))
    splits = {"searchTerm.value", "placementClassification.value", "placement.value"}
    if not splits.isdisjoint(request.fields):
        named = tuple(product for product in named if product != "SPONSORED_DISPLAY")
    return named


def _passing_campaigns(catalog: Catalog, report: Report) -> frozenset[str] | None:
    """Return the ids of the campaigns that pass a report's filter; None means all campaigns."""
    left_out = old_brands(catalog, report.rules_of(OldBrands))
    ignores_filter = _find_change(report, "all_products") is not None
    conditions = [] if ignores_filter else read_conditions(report.request.filter)
    if not conditions and not left_out:
        return None
    of_catalog = {"adProduct.value": catalog.product} | dict.fromkeys(
        COUNTRY_FIELDS, catalog.market.country
    )
    return frozenset(
        campaign["campaignId"]
        for campaign in catalog.entities["campaigns"]
        if campaign["campaignId"] not in left_out
        and all(
            one.passes(of_catalog | {"campaign.id": campaign["campaignId"]}) for one in conditions
        )
    )
