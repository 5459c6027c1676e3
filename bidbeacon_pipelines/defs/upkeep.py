"""Upkeep: delete old records, close sessions of crashed runs, restore lost Dagster data."""

import dagster as dg

from bidbeacon_pipelines.accounts.queries import list_accounts
from bidbeacon_pipelines.datasets.registry import DATASETS
from bidbeacon_pipelines.defs.materializations import record_loads
from bidbeacon_pipelines.defs.partitions import FIRST_DAY, add_partitions
from bidbeacon_pipelines.defs.resources import BidBeaconSessions, one_op_job, session_store
from bidbeacon_pipelines.materializations.dagster_queries import unmark_lost_days
from bidbeacon_pipelines.retention import delete_old_records as delete_all_old_records
from bidbeacon_sessions.reaper import build_session_closer


@dg.op
def delete_old_records_op(context: dg.OpExecutionContext, job_sessions: BidBeaconSessions) -> None:
    """Delete records that are older than their retention time. Safe to run at any time."""
    with job_sessions.work(context, "delete-old-records") as job:
        tools = job.context
        delete_all_old_records(tools.engine, job.session, tools.settings, tools.now())


delete_old_records = one_op_job(
    delete_old_records_op,
    "Delete records past their retention time: sessions, events and printed lines of runs, calls "
    "to Amazon, unused rate limits.",
)

delete_old_records_daily = dg.ScheduleDefinition(
    name="delete_old_records_daily",
    job=delete_old_records,
    cron_schedule="23 3 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Deletes old records once a day, when little else is due.",
)

close_crashed_sessions = build_session_closer(session_store)


@dg.op
def record_again_op(context: dg.OpExecutionContext, job_sessions: BidBeaconSessions) -> None:
    """Record every load that Dagster has lost, and add missing partitions of accounts.

    A load is lost if the last materialization of its partition is missing, or is not from the run
    that our tables name. Safe to repeat.
    """
    with job_sessions.work(context, "record-again") as job:
        with job.context.engine.begin() as connection:
            accounts = list_accounts(connection)
            for dataset in DATASETS.values():
                unmark_lost_days(connection, dataset, first_day=FIRST_DAY)
        record_loads(context, job, waits=True)
        add_partitions(context.instance, accounts)


record_again = one_op_job(
    record_again_op,
    "Restore what Dagster has lost: partitions of accounts, and materializations of loads. Launch "
    "it after you wiped assets, deleted runs, restored Dagster's or BidBeacon's tables from a "
    "backup, or increased BIDBEACON_PARTITION_MONTHS.",
)
