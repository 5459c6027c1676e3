"""Dagster's retention job: deletes old records once a day."""

from dagster import (
    DefaultScheduleStatus,
    OpExecutionContext,
    ScheduleDefinition,
    in_process_executor,
    job,
    op,
)

from bidbeacon_pipelines.database.clock import DatabaseClock
from bidbeacon_pipelines.defs.resources import BidBeaconSessions
from bidbeacon_pipelines.services.retention import delete_old_records as delete_all_old_records
from bidbeacon_pipelines.settings import get_settings
from bidbeacon_sessions.dagster import session_metadata


@op
def delete_old_records_op(context: OpExecutionContext, job_sessions: BidBeaconSessions) -> None:
    """Delete records past their retention time. Safe to run at any time, and again."""
    store, settings = job_sessions.store(), get_settings()
    now = DatabaseClock(store.engine, settings)()
    with job_sessions.session(context, "delete-old-records") as session:
        delete_all_old_records(store.engine, session, settings, now)
    context.add_output_metadata(session_metadata(store, session.session_id))


@job(
    executor_def=in_process_executor,
    description="Delete records past their retention time: sessions, events and printed lines of runs, calls to Amazon, unused rate limits.",
)
def delete_old_records() -> None:
    """One op: all records with a retention time."""
    delete_old_records_op()


delete_old_records_daily = ScheduleDefinition(
    name="delete_old_records_daily",
    job=delete_old_records,
    cron_schedule="23 3 * * *",
    execution_timezone="UTC",
    default_status=DefaultScheduleStatus.RUNNING,
    description="Once a day, when little else is due.",
)
