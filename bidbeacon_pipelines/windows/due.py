"""SQL that finds due windows, and accounts with due work."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, text

from bidbeacon_pipelines.accounts.queries import EXPORTS_MAY_START, IS_ACTIVE, IS_REFRESHED

DUE_SINCE = "greatest(w.next_refresh_at, a.first_seen_at, o.next_run_at)"
"""SQL expression for when window `w` fell due.

This is never before the account was first seen, or before the cadence allows the next refresh.
"""
IS_DUE = "w.next_refresh_at <= :now"
"""SQL condition that window `w` is due at `:now`."""

# Each part of the query has an index with exactly its rows. A window that was due when the ads
# account was last planned is in a plan already, or waits until the next window falls due.
_WITH_DUE_WORK = text(f"""
    SELECT o.ads_account_key
      FROM ads_accounts o
     WHERE o.needs_attention IS NULL AND (o.next_run_at IS NULL OR o.next_run_at <= :now)
       AND NOT EXISTS (SELECT FROM advertiser_accounts a
                        WHERE a.account_id = o.account_id AND {IS_ACTIVE}
                          AND a.entities_synced_at IS NULL
                          AND a.first_seen_at >= CAST(:now AS timestamptz) - interval '15 minutes')
       AND o.account_id IN (
           SELECT a.account_id
             FROM advertiser_accounts a JOIN ads_accounts o USING (account_id)
            CROSS JOIN LATERAL (
                  SELECT CAST(CAST(:now AS timestamptz) AT TIME ZONE a.time_zone AS date) AS date
                  ) today
             LEFT JOIN (SELECT account_id, country_code, count(DISTINCT dataset) AS datasets,
                               min(through_date) AS through_date
                          FROM dataset_windows WHERE dataset = ANY(:datasets)
                         GROUP BY account_id, country_code) made
                    USING (account_id, country_code)
            WHERE {IS_ACTIVE}
              AND (coalesce(made.datasets, 0) < cardinality(CAST(:datasets AS text[]))
                   OR made.through_date < today.date
                   OR EXISTS (SELECT FROM report_windows w
                               WHERE w.account_id = a.account_id AND w.country_code = a.country_code
                                 AND w.dataset = ANY(:datasets) AND w.request_id IS NULL
                                 AND w.next_refresh_at > coalesce(o.planned_at, '-infinity')
                                 AND w.next_refresh_at <= :now AND w.expires_at > :now)))
     ORDER BY o.last_run_at NULLS FIRST, o.ads_account_key""")


def list_ads_accounts_with_due_work(
    connection: Connection, *, now: datetime, datasets: Sequence[str]
) -> list[str]:
    """Return the keys of ads accounts with windows to create or with newly due windows.

    A window is newly due if it fell due after the last planning of its ads account. An ads account
    is left out until its cadence allows the next refresh. It is also left out until the entities of
    its countries are synced, for at most 15 minutes after a country was first seen. The least
    recently refreshed ads account comes first. Only windows of `datasets` count.
    """
    values = {"now": now, "datasets": list(datasets)}
    return list(connection.execute(_WITH_DUE_WORK, values).scalars())


# Each part of the query has an index with exactly its rows: a few dozen for an account without
# backlog and with 24 months of all datasets. A day that was refused as too old is left out while a
# younger day, which is requested alone, is refused or in a request.
_DAYS_TO_PLAN = text(f"""
    SELECT dataset, report, window_date, min(due_since) AS due_since,
           bool_or(is_wanted) AS is_wanted, count(*) AS windows,
           bool_or(is_alone) AND NOT bool_or(is_wanted) AS is_alone
      FROM (SELECT w.dataset, w.report, w.window_date,
                   least(w.next_refresh_at, :now) AS due_since,
                   w.wanted_by IS NOT NULL AS is_wanted,
                   w.refused_alone_at IS NOT NULL AS is_alone
              FROM report_windows w JOIN advertiser_accounts a USING (account_id, country_code)
             WHERE w.account_id = :account_id AND {IS_ACTIVE} AND {IS_DUE}
               AND w.request_id IS NULL AND w.expires_at > :now
               AND NOT (w.last_loaded_at IS NULL AND w.wanted_by IS NULL
                        AND w.cause ->> 'code' = 'report-too-old' AND EXISTS (
                            SELECT FROM report_windows y
                             WHERE y.account_id = w.account_id AND y.country_code = w.country_code
                               AND y.dataset = w.dataset AND y.report = w.report
                               AND y.window_date > w.window_date AND y.refused_alone_at IS NOT NULL
                               AND y.status <> 'not_served'
                               AND (y.request_id IS NOT NULL
                                    OR y.cause ->> 'code' = 'report-too-old')))
            UNION ALL
            SELECT w.dataset, w.report, w.window_date, NULL, true, false
              FROM report_windows w JOIN advertiser_accounts a USING (account_id, country_code)
             WHERE w.account_id = :account_id AND {IS_ACTIVE} AND w.wanted_by IS NOT NULL
               AND w.request_id IS NULL AND {IS_DUE} IS NOT TRUE AND w.expires_at > :now) days
     GROUP BY dataset, report, window_date""")


def list_days_to_plan(
    connection: Connection, account_id: str, *, now: datetime
) -> dict[tuple[str, str], list[Row[Any]]]:
    """Return, by dataset and report, the due or wanted days that are in no request yet.

    Expired days are left out. A day that Amazon refused as too old is left out while a younger day,
    which is requested alone, is in a request or still refused. Wanted and loaded days are not left
    out for this reason. Columns: dataset, report, window_date, due_since (when the first of the
    day's windows fell due, or None), is_wanted, windows (in how many countries the day is due or
    wanted) and is_alone (whether Amazon refused a report of only this day as too old, so that the
    day is requested alone again).
    """
    found: dict[tuple[str, str], list[Row[Any]]] = {}
    for row in connection.execute(_DAYS_TO_PLAN, {"account_id": account_id, "now": now}):
        found.setdefault((row.dataset, row.report), []).append(row)
    return found


_NEXT_DUE = text(f"""
    SELECT w.dataset, w.report, min(w.next_refresh_at)
      FROM report_windows w JOIN advertiser_accounts a USING (account_id, country_code)
     WHERE w.account_id = :account_id AND {IS_ACTIVE} AND w.request_id IS NULL
       AND w.next_refresh_at > :after AND w.next_refresh_at <= :until
     GROUP BY w.dataset, w.report""")


def list_next_due(
    connection: Connection, account_id: str, *, after: datetime, until: datetime
) -> dict[tuple[str, str], datetime]:
    """Return the first due time after `after` and up to `until`, by dataset and report."""
    rows = connection.execute(_NEXT_DUE, {"account_id": account_id, "after": after, "until": until})
    return {(dataset, report): due for dataset, report, due in rows}


def replan_released(connection: Connection, account_id: str, request_id: int) -> None:
    """Schedule a planning run if the last one left out due windows because of a request.

    Planning leaves out due windows that are in a request. This function clears `planned_at`. The
    caller must have released the request's windows and must hold the planning lock: otherwise a
    concurrent planning may set `planned_at` again.
    """
    connection.execute(
        text("""UPDATE ads_accounts o SET planned_at = NULL
                 WHERE account_id = :account_id
                   AND EXISTS (SELECT FROM report_windows w
                                WHERE w.account_id = o.account_id
                                  AND w.last_request_id = :request_id AND w.request_id IS NULL
                                  AND w.next_refresh_at <= o.planned_at)"""),
        {"account_id": account_id, "request_id": request_id},
    )


MOST_EXPORT_REFUSALS = 3
"""After this many refusals in a row, an account's exports are requested less often."""


