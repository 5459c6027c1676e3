"""Syncs an account's campaigns, ad groups, ads and targets through exports, and lists its portfolios.

An export is stored as soon as Amazon has accepted it, so a run after a killed one takes it over
instead of requesting another. Exports that a failed sync has loaded are not loaded again by the
next syncs for some hours: the four exports need not succeed in one run.
"""

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, get_args

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from bidbeacon_pipelines.accounts.pause import note_refusal
from bidbeacon_pipelines.accounts.queries import (
    change_account,
    count_export_refusal,
    forget_export_refusals,
)
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
from bidbeacon_pipelines.amazon_ads.download_folders import download_folder
from bidbeacon_pipelines.amazon_ads.downloads import MOST_SIGNINGS, download
from bidbeacon_pipelines.amazon_ads.errors import (
    AdsApiError,
    AuthError,
    CredentialRefused,
    Throttled,
    UrlExpired,
)
from bidbeacon_pipelines.amazon_ads.exports import (
    Export,
    ExportKind,
    ExportStatus,
    create_export,
    get_export,
)
from bidbeacon_pipelines.amazon_ads.portfolios import list_portfolios
from bidbeacon_pipelines.amazon_ads.rate_limits import CallClass
from bidbeacon_pipelines.causes import Cause, cause, explain
from bidbeacon_pipelines.entities.queries import (
    end_export,
    find_ad_products,
    find_export_in_flight,
    find_who_wants_entities,
    insert_export,
    list_kinds_done,
    merge_entities,
    replace_problems,
    stop_wanting_entities,
)
from bidbeacon_pipelines.entities.read import EntityProblems, read_entities
from bidbeacon_pipelines.job_context import JobContext
from bidbeacon_pipelines.values.decode import BrokenPartError, iter_values
from bidbeacon_pipelines.windows.queries import forget_windows_through
from bidbeacon_sessions import SessionRecorder

KINDS: tuple[ExportKind, ...] = get_args(ExportKind)
LONGEST_WAIT = timedelta(minutes=20)
UNFINISHED_LIVES = timedelta(hours=6)
"""For so long, what a sync has loaded before it failed is new enough for the sync that completes it."""
PAUSE_AFTER_THROTTLING = timedelta(minutes=5)
"""After exports were throttled without a `Retry-After`."""
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0


class ExportFailedError(RuntimeError):
    """An export ended without a file, took too long, or can't be requested."""

    def __init__(self, failure_cause: Cause) -> None:
        self.failure_cause = failure_cause
        super().__init__(explain(failure_cause).text)


class ExportNotReadyError(RuntimeError):
    """Amazon is still making an export; a later sync takes it over."""

    def __init__(self, kind: str, export_id: str, amazon_status: str) -> None:
        detail = {"export_id": export_id, "status": amazon_status}
        self.failure_cause = cause("export-not-ready", kind=kind, detail=detail)
        super().__init__(explain(self.failure_cause).text)


@dataclass(frozen=True)
class _InFlight:
    """An export at Amazon: our id of it and Amazon's, and when it was requested."""

    own_id: int
    export_id: str
    created_at: datetime


def is_put_off(error: Exception) -> bool:
    """Return whether a sync ended with this only because Amazon needs time: a later one does the rest."""
    return isinstance(error, Throttled | ExportNotReadyError)


def sync_entities(
    context: JobContext,
    session: SessionRecorder,
    account: Account,
    *,
    longest_wait: timedelta = LONGEST_WAIT,
) -> dict[str, int]:
    """Sync an account's entities.

    Args:
        context: the tools.
        session: records the actions.
        account: whose entities.
        longest_wait: how long to wait for exports that Amazon has not finished.

    Returns:
        How many rows of each kind were stored, without kinds that an unfinished sync of the last
        hours has stored, and without portfolios where Amazon does not list them.

    Raises:
        ExportFailedError: one of the four failed; those before it are stored. Or Amazon names no
            profile for the account.
        ExportNotReadyError: Amazon needs longer than `longest_wait`; what is ready is stored.
        AuthError: Amazon refuses the account's exports, or our credentials.
        AdsApiError: see its class hierarchy.
    """
    with _as_wanted(context, session, account):
        if account.profile_id is None:
            error = ExportFailedError(cause("no-profile"))
            facts = {"account": account.account_key, "kind": "everything"}
            session.add(ExportFailed(**facts, cause=error.failure_cause))
            raise error
        return _sync(context, session, account, account.profile_id, context.now() + longest_wait)


@contextmanager
def _as_wanted(context: JobContext, session: SessionRecorder, account: Account) -> Iterator[None]:
    """Record who wants the entities; afterwards nobody does, unless Amazon needs more time."""
    with context.engine.begin() as connection:
        by = find_who_wants_entities(connection, account)
        if by is not None:
            requested = EntitySyncRequested(account=account.account_key, by=by)
            session.add_in(connection, requested)
    is_over = True
    try:
        yield
    except Exception as error:
        is_over = not is_put_off(error)
        raise
    finally:
        if is_over:
            with context.engine.begin() as connection:
                stop_wanting_entities(connection, account)


