"""The states of windows. The SQL function `window_states` is their only definition.

PostgreSQL inlines the function, so queries on it are planned like queries on the tables.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, text

from bidbeacon_pipelines.accounts.queries import STOP_WORD_ARMS
from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.datasets.registry import get_dataset
from bidbeacon_pipelines.windows.due import DUE_SINCE


class WindowState(StrEnum):
    """The state of a window, from best to worst."""

    FRESH = "fresh"
    """It has data, and no refresh is due."""
    MISSING = "missing"
    """It has no data yet, and its first refresh is not due."""
    DUE = "due"
    """Its next report is due, or wanted by a user, and not requested yet."""
    REQUESTED = "requested"
    """Its report is requested, and Amazon generates it."""
    LOADING = "loading"
    """Its report is complete and is being loaded."""
    NOT_SERVED = "not served"
    """Amazon refuses it as too old, or returned no rows and is not known to serve such old days."""
    PAUSED = "paused"
    """A person has paused its account."""
    DISABLED = "disabled"
    """Amazon has disabled its account."""
    LATE_AT_AMAZON = "late at Amazon"
    """Amazon takes far longer than usual to generate its report."""
    LATE = "late"
    """It has been due for longer than the tolerance `late_after`."""
    SUSPICIOUS = "suspicious"
    """A new report lacks nearly all loaded rows; a second report or a person must confirm it."""
    UNCONFIRMED = "unconfirmed"
    """Its report had no rows of a country with deliverable campaigns; it is requested again."""
    NEEDS_ATTENTION = "needs attention"
    """Amazon refuses its ads account, or our credentials."""
    FAILED = "failed"
    """Its report was given up or refused."""
    EXPIRED = "expired"
    """It was never loaded while Amazon served it."""


STOPPED: Final = (WindowState.PAUSED, WindowState.DISABLED, WindowState.NEEDS_ATTENTION)
"""The states of all windows of a stopped account."""

# Nothing is sent, polled or loaded for a stopped account, even if a window waits for a request. A
# loaded window that has expired keeps its data, even if its last refresh failed.
_STATE = f"""
       CASE {STOP_WORD_ARMS}
            WHEN w.request_id IS NOT NULL
            THEN CASE WHEN r.status = 'completed' THEN 'loading'
                      WHEN r.status = 'in_flight' AND r.late_at <= window_states.at
                      THEN 'late at Amazon'
                      ELSE 'requested' END
            WHEN w.last_loaded_at IS NULL AND w.expires_at <= window_states.at THEN 'expired'
            WHEN w.status = 'not_served' THEN 'not served'
            WHEN w.expires_at <= window_states.at THEN 'fresh'
            WHEN w.status = 'failed' THEN 'failed'
            WHEN w.status = 'unconfirmed' THEN 'unconfirmed'
            WHEN w.suspicious_digest IS NOT NULL THEN 'suspicious'
            WHEN w.next_refresh_at IS NOT NULL
             AND d.due_since <= window_states.at - window_states.late_after THEN 'late'
            WHEN w.wanted_by IS NOT NULL OR w.next_refresh_at <= window_states.at THEN 'due'
            WHEN w.last_loaded_at IS NULL THEN 'missing'
            ELSE 'fresh' END"""

_CAUSE = """
       CASE s.state
            WHEN 'paused'
            THEN jsonb_build_object(
                     'code', 'account-paused',
                     'detail', jsonb_strip_nulls(
                         jsonb_build_object('by', a.paused_by, 'account', a.account_key)))
            WHEN 'disabled' THEN jsonb_build_object('code', 'account-disabled')
            WHEN 'needs attention' THEN o.needs_attention
            WHEN 'expired' THEN jsonb_build_object('code', 'expired')
            WHEN 'late at Amazon' THEN jsonb_build_object('code', 'late-at-amazon')
            WHEN 'late' THEN jsonb_build_object('code', 'overdue')
            ELSE CASE WHEN w.request_id IS NULL THEN w.cause ELSE r.cause END END"""


def is_final_by(at: str) -> str:
    """Return the SQL condition that window `w` has data that is final at time `at`."""
    return f"""w.data_as_of IS NOT NULL AND w.not_served_since IS NULL
       AND (w.next_refresh_at IS NULL OR w.expires_at <= {at})"""


WINDOW_STATES_FUNCTION = f"""
CREATE FUNCTION window_states(at timestamptz, late_after interval)
RETURNS TABLE (
    account_id text, country_code text, account_key text, dataset text, report text,
    window_date date, state text, cause jsonb, since timestamptz, next_at timestamptz,
    as_of timestamptz, is_final boolean,
    status text, request_id bigint, is_suspicious boolean, next_refresh_at timestamptz,
    wanted_by text, last_loaded_at timestamptz, last_requested_at timestamptz,
    expires_at timestamptz, row_count bigint, due_since timestamptz, data_as_of timestamptz,
    not_served_since timestamptz, not_served text[])
