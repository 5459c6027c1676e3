"""Counts the windows of all accounts by state, without reading most of them.

`window_states` defines the states. States that many windows may have are counted from covering
indexes; the number of fresh windows is the total minus the others.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, RowMapping, text

from bidbeacon_pipelines.accounts.queries import ACCOUNT_LABEL, IS_REFRESHED, STOP_WORD
from bidbeacon_pipelines.states.window_states import WindowState, state_values, windows_in

_REQUESTED = (WindowState.LOADING, WindowState.REQUESTED, WindowState.LATE_AT_AMAZON)
_WAITING = (*_REQUESTED, WindowState.LATE, WindowState.DUE)
_COLUMNS = (
    "dataset, state, account_id, country_code, window_date, since, next_at, "
    "cause - 'detail' AS cause"
)
_MISSING = windows_in([WindowState.MISSING], columns=_COLUMNS, where="status = 'missing'")

# All windows of a stopped account are in the state of the account. Rows without a cause are counts
# by state; of these, the row without a state counts all windows of the dataset.
_SUMMARY = text(f"""
    WITH active AS MATERIALIZED (
        SELECT a.account_id, a.country_code, a.account_key, {ACCOUNT_LABEL} AS label
          FROM advertiser_accounts a JOIN ads_accounts o USING (account_id)
         WHERE {IS_REFRESHED}),
    unsettled AS MATERIALIZED (
        SELECT w.*, CASE WHEN status = 'not_served' THEN 'not served'
                         WHEN status IN ('failed', 'unconfirmed') THEN status
                         ELSE 'suspicious' END AS state, a.account_key, a.label
          FROM (SELECT account_id, country_code, dataset, status, cause_key, count(*) AS windows,
                       min(CASE status WHEN 'not_served' THEN not_served_since
                                       ELSE cause_since END) AS since,
                       min(next_refresh_at) AS next_at, max(window_date) AS newest
                  FROM report_windows
                 WHERE (status IN ('failed', 'unconfirmed', 'not_served')
                        OR suspicious_digest IS NOT NULL)
                   AND request_id IS NULL
                   AND (expires_at > :at OR status = 'not_served' AND last_loaded_at IS NOT NULL)
                 GROUP BY account_id, country_code, dataset, status, cause_key) w
          JOIN active a USING (account_id, country_code)),
    waiting AS MATERIALIZED (
        SELECT * FROM ({windows_in(_WAITING, columns=_COLUMNS)} UNION ALL {_MISSING}) w),
    late AS (
        SELECT dataset, state, cause, account_id, country_code, count(*) AS windows,
               min(since) AS since, min(next_at) AS next_at, max(window_date) AS newest
          FROM waiting WHERE state IN ('late', 'late at Amazon')
         GROUP BY 1, 2, 3, 4, 5),
    made AS (
        SELECT d.dataset, d.windows, {STOP_WORD} AS stopped
          FROM dataset_windows d
          JOIN advertiser_accounts a USING (account_id, country_code)
          JOIN ads_accounts o USING (account_id)),
    counted AS (
        SELECT dataset, state, windows FROM unsettled
        UNION ALL SELECT dataset, state, 1 FROM waiting
        UNION ALL
        SELECT dataset, 'expired', windows
          FROM (SELECT account_id, country_code, dataset, count(*) AS windows
                  FROM report_windows
                 WHERE last_loaded_at IS NULL AND expires_at <= :at AND request_id IS NULL
                 GROUP BY account_id, country_code, dataset) w
          JOIN active USING (account_id, country_code)
        UNION ALL SELECT dataset, stopped, windows FROM made WHERE stopped IS NOT NULL
        UNION ALL SELECT dataset, NULL, windows FROM made),
    groups AS (
        SELECT dataset, state, cause_key, CAST(NULL AS jsonb) AS cause, account_key, label, windows,
               since, next_at, newest
          FROM unsettled
        UNION ALL
        SELECT dataset, state, NULL, cause, account_key, label, windows, since, next_at, newest
          FROM late JOIN active USING (account_id, country_code)),
    alike AS (
        SELECT dataset, state, cause_key, cause, CAST(sum(windows) AS bigint) AS windows,
               count(*) AS accounts, min(since) AS since, min(next_at) AS next_at,
               max(newest) AS newest, (array_agg(label))[1:3] AS names,
               (array_agg(account_key))[1] AS account_key
          FROM groups GROUP BY 1, 2, 3, 4)
    SELECT dataset, state, windows, accounts, since, next_at, newest, names, account_key,
           coalesce(cause,
                    (SELECT w.cause
                       FROM report_windows w JOIN active a USING (account_id, country_code)
                      WHERE a.account_key = alike.account_key AND w.dataset = alike.dataset
                        AND w.cause_key = alike.cause_key
                        AND (w.status IN ('failed', 'unconfirmed', 'not_served')
                             OR w.suspicious_digest IS NOT NULL) LIMIT 1),
                    jsonb_build_object('code', 'other')) AS cause
      FROM alike
    UNION ALL
    SELECT dataset, state, CAST(sum(windows) AS bigint), NULL, NULL, NULL, NULL, NULL, NULL, NULL
      FROM counted GROUP BY 1, 2
     ORDER BY windows DESC, dataset""")


@dataclass(frozen=True)
class WindowSummary:
    """The number of windows in each state, and groups of windows in unusual states.

    Attributes:
        counts: The number of windows by dataset and state; states without windows are left out.
        unsettled: Windows of active accounts that failed, are late, are not served or wait for a
            second report, grouped by state, cause and dataset, the largest group first. Columns:
            dataset, state, cause (of one window), windows and accounts (their numbers), since (when
            the problem began), next_at (the next due time), newest (the newest day), names
            (of at most three accounts) and account_key (of the first account).
    """

    counts: Mapping[str, Mapping[WindowState, int]]
    unsettled: Sequence[RowMapping]


def summarize_windows(connection: Connection, at: datetime, late_after: timedelta) -> WindowSummary:
    """Return all windows by state at an instant, and groups of windows in unusual states."""
    made: dict[str, int] = {}
    counts: dict[str, dict[WindowState, int]] = {}
    unsettled: list[RowMapping] = []
    for row in connection.execute(_SUMMARY, state_values(at, late_after)).mappings():
        if row["cause"] is not None:
            unsettled.append(row)
        elif row["state"] is None:
            made[row["dataset"]] = row["windows"]
        elif row["windows"]:
            counts.setdefault(row["dataset"], {})[WindowState(row["state"])] = row["windows"]
    for dataset, windows in made.items():
        states = counts.setdefault(dataset, {})
        if (fresh := windows - sum(states.values())) > 0:
            states[WindowState.FRESH] = fresh
    return WindowSummary(counts, unsettled)
