"""Requests exports and reports for a probe; reports are created one by one at the gate."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal, TypeVar, get_args

from bidbeacon_pipelines.accounts.tables import Account, AdsAccount
from bidbeacon_pipelines.amazon_ads import entities, reports
from bidbeacon_pipelines.amazon_ads.client import AdsApiClient, Owner
from bidbeacon_pipelines.amazon_ads.downloads import download, download_report
from bidbeacon_pipelines.amazon_ads.errors import (
    AdsApiError,
    DuplicateReport,
    Rejected,
    UnknownField,
)
from bidbeacon_pipelines.contract.rules import Contract
from bidbeacon_pipelines.datasets.registry import DatasetReport
from bidbeacon_pipelines.job_context import JobContext
from bidbeacon_pipelines.requests import gate
from bidbeacon_pipelines.requests.create import create_by_any_name
from bidbeacon_pipelines.requests.results import of_failed_create, of_report
from bidbeacon_pipelines.requests.rules import FailureKind, NoAnswer, RequestFailure, Result
from bidbeacon_pipelines.values.decode import iter_values
from bidbeacon_sessions import SessionRecorder

Made = TypeVar("Made", reports.Report, entities.Export)
EntityKind = entities.ExportKind | Literal["portfolios"]
KINDS: Final[tuple[EntityKind, ...]] = (*get_args(entities.ExportKind), "portfolios")
GIVES_UP_AFTER: Final = timedelta(hours=1)
"""The longest wait for a free report slot, a report or an export."""
_GATE_POLLED_EVERY: Final = timedelta(seconds=5)
REFUSED_TOGETHER: Final = "fields-refused-together"


class GaveUpError(Exception):
    """A step of a probe can't be completed; the message has the reason, without ids and names."""


