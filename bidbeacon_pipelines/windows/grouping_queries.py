"""SQL that replaces a dataset's windows after its ad products move to other reports.

All windows of a day are replaced together. If one of them is in a request, or locked by another
transaction, the day is busy and is replaced later.
"""

from collections.abc import Collection, Mapping
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, text

from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.datasets.fields import products_of
from bidbeacon_pipelines.windows.queries import (
    IS_COMPLETE,
    OF_DATASET,
    WindowTimes,
    record_again,
    times_values,
)
from bidbeacon_sessions.writes import json_text

_OTHERS = f"{OF_DATASET} AND report <> ALL(:kept)"


def lock_other_windows(
    connection: Connection, account: Account, dataset: str, kept: Collection[str]
) -> tuple[dict[str, list[date]], set[date]]:
    """Lock the windows of a dataset of an account, except those of the reports `kept`.

    Return the days of all these windows by report, and the busy days: those with a window that is
    in a request or locked by another transaction.
    """
    values = account.identity | {"dataset": dataset, "kept": list(kept)}
    windows = f"SELECT report, window_date FROM report_windows WHERE {_OTHERS}"
    found = connection.execute(text(windows), values).all()
    lock = text(f"{windows} AND request_id IS NULL FOR UPDATE SKIP LOCKED")
    locked = {(row.report, row.window_date) for row in connection.execute(lock, values)}
    days: dict[str, list[date]] = {}
    for report, day in found:
        days.setdefault(report, []).append(day)
    return days, {day for report, day in found if (report, day) not in locked}


# Quarantined and unresolved rows are counted per window, not per ad product. The new window with
# the old window's first ad product gets these counts.
_REPLACE = text(f"""
    WITH old AS (
        SELECT * FROM report_windows
         WHERE {OF_DATASET} AND report = ANY(:old) AND window_date = ANY(:days)),
    totals AS (
        SELECT window_date, jsonb_object_agg(p.key, p.value) AS product_totals,
               sum(CAST(p.value ->> 'rows' AS bigint)) AS row_count,
               sum(CAST(p.value ->> 'spend' AS numeric)) AS spend,
               sum(CAST(p.value ->> 'sales' AS numeric)) AS sales
          FROM old CROSS JOIN LATERAL jsonb_each(old.product_totals) p
         WHERE load_count > 0 AND p.key = ANY(:ad_products)
         GROUP BY window_date),
    unserved AS (
        SELECT window_date, array_agg(DISTINCT ad_product ORDER BY ad_product) AS not_served
          FROM (SELECT window_date, unnest(not_served) AS ad_product FROM old
                 UNION ALL
                SELECT window_date, jsonb_array_elements_text(CAST(:products_of AS jsonb) -> report)
                  FROM old WHERE status = 'not_served' AND load_count = 0) products
         WHERE ad_product = ANY(:ad_products) GROUP BY window_date),
    loads AS (
        SELECT window_date,
               least(min(next_refresh_at), CASE WHEN bool_or(status = 'failed') THEN :now END)
                   AS due_at,
               min(data_as_of) AS data_as_of, max(first_data_as_of) AS first_data_as_of,
               max(last_loaded_at) AS last_loaded_at,
               max(last_requested_at) AS last_requested_at, max(last_request_id) AS last_request_id,
               (array_agg(loaded_by_request ORDER BY data_as_of))[1] AS loaded_by_request,
               max(load_count) AS load_count,
               CASE WHEN bool_and(recorded_load_count = load_count) THEN max(load_count) ELSE 0 END
                   AS recorded_load_count,
               (array_agg(recorded_run_id ORDER BY last_loaded_at DESC))[1] AS recorded_run_id,
               bool_and(next_refresh_at IS NULL AND suspicious_digest IS NULL) AS is_final,
               (array_agg(cause ORDER BY cause_since) FILTER (WHERE not_served_since IS NULL))[1]
                   AS cause,
               min(cause_since) FILTER (WHERE not_served_since IS NULL) AS cause_since,
               CASE WHEN bool_and(not_served_since IS NOT NULL) THEN min(not_served_since) END
                   AS not_served_since,
               (array_agg(decision ORDER BY decided_at))[1] AS decision,
               (array_agg(decided_by ORDER BY decided_at))[1] AS decided_by,
               min(decided_at) AS decided_at,
               coalesce(sum(quarantined_count) FILTER (
                   WHERE split_part(report, '+', 1)
                         = ANY(string_to_array(CAST(:report AS text), '+'))), 0)
                   AS quarantined_count,
               coalesce(sum(unresolved_count) FILTER (
                   WHERE split_part(report, '+', 1)
                         = ANY(string_to_array(CAST(:report AS text), '+'))), 0)
                   AS unresolved_count
          FROM old WHERE load_count > 0 GROUP BY window_date),
    known AS (
        SELECT * FROM totals JOIN loads USING (window_date) LEFT JOIN unserved USING (window_date)
         WHERE NOT EXISTS (
               SELECT unnest(CAST(:needed AS text[]))
               EXCEPT SELECT jsonb_object_keys(product_totals)
               EXCEPT SELECT unnest(not_served))),
    ended AS (
        SELECT window_date, min(next_refresh_at) FILTER (WHERE status = 'not_served') AS due_at,
               min(refused_alone_at) AS refused_alone_at,
               coalesce(min(not_served_since), :now) AS not_served_since,
               coalesce((array_agg(cause) FILTER (WHERE status = 'not_served'))[1],
                        '{{"code": "not-served"}}') AS cause
          FROM old JOIN unserved u USING (window_date)
         WHERE u.not_served @> CAST(:needed AS text[]) GROUP BY window_date),
    wanted AS (
        SELECT window_date, min(wanted_at) AS at,
               (array_agg(wanted_by ORDER BY wanted_at))[1] AS by,
               (array_agg(claimed_by ORDER BY wanted_at))[1] AS claimed_by
          FROM old WHERE wanted_at IS NOT NULL OR claimed_by IS NOT NULL GROUP BY window_date)
    INSERT INTO report_windows (
           account_id, country_code, dataset, report, window_date, status, next_refresh_at,
           expires_at, data_as_of, first_data_as_of, last_loaded_at, last_requested_at,
           last_request_id, loaded_by_request, load_count, recorded_load_count, recorded_run_id,
           product_totals, row_count, spend, sales, quarantined_count, unresolved_count,
           wanted_by, wanted_at, claimed_by, refused_alone_at, not_served_since, not_served,
           cause, cause_since, decision, decided_by, decided_at)
    SELECT :account_id, :country_code, :dataset, :report, day,
           CASE WHEN k.load_count > 0 THEN 'loaded' WHEN n.expires_at <= :now THEN 'expired'
                WHEN e.not_served_since IS NOT NULL THEN 'not_served' ELSE 'missing' END,
           CASE WHEN k.load_count > 0 THEN k.due_at WHEN n.expires_at <= :now THEN NULL
                WHEN e.not_served_since IS NOT NULL THEN e.due_at ELSE n.due_at END, n.expires_at,
           k.data_as_of, k.first_data_as_of, k.last_loaded_at, k.last_requested_at,
           k.last_request_id, k.loaded_by_request,
           coalesce(k.load_count, 0), coalesce(k.recorded_load_count, 0), k.recorded_run_id,
           coalesce(k.product_totals, '{{}}'), k.row_count, k.spend, k.sales,
           k.quarantined_count, k.unresolved_count, wanted.by, wanted.at, wanted.claimed_by,
           e.refused_alone_at, coalesce(k.not_served_since, e.not_served_since),
           coalesce(k.not_served, '{{}}'),
           CASE WHEN k.is_final THEN k.cause ELSE e.cause END,
           CASE WHEN k.is_final THEN k.cause_since END, CASE WHEN k.is_final THEN k.decision END,
           CASE WHEN k.is_final THEN k.decided_by END, CASE WHEN k.is_final THEN k.decided_at END
      FROM unnest(CAST(:days AS date[]), CAST(:due AS timestamptz[]),
                  CAST(:expiries AS timestamptz[])) AS n(day, due_at, expires_at)
      LEFT JOIN known k ON k.window_date = n.day
      LEFT JOIN ended e ON e.window_date = n.day AND n.expires_at > :now AND k.load_count IS NULL
      LEFT JOIN wanted ON wanted.window_date = n.day
    ON CONFLICT DO NOTHING""")


