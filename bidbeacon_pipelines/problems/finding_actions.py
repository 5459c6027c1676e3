"""Runs a finding's action for all its days or ads accounts: load, resume, accept or keep."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date, datetime

from sqlalchemy import Connection, RowMapping, text

from bidbeacon_pipelines.accounts.changes import AccountChanges
from bidbeacon_pipelines.accounts.queries import IS_ACTIVE, get_account
from bidbeacon_pipelines.database.clock import read_now
from bidbeacon_pipelines.datasets.registry import get_dataset
from bidbeacon_pipelines.problems.alerts import FindingIsOverError, get_finding
from bidbeacon_pipelines.problems.findings import counted, finding_key
from bidbeacon_pipelines.problems.report_findings import list_finding_windows
from bidbeacon_pipelines.settings import Settings
from bidbeacon_pipelines.windows.wanted import decide_days
from bidbeacon_pipelines.windows.wanted_queries import want_windows
from bidbeacon_sessions import SessionStore


def act(
    store: SessionStore, settings: Settings, key: str, *, by: str, keeps: bool = False
) -> dict[str, str]:
    """Run the action of a finding's button on behalf of the user `by`.

    Return the result as a sentence, `message`, and the path of a page with details, `link`. If
    `keeps` is true, keep the loaded rows instead of accepting the report.

    Raises:
        NothingToDoError: The days can't be requested from Amazon now.
        FindingIsOverError: The finding no longer exists, or it has no such action.
    """
    with store.begin() as connection:
        now = read_now(connection, settings)
        action = get_finding(connection, settings, now, key).finding.action
        if keeps and action != "accept":
            raise FindingIsOverError("This finding has no rows to keep.")
        has_windows = action in ("load", "accept")
        windows = list_finding_windows(connection, settings, now, key) if has_windows else []
        if action == "load":
            return {"message": _load(connection, windows, by=by, now=now), "link": _LOADS}
        refused = connection.execute(_REFUSED).all() if action == "resume" else []
        keys = [row.account_key for row in refused if finding_key(row.cause) == key]
        accounts = [get_account(connection, account_key) for account_key in keys]
    if windows:
        return _decide(store, settings, windows, accepts=not keeps, by=by)
    if not accounts:
        raise FindingIsOverError
    changes = AccountChanges(store, settings, by=by)
    for account in accounts:
        changes.resume(account)
    resumed = counted(len(accounts), "ads account")
    done = f"Resumed {resumed}; reports are planned within a minute."
    return {"message": done, "link": "/accounts"}


_LOADS = "/sessions?job=load-windows&since=1h"
_REFUSED = text(f"""
    SELECT DISTINCT ON (o.account_id) o.needs_attention AS cause, a.account_key
      FROM ads_accounts o JOIN advertiser_accounts a USING (account_id)
     WHERE o.needs_attention IS NOT NULL AND {IS_ACTIVE}
     ORDER BY o.account_id, a.account_key""")


def _load(connection: Connection, windows: Sequence[RowMapping], *, by: str, now: datetime) -> str:
    """Request loads of windows that no user has requested yet; return the text to show."""
    days: dict[tuple[str, str], set[date]] = defaultdict(set)
    for row in windows:
        if row["wanted_by"] is None:
            days[row["account_key"], row["dataset"]].add(row["window_date"])
    for (account_key, dataset), found in days.items():
        account = get_account(connection, account_key)
        want_windows(connection, account, dataset, sorted(found), by, now=now)
    if not days:
        return "All of these days have been requested already."
    accounts = counted(len({account for account, _ in days}), "account")
    number = counted(sum(map(len, days.values())), "day")
    return f"Requested {number} of {accounts}; Dagster starts the runs within half a minute."


def _decide(
    store: SessionStore,
    settings: Settings,
    windows: Sequence[RowMapping],
    *,
    accepts: bool,
    by: str,
) -> dict[str, str]:
    first = windows[0]
    with store.begin() as connection:
        account = get_account(connection, first["account_key"])
    days, dataset = [row["window_date"] for row in windows], get_dataset(first["dataset"])
    decided = decide_days(store, settings, account, dataset, days, accepts=accepts, by=by)
    number = counted(len(decided), "day")
    if not accepts:
        return {"message": f"Kept the rows of {number}.", "link": "/sessions?job=decide-windows"}
    done = (
        f"Accepted {number}: the next report is loaded. Dagster requests it within half a minute."
    )
    return {"message": done, "link": _LOADS}
