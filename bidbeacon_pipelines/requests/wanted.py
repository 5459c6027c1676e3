"""Asks for windows to be loaded, or entities to be synced, now: a Dagster sensor starts the runs."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection

from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.datasets.registry import Dataset, DatasetReport
from bidbeacon_pipelines.entities.queries import list_wanted_syncs, want_entities
from bidbeacon_pipelines.requests.wanted_queries import list_wanted_days, want_windows
from bidbeacon_pipelines.windows.contracts import read_contract
from bidbeacon_pipelines.windows.rules import local_date, oldest_of
from bidbeacon_sessions.errors import UsageError
from bidbeacon_sessions.presentation import instant
from bidbeacon_sessions.sentences import join_sentences


class CannotAskError(UsageError):
    """Nothing is asked of Amazon for a person, since a run would do nothing.

    Attributes:
        what_to_do: What helps.
    """

    what_to_do = "Ask for days that are over and that Amazon still serves."


class AccountStoppedError(CannotAskError):
    """An account is paused, disabled or needs attention."""

    what_to_do = "Resume the account first."


class DaysNotLoadableError(CannotAskError):
    """None of the requested days can be loaded."""


class NoWindowsError(CannotAskError):
    """A dataset of an account has no windows of the requested days that Amazon serves."""

    what_to_do = "Ask again in a few minutes, or for younger days."


def check_active(account: Account) -> None:
    """Raise if no reports are requested for an account.

    Raises:
        AccountStoppedError: it is paused, disabled by Amazon, or needs attention.
    """
    if (why := account.stop_reason) is not None:
        stopped = f"No reports are requested for {account.label}: {why}"
        raise AccountStoppedError(join_sentences(stopped))


def check_loadable(
    account: Account, reports: Sequence[DatasetReport], days: Sequence[date], now: datetime
) -> list[date]:
    """Return the days that are over in the account's time zone and that Amazon still serves in one of a dataset's reports.

    Raises:
        AccountStoppedError: the account is paused, disabled or needs attention.
        DaysNotLoadableError: none of the days can be loaded.
    """
    check_active(account)
    dataset, today = reports[0].dataset, local_date(now, account.time_zone)
    oldest = oldest_of(reports, today)
    newest = today - timedelta(days=1)
    if loadable := [day for day in days if oldest <= day <= newest]:
        return loadable
    given = f"{min(days)}" if len(days) == 1 else f"{len(days):,} days, {min(days)} to {max(days)}"
    raise DaysNotLoadableError(
        f"Expected days of {dataset.name} from {oldest} to {newest}, which Amazon serves and which "
        f"are over in the account's time zone ({account.time_zone}), got: {given}."
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
    """Ask for windows to be loaded now, whether or not they are due; return what is wanted (see `list_wanted_json`).

    Days that can't be loaded are left out.

    Raises:
        AccountStoppedError: no reports are requested for the account.
        DaysNotLoadableError: none of the days can be loaded.
        NoWindowsError: the days have no windows yet, or an overridden history leaves them out.
    """
    reports = read_contract(connection, account.account_id).reports(dataset)
    loadable = check_loadable(account, reports, days, now)
    want_windows(connection, account, dataset.name, loadable, by, now=now)
    asked = set(map(str, loadable))
    wanted: list[dict[str, Any]] = [
        one
        for one in list_wanted_json(connection, account)
        if one["dataset"] == dataset.name and not asked.isdisjoint(one["windows"])
    ]
    if not wanted:
        none = (
            f"{account.label} has no windows of these days of {dataset.name}: its first refresh makes "
            "them, if Amazon serves them (`bidbeacon contract list` shows other histories)."
        )
        raise NoWindowsError(none)
    return wanted[-1]


def want_sync(connection: Connection, account: Account, *, by: str) -> dict[str, Any]:
    """Ask for an account's entities to be synced now; return what is wanted (see `list_wanted_json`).

    Raises:
        AccountStoppedError: the account is paused, disabled or needs attention.
    """
    check_active(account)
    want_entities(connection, account, by)
    return next(one for one in list_wanted_json(connection, account) if one["dataset"] is None)


def list_wanted(connection: Connection, account: Account | None = None) -> list[Mapping[str, Any]]:
    """Return what people want now, of all accounts or of one, the oldest first.

    Each has account_key, account_label, dataset (None for entities), windows (its days, ascending),
    wanted_by, wanted_at, session_id (the living session that has claimed it, or None) and may_start
    (whether a run for it can do something now).
    """
    days, syncs = list_wanted_days(connection, account), list_wanted_syncs(connection, account)
    wanted = [
        *({**row, "may_start": True} for row in days),
        *({**row, "dataset": None, "windows": []} for row in syncs),
    ]
    return sorted(wanted, key=itemgetter("wanted_at"))


def list_wanted_json(connection: Connection, account: Account) -> list[dict[str, Any]]:
    """Return what people want of an account, as the page follows it; `session` is the one that has claimed it."""
    return [
        {
            "account": one["account_key"],
            "account_label": one["account_label"],
            "dataset": one["dataset"],
            "windows": list(map(str, one["windows"])),
            "by": one["wanted_by"],
            "at": instant(one["wanted_at"]),
            "session": None if one["session_id"] is None else str(one["session_id"]),
        }
        for one in list_wanted(connection, account)
    ]
