"""Sums up accounts' days after new loads."""

from sqlalchemy import Engine

from bidbeacon_pipelines.accounts.queries import get_account, lock_summary
from bidbeacon_pipelines.actions import SummaryUpdated
from bidbeacon_pipelines.summaries.queries import (
    list_days_to_sum_up,
    list_totals,
    replace_days,
)
from bidbeacon_pipelines.summaries.rules import summarize_days
from bidbeacon_sessions import SessionRecorder


def update_summary(engine: Engine, session: SessionRecorder, account_key: str) -> int:
    """Sum up the days of an account whose windows were loaded since, in one transaction; return how many; safe to run again.

    Raises:
        UnknownAccountError: there is no such account.
    """
    with engine.begin() as connection:
        account = get_account(connection, account_key)
        lock_summary(connection, account)
        windows = [dict(window) for window in list_days_to_sum_up(connection, account)]
        days = [window["summary_date"] for window in windows]
        if not days:
            return 0
        totals = [dict(total) for total in list_totals(connection, account, days)]
        rows = summarize_days(windows, totals, account.currency_code)
        replace_days(connection, account, days, rows)
        action = SummaryUpdated(
            account=account.account_key, days=len(days), first=days[0], last=days[-1]
        )
        session.add_in(connection, action)
    return len(days)
