"""Exports of an account in one country: their filters, status over time, and entities."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, StrictBool

from bidbeacon_sandbox.accounts import AccountCountry, AdsAccount
from bidbeacon_sandbox.catalog import World
from bidbeacon_sandbox.entities import (
    AD_PRODUCTS,
    AdProduct,
    Catalog,
    Entity,
    ExportKind,
    State,
    TargetType,
)
from bidbeacon_sandbox.jobs import Job, Jobs
from bidbeacon_sandbox.row_changes import old_brands, with_rules
from bidbeacon_sandbox.rows import to_json
from bidbeacon_sandbox.rules import ExportEnds, Limits, OldBrands, Rows
from bidbeacon_sandbox.seeded import seed_number

TargetLevel = Literal["AD_GROUP", "CAMPAIGN"]
ExportStatus = Literal["PROCESSING", "COMPLETED", "FAILED"]
KEPT = timedelta(hours=24)
"""How long after its completion an export is available."""


class ExportFilter(BaseModel):
    """The body of a request for an export; the last three filters apply only to targets."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    adProductFilter: tuple[AdProduct, ...] = Field(AD_PRODUCTS, min_length=1, max_length=3)  # noqa: N815 - the wire's name
    stateFilter: tuple[State, ...] = Field(("ENABLED", "PAUSED"), min_length=1, max_length=3)  # noqa: N815 - the same
    negativeFilter: tuple[StrictBool, ...] = Field((False, True), min_length=1, max_length=2)  # noqa: N815 - the same
    targetLevelFilter: tuple[TargetLevel, ...] = Field(  # noqa: N815 - the same
        get_args(TargetLevel), min_length=1, max_length=2
    )
    targetTypeFilter: tuple[TargetType, ...] = Field(  # noqa: N815 - the same
        get_args(TargetType), min_length=1, max_length=8
    )

    @property
    def is_about_targets(self) -> bool:
        """Whether the request contains a filter that applies only to targets."""
        return not self.model_fields_set <= {"adProductFilter", "stateFilter"}

    def passes(self, entity: Entity) -> bool:
        """Return whether an entity fulfils all filters except `adProductFilter`."""
        return (
            entity["state"] in self.stateFilter
            and entity.get("negative", False) in self.negativeFilter
            and entity.get("targetLevel", "AD_GROUP") in self.targetLevelFilter
            and entity.get("targetType", "AUTO") in self.targetTypeFilter
        )


def media_type(kind: ExportKind) -> str:
    """Return the media type required in Content-Type and Accept for exports of a kind."""
    return f"application/vnd.{kind.lower()}export.v1+json"


@dataclass(frozen=True, kw_only=True)
class Export(Job):
    """One requested export."""

    ready_at: datetime
    kind: ExportKind
    filter: ExportFilter

    @property
    def failure(self) -> ExportEnds | None:
        """The rule that makes the export fail, or None."""
        return next((one for one in self.rules_of(ExportEnds) if one.status == "FAILED"), None)

    def status(self, now: datetime) -> ExportStatus:
        """Return the status of the export at `now`."""
        if now < self.ready_at:
            return "PROCESSING"
        return "FAILED" if self.failure else "COMPLETED"


class Exports(Jobs[Export]):
    """All exports of a sandbox."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    def create(
        self,
        kind: ExportKind,
        place: tuple[AdsAccount, AccountCountry],
        entity_filter: ExportFilter,
        now: datetime,
        rules: tuple[Limits, ...] = (),
    ) -> Export:
        """Create an export for `place`, an account in one of its countries."""
        config, account_id, country = self._world.config, place[0].account_id, place[1].country
        number = seed_number(config.seed, kind, account_id, country, now, len(self))
        ends = [rule for rule in rules if isinstance(rule, ExportEnds)]
        seconds = max(config.export_seconds, *(rule.seconds or 0 for rule in ends), 0)
        return self.keep(
            Export(
                id=f"exp-{kind.lower()}-{number:032x}",
                kind=kind,
                account_id=account_id,
                country=country,
                filter=entity_filter,
                created_at=now,
                ready_at=now + timedelta(seconds=seconds),
                rules=rules,
            )
        )

    def in_progress(self, kind: ExportKind, now: datetime) -> int:
        """Return how many exports of a kind are in progress, in all accounts together."""
        return sum(one.kind == kind and one.status(now) == "PROCESSING" for one in self)

    def rows(self, job: Export) -> Iterator[str]:
        """Return the entities that pass the filter of an export, as JSON texts."""
        account = self._world.accounts.find(job.account_id)
        country = account and account.find_country(job.country or "")
        if not account or not country:
            return iter(())
        rows = (
            to_json(entity)
            for product in job.filter.adProductFilter
            for entity in _entities(self._world.catalog(account, country, product), job)
            if job.filter.passes(entity)
        )
        return with_rules(rows, job.rules_of(Rows), job.id)


def _entities(catalog: Catalog, job: Export) -> Iterator[Entity]:
    """Yield an export's entities; campaigns chosen by `OldBrands` rules have no ad groups."""
    without = old_brands(catalog, job.rules_of(OldBrands))
    for entity in catalog.entities[job.kind]:
        if job.kind == "campaigns" or entity["campaignId"] not in without:
            yield entity
        elif job.kind != "adGroups":
            of_campaign = {"targetLevel": "CAMPAIGN"} if job.kind == "targets" else {}
            yield {key: entity[key] for key in entity if key != "adGroupId"} | of_campaign
