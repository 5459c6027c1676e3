"""The command `bidbeacon`: everything that can be done without Dagster's UI."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, ParamSpec
from uuid import UUID

import typer
from rich.console import Console

from bidbeacon_pipelines.settings import Settings, get_settings

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__, pretty_exceptions_enable=False)
accounts_app = typer.Typer(
    no_args_is_help=True, help="Advertiser accounts: an Amazon ads account in one country each."
)
sessions_app = typer.Typer(
    no_args_is_help=True, help="Job sessions: what every job was given and what it did."
)
db_app = typer.Typer(
    no_args_is_help=True, help="The database: the embedded one, or that of BIDBEACON_DATABASE_URL."
)
app.add_typer(accounts_app, name="accounts")
app.add_typer(sessions_app, name="sessions")
app.add_typer(db_app, name="db")

console = Console()
errors = Console(stderr=True)

Json = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]
AccountKey = Annotated[
    str, typer.Option("--account", help="The account's key, as `bidbeacon accounts list` shows it.")
]
P = ParamSpec("P")


def main() -> None:
    """Run the command; what goes wrong is one clear line and exit code 1, Ctrl-C is 130."""
    try:
        app()
    except KeyboardInterrupt:
        errors.print("Interrupted.", style="yellow")
        sys.exit(130)


def _plain_errors(command: Callable[P, None]) -> Callable[P, None]:
    """Show errors that say what to do as one line; anything else is a bug and keeps its traceback."""

    @wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except _expected_errors() as error:
            errors.print(str(error), style="bold red", markup=False, highlight=False)
            raise typer.Exit(1) from None

    return wrapped


def _expected_errors() -> tuple[type[Exception], ...]:
    from bidbeacon_pipelines.ads_api.errors import AdsApiError
    from bidbeacon_pipelines.jobs.by_hand import AccountSkippedError, WindowNotLoadedError
    from bidbeacon_pipelines.local.errors import LocalError
    from bidbeacon_pipelines.reports.datasets import UnknownDatasetError
    from bidbeacon_pipelines.store.accounts import UnknownAccountError
    from bidbeacon_sessions import SessionsError

    return (
        AdsApiError,
        AccountSkippedError,
        WindowNotLoadedError,
        LocalError,
        UnknownDatasetError,
        UnknownAccountError,
        SessionsError,
        BadOptionError,
    )


class BadOptionError(ValueError):
    """An option's value can't be understood."""


def _database_url(settings: Settings) -> str:
    from bidbeacon_pipelines.local.postgres import resolve_database_url
    from bidbeacon_pipelines.store.migrate import upgrade

    url = resolve_database_url(settings)
    upgrade(url)
    return url


def _print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2, default=str) + "\n")


@app.command()
def dev() -> None:
    """Run everything on this machine: database, sandbox (without Amazon credentials), Dagster, Event Stream."""
    from bidbeacon_pipelines.local.dev import run_dev

    raise typer.Exit(run_dev(get_settings()))


@app.command()
@_plain_errors
def sandbox(
    port: Annotated[int | None, typer.Option(help="Where it listens, on loopback.")] = None,
    seed: Annotated[int, typer.Option(help="Same seed, same accounts and numbers.")] = 1,
    accounts: Annotated[int, typer.Option(min=1, help="How many ads accounts.")] = 4,
    rows_per_day: Annotated[
        int | None,
        typer.Option(min=0, max=1_000_000, help="Rows of an account's day; absent: 200 to 2,000 by account."),
    ] = None,
    report_seconds: Annotated[float | None, typer.Option(min=0, help="How long a report takes.")] = None,
    faults: Annotated[Path | None, typer.Option(exists=True, help="A JSON file of faults to show.")] = None,
    state_dir: Annotated[Path | None, typer.Option(help="Where reports in flight survive a restart.")] = None,
) -> None:
    """Run the sandbox Ads API: Amazon's part, over real HTTP, with seeded data and switchable faults."""
    from bidbeacon_pipelines.sandbox import SandboxConfig, serve

    settings = get_settings()
    given: dict[str, Any] = {
        "seed": seed,
        "accounts": accounts,
        "rows_per_day": rows_per_day,
        "report_seconds": report_seconds,
    }
    given |= {"faults_file": faults, "state_dir": state_dir}
    config = SandboxConfig.model_validate({key: value for key, value in given.items() if value is not None})
    serve(config, settings.bind_host, port or settings.sandbox_port)


@app.command()
@_plain_errors
def stream(port: Annotated[int | None, typer.Option(help="Where it listens.")] = None) -> None:
    """Run the Event Stream: the page, its list, and the live endpoints (SSE and WebSocket)."""
    import bidbeacon_pipelines.actions  # noqa: F401 - the stream shows what it knows the classes of
    from bidbeacon_sessions import SessionStore
    from bidbeacon_sessions.settings import get_session_settings
    from bidbeacon_sessions.stream.server import serve

    store = SessionStore.connect(_database_url(get_settings()))
    settings = get_session_settings()
    serve(store, host=settings.stream_host, port=port or settings.stream_port)


