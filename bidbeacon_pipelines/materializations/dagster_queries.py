"""SQL on Dagster's own tables: lost materializations, and events of old runs.

Dagster may change these tables; tests run the statements with the version in use.
"""

from datetime import date, datetime

from sqlalchemy import Connection, text

from bidbeacon_pipelines.datasets.registry import Dataset
from bidbeacon_pipelines.windows.queries import IS_COMPLETE


def _has_run_events(connection: Connection) -> bool:
    """Return whether Dagster stores its events in schema `dagster` of this database."""
    return bool(
        connection.execute(
            text("SELECT to_regclass('dagster.event_logs') IS NOT NULL")
        ).scalar_one()
    )


# Events from before an asset was wiped stay in the table, but Dagster does not show them.
# A day's materialization is from the run that recorded the last load of any of its windows. Windows
# that are not served have none.
_UNMARK = text(f"""
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


def unmark_lost_days(connection: Connection, dataset: Dataset, *, first_day: date) -> int:
    """Mark windows as unrecorded if Dagster lost their day's materialization; return how many.

    This happens when Dagster's events are deleted, or when its tables or ours are restored to an
    earlier state. If Dagster's events are not in this database, nothing is done. `first_day` is
    the first day that has a partition in Dagster.
    """
    if not _has_run_events(connection):
        return 0
    asset_key = f'["{dataset.name}"]'
    values = {"dataset": dataset.name, "asset_key": asset_key, "first_day": first_day}
    return connection.execute(_UNMARK, values).rowcount


_KEPT_OF_A_RUN = ("PIPELINE_START", "PIPELINE_SUCCESS", "PIPELINE_FAILURE", "PIPELINE_CANCELED")
"""The event types from which Dagster's page of a run shows its start, end and status."""

# Check results have no asset key in this table, so event types are compared too. To avoid
# reading all runs, only those since two days before the oldest run with events of steps are read;
# an index on event types finds that run.
_DELETE = text("""
    WITH oldest AS (
        SELECT r.create_timestamp - interval '2 days' AS at
          FROM dagster.event_logs e JOIN dagster.runs r ON r.run_id = e.run_id
         WHERE e.dagster_event_type = 'STEP_START' ORDER BY e.id LIMIT 1),
    old AS (
        SELECT e.id
          FROM dagster.runs r
         CROSS JOIN LATERAL (
               SELECT l.id FROM dagster.event_logs l
                WHERE l.run_id = r.run_id AND l.asset_key IS NULL
                  AND coalesce(l.dagster_event_type, '') NOT LIKE 'ASSET\\_%'
                  AND coalesce(l.dagster_event_type, '') <> ALL(:kept)) e
         WHERE r.status IN ('SUCCESS', 'FAILURE', 'CANCELED')
           AND coalesce(r.end_time, extract(epoch FROM r.update_timestamp))
               < extract(epoch FROM CAST(:before AS timestamptz))
           AND r.create_timestamp >= (SELECT at FROM oldest)
         ORDER BY r.id LIMIT :most)
    DELETE FROM dagster.event_logs l USING old WHERE l.id = old.id""")


def delete_run_events(connection: Connection, before: datetime, most: int) -> int:
    """Delete at most `most` events of runs that ended before an instant; return their number.

    The oldest runs come first. All events of assets are kept: materializations, observations and
    checks, also planned ones. The start and the end of each run are kept too. If Dagster's events
    are not in this database, nothing is done.
    """
    if not _has_run_events(connection):
        return 0
    values = {"before": before, "most": most, "kept": list(_KEPT_OF_A_RUN)}
    return connection.execute(_DELETE, values).rowcount