def _sync(
    context: JobContext,
    session: SessionRecorder,
    account: Account,
    profile_id: str,
    wait_until: datetime,
) -> dict[str, int]:
    """Sync all kinds; store what Amazon's refusals and throttling mean for the next sync."""
    try:
        return _sync_all(context, session, account, profile_id, wait_until)
    except Throttled as error:
        _pause_exports(context, account, error)
        raise
    except AuthError as error:
        with context.engine.begin() as connection:
            if isinstance(error, CredentialRefused):
                note_refusal(connection, session, account.ads_account, error)
            else:  # concerns this country's profile, and says nothing about reports
                count_export_refusal(connection, account, context.now())
        raise


def _pause_exports(context: JobContext, account: Account, error: AdsApiError) -> None:
    """Store when exports of the account may be asked for again; until then no sync of it starts."""
    seconds = error.retry_after or PAUSE_AFTER_THROTTLING.total_seconds()
    owner = Owner(account.region, account.account_id)
    _client(context, account).pause(owner, CallClass.EXPORTS, seconds)


def _sync_all(
    context: JobContext,
    session: SessionRecorder,
    account: Account,
    profile_id: str,
    wait_until: datetime,
) -> dict[str, int]:
    with context.engine.begin() as connection:
        done = list_kinds_done(connection, account, since=context.now() - UNFINISHED_LIVES)
        before = find_ad_products(connection, account.account_id)
    wanted = [kind for kind in KINDS if kind not in done]
    if done:
        skipped = tuple(kind for kind in KINDS if kind in done)
        session.add(ExportsSkipped(account=account.account_key, kinds=skipped))
    exports = {kind: _request(context, session, account, profile_id, kind) for kind in wanted}
    counts = _sync_portfolios(
        context, session, account, profile_id
    )  # while Amazon makes the exports
    late: ExportNotReadyError | None = None
    for kind, export in exports.items():
        try:
            counts[kind] = _finish(context, session, account, profile_id, kind, export, wait_until)
        except ExportNotReadyError as error:
            late = error
    if late is not None:
        raise late
    _complete(context, account, before)
    return counts


def _request(
    context: JobContext,
    session: SessionRecorder,
    account: Account,
    profile_id: str,
    kind: ExportKind,
) -> _InFlight:
    """Take over the export in flight, or ask for one."""
    with context.engine.begin() as connection:
        running = find_export_in_flight(connection, account, kind)
    if running is not None and context.now() - running.created_at < timedelta(hours=24):
        session.add(
            ExportRequested(
                account=account.account_key, kind=kind, export_id=running.export_id, adopted=True
            )
        )
        return _InFlight(running.id, running.export_id, running.created_at)
    if running is not None:
        _fail(
            context,
            session,
            account,
            kind,
            running.id,
            running.export_id,
            _failed_export(kind, "it is older than Amazon keeps it"),
        )
    try:
        export = create_export(_client(context, account), _owner(account, profile_id), kind)
    except AdsApiError as error:
        record = ExportPending if is_put_off(error) else ExportFailed
        session.add(record(account=account.account_key, kind=kind, cause=error.failure_cause))
        raise
    return _keep(context, session, account, export)


def _keep(
    context: JobContext, session: SessionRecorder, account: Account, export: Export
) -> _InFlight:
    """Store an export that Amazon has accepted; where another sync of this account was faster, take over that one's."""
    facts, now = {"account": account.account_key, "kind": export.kind}, context.now()
    try:
        with context.engine.begin() as connection:
            own_id = insert_export(connection, account, export.kind, export.export_id, now)
            forget_export_refusals(connection, account)
            session.add_in(connection, ExportRequested(**facts, export_id=export.export_id))
    except IntegrityError:
        with context.engine.begin() as connection:
            theirs = find_export_in_flight(connection, account, export.kind)
        if theirs is None:
            raise
        session.add(ExportRequested(**facts, export_id=theirs.export_id, adopted=True))
        return _InFlight(theirs.id, theirs.export_id, theirs.created_at)
    return _InFlight(own_id, export.export_id, now)


def _client(context: JobContext, account: Account) -> AdsApiClient:
    return context.client_for(account.ads_account.credential)


def _owner(account: Account, profile_id: str | None = None) -> Owner:
    return Owner(account.region, account.account_id, account.country_code, profile_id)


def _finish(
    context: JobContext,
    session: SessionRecorder,
    account: Account,
    profile_id: str,
    kind: ExportKind,
    asked: _InFlight,
    wait_until: datetime,
) -> int:
    try:
        export = _wait(context, account, profile_id, kind, asked, wait_until)
        return _store(context, session, account, profile_id, export, asked)
    except (AuthError, Throttled, ExportNotReadyError) as error:  # the next sync takes it over
        facts = {"account": account.account_key, "kind": kind, "export_id": asked.export_id}
        session.add(ExportPending(**facts, cause=error.failure_cause))
        raise
    except (ExportFailedError, AdsApiError, BrokenPartError) as error:
        why = error.failure_cause
        _fail(context, session, account, kind, asked.own_id, asked.export_id, why)
        raise