LANGUAGE sql STABLE AS $$
SELECT w.account_id, w.country_code, a.account_key, w.dataset, w.report, w.window_date,
       s.state,{_CAUSE},
       CASE s.state
            WHEN 'late at Amazon' THEN r.late_at
            WHEN 'paused' THEN a.paused_at
            WHEN 'needs attention' THEN o.needs_attention_since
            WHEN 'expired' THEN w.expires_at
            WHEN 'not served' THEN w.not_served_since
            WHEN 'late' THEN d.due_since
            WHEN 'due'
            THEN CASE WHEN d.due_since <= window_states.at THEN d.due_since ELSE w.wanted_at END
            WHEN 'fresh' THEN w.last_loaded_at
            WHEN 'failed' THEN w.cause_since
            WHEN 'suspicious' THEN w.cause_since
            WHEN 'unconfirmed' THEN w.cause_since
            ELSE w.last_requested_at END,
       CASE WHEN s.state IN ('loading', 'requested', 'late at Amazon') THEN r.next_step_at
            WHEN s.state IN ('late', 'due')
            THEN greatest(window_states.at,
                          CASE WHEN w.wanted_by IS NULL THEN o.next_run_at END)
            WHEN s.state NOT IN ('paused', 'disabled', 'needs attention', 'expired')
            THEN w.next_refresh_at END,
       CASE WHEN w.not_served_since IS NULL THEN w.data_as_of END,
       {is_final_by("window_states.at")},
       w.status, w.request_id, w.suspicious_digest IS NOT NULL, w.next_refresh_at, w.wanted_by,
       w.last_loaded_at, w.last_requested_at, w.expires_at, w.row_count, d.due_since,
       w.data_as_of, w.not_served_since, w.not_served
  FROM report_windows w
  JOIN advertiser_accounts a ON a.account_id = w.account_id AND a.country_code = w.country_code
  JOIN ads_accounts o ON o.account_id = w.account_id
  LEFT JOIN report_requests r ON r.id = w.request_id
 CROSS JOIN LATERAL (SELECT {DUE_SINCE} AS due_since) d
 CROSS JOIN LATERAL (SELECT{_STATE} AS state) s
$$
"""
"""Each window with its state at an instant; see `docs/reference/states-and-terms.md`. Columns after
`is_final` are the window's own: conditions on them use its indexes."""

_IS_REQUESTED = "request_id IS NOT NULL"
_IS_NEVER_LOADED = "request_id IS NULL AND last_loaded_at IS NULL"
_IS_UNSETTLED = "(status IN ('failed', 'unconfirmed', 'not_served') OR is_suspicious)"
_CONDITIONS: Final[Mapping[WindowState, tuple[str, ...]]] = {
    WindowState.LOADING: (_IS_REQUESTED,),
    WindowState.REQUESTED: (_IS_REQUESTED,),
    WindowState.LATE_AT_AMAZON: (_IS_REQUESTED,),
    WindowState.NOT_SERVED: (_IS_UNSETTLED,),
    WindowState.FAILED: (_IS_UNSETTLED,),
    WindowState.UNCONFIRMED: (_IS_UNSETTLED,),
    WindowState.SUSPICIOUS: (_IS_UNSETTLED,),
    WindowState.EXPIRED: (f"{_IS_NEVER_LOADED} AND expires_at <= :at",),
    WindowState.MISSING: (f"{_IS_NEVER_LOADED} AND expires_at > :at",),
    WindowState.LATE: ("request_id IS NULL AND next_refresh_at <= :at",),
    WindowState.DUE: (
        "request_id IS NULL AND next_refresh_at <= :at",
        "request_id IS NULL AND wanted_by IS NOT NULL AND (next_refresh_at <= :at) IS NOT TRUE",
    ),
}
"""Indexed conditions that few rows meet; each window meets one condition of its state."""


def windows_in(states: Iterable[WindowState], *, columns: str = "*", where: str = "true") -> str:
    """Return a SQL query that uses indexes to select the windows in the given rare states.

    All states are rare except `fresh` and those of stopped accounts. `columns` (to select) and
    `where` (a further condition) refer to columns of `window_states`.
    """
    by_condition = defaultdict[str, list[WindowState]](list)
    for state in states:
        for condition in _CONDITIONS[state]:
            by_condition[condition].append(state)
    return " UNION ALL ".join(
        f"""
        SELECT {columns} FROM window_states(:at, :late_after)
         WHERE {condition} AND state IN ({", ".join(f"'{state}'" for state in of)}) AND {where}"""
        for condition, of in by_condition.items()
    )


def state_values(at: datetime, late_after: timedelta) -> dict[str, Any]:
    """Return the parameters of queries on `window_states`."""
    return {"at": at, "late_after": late_after}


_COUNTS = text("""
    SELECT dataset, state, count(*) AS windows FROM window_states(:at, :late_after)
     WHERE account_id = :account_id AND country_code = :country_code GROUP BY dataset, state""")


def count_states(
    connection: Connection, account: Account, at: datetime, late_after: timedelta
) -> dict[str, dict[WindowState, int]]:
    """Return how many windows of each dataset of an account are in each state."""
    rows = connection.execute(_COUNTS, account.identity | state_values(at, late_after))
    counted = defaultdict[str, dict[WindowState, int]](dict)
    for row in rows:
        counted[row.dataset][WindowState(row.state)] = row.windows
    return counted


def count_json(dataset: str, states: Mapping[WindowState, int]) -> dict[str, Any]:
    """Return the number of a dataset's windows, total and by state, as JSON data for pages."""
    return {
        "name": dataset,
        "title": get_dataset(dataset).title,
        "windows": sum(states.values()),
        "states": {str(state): states[state] for state in WindowState if states.get(state)},
    }


_LATE_STATES = (WindowState.LATE, WindowState.LATE_AT_AMAZON)
_LATE = text(f"""
    SELECT account_key, count(*) AS windows, min(window_date) AS oldest,
           max(window_date) AS newest, min(since) AS since
      FROM ({windows_in(_LATE_STATES, where="dataset = :dataset")}) late
     GROUP BY account_key ORDER BY since, account_key""")


def list_late_accounts(
    connection: Connection, dataset: str, at: datetime, late_after: timedelta
) -> list[RowMapping]:
    """Return the accounts with late windows of a dataset, the longest late first."""
    values = {"dataset": dataset} | state_values(at, late_after)
    return list(connection.execute(_LATE, values).mappings())
