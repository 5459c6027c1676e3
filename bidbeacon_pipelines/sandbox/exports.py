"""The exports that were asked for: their life from PROCESSING to COMPLETED or FAILED, and their entities."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import chain
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict

from bidbeacon_pipelines.sandbox.accounts import Account, AccountCountry
from bidbeacon_pipelines.sandbox.catalog import World
from bidbeacon_pipelines.sandbox.config import SandboxConfig
from bidbeacon_pipelines.sandbox.export_files import ExportFilter, ExportKind, export_rows
from bidbeacon_pipelines.sandbox.faults import FaultRule
from bidbeacon_pipelines.sandbox.files import Journal
from bidbeacon_pipelines.sandbox.seeded import digest

ExportStatus = Literal["PROCESSING", "COMPLETED", "FAILED"]
KEPT = timedelta(hours=24)
"""How long after its creation an export's url is signed anew."""


class Export(BaseModel):
    """One export that was accepted; it never changes."""

    model_config = ConfigDict(frozen=True)

    export_id: str
    kind: ExportKind
    account_id: str
    country: str
    asked: ExportFilter
    created_at: AwareDatetime
    ready_at: AwareDatetime
    failure: FaultRule | None = None

    def status(self, now: datetime) -> ExportStatus:
        """Return its status at an instant."""
        if now < self.ready_at:
            return "PROCESSING"
        return "COMPLETED" if self.failure is None else "FAILED"


class Exports:
    """All exports of a sandbox."""

    def __init__(self, config: SandboxConfig, world: World) -> None:
        self._config = config
        self._world = world
        self._journal = Journal(config.state_dir, "exports", Export)
        self._exports = {export.export_id: export for export in self._journal.read()}

    def create(
        self,
        kind: ExportKind,
        place: tuple[Account, AccountCountry],
        asked: ExportFilter,
        now: datetime,
        failure: FaultRule | None,
    ) -> Export:
        """Accept a request for an export of one account in one country."""
        account, country = place
        number = digest(self._config.seed, kind, account.account_id, country.country, now, len(self._exports))
        export = Export(
            export_id=f"exp-{kind.lower()}-{number.hex()[:16]}",
            kind=kind,
            account_id=account.account_id,
            country=country.country,
            asked=asked,
            created_at=now,
            ready_at=now + timedelta(seconds=self._config.export_seconds),
            failure=failure,
        )
        self._exports[export.export_id] = export
        self._journal.append(export)
        return export

    def find(self, export_id: str) -> Export | None:
        """Return the export with this id; None where there is none (or none since a restart)."""
        return self._exports.get(export_id)

    def in_progress(self, kind: ExportKind, now: datetime) -> int:
        """Count the exports of one endpoint that are in progress, of all accounts."""
        same = (export for export in self._exports.values() if export.kind == kind)
        return sum(export.status(now) == "PROCESSING" for export in same)

    def rows(self, export: Export) -> Iterator[str]:
        """Return an export's entities as JSON texts, as of when it was ready."""
        account = self._world.accounts.find(export.account_id)
        country = account and account.find_country(export.country)
        if not account or not country:
            return iter(())
        today = export.ready_at.astimezone(country.market.zone).date()
        catalogs = (
            self._world.catalog(account, country, product) for product in export.asked.adProductFilter
        )
        return chain.from_iterable(
            export_rows(catalog, export.kind, export.asked, today) for catalog in catalogs
        )
