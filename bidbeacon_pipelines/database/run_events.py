"""SQL on Dagster's own tables: the events of old runs.

Dagster may change these tables; tests run the statements with the version we use.
"""

from datetime import datetime

from sqlalchemy import Connection, text

KEPT_OF_A_RUN = ("PIPELINE_START", "PIPELINE_SUCCESS", "PIPELINE_FAILURE", "PIPELINE_CANCELED")
"""The event types from which Dagster's page of a run shows its start, end and status."""

# Check results have no asset key in this table, so event types are compared too. Runs are read from
# two days before the oldest one that still has its steps' events, so that not all runs are read; an
# index on event types finds that one.
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


def has_run_events(connection: Connection) -> bool:
    """Return whether Dagster stores its events in schema `dagster` of this database."""
    return bool(
        connection.execute(
            text("SELECT to_regclass('dagster.event_logs') IS NOT NULL")
        ).scalar_one()
    )


def delete_run_events(connection: Connection, before: datetime, most: int) -> int:
    """Delete at most `most` events of runs that ended before an instant; return their number.

    The oldest runs come first. All events of assets are kept (materializations, observations,
    checks, and plans of them); so are the start and the end of each run.
    """
    values = {"before": before, "most": most, "kept": list(KEPT_OF_A_RUN)}
    return connection.execute(_DELETE, values).rowcount
