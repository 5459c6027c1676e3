"""Syncs an account's portfolios, and exports its campaigns, ad groups, ads and targets.

The id of an export is stored as soon as Amazon accepts the export. If the run is killed, the next
run continues with this export instead of requesting a new one. The four exports need not succeed
in the same run. If a sync fails after it has loaded some exports, later syncs do not repeat these
exports for as long as `UNFINISHED_LIVES`.
"""

from collections.abc import Collection, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, get_args

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from bidbeacon_pipelines.accounts.attention import record_refusal
from bidbeacon_pipelines.accounts.queries import change_account, count_export_refusal, lock_rows
from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.actions import (
    EntitiesMisread,
    EntitiesSynced,
    EntitySyncRequested,
    ExportFailed,
    ExportPending,
    ExportRequested,
    ExportsSkipped,
    PortfoliosNotListed,
)
from bidbeacon_pipelines.amazon_ads.client import AdsApiClient, Owner
from bidbeacon_pipelines.amazon_ads.downloads import MOST_SIGNINGS, download
from bidbeacon_pipelines.amazon_ads.entities import (
    Export,
    ExportKind,
    ExportStatus,
    create_export,
    get_export,
    list_portfolios,
)
from bidbeacon_pipelines.amazon_ads.errors import (
    AdsApiError,
    AuthError,
    CredentialRefused,
    NotFound,
    NotWritten,
    Throttled,
    UrlExpired,
)
from bidbeacon_pipelines.amazon_ads.rate_limits import CallClass
from bidbeacon_pipelines.causes import Cause, cause, explain
from bidbeacon_pipelines.database.locks import LockTakenError
from bidbeacon_pipelines.entities.left_out_queries import mark_reported_campaigns
from bidbeacon_pipelines.entities.queries import (
    end_export,
    find_ad_products,
    find_export_in_flight,
    insert_export,
    list_kinds_done,
    lock_export,
    mark_missing,
    merge_entities,
    name_targets,
    replace_problems,
)
from bidbeacon_pipelines.entities.read import EntityProblems, read_entities
from bidbeacon_pipelines.entities.tables import EntityExport
from bidbeacon_pipelines.entities.wanted_queries import claim_entities, end_claim_of_entities
from bidbeacon_pipelines.job_context import JobContext
from bidbeacon_pipelines.values.decode import BrokenPartError, iter_values
from bidbeacon_pipelines.windows.history_queries import judge_account
from bidbeacon_pipelines.windows.queries import mark_windows_outdated
from bidbeacon_sessions import SessionRecorder
from bidbeacon_sessions.errors import ExpectedError

KINDS: tuple[ExportKind, ...] = get_args(ExportKind)
LONGEST_WAIT = timedelta(minutes=20)
UNFINISHED_LIVES = timedelta(hours=6)
"""For this long, later syncs do not repeat exports that a failed sync has loaded."""
PAUSE_AFTER_THROTTLING = timedelta(minutes=5)
"""Pause of exports after Amazon throttled one without a `Retry-After`."""
_FIRST_POLL_PAUSE, _LONGEST_POLL_PAUSE = 1.0, 30.0


class ExportFailedError(ExpectedError):
    """An export ended without a file, took too long, or can't be requested."""

    def __init__(self, failure_cause: Cause) -> None:
        self.failure_cause = failure_cause
        super().__init__(explain(failure_cause).text)


class ExportNotReadyError(ExpectedError):
    """Amazon is still making an export; a later sync continues with it."""

    def __init__(self, kind: str, export_id: str, amazon_status: str) -> None:
        detail = {"export_id": export_id, "status": amazon_status}
        self.failure_cause = cause("export-not-ready", kind=kind, detail=detail)
        super().__init__(explain(self.failure_cause).text)


def is_put_off(error: Exception) -> bool:
    """Return whether an error only delays a sync, so that the next sync can complete it."""
    return isinstance(error, Throttled | ExportNotReadyError | NotWritten)


