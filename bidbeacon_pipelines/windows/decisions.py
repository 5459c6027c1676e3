"""Stores a person's decision about a report with far fewer rows than a final day has."""

from collections.abc import Sequence
from datetime import date

from bidbeacon_pipelines.accounts.errors import CannotAskError, check_active
from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.actions import ReportAccepted, RowsKept
from bidbeacon_pipelines.database.clock import read_now
from bidbeacon_pipelines.datasets.registry import Dataset
from bidbeacon_pipelines.settings import Settings
from bidbeacon_pipelines.windows.queries import decide_windows, list_undecided
from bidbeacon_sessions import SessionStore, with_job_session


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
    """Accept the next report of final days, and request it now, or keep the loaded rows.

    Return the days of these that waited for a decision.

    Raises:
        CannotAskError: none of the days waits for a decision, or the account is stopped, so that no
            report can be accepted.
    """
    if accepts:
        check_active(account)
    chosen = (account, dataset.name, days)
    with store.begin() as connection:
        now = read_now(connection, settings)
        if not list_undecided(connection, *chosen, now=now):
            raise CannotAskError(
                f"No report of these days of {dataset.name} of {account.label} waits for a "
                "decision.",
                "Home shows the days that wait for one.",
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