def _fail(
    context: JobContext,
    session: SessionRecorder,
    account: Account,
    kind: ExportKind,
    own_id: int,
    export_id: str,
    cause: Cause,
) -> None:
    """End an unusable export, so that another one is requested."""
    action = ExportFailed(account=account.account_key, kind=kind, export_id=export_id, cause=cause)
    with context.engine.begin() as connection:
        end_export(connection, own_id, status="failed", cause=cause)
        session.add_in(connection, action)


def _wait(
    context: JobContext,
    account: Account,
    profile_id: str,
    kind: ExportKind,
    asked: _InFlight,
    wait_until: datetime,
) -> Export:
    pause = _FIRST_PAUSE
    while True:
        export = _get(context, account, profile_id, kind, asked.export_id)
        if export.status is ExportStatus.COMPLETED:
            return export
        if export.is_terminal:
            why = f"{export.error_code}: {export.error_message}"
            raise ExportFailedError(_failed_export(kind, why))
        if context.now() - asked.created_at > LONGEST_WAIT:
            why = f"it was still {export.raw_status} after {LONGEST_WAIT}"
            raise ExportFailedError(_failed_export(kind, why))
        if context.now() + timedelta(seconds=pause) > wait_until:
            raise ExportNotReadyError(kind, asked.export_id, export.raw_status)
        context.sleep(pause)
        pause = min(pause * 1.5, _LONGEST_PAUSE)


def _failed_export(kind: str, reason: str) -> Cause:
    return cause("export-failed", kind=kind, detail={"reason": reason})


def _get(
    context: JobContext, account: Account, profile_id: str, kind: ExportKind, export_id: str
) -> Export:
    return get_export(_client(context, account), _owner(account, profile_id), kind, export_id)


def _store(
    context: JobContext,
    session: SessionRecorder,
    account: Account,
    profile_id: str,
    export: Export,
    asked: _InFlight,
) -> int:
    with download_folder(context.downloads, f"export-{asked.own_id}") as folder:
        file = folder / f"{export.kind}.json.gz"
        _download(context, account, profile_id, export, file)
        with context.engine.begin() as connection:
            rows, problems = store_entities(connection, account, export.kind, iter_values(file))
            end_export(
                connection,
                asked.own_id,
                status="loaded",
                row_count=rows,
                cause=problems.first_cause,
            )
            forget_export_refusals(connection, account)
            _record(connection, session, account, export.kind, rows, problems)
    return rows


def store_entities(
    connection: Connection, account: Account, kind: str, raw: Iterable[Any]
) -> tuple[int, EntityProblems]:
    """Store entities of one kind, and what could not be read of them; return how many were stored, and the problems."""
    problems = EntityProblems()
    rows = merge_entities(connection, account, kind, read_entities(kind, raw, problems))
    replace_problems(connection, account, kind, [asdict(problem) for problem in problems.kept])
    return rows, problems


def _record(
    connection: Connection,
    session: SessionRecorder,
    account: Account,
    kind: str,
    rows: int,
    problems: EntityProblems,
) -> None:
    about = {"account": account.account_key, "kind": kind}
    session.add_in(connection, EntitiesSynced(**about, rows=rows))
    if problems.first_cause is not None:
        misread = EntitiesMisread(
            **about,
            bad=problems.set_aside,
            incomplete=problems.incomplete,
            cause=problems.first_cause,
        )
        session.add_in(connection, misread)


def _sync_portfolios(
    context: JobContext, session: SessionRecorder, account: Account, profile_id: str
) -> dict[str, int]:
    """Store the portfolios; a failure is recorded and does not fail the sync: no report needs them."""
    try:
        listed = list_portfolios(_client(context, account), _owner(account, profile_id))
    except AdsApiError as error:
        session.add(PortfoliosNotListed(account=account.account_key, cause=error.failure_cause))
        return {}
    with context.engine.begin() as connection:
        rows, problems = store_entities(connection, account, "portfolios", listed)
        _record(connection, session, account, "portfolios", rows, problems)
    return {"portfolios": rows}


def _download(
    context: JobContext, account: Account, profile_id: str, export: Export, file: Path
) -> None:
    """Fetch an export's file; where its url has expired, with the fresh one that a new look gives, as often as for a report."""
    for _ in range(MOST_SIGNINGS):
        try:
            return _fetch(context, account, export, file)
        except UrlExpired:
            export = _get(context, account, profile_id, export.kind, export.export_id)
    return _fetch(context, account, export, file)


def _fetch(context: JobContext, account: Account, export: Export, file: Path) -> None:
    if export.url is None:
        why = "Amazon reports it as complete, but without a URL"
        raise ExportFailedError(_failed_export(export.kind, why))
    download(_client(context, account), export.url, file, _owner(account))


def _complete(context: JobContext, account: Account, before: Collection[str] | None) -> None:
    """Store that the sync is complete.

    Where the ads account has campaigns of other ad products than `before`, its windows are made
    again: there are reports to add, or to leave out.
    """
    with context.engine.begin() as connection:
        change_account(connection, account, entities_synced_at=context.now())
        if find_ad_products(connection, account.account_id) != before:
            forget_windows_through(connection, account_id=account.account_id)