def replace_windows(
    connection: Connection,
    account: Account,
    dataset: str,
    report: str,
    old: Collection[str],
    times: Mapping[date, WindowTimes],
    *,
    ad_products: Collection[str],
    needed: Collection[str],
    now: datetime,
) -> int:
    """Create windows of a report from the state of the windows of the former reports `old`.

    Return how many were created. The caller must have locked the old windows. A new window has the
    earliest `data_as_of` and due time of its old windows, and their highest number of loads. If an
    old window failed, the new one is due now. `needed` are the report's ad products with campaigns.

    A new window is `loaded` on two conditions: an old window was loaded, and each needed ad product
    was loaded or is not served. Its column `not_served` lists those not served. The caller decides
    later whether the whole window is not served. Any other new window is `expired` if its day is
    too old, `not_served` if Amazon serves none of the needed ad products, and `missing` otherwise.
    `times` has, by day, the due time of a window without data, and the expiry of any window.
    """
    values: dict[str, Any] = account.identity | {"dataset": dataset, "report": report, "now": now}
    values |= {"ad_products": list(ad_products), "needed": list(needed), "old": list(old)}
    values["products_of"] = json_text({name: products_of(name) for name in old})
    return connection.execute(_REPLACE, values | times_values(times)).rowcount


def delete_other_windows(
    connection: Connection,
    account: Account,
    dataset: str,
    *,
    kept: Collection[str],
    busy: Collection[date],
    today: date,
) -> None:
    """Delete the windows of a dataset, except those of the reports `kept` and of busy days.

    Busy days keep their windows. A later refresh replaces them: when their request has ended, or
    on the local day after `today`.
    """
    lists = {"kept": list(kept), "busy": list(busy)}
    values = account.identity | {"dataset": dataset, "today": today} | lists
    deleted = connection.execute(
        text(f"""
            DELETE FROM report_windows WHERE {_OTHERS} AND window_date <> ALL(:busy)
         RETURNING window_date, {IS_COMPLETE.format("report_windows")} AS is_complete"""),
        values,
    )
    incomplete = {row.window_date for row in deleted if not row.is_complete}
    record_again(connection, account, dataset, sorted(incomplete))
    for statement in (
        f"""UPDATE dataset_windows d
               SET windows = (SELECT count(*) FROM report_windows w
                               WHERE (w.account_id, w.country_code, w.dataset, w.report)
                                   = (d.account_id, d.country_code, d.dataset, d.report)),
                   through_date = :today
             WHERE {_OTHERS}""",
        f"DELETE FROM dataset_windows WHERE {_OTHERS} AND windows = 0",
    ):
        connection.execute(text(statement), values)