@dataclass
class Amazon:
    """Requests reports and exports of one ads account.

    Attributes:
        countries: The accounts of the ads account; only the first account's entities are exported.
        contract: The contract before the probe.
        on_progress: Called with a sentence at each step and each wait.
        names: New names of fields that Amazon accepted, by dataset and our name.
    """

    context: JobContext
    session: SessionRecorder
    ads_account: AdsAccount
    countries: Sequence[Account]
    contract: Contract
    on_progress: Callable[[str], None]
    names: dict[str, dict[str, str]] = field(default_factory=dict)
    _has_waited: bool = False

    @property
    def client(self) -> AdsApiClient:
        """The client with the ads account's credential."""
        return self.context.client_for(self.ads_account.credential)

    def create(
        self, report: DatasetReport, start: date, end: date, *, more: Sequence[str] = ()
    ) -> reports.Report:
        """Create a report with extra fields `more`; retry rejected fields under their other names.

        Raises:
            GaveUpError: no report slot was free for an hour.
            AdsApiError: Amazon refuses the report.
        """
        learned = self.names.setdefault(report.dataset.name, {})
        known = self.contract.spellings(report.dataset) | learned
        fields, create = (*report.fields, *more), partial(self._create, report, start, end)
        created, new = create_by_any_name(report.dataset, fields, known, create)
        learned |= new
        return created

    def find_ended(self, report: DatasetReport, start: date, end: date) -> reports.Report | None:
        """Create a report and wait for its end; return None if its period is refused or too large.

        Raises:
            GaveUpError: the report was not ready after an hour, or no report slot was free.
            AdsApiError: Amazon refuses the report for another reason than its period.
        """
        self.on_progress(f"Requesting {report.dataset.name} {report.name}, {start} to {end}")
        try:
            ended = self.finish(self.create(report, start, end))
        except Rejected as error:
            if isinstance(error, UnknownField) or error.cause_code == REFUSED_TOGETHER:
                raise
            return None
        result = of_report(ended)
        is_too_large = isinstance(result, RequestFailure) and result.kind is FailureKind.TOO_LARGE
        return None if is_too_large else ended

    def finish(self, report: reports.Report) -> reports.Report:
        """Wait until a report has ended, and return it; until then, it occupies a gate slot."""
        return self._ended(lambda: self._retrieve(report.report_id))

    @contextmanager
    def report_files(self, report: reports.Report) -> Iterator[list[Path]]:
        """Download and yield the files of a report; delete them at the end of the block.

        Raises:
            GaveUpError: the report failed.
        """
        if isinstance(of_report(report), RequestFailure):
            raise GaveUpError(f"the report ended with status {report.status}")
        owner = Owner(self.ads_account.region, self.ads_account.account_id)
        with self.context.download_folder("probe") as folder:
            again = partial(self._retrieve, report.report_id)
            yield download_report(self.client, report, folder, owner, retrieve=again)

    @contextmanager
    def listed(self, kind: EntityKind) -> Iterator[Iterable[Any]]:
        """Yield the entities of a kind in the ads account's first country.

        Portfolios come from a list, entities of other kinds from an export.

        Raises:
            GaveUpError: the export failed.
        """
        self.on_progress(f"Listing {kind}")
        client = self.client
        owner = Owner(self.ads_account.region, profile_id=self.countries[0].profile_id)
        if kind == "portfolios":
            yield entities.list_portfolios(client, owner)
            return
        started = entities.create_export(client, owner, kind)
        export = self._ended(lambda: entities.get_export(client, owner, kind, started.export_id))
        if export.status is not entities.ExportStatus.COMPLETED or export.url is None:
            raise GaveUpError(f"the export ended with status {export.status}")
        with self.context.download_folder("probe") as folder:
            path = folder / "export.json.gz"
            download(client, export.url, path, owner)
            yield iter_values(path)

    def _create(
        self, report: DatasetReport, start: date, end: date, fields: Sequence[str]
    ) -> reports.Report:
        """Create a report when the gate allows it; try again after each 429."""
        while True:
            self._enter_gate()
            try:
                created = reports.create_report(
                    self.client,
                    self.ads_account.region,
                    self.ads_account.account_id,
                    fields=fields,
                    row_filter=reports.ad_product_filter(report.ad_products),
                    start=start,
                    end=end,
                )
            except DuplicateReport as error:
                return self._retrieve(error.report_id)
            except AdsApiError as error:
                result = of_failed_create(error, self.context.now())
                self._adapt_gate(result)
                if not (isinstance(result, NoAnswer) and result.is_throttled):
                    raise
                self.on_progress("Amazon throttles reports (429)")
            else:
                self._adapt_gate(of_report(created))
                return created

    def _enter_gate(self) -> None:
        """Wait until the gate allows a new report; raise `GaveUpError` after an hour.

        After one such timeout, later calls raise immediately if the gate is closed.
        """
        waited = timedelta(0)
        while not self._may_create():
            if self._has_waited or waited >= GIVES_UP_AFTER:
                self._has_waited = True
                raise GaveUpError("no report slot was free for an hour")
            if waited == _GATE_POLLED_EVERY:  # longer than the usual pace of creates
                self.on_progress("  waiting for a free report slot")
            self.context.sleep(_GATE_POLLED_EVERY.total_seconds())
            waited += _GATE_POLLED_EVERY

    def _may_create(self) -> bool:
        now, first_limit = self.context.now(), self.context.settings.first_reports_in_flight
        with self.context.engine.begin() as connection:
            return gate.enter_gate(connection, self.ads_account, now, first_limit=first_limit)

    def _adapt_gate(self, result: Result) -> None:
        now, late_after = self.context.now(), self.context.settings.late_after
        with self.context.engine.begin() as connection:
            gate.record_create_result(
                connection, self.session, self.ads_account, result, now, late_after=late_after
            )

    def _retrieve(self, report_id: str) -> reports.Report:
        account = self.ads_account
        return reports.retrieve_report(
            self.client, account.region, report_id, account_id=account.account_id
        )

    def _ended(self, poll: Callable[[], Made]) -> Made:
        """Poll a report or export until it ends, and return it; a report keeps its gate slot."""
        poll_every, waited = self.context.settings.poll_every, timedelta(0)
        while not (polled := poll()).is_terminal:
            if waited >= GIVES_UP_AFTER:
                raise GaveUpError("the report or export was not ready after an hour")
            if isinstance(polled, reports.Report):
                # A little longer than the pause: the gate of a probe that died opens by itself.
                now = self.context.now()
                until = now + poll_every + timedelta(seconds=5)
                with self.context.engine.begin() as connection:
                    gate.hold_gate(connection, self.ads_account, now, until=until)
            self.context.sleep(poll_every.total_seconds())
            waited += poll_every
            self.on_progress(f"  not ready after {waited.total_seconds():.0f} s")
        return polled
