"""Requests of users: to load days now, or to decide about suspicious reports.

A load is only stored here; a Dagster sensor starts its run.
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from bidbeacon_pipelines.accounts.rules import NothingToDoError, check_active
from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.actions import ReportAccepted, RowsKept
from bidbeacon_pipelines.contract.queries import read_contract
from bidbeacon_pipelines.database.clock import read_now
from bidbeacon_pipelines.datasets.registry import Dataset, DatasetReport
from bidbeacon_pipelines.settings import Settings
from bidbeacon_pipelines.windows.queries import decide_windows, list_undecided
from bidbeacon_pipelines.windows.rules import local_date, oldest_of
from bidbeacon_pipelines.windows.wanted_queries import list_wanted, want_windows
from bidbeacon_sessions import SessionStore, with_job_session
from bidbeacon_sessions.presentation import instant


def check_loadable(
    account: Account, reports: Sequence[DatasetReport], days: Sequence[date], now: datetime
) -> list[date]:
    """Return the days that are over in the account's time zone and that Amazon still serves.

    Raises:
        NothingToDoError: the account is stopped, or none of the days can be loaded.
    """
    check_active(account)
    dataset, today = reports[0].dataset, local_date(now, account.time_zone)
    oldest = oldest_of(reports, today)
    newest = today - timedelta(days=1)
    if loadable := [day for day in days if oldest <= day <= newest]:
        return loadable
    given = f"{min(days)}" if len(days) == 1 else f"{len(days):,} days, {min(days)} to {max(days)}"
    raise NothingToDoError(
        f"Expected days of {dataset.name} from {oldest} to {newest} (Amazon serves these days, and "
        f"they are over in the account's time zone, {account.time_zone}), got: {given}.",
        "Request days that are over and that Amazon still serves.",
    )


def want_load(
    connection: Connection,
    account: Account,
    dataset: Dataset,
    days: Sequence[date],
    *,
    by: str,
    now: datetime,
) -> dict[str, Any]:
    """Request a load of days now, whether or not they are due, and return the load as JSON.

    The JSON is as in `list_wanted_json`. Days that can't be loaded are left out.

    Raises:
        NothingToDoError: the account is stopped, none of the days can be loaded, they have no
            windows yet, or they are older than an override of the registry's history allows.
    """
    reports = read_contract(connection, account.account_id).reports(dataset)
    loadable = check_loadable(account, reports, days, now)
    want_windows(connection, account, dataset.name, loadable, by, now=now)
    requested = set(map(str, loadable))
    wanted = [
        one
        for one in list_wanted_json(connection, account)
        if one["dataset"] == dataset.name and not requested.isdisjoint(one["windows"])
    ]
    if not wanted:
        raise NothingToDoError(
            f"{account.label} has no windows of these days of {dataset.name}. The first refresh of "
            "the account creates the windows, back to the oldest day that Amazon serves or that an "
            "override allows (see `bidbeacon contract list`).",
            "Try again in a few minutes, or request more recent days.",
        )
    return wanted[-1]


def list_wanted_json(connection: Connection, account: Account) -> list[dict[str, Any]]:
    """Return the loads and syncs that users requested for an account, as JSON, oldest first.

    `session` is the running session that has claimed the load or sync, or None.
    """
    return [
        {
            "account": row["account_key"],
            "account_label": row["account_label"],
            "dataset": row["dataset"],
            "windows": list(map(str, row["windows"])),
            "by": row["wanted_by"],
            "at": instant(row["wanted_at"]),
            "session": None if row["session_id"] is None else str(row["session_id"]),
        }
        for row in list_wanted(connection, account)
    ]


def decide_days(
    store: SessionStore,
    settings: Settings,
    account: Account,
    dataset: Dataset,
    days: Sequence[date],
    *,
    accepts: bool,
    by: str,
) -> list[date]:
    """Decide about suspicious reports of final days: accept the next report, or keep the rows.

    If `accepts`, the next report is requested now. Return the subset of `days` that waited for a
    decision.

    Raises:
        NothingToDoError: none of the days waits for a decision, or `accepts` is true and the
            account is stopped.
    """
    if accepts:
        check_active(account)
    chosen = (account, dataset.name, days)
    with store.begin() as connection:
        now = read_now(connection, settings)
        if not list_undecided(connection, *chosen, now=now):
            raise NothingToDoError(
                f"No report of these days of {dataset.name} for {account.label} waits for a "
                "decision.",
                "The page Home shows the days that wait for a decision.",
            )
    with (
        with_job_session(
            "decide-windows", store=store, account=account.ref, input={"by": by}
        ) as session,
        store.begin() as connection,
    ):
        decided = decide_windows(connection, *chosen, accepts=accepts, by=by, now=now)
        action = ReportAccepted if accepts else RowsKept
        facts = {"account": account.account_key, "dataset": dataset.name, "windows": decided}
        session.add_in(connection, action(**facts, by=by))
    return decided
