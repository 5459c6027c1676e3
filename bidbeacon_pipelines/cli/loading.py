"""Commands that record a session and print its actions live; most of them call Amazon."""

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, Final

import typer
from rich.console import Console
from rich.status import Status

from bidbeacon_pipelines.accounts.changes import COMMAND_LINE
from bidbeacon_pipelines.accounts.names import list_named_accounts
from bidbeacon_pipelines.accounts.queries import read_account
from bidbeacon_pipelines.accounts.rules import check_active
from bidbeacon_pipelines.accounts.sync import sync_accounts
from bidbeacon_pipelines.amazon_ads.client import SHORT_WAITS, RetryPolicy
from bidbeacon_pipelines.cli.days import parse_windows
from bidbeacon_pipelines.cli.options import (
    AccountOption,
    CountryOption,
    DatasetOption,
    DaysOption,
    OnlyAccount,
    OnlyDataset,
    get_account,
    open_store,
)
from bidbeacon_pipelines.cli.output import Json, console, print_json, report
from bidbeacon_pipelines.cli.sessions import event_printer, get_session
from bidbeacon_pipelines.cli.signals import stop_at_signals
from bidbeacon_pipelines.contract.queries import read_contract
from bidbeacon_pipelines.database.address import open_database
from bidbeacon_pipelines.datasets.registry import get_dataset
from bidbeacon_pipelines.entities.sync import sync_entities
from bidbeacon_pipelines.job_context import JobContext, open_job_context
from bidbeacon_pipelines.loading.quarantine import replay_quarantine
from bidbeacon_pipelines.problems.findings import counted
from bidbeacon_pipelines.requests.dispatch import step_requests
from bidbeacon_pipelines.requests.load_days import load_days
from bidbeacon_pipelines.requests.plan import plan_account
from bidbeacon_pipelines.requests.queries import count_windows_left
from bidbeacon_pipelines.settings import get_settings
from bidbeacon_pipelines.windows.rules import local_date
from bidbeacon_pipelines.windows.wanted import check_loadable
from bidbeacon_sessions import SessionRecorder, SessionStore, Subject, with_job_session
from bidbeacon_sessions.errors import ExpectedError, UsageError
from bidbeacon_sessions.filters import SessionFilter
from bidbeacon_sessions.tail import Tail

_END_SECONDS: Final = 10.0
"""The longest wait for a session's last actions to be printed, if the database is slow."""


def refresh(account: AccountOption, country: CountryOption = None, as_json: Json = False) -> None:
    """Bring an account up to date: plan due windows, request reports, load complete ones.

    Reports cover all countries of the account, so the other countries are brought up to date too.
    Does not wait until reports are complete. Exits with 0 if all due windows are loaded or
    requested, 1 if not, and 2 if the account is unknown or stopped, or there is no database.
    """
    with _open_context() as context:
        found = get_account(account, country)
        check_active(found)
        work = recorded(context.sessions, "refresh-account", found.ref, as_json=as_json)
        with work as (session, _):
            plan_account(context, session, found.ads_account)
            step_requests(context, session, found.ads_account)
            with context.engine.begin() as connection:
                of = found.account_id, found.country_code
                left = count_windows_left(connection, *of, now=context.now())
    if left:
        raise ExpectedError(
            f"{counted(left, 'window is', 'windows are')} due or failed, without an open request: "
            "the page Home and `bidbeacon explain` show why."
        )


def load(
    account: AccountOption,
    window: DaysOption,
    country: CountryOption = None,
    dataset: DatasetOption = "daily_targets",
    as_json: Json = False,
) -> None:
    """Load days now, even if they are not due. Waits for Amazon and prints the session live.

    Exits with 0 if all days are loaded, 1 if a day is not loaded or Amazon still does not serve it,
    and 2 if the account is unknown or stopped, no day can be loaded, or there is no database.
    Ctrl-C and SIGTERM cancel the session (exit codes 130 and 143); its requests continue later.
    """
    chosen = get_dataset(dataset)
    with _open_context() as context:
        found = get_account(account, country)
        days = parse_windows(window, local_date(context.now(), found.time_zone))
        with context.engine.begin() as connection:
            contract = read_contract(connection, found.account_id)
        check_loadable(found, contract.reports(chosen), days, context.now())
        given = {"dataset": dataset, "windows": [str(day) for day in days]}
        work = recorded(context.sessions, "load-windows", found.ref, given, as_json=as_json)
        with work as (session, status):
            on_progress = status.update
            load_days(
                context, session, found, chosen, days, by=COMMAND_LINE, on_progress=on_progress
            )


