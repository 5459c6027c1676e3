"""Sums up accounts' days after new loads."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine

from bidbeacon_pipelines.actions import SummaryUpdated
from bidbeacon_pipelines.reports.account_days import summarize_days
from bidbeacon_pipelines.store.accounts import Account, get_account
from bidbeacon_pipelines.store.summaries import (
    list_days_to_sum_up,
    list_summaries,
    list_totals,
    lock_summary,
    replace_days,
)
from bidbeacon_sessions import SessionRecorder

SHOWN_DAYS = 60


@dataclass(frozen=True)
class AccountSummary:
    """An account's newest days as they are summed up now, by date, and how many days were summed up again."""

    account: Account
    updated: int
    days: list[dict[str, Any]]


def update_summary(
    engine: Engine, session: SessionRecorder, account_key: str, *, all_days: bool = False
) -> AccountSummary:
    """Sum up the days of an account whose windows were loaded since, or all of them, in one transaction; safe to run again.

    Raises:
        UnknownAccountError: there is no such account.
    """
    with engine.begin() as connection:
        account = get_account(connection, account_key)
        lock_summary(connection, account)
        updated = _update(connection, session, account, all_days=all_days)
        shown = list_summaries(connection, account, last=SHOWN_DAYS)
    return AccountSummary(account, updated, [dict(row) for row in shown])


def _update(
    connection: Connection, session: SessionRecorder, account: Account, *, all_days: bool
) -> int:
    windows = list_days_to_sum_up(connection, account, all_days=all_days)
    days = [window["summary_date"] for window in windows]
    if not days:
        return 0
    totals = [dict(total) for total in list_totals(connection, account, days)]
    rows = summarize_days([dict(window) for window in windows], totals, account.currency_code)
    replace_days(connection, account, days, rows)
    action = SummaryUpdated(
        account=account.account_key, days=len(days), first=days[0], last=days[-1]
    )
    session.add_in(connection, action)
    return len(days)