def sync_entities(
    context: JobContext,
    session: SessionRecorder,
    account: Account,
    *,
    longest_wait: timedelta = LONGEST_WAIT,
) -> dict[str, int]:
    """Sync an account's entities; return the number of stored rows by kind.

    The result lacks kinds that a recent incomplete sync has stored. It lacks portfolios if the
    call that lists them fails.

    Raises:
        ExportFailedError: an export failed (exports that finished earlier are stored), or the
            account has no profile.
        ExportNotReadyError: Amazon needs longer than `longest_wait`; finished exports are stored.
        NotWritten: this host can't write downloads; the next sync continues with the exports.
        AuthError: Amazon refuses the account's exports, or the credential.
        AdsApiError: another call to Amazon failed.
    """
    return _Sync(context, session, account).run(context.now() + longest_wait)


def store_entities(
    connection: Connection, account: Account, kind: str, raw: Iterable[Any]
) -> tuple[int, EntityProblems]:
    """Store all entities of one kind with their problems; return the row count and problems.

    If an entity's id could not be read, no stored entity is marked as missing, because each of them
    may be the unreadable entity.
    """
    problems = EntityProblems()
    rows = merge_entities(connection, account, kind, read_entities(kind, raw, problems))
    unread = [one for one in problems.set_aside_ids if one is not None]
    if len(unread) == problems.set_aside:
        mark_missing(connection, account, kind, unread)
    if kind == "targets":
        name_targets(connection, account)
    replace_problems(connection, account, kind, problems.kept)
    return rows, problems


