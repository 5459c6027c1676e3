"""The commands that refresh an account, and load windows now."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from bidbeacon_pipelines.cli.account_names import AccountOption, CountryOption
from bidbeacon_pipelines.cli.database import database_url
from bidbeacon_pipelines.cli.errors import (
    BadOptionError,
    CommandFailedError,
    ExitCode,
    plain_errors,
)
from bidbeacon_pipelines.cli.output import Json, console, print_json
from bidbeacon_pipelines.cli.session_output import print_hanging, session_line
from bidbeacon_pipelines.cli.sessions import session_with_actions
from bidbeacon_pipelines.settings import get_settings

if TYPE_CHECKING:
    from bidbeacon_pipelines.accounts.tables import Account
    from bidbeacon_pipelines.job_context import JobContext


@plain_errors
def refresh(account: AccountOption, country: CountryOption = None, as_json: Json = False) -> None:
    """Bring an account up to date: plan what is due, create reports, load what is ready. Never waits for Amazon.

    Exits with 0 if everything that is due is loaded or on its way, 1 if not, and 2 if it can't be
    asked: the account is unknown or stopped, or there is no database.
    """
    from bidbeacon_pipelines.accounts.queries import read_ads_account
    from bidbeacon_pipelines.requests.refresh import refresh_account
    from bidbeacon_pipelines.requests.wanted import check_active

    with _account(account, country) as (context, found):
        check_active(found)
        given = {"account": found.account_key}
        with _session(context, "refresh-account", found, given, as_json=as_json) as (session, _):
            ads_account = read_ads_account(context.engine, found.account_key)
            left = refresh_account(context, session, ads_account)
    if left:
        raise CommandFailedError(
            f"{left:,} {'window is' if left == 1 else 'windows are'} due or failed and not on the way: Home and "
            "`bidbeacon explain` say why."
        )


@plain_errors
def load(
    account: AccountOption,
    window: Annotated[
        list[str],
        typer.Option(help="A day (2026-11-23) or days (2026-11-01..2026-11-07), repeatable."),
    ],
    country: CountryOption = None,
    dataset: Annotated[str, typer.Option(help="The dataset's name.")] = "daily_targets",
    as_json: Json = False,
) -> None:
    """Load days now, whether or not they are due; wait for Amazon, and print the session's timeline live.

    Exits with 0 if all days are loaded, 1 if one is not, and 2 if nothing can be asked: the account
    is unknown or stopped, no day can be loaded, or there is no database. Ctrl-C and SIGTERM cancel
    its session (exit codes 130 and 143); the next run continues its requests.
    """
    from bidbeacon_pipelines.accounts.changes import COMMAND_LINE
    from bidbeacon_pipelines.datasets.registry import get_dataset
    from bidbeacon_pipelines.requests.backfill import Progress, drive_windows
    from bidbeacon_pipelines.requests.wanted import check_loadable

    days = sorted({day for value in window for day in parse_days(value)})
    chosen = get_dataset(dataset)
    with _account(account, country) as (context, found):
        check_loadable(found, chosen, days, context.now())
        given = {
            "account": found.account_key,
            "dataset": dataset,
            "windows": [str(day) for day in days],
        }
        with _session(context, "load-windows", found, given, as_json=as_json) as (session, status):

            def show(progress: Progress) -> None:
                status.text = f"{progress.done} of {progress.total} loaded, waiting for {progress.waiting_for}"

            loaded = drive_windows(
                context, session, found, chosen, days, by=COMMAND_LINE, on_progress=show
            )
    if len(loaded) < len(days):
        raise typer.Exit(ExitCode.FAILED)


@contextmanager
def _account(named: str, country: str | None) -> Iterator[tuple["JobContext", "Account"]]:
    """Open the tools, and find the account of this name."""
    from bidbeacon_pipelines.accounts.names import get_named_account
    from bidbeacon_pipelines.job_context import open_job_context

    settings = get_settings()
    with open_job_context(settings, database_url(settings)) as context:
        with context.engine.begin() as connection:
            found = get_named_account(connection, named, country)
        yield context, found


@contextmanager
def _session(
    context: "JobContext", job_name: str, account: "Account", given: Any, *, as_json: bool
) -> Iterator[tuple[Any, Any]]:
    """Record the block as a session, and print it live; at its end print the session as a line, or as JSON."""
    from bidbeacon_pipelines.cli.recorded import recorded
    from bidbeacon_sessions.presentation import session_json
    from bidbeacon_sessions.queries import find_session

    session_id = None
    given = {**given, "via": "command line"}
    try:
        with recorded(context, job_name, input=given, account=account.ref, as_json=as_json) as (
            session,
            status,
        ):
            session_id = session.session_id
            yield session, status
    finally:
        if session_id is not None and as_json:
            print_json(session_with_actions(context.sessions, session_id))
        elif session_id is not None:
            with context.sessions.begin() as connection:
                header = find_session(connection, session_id)
            if header is not None:
                print_hanging(console, Text(), session_line(session_json(header)), indent=2)


def parse_days(value: str) -> list[date]:
    """Return the days of `2026-11-23` or `2026-11-01..2026-11-07` (both ends included)."""
    from bidbeacon_sessions.clock import read_day

    first, dots, last = value.partition("..")
    try:
        start = read_day(first)
        end = read_day(last) if dots else start
    except ValueError:
        raise BadOptionError(
            f"--window: expected 2026-11-23 or 2026-11-01..2026-11-07, got: {value!r}."
        ) from None
    if end < start:
        raise BadOptionError(f"--window: expected the earlier day first, got: {value!r}.")
    return [start + timedelta(days=n) for n in range((end - start).days + 1)]
