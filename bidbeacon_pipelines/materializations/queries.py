"""SQL on loaded days: which of them are recorded in Dagster."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from sqlalchemy import Connection, Row, text

from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.windows.queries import IS_COMPLETE

_LOADED_DAYS = f"""
    SELECT d.account_id, d.country_code, a.account_key, a.currency_code, d.dataset, d.window_date,
           t.*,
           (SELECT l.session_id FROM report_loads l
             WHERE l.request_id = ANY(t.requests) AND l.account_id = d.account_id
               AND l.country_code = d.country_code
             ORDER BY l.loaded_at DESC LIMIT 1) AS session_id,
           (SELECT count(*) FROM restatements s
             WHERE s.account_id = d.account_id AND s.country_code = d.country_code
               AND s.dataset = d.dataset AND s.window_date = d.window_date
               AND s.request_id = ANY(t.requests)) AS restated_count
      FROM days d
      JOIN advertiser_accounts a USING (account_id, country_code)
     CROSS JOIN LATERAL (
           SELECT bool_and({IS_COMPLETE.format("w")}) AS is_complete,
                  coalesce(jsonb_object_agg(w.report, w.load_count)
                               FILTER (WHERE w.load_count > w.recorded_load_count), '{{}}')
                      AS new_loads,
                  CAST(sum(w.load_count) FILTER (WHERE w.not_served_since IS NULL) AS integer)
                      AS load_count,
                  CAST(sum(w.row_count) AS bigint) AS row_count,
                  CAST(sum(w.quarantined_count) AS bigint) AS quarantined_count,
                  CAST(sum(w.unresolved_count) AS bigint) AS unresolved_count,
                  sum(w.spend) AS spend, sum(w.sales) AS sales,
                  max(w.last_loaded_at) AS last_loaded_at,
                  min(w.data_as_of) FILTER (WHERE w.not_served_since IS NULL) AS data_as_of,
                  array_agg(w.loaded_by_request) AS requests
             FROM report_windows w
            WHERE w.account_id = d.account_id AND w.country_code = d.country_code
              AND w.dataset = d.dataset AND w.window_date = d.window_date) t
     WHERE t.load_count > 0
     ORDER BY a.account_key, d.dataset, d.window_date DESC"""
_UNRECORDED = text(f"""
    WITH unrecorded AS (
        SELECT w.account_id, w.country_code, w.dataset, w.window_date
          FROM report_windows w WHERE w.recorded_load_count < w.load_count
         ORDER BY w.account_id, w.country_code, w.dataset, w.window_date DESC
         LIMIT :limit FOR UPDATE SKIP LOCKED),
    days AS (SELECT DISTINCT * FROM unrecorded) {_LOADED_DAYS}""")
_OF_DAYS = text(f"""
    WITH days AS (
        SELECT :account_id AS account_id, :country_code AS country_code, :dataset AS dataset,
               day AS window_date
          FROM unnest(CAST(:days AS date[])) AS day) {_LOADED_DAYS}""")


def lock_unrecorded_days(connection: Connection, *, limit: int = 1_000) -> Sequence[Row[Any]]:
    """Lock and return the days with loads that are not recorded in Dagster, newest first.

    At most `limit` windows are locked, until the transaction ends. Windows that another transaction
    has locked, to record or load them, are skipped.

    Columns: account_id, country_code, account_key, currency_code, dataset, window_date, is_complete
        (whether each window is loaded, expired or not served), new_loads (for each report with
        unrecorded loads, the number of its last load), restated_count, last_loaded_at, session_id
        (of the last load), data_as_of (when the oldest loaded report was requested), and the sums
        load_count, row_count, quarantined_count, unresolved_count, spend and sales. Windows that
        are not served count as empty.
    """
    return connection.execute(_UNRECORDED, {"limit": limit}).all()


def list_loaded_days(
    connection: Connection, account: Account, dataset: str, days: Sequence[date]
) -> Sequence[Row[Any]]:
    """Return the loaded days in `days`, newest first; columns as in `lock_unrecorded_days`."""
    values = account.identity | {"dataset": dataset, "days": list(days)}
    return connection.execute(_OF_DAYS, values).all()


_RECORD = text("""
    UPDATE report_windows w
       SET recorded_load_count = greatest(w.recorded_load_count, r.loads),
           recorded_run_id = :run_id
      FROM unnest(CAST(:accounts AS text[]), CAST(:countries AS text[]), CAST(:datasets AS text[]),
                  CAST(:days AS date[]), CAST(:reports AS text[]), CAST(:loads AS integer[]))
           AS r(account_id, country_code, dataset, day, report, loads)
     WHERE w.account_id = r.account_id AND w.country_code = r.country_code
       AND w.dataset = r.dataset AND w.window_date = r.day AND w.report = r.report""")


def mark_days_recorded(connection: Connection, days: Sequence[Row[Any]], run_id: str) -> None:
    """Store that a run has recorded the new loads of these days in Dagster."""
    loads = [(day, report, number) for day in days for report, number in day.new_loads.items()]
    values = {
        "run_id": run_id,
        "accounts": [day.account_id for day, _, _ in loads],
        "countries": [day.country_code for day, _, _ in loads],
        "datasets": [day.dataset for day, _, _ in loads],
        "days": [day.window_date for day, _, _ in loads],
        "reports": [report for _, report, _ in loads],
        "loads": [number for _, _, number in loads],
    }
    connection.execute(_RECORD, values)