@dataclass(frozen=True)
class _Sync:
    context: JobContext
    session: SessionRecorder
    account: Account

    def run(self, wait_until: datetime) -> dict[str, int]:
        """Sync all kinds of entities; return the number of stored rows by kind.

        If Amazon throttles a call, or a file can't be written, exports pause. If Amazon refuses
        the credential or the exports, the refusal is stored.
        """
        with self._as_wanted():
            if self.account.profile_id is None:
                error = ExportFailedError(cause("no-profile"))
                self.session.add(self._failed("everything", None, error.failure_cause))
                raise error
            try:
                return self._sync_all(wait_until)
            except (Throttled, NotWritten) as error:
                self._pause_exports(error)
                raise
            except CredentialRefused as error:
                with self._begin() as connection:
                    record_refusal(connection, self.session, self.account.ads_account, error)
                raise
            except AuthError:  # concerns this country's profile, not its reports
                with self._begin() as connection:
                    count_export_refusal(connection, self.account, self.context.now())
                raise

    @contextmanager
    def _as_wanted(self) -> Iterator[None]:
        """Claim a user's request for this sync, if there is one, for a `with` block.

        The request ends with the block, unless an error only delays the sync (`is_put_off`).
        """
        account, session_id = self.account, self.session.session_id
        with self._begin() as connection:
            by = claim_entities(connection, account, session_id)
            if by is not None:
                requested = EntitySyncRequested(account=account.account_key, by=by)
                self.session.add_in(connection, requested)
        stays_wanted = False
        try:
            yield
        except Exception as error:
            stays_wanted = is_put_off(error)
            raise
        finally:
            with self._begin() as connection:
                end_claim_of_entities(connection, account, session_id, stays_wanted=stays_wanted)

    def _begin(self) -> AbstractContextManager[Connection]:
        return self.context.engine.begin()

    @property
    def _client(self) -> AdsApiClient:
        return self.context.client_for(self.account.ads_account.credential)

    @property
    def _owner(self) -> Owner:
        account = self.account
        return Owner(account.region, account.account_id, account.country_code, account.profile_id)

    def _pause_exports(self, error: AdsApiError) -> None:
        seconds = error.retry_after or PAUSE_AFTER_THROTTLING.total_seconds()
        self._client.pause(self._owner, CallClass.EXPORTS, seconds)

    def _sync_all(self, wait_until: datetime) -> dict[str, int]:
        account = self.account
        if (fault := self.context.find_pause()) is not None:
            facts = {"account": account.account_key, "kind": "everything"}
            self.session.add(ExportPending(**facts, cause=fault.failure_cause))
            raise fault
        with self._begin() as connection:
            since = self.context.now() - UNFINISHED_LIVES
            done = list_kinds_done(connection, account, since=since)
            before = find_ad_products(connection, account.account_id)
        wanted = [kind for kind in KINDS if kind not in done]
        if done:
            skipped = tuple(kind for kind in KINDS if kind in done)
            self.session.add(ExportsSkipped(account=account.account_key, kinds=skipped))
        exports = {kind: self._request(kind) for kind in wanted}
        counts = self._sync_portfolios()  # while Amazon makes the exports
        late: ExportNotReadyError | None = None
        for kind, export in exports.items():
            try:
                counts[kind] = self._finish(kind, export, wait_until)
            except ExportNotReadyError as error:
                late = error
        if late is not None:
            raise late
        self._complete(before)
        return counts

    def _request(self, kind: ExportKind) -> EntityExport:
        """Return the export in flight, or request a new export."""
        key = self.account.account_key
        with self._begin() as connection:
            running = find_export_in_flight(connection, self.account, kind)
        if running is not None:
            if self.context.now() - running.created_at < timedelta(hours=24):
                facts = {"account": key, "kind": kind, "export_id": running.export_id}
                self.session.add(ExportRequested(**facts, adopted=True))
                return running
            self._fail(
                kind, running, _failed_export(kind, "Amazon keeps exports for 24 hours only")
            )
        try:
            export = create_export(self._client, self._owner, kind)
        except AdsApiError as error:
            record = ExportPending if is_put_off(error) else ExportFailed
            self.session.add(record(account=key, kind=kind, cause=error.failure_cause))
            raise
        return self._insert(kind, export.export_id)

    def _insert(self, kind: ExportKind, export_id: str) -> EntityExport:
        """Store and return an accepted export, or return the export that another sync stored."""
        facts, now = {"account": self.account.account_key, "kind": kind}, self.context.now()
        try:
            with self._begin() as connection:
                ours = insert_export(connection, self.account, kind, export_id, now)
                change_account(connection, self.account, export_refusals=0)
                self.session.add_in(connection, ExportRequested(**facts, export_id=export_id))
                return ours
        except IntegrityError:
            with self._begin() as connection:
                theirs = find_export_in_flight(connection, self.account, kind)
            if theirs is None:
                raise
            self.session.add(ExportRequested(**facts, export_id=theirs.export_id, adopted=True))
            return theirs

    def _finish(
        self,
        kind: ExportKind,
        requested: EntityExport,
        wait_until: datetime,
        *,
        may_repeat: bool = True,
    ) -> int:
        """Load an export and return its row count; if Amazon lost it, request it once more."""
        try:
            return self._store(kind, self._wait(kind, requested, wait_until), requested)
        except (AuthError, ExportNotReadyError, NotWritten, Throttled) as error:
            # The next sync takes it over.
            facts = {"account": self.account.account_key, "kind": kind}
            why = error.failure_cause
            self.session.add(ExportPending(**facts, export_id=requested.export_id, cause=why))
            raise
        except (ExportFailedError, AdsApiError, BrokenPartError) as error:
            self._fail(kind, requested, error.failure_cause)
            if may_repeat and isinstance(error, NotFound):
                return self._finish(kind, self._request(kind), wait_until, may_repeat=False)
            raise

    def _fail(self, kind: ExportKind, requested: EntityExport, why: Cause) -> None:
        with self._begin() as connection:
            end_export(connection, requested.id, status="failed", cause=why)
            self.session.add_in(connection, self._failed(kind, requested.export_id, why))

    def _failed(self, kind: str, export_id: str | None, why: Cause) -> ExportFailed:
        key = self.account.account_key
        return ExportFailed(account=key, kind=kind, export_id=export_id, cause=why)

    def _wait(self, kind: ExportKind, requested: EntityExport, wait_until: datetime) -> Export:
        context, pause = self.context, _FIRST_POLL_PAUSE
        while True:
            export = get_export(self._client, self._owner, kind, requested.export_id)
            if export.status is ExportStatus.COMPLETED:
                return export
            if export.status is ExportStatus.FAILED:
                why = f"{export.error_code}: {export.error_message}"
                raise ExportFailedError(_failed_export(kind, why))
            if context.now() - requested.created_at > LONGEST_WAIT:
                why = f"the export was still {export.raw_status} after {LONGEST_WAIT}"
                raise ExportFailedError(_failed_export(kind, why))
            if context.now() + timedelta(seconds=pause) > wait_until:
                raise ExportNotReadyError(kind, requested.export_id, export.raw_status)
            context.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_POLL_PAUSE)

    def _store(self, kind: ExportKind, export: Export, requested: EntityExport) -> int:
        account = self.account
        with self.context.download_folder(f"export-{requested.id}") as folder:
            file = folder / f"{kind}.json.gz"
            self._download(kind, export, file)
            with self._begin() as connection:
                stored = lock_export(connection, requested.id)
                if stored.status == "loaded":  # by another sync, which took it over
                    return stored.row_count or 0
                rows, problems = store_entities(connection, account, kind, iter_values(file))
                why = problems.first_cause
                end_export(connection, requested.id, status="loaded", row_count=rows, cause=why)
                change_account(connection, account, export_refusals=0)
                self._record(connection, kind, rows, problems)
        return rows

    def _record(
        self, connection: Connection, kind: str, rows: int, problems: EntityProblems
    ) -> None:
        about = {"account": self.account.account_key, "kind": kind}
        self.session.add_in(connection, EntitiesSynced(**about, rows=rows))
        if (why := problems.first_cause) is not None:
            bad, incomplete = problems.set_aside, problems.incomplete
            misread = EntitiesMisread(**about, bad=bad, incomplete=incomplete, cause=why)
            self.session.add_in(connection, misread)

    def _sync_portfolios(self) -> dict[str, int]:
        """Store the portfolios; a failure is only recorded, since no report needs portfolios."""
        account = self.account
        try:
            listed = list_portfolios(self._client, self._owner)
        except AdsApiError as error:
            key, why = account.account_key, error.failure_cause
            self.session.add(PortfoliosNotListed(account=key, cause=why))
            return {}
        with self._begin() as connection:
            rows, problems = store_entities(connection, account, "portfolios", listed)
            self._record(connection, "portfolios", rows, problems)
        return {"portfolios": rows}

    def _download(self, kind: ExportKind, export: Export, file: Path) -> None:
        """Fetch an export's file; if the URL of the file has expired, get a fresh URL."""
        for _ in range(MOST_SIGNINGS):
            try:
                return self._fetch(kind, export, file)
            except UrlExpired:
                export = get_export(self._client, self._owner, kind, export.export_id)
        return self._fetch(kind, export, file)

    def _fetch(self, kind: ExportKind, export: Export, file: Path) -> None:
        if export.url is None:
            why = "Amazon reports the export as complete, but without a URL"
            raise ExportFailedError(_failed_export(kind, why))
        download(self._client, export.url, file, self._owner)

    def _complete(self, before: Collection[str] | None) -> None:
        """Store that the sync is complete, and update what depends on the campaigns.

        If the ads account's ad products differ from `before`, the next refresh creates the windows
        again, since other reports have to be requested. The campaigns also help to decide which
        loaded windows Amazon does not serve. This is decided again, unless a load holds the
        account's lock for too long.
        """
        account_id = self.account.account_id
        with self._begin() as connection:
            mark_reported_campaigns(connection, self.account)
            change_account(connection, self.account, entities_synced_at=self.context.now())
            if find_ad_products(connection, account_id) != before:
                mark_windows_outdated(connection, account_id=account_id)
        with suppress(LockTakenError), self._begin() as connection:
            lock_rows(connection, self.account)
            judge_account(connection, self.account)


def _failed_export(kind: str, reason: str) -> Cause:
    return cause("export-failed", kind=kind, detail={"reason": reason})