def list_keys_without_entities(
    connection: Connection, *, now: datetime, synced_before: datetime, missed_before: datetime
) -> Sequence[str]:
    """Return the keys of active accounts whose entities are due for a sync.

    An account is due if it was never synced or was last synced before `synced_before`. It is also
    due if it was last synced before `missed_before` and rows with unknown targets were loaded
    since. Accounts are left out if a user has requested their sync or if Amazon throttles their
    exports. They are also left out if Amazon refused their exports `MOST_EXPORT_REFUSALS` times in
    a row, and the last refusal was after `missed_before`.
    """
    rows = connection.execute(
        text(f"""
            SELECT account_key
              FROM advertiser_accounts a JOIN ads_accounts o USING (account_id)
             WHERE {IS_REFRESHED} AND profile_id IS NOT NULL
               AND (export_refusals < {MOST_EXPORT_REFUSALS} OR export_refused_at <= :missed)
               AND a.entities_wanted_by IS NULL AND {EXPORTS_MAY_START}
               AND (entities_synced_at IS NULL OR entities_synced_at <= :synced
                    OR entities_synced_at < :missed AND EXISTS (
                       SELECT FROM report_windows w
                        WHERE w.account_id = a.account_id AND w.country_code = a.country_code
                          AND w.unresolved_count > 0 AND w.data_as_of > a.entities_synced_at))
             ORDER BY account_key"""),
        {"now": now, "synced": synced_before, "missed": missed_before},
    )
    return list(rows.scalars())
