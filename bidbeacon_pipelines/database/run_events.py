"""SQL on Dagster's own tables: the events of old runs.

They have no promise; tests keep these statements to the version we use.
"""

from datetime import datetime

from sqlalchemy import Connection, text

KEPT_OF_A_RUN = ("PIPELINE_START", "PIPELINE_SUCCESS", "PIPELINE_FAILURE", "PIPELINE_CANCELED")
"""The event types that Dagster's page of a run needs to show its start, end and status."""

# Check results have no asset key in this table, which is why event types are looked at too. The
# walk over runs begins two days before the oldest one that still has its steps' events, so that it
# costs no look at all runs there ever were; an index on event types finds that one.
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
           AND coalesce(r.end_time, extract(epoch FROM r.update_timestamp)) < extract(epoch FROM CAST(:before AS timestamptz))
           AND r.create_timestamp >= (SELECT at FROM oldest)
         ORDER BY r.id LIMIT :most)
    DELETE FROM dagster.event_logs l USING old WHERE l.id = old.id""")


def has_run_events(connection: Connection) -> bool:
    """Return whether Dagster keeps its events in this database, in schema `dagster`."""
    return bool(
        connection.execute(
            text("SELECT to_regclass('dagster.event_logs') IS NOT NULL")
        ).scalar_one()
    )


def delete_run_events(connection: Connection, before: datetime, most: int) -> int:
    """Delete events of runs that ended before an instant, `most` at most, oldest runs first; return how many.

    What is known of assets stays: materializations, observations, checks, and what was planned of
    them. So does when a run began, and when and how it ended.
    """
    values = {"before": before, "most": most, "kept": list(KEPT_OF_A_RUN)}
    return connection.execute(_DELETE, values).rowcount