def accounts_sync(as_json: Json = False) -> None:
    """Read the accounts from Amazon. Accounts are added and updated, but never deleted."""
    with (
        _open_context(RetryPolicy()) as context,
        recorded(context.sessions, "sync-accounts", as_json=as_json) as (session, _),
    ):
        sync_accounts(context, session)


def entities_sync(
    account: OnlyAccount = None, country: CountryOption = None, as_json: Json = False
) -> None:
    """Sync the entities of an account (default: of all active accounts, one after another).

    Exits with 0 if all accounts were synced, 1 if not, and 2 if there is no account to sync.
    """
    with _open_context(RetryPolicy()) as context:
        with context.engine.begin() as connection:
            chosen = list_named_accounts(connection, account, country)
        active = [one for one in chosen if one.stop_reason is None]
        if account is not None and not active:
            check_active(chosen[0])
        if not active:
            raise UsageError(
                f"There is no account to sync{f' in {country}' if country else ''}: "
                "`bidbeacon accounts list` shows all accounts and why some are not refreshed."
            )
        some = active if account is None else chosen
        sessions: list[dict[str, Any]] = []
        show: dict[str, Any] = {"as_json": as_json, "take_json": sessions.append}
        synced = sum(_sync(context, one.account_key, **show) for one in some)
    if as_json:
        print_json(sessions)
    else:
        console.print(f"Synced {synced} of {len(some)} accounts.")
    raise typer.Exit(0 if synced == len(some) else 1)


def _sync(context: JobContext, key: str, **show: Any) -> bool:
    """Sync an account's entities in a separate session; return whether the sync succeeded.

    Print the error if the sync failed. `show` has the arguments `as_json` and `take_json` of
    `recorded`.
    """
    try:
        # Read again: the previous sync may have stopped all accounts of a refused credential.
        account = read_account(context.engine, key)
        check_active(account)
        work = recorded(context.sessions, "sync-entities", account.ref, **show)
        with work as (session, _):
            sync_entities(context, session, account)
    except ExpectedError as error:
        report(error)
        return False
    return True


def _open_context(retry: RetryPolicy = SHORT_WAITS) -> AbstractContextManager[JobContext]:
    settings = get_settings()
    return open_job_context(settings, open_database(settings), retry=retry)


def quarantine_replay(
    account: OnlyAccount = None,
    country: CountryOption = None,
    dataset: OnlyDataset = None,
    as_json: Json = False,
) -> None:
    """Validate quarantined rows again, after a fix, and load the rows that are valid now."""
    if dataset is not None:
        get_dataset(dataset)
    store = open_store()
    named = None if account is None else get_account(account, country)
    key, reference = (named.account_key, named.ref) if named else (None, None)
    given = {"dataset": dataset}
    with recorded(store, "replay-quarantine", reference, given, as_json=as_json) as (session, _):
        replayed = replay_quarantine(store.engine, session, account=key, dataset=dataset)
    if not as_json:
        rows, left = sum(one.rows for one in replayed), sum(one.left for one in replayed)
        console.print(f"Loaded {rows:,} rows; {left:,} are still invalid.")


@contextmanager
def recorded(
    store: SessionStore,
    job_name: str,
    account: Subject | None = None,
    given: Mapping[str, Any] | None = None,
    *,
    as_json: bool,
    take_json: Callable[[dict[str, Any]], None] = print_json,
) -> Iterator[tuple[SessionRecorder, Status]]:
    """Record the block as a session and print it live; yield the session and its status line.

    `given` is stored as the session's input. Ctrl-C, SIGTERM and closing the terminal cancel the
    session. With `as_json` the session is not printed live, but passed to `take_json` at the end.
    """
    of_account = {} if account is None else {"account": account.key}
    given = {**of_account, **(given or {}), "via": COMMAND_LINE}
    shown_on = Console(quiet=True) if as_json else console
    stop_at_signals()
    with (
        ExitStack() as at_the_end,
        with_job_session(job_name, input=given, store=store, account=account) as session,
        shown_on.status("running", spinner_style="cyan") as status,
    ):
        id_ = session.session_id
        if as_json:
            at_the_end.callback(lambda: take_json(get_session(store, id_)))
        else:
            wanted = SessionFilter(job=job_name, text=str(id_))
            tail = Tail(store, wanted, event_printer(has_errors=False))
            work = tail.follow(1, to_the_end=True)
            printing = threading.Thread(target=asyncio.run, args=(work,), daemon=True)
            printing.start()
            at_the_end.callback(printing.join, _END_SECONDS)
        yield session, status
