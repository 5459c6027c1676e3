"""The commands that ask Amazon: refresh an account, load days now, sync accounts and entities."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from bidbeacon_pipelines.accounts.changes import COMMAND_LINE
from bidbeacon_pipelines.accounts.names import get_named_account
from bidbeacon_pipelines.accounts.queries import read_account, read_ads_account
from bidbeacon_pipelines.accounts.sync import sync_accounts
from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.amazon_ads.client import SHORT_WAITS, RetryPolicy
from bidbeacon_pipelines.cli.database import database_url
from bidbeacon_pipelines.cli.errors import (
    BadOptionError,
    CommandFailedError,
    ExitCode,
    report_error,
)
from bidbeacon_pipelines.cli.options import (
    AccountOption,
    CountryOption,
    DatasetOption,
    OnlyAccount,
    list_chosen,
    parse_days,
)
from bidbeacon_pipelines.cli.output import Json, print_json, print_line
from bidbeacon_pipelines.cli.recorded import TakeJson, recorded
from bidbeacon_pipelines.datasets.registry import get_dataset
from bidbeacon_pipelines.entities.sync import sync_entities
from bidbeacon_pipelines.job_context import JobContext, open_job_context
from bidbeacon_pipelines.problems.findings import counted
from bidbeacon_pipelines.requests.backfill import Progress, drive_windows
from bidbeacon_pipelines.requests.queries import count_windows_left
from bidbeacon_pipelines.requests.refresh import refresh_account
from bidbeacon_pipelines.requests.wanted import check_active, check_loadable
from bidbeacon_pipelines.settings import get_settings
from bidbeacon_sessions.errors import ExpectedError
from bidbeacon_sessions.sentences import format_duration


def refresh(account: AccountOption, country: CountryOption = None, as_json: Json = False) -> None:
    """Bring an account up to date: plan what is due, create reports, load what is ready. Never waits for Amazon.

    Exits with 0 if everything that is due is loaded or on its way, 1 if not, and 2 if it can't be
    asked: the account is unknown or stopped, or there is no database.
    """
    with _tools() as context:
        found = _find(context, account, country)
        check_active(found)
        given, take_json = {"account": found.account_key}, print_json if as_json else None
        work = recorded(context.sessions, "refresh-account", given, found.ref, take_json)
        with work as (session, _):
            ads_account = read_ads_account(context.engine, found.account_key)
            refresh_account(context, session, ads_account)
            with context.engine.begin() as connection:
                left = count_windows_left(connection, ads_account.account_id, now=context.now())
    if left:
        raise CommandFailedError(
            f"{counted(left, 'window is', 'windows are')} due or failed and not on the way: Home and "
            "`bidbeacon explain` say why."
        )


def load(
    account: AccountOption,
    window: Annotated[
        list[str],
        typer.Option(help="A day (2026-11-23) or days (2026-11-01..2026-11-07), repeatable."),
    ],
    country: CountryOption = None,
    dataset: DatasetOption = "daily_targets",
    as_json: Json = False,
) -> None:
    """Load days now, whether or not they are due; wait for Amazon, and print the session's timeline live.

    Exits with 0 if all days are loaded, 1 if one is not, and 2 if nothing can be asked: the account
    is unknown or stopped, no day can be loaded, or there is no database. Ctrl-C and SIGTERM cancel
    its session (exit codes 130 and 143); the next run continues its requests.
    """
    days = sorted({day for value in window for day in parse_days(value)})
    chosen = get_dataset(dataset)
    with _tools() as context:
        found = _find(context, account, country)
        check_loadable(found, chosen, days, context.now())
        wanted = {"dataset": dataset, "windows": [str(day) for day in days]}
        given, take_json = {"account": found.account_key, **wanted}, print_json if as_json else None
        work = recorded(context.sessions, "load-windows", given, found.ref, take_json)
        with work as (session, status):

            def show(progress: Progress) -> None:
                waited = format_duration(progress.waited.total_seconds())
                status.update(
                    f"{progress.done} of {progress.total} loaded, waiting for {progress.waiting_for} since {waited}"
                )

            loaded = drive_windows(
                context, session, found, chosen, days, by=COMMAND_LINE, on_progress=show
            )
    if len({one.window_date for one in loaded}) < len(days):
        raise typer.Exit(ExitCode.FAILED)


def accounts_sync(as_json: Json = False) -> None:
    """Read the accounts from Amazon; they are added and updated, never deleted."""
    with _tools(RetryPolicy()) as context:
        take_json = print_json if as_json else None
        with recorded(context.sessions, "sync-accounts", {}, None, take_json) as (session, _):
            sync_accounts(context, session)


def entities_sync(
    account: OnlyAccount = None, country: CountryOption = None, as_json: Json = False
) -> None:
    """Sync entities now, account by account; without an account, those of all that are refreshed.

    Exits with 0 if all were synced, 1 if one was not, and 2 if there is none to sync.
    """
    with _tools(RetryPolicy()) as context:
        with context.engine.begin() as connection:
            chosen = list_chosen(connection, account, country)
        active = [one for one in chosen if one.stop_reason is None]
        if account is not None and not active:
            check_active(chosen[0])
        if not active:
            raise BadOptionError(
                f"There is no account to sync{f' in {country}' if country else ''}: `bidbeacon accounts list` shows them."
            )
        some = active if account is None else chosen
        sessions: list[dict[str, Any]] = []
        take_json = sessions.append if as_json else None
        synced = sum(_sync(context, one.account_key, take_json) for one in some)
    if as_json:
        print_json(sessions)
    else:
        print_line(f"Synced {synced} of {len(some)} accounts.")
    raise typer.Exit(ExitCode.OK if synced == len(some) else ExitCode.FAILED)


def _sync(context: JobContext, key: str, take_json: TakeJson | None) -> bool:
    """Sync one account in a session of its own; print why that fails, and return whether it did not."""
    try:
        # Read again: the previous account may have found that Amazon refuses our credentials.
        account = read_account(context.engine, key)
        check_active(account)
        given = {"account": key}
        work = recorded(context.sessions, "sync-entities", given, account.ref, take_json)
        with work as (session, _):
            sync_entities(context, session, account)
    except ExpectedError as error:
        report_error(error)
        return False
    return True


@contextmanager
def _tools(retry: RetryPolicy = SHORT_WAITS) -> Iterator[JobContext]:
    settings = get_settings()
    with open_job_context(settings, database_url(settings), retry=retry) as context:
        yield context


def _find(context: JobContext, named: str, country: str | None) -> Account:
    with context.engine.begin() as connection:
        return get_named_account(connection, named, country)
