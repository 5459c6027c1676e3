"""Keeping Dagster's own history small: once a day, what old runs left beside the history of assets is deleted."""

from datetime import UTC, datetime

from dagster import (
    DefaultScheduleStatus,
    OpExecutionContext,
    ScheduleDefinition,
    in_process_executor,
    job,
    op,
)

from bidbeacon_pipelines.defs.resources import BidBeaconSessions
from bidbeacon_pipelines.jobs.run_history import prune_run_history as prune_history
from bidbeacon_pipelines.settings import get_settings
from bidbeacon_sessions.dagster import session_metadata


@op
def prune_run_history_op(context: OpExecutionContext, job_sessions: BidBeaconSessions) -> None:
    """Delete what runs left that ended longer ago than the setting says. Safe to run at any time, and again."""
    store = job_sessions.store()
    with job_sessions.session(context, "prune-run-history") as session:
        prune_history(store.engine, session, get_settings(), datetime.now(UTC))
    context.add_output_metadata(session_metadata(store, session.session_id))


@job(
    executor_def=in_process_executor,
    description="Delete events and printed lines of old runs; materializations, observations and checks stay.",
)
def prune_run_history() -> None:
    """One op: all runs."""
    prune_run_history_op()


prune_run_history_daily = ScheduleDefinition(
    name="prune_run_history_daily",
    job=prune_run_history,
    cron_schedule="43 3 * * *",
    execution_timezone="UTC",
    default_status=DefaultScheduleStatus.RUNNING,
    description="Once a day, at an hour when little else is due.",
)