@app.command()
@_plain_errors
def refresh(
    account: AccountKey,
    dataset: Annotated[str, typer.Option(help="The dataset's name.")] = "daily_targets",
    window: Annotated[
        list[str] | None,
        typer.Option(
            help="A day (2026-11-23) or days (2026-11-01..2026-11-07), repeatable; absent: what is due now."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Load report windows now, and print the session's timeline as it happens; exits 0 when all were loaded, else 1."""
    from bidbeacon_pipelines.jobs.by_hand import drive_windows
    from bidbeacon_pipelines.jobs.refresh import refresh_account
    from bidbeacon_pipelines.jobs.workbench import open_workbench
    from bidbeacon_pipelines.reports.datasets import get_dataset
    from bidbeacon_pipelines.store.accounts import get_account
    from bidbeacon_pipelines.terminal import following
    from bidbeacon_sessions import with_job_session

    days = [day for value in window or [] for day in parse_days(value)]
    chosen = get_dataset(dataset)
    settings = get_settings()
    given = {
        "account": account,
        "dataset": dataset,
        "windows": [str(day) for day in days],
        "via": "command line",
    }
    quiet = Console(quiet=True) if as_json else console
    with open_workbench(settings, _database_url(settings)) as bench:
        with bench.engine.begin() as connection:
            found = get_account(connection, account)
        job_name = "load-windows" if days else "refresh-account"
        try:
            with (
                with_job_session(job_name, input=given, store=bench.sessions, account=found.ref) as session,
                following(quiet, bench.sessions, session.session_id),
            ):
                if days:
                    drive_windows(bench, session, found, chosen, days)
                else:
                    refresh_account(bench, session, found)
        finally:
            _show_end(bench.sessions, session.session_id, as_json=as_json)


def _show_end(store: Any, session_id: UUID, *, as_json: bool) -> None:
    from bidbeacon_pipelines.terminal import session_line
    from bidbeacon_sessions.presentation import session_json
    from bidbeacon_sessions.store import find_session

    if as_json:
        _print_json(_session_with_actions(store, session_id))
        return
    with store.begin() as connection:
        header = find_session(connection, session_id)
    if header is not None:
        console.print(session_line(session_json(header)))


def parse_days(value: str) -> list[date]:
    """Give the days of `2026-11-23` or `2026-11-01..2026-11-07` (both ends included)."""
    first, _, last = value.partition("..")
    try:
        start, end = date.fromisoformat(first), date.fromisoformat(last or first)
    except ValueError:
        raise BadOptionError(
            f"--window: expected 2026-11-23 or 2026-11-01..2026-11-07, got: {value!r}."
        ) from None
    if end < start:
        raise BadOptionError(f"--window: expected the earlier day first, got: {value!r}.")
    return [start + timedelta(days=n) for n in range((end - start).days + 1)]


@accounts_app.command("sync")
@_plain_errors
def accounts_sync(as_json: Json = False) -> None:
    """Ask Amazon which accounts there are; they are added and updated, never deleted."""
    from bidbeacon_pipelines.jobs.accounts import sync_accounts
    from bidbeacon_pipelines.jobs.workbench import open_workbench
    from bidbeacon_pipelines.terminal import following
    from bidbeacon_sessions import with_job_session

    settings = get_settings()
    quiet = Console(quiet=True) if as_json else console
    with (
        open_workbench(settings, _database_url(settings)) as bench,
        with_job_session("sync-accounts", input={"via": "command line"}, store=bench.sessions) as session,
        following(quiet, bench.sessions, session.session_id),
    ):
        keys = sync_accounts(bench, session)
    if as_json:
        _print_json(keys)


@accounts_app.command("list")
@_plain_errors
def accounts_list(as_json: Json = False) -> None:
    """Show all accounts, and how complete their data is."""
    from bidbeacon_pipelines.store.accounts import list_accounts
    from bidbeacon_pipelines.store.engine import shared_engine
    from bidbeacon_pipelines.store.windows import list_coverage
    from bidbeacon_pipelines.terminal import table_of

    with shared_engine(_database_url(get_settings())).begin() as connection:
        accounts = list_accounts(connection)
        coverage = list_coverage(connection, now=datetime.now(UTC))
    if as_json:
        of_account = {
            a.account_key: [c.__dict__ for c in coverage if c.account_key == a.account_key] for a in accounts
        }
        _print_json(
            [account.__dict__ | {"datasets": of_account[account.account_key]} for account in accounts]
        )
        return
    covered = {
        c.account_key: f"{c.loaded} of {c.windows} windows, {c.due} due, {c.in_flight} in flight"
        for c in coverage
    }
    rows = [
        (
            a.account_key,
            a.name,
            a.currency_code,
            a.time_zone,
            a.reason_to_skip or "active",
            covered.get(a.account_key),
        )
        for a in accounts
    ]
    console.print(table_of("Accounts", ["key", "name", "currency", "time zone", "state", "data"], rows))


@accounts_app.command("enable")
@_plain_errors
def accounts_enable(key: str) -> None:
    """Refresh an account again; also clears what a person was needed for."""
    _set_enabled(key, enabled=True)


@accounts_app.command("disable")
@_plain_errors
def accounts_disable(key: str) -> None:
    """Stop refreshing an account; its data stays."""
    _set_enabled(key, enabled=False)


def _set_enabled(key: str, *, enabled: bool) -> None:
    from bidbeacon_pipelines.store.accounts import set_enabled
    from bidbeacon_pipelines.store.engine import shared_engine

    with shared_engine(_database_url(get_settings())).begin() as connection:
        set_enabled(connection, key, enabled=enabled)
    console.print(f"{key} is {'enabled' if enabled else 'disabled'}.")


@sessions_app.command("list")
@_plain_errors
def sessions_list(
    job: Annotated[str | None, typer.Option(help="Only this job.")] = None,
    account: Annotated[str | None, typer.Option(help="Only what touched this account.")] = None,
    status: Annotated[
        str | None, typer.Option(help="running, succeeded, failed, cancelled or crashed.")
    ] = None,
    window: Annotated[str | None, typer.Option(help="Only what touched this day.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 20,
    as_json: Json = False,
) -> None:
    """Show sessions, newest first."""
    import bidbeacon_pipelines.actions  # noqa: F401 - registers the sentences
    from bidbeacon_pipelines.terminal import session_line
    from bidbeacon_sessions import SessionStore
    from bidbeacon_sessions.presentation import session_json
    from bidbeacon_sessions.store import SessionFilter, list_sessions

    store = SessionStore.connect(_database_url(get_settings()))
    wanted = SessionFilter(job=job, account=account, status=status, window=window)
    with store.begin() as connection:
        found = [session_json(row) for row in list_sessions(connection, wanted, limit=limit)]
    if as_json:
        _print_json(found)
        return
    for session in found:
        started = datetime.fromisoformat(session["started_at"]).astimezone()
        console.print(f"[dim]{started:%Y-%m-%d %H:%M:%S}[/dim]", session_line(session))
    if not found:
        console.print("No session matches.")


@sessions_app.command("show")
@_plain_errors
def sessions_show(session_id: UUID, as_json: Json = False) -> None:
    """Show one session with all its actions."""
    import bidbeacon_pipelines.actions  # noqa: F401 - registers the sentences
    from bidbeacon_pipelines.terminal import print_session
    from bidbeacon_sessions import SessionStore

    store = SessionStore.connect(_database_url(get_settings()))
    if as_json:
        _print_json(_session_with_actions(store, session_id))
    elif not print_session(console, store, session_id):
        raise BadOptionError(f"No session {session_id}: `bidbeacon sessions list` shows the newest.")


def _session_with_actions(store: Any, session_id: UUID) -> dict[str, Any]:
    from bidbeacon_sessions.presentation import action_json, session_json
    from bidbeacon_sessions.store import find_session, list_actions

    with store.begin() as connection:
        header = find_session(connection, session_id)
        actions = list_actions(connection, session_id)
    if header is None:
        raise BadOptionError(f"No session {session_id}: `bidbeacon sessions list` shows the newest.")
    return session_json(header) | {"actions": [action_json(action) for action in actions]}


@db_app.command("upgrade")
@_plain_errors
def db_upgrade() -> None:
    """Bring the tables up to date."""
    _database_url(get_settings())
    console.print("The database is up to date.")


@db_app.command("url")
@_plain_errors
def db_url() -> None:
    """Print the database's address, password included; the embedded one answers while something runs on it, like `bidbeacon dev`."""
    from bidbeacon_pipelines.local.postgres import resolve_database_url

    sys.stdout.write(resolve_database_url(get_settings()) + "\n")


@db_app.command("shell")
@_plain_errors
def db_shell() -> None:
    """Open psql on the database; try `select * from job_sessions order by started_at desc limit 5`."""
    from sqlalchemy import make_url

    from bidbeacon_pipelines.local.database_url import without_password

    psql = shutil.which("psql") or _bundled_psql()
    url = _database_url(get_settings())
    secret = {
        "PGPASSWORD": make_url(url).password or ""
    }  # not on the command line, which every user of the machine can list
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is psql's: it ends a query, not the shell
    raise typer.Exit(subprocess.call([psql, without_password(url)], env=os.environ | secret))  # noqa: S603 - psql, by its full path


def _bundled_psql() -> str:
    from bidbeacon_pipelines.local.binaries import find_binaries

    return str(find_binaries() / "psql")
