"""SQL on Dagster's own tables; tests check it for the version in use."""

from datetime import date

from sqlalchemy import Connection, text

from bidbeacon_pipelines.database.run_events import has_run_events
from bidbeacon_pipelines.datasets.registry import Dataset
from bidbeacon_pipelines.windows.queries import IS_COMPLETE

# A wiped asset keeps its events in the table, but Dagster shows only later ones.
# A day is recorded by its last load, of any of its windows. Windows not served are not recorded.
_FORGET = text(f"""
    WITH days AS (
        SELECT w.account_id, w.country_code, w.window_date,
               (array_agg(CAST(w.recorded_run_id AS text) ORDER BY w.last_loaded_at DESC NULLS LAST)
                  FILTER (WHERE w.not_served_since IS NULL))[1] AS run_id
          FROM report_windows w
         WHERE w.dataset = :dataset AND w.window_date >= :first_day
         GROUP BY w.account_id, w.country_code, w.window_date
        HAVING bool_and(w.recorded_load_count = w.load_count)
           AND bool_and({IS_COMPLETE.format("w")})
           AND max(w.load_count) FILTER (WHERE w.not_served_since IS NULL) > 0)
    UPDATE report_windows w
       SET recorded_load_count = 0
      FROM days d
      JOIN advertiser_accounts a USING (account_id, country_code)
     WHERE w.account_id = d.account_id AND w.country_code = d.country_code
       AND w.window_date = d.window_date AND w.dataset = :dataset
       AND w.load_count > 0 AND w.not_served_since IS NULL
       AND d.run_id IS DISTINCT FROM (
           SELECT e.run_id
             FROM dagster.event_logs e
            WHERE e.asset_key = :asset_key AND e.dagster_event_type = 'ASSET_MATERIALIZATION'
              AND e.partition = a.account_key || '|' || CAST(w.window_date AS text)
              AND e.timestamp > coalesce(
                      (SELECT k.wipe_timestamp
                         FROM dagster.asset_keys k
                        WHERE k.asset_key = :asset_key), '-infinity')
            ORDER BY e.id DESC
            LIMIT 1)""")


def forget_lost_recordings(connection: Connection, dataset: Dataset, *, first_day: date) -> int:
    """Mark loads as unrecorded whose materialization Dagster no longer has; return the number.

    This happens when Dagster's events are deleted, or when its tables or ours are restored to an
    earlier state. Without Dagster's events in this database nothing is done. `first_day` is the
    first day that is a partition.
    """
    if not has_run_events(connection):
        return 0
    asset_key = f'["{dataset.asset_name}"]'
    values = {"dataset": dataset.name, "asset_key": asset_key, "first_day": first_day}
    return connection.execute(_FORGET, values).rowcount
