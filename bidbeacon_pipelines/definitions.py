"""The code location: collects what `defs` has."""

from dagster import Definitions, in_process_executor

from bidbeacon_pipelines.defs.accounts import sync_accounts, sync_ad_entities
from bidbeacon_pipelines.defs.checks import (
    check_report_claims,
    check_report_claims_hourly,
    report_checks,
)
from bidbeacon_pipelines.defs.reports import poll_reports, refresh_account_job, report_assets
from bidbeacon_pipelines.defs.resources import BidBeaconSessions, WorkbenchResource
from bidbeacon_pipelines.defs.schedules import (
    close_crashed_sessions,
    poll_reports_in_flight,
    refresh_due_accounts,
    sync_accounts_hourly,
)
from bidbeacon_pipelines.defs.summaries import (
    account_daily_summary,
    update_changed_summaries,
    update_summaries,
)
from bidbeacon_pipelines.defs.upkeep import delete_old_records, delete_old_records_daily

defs = Definitions(
    assets=[*report_assets(), account_daily_summary],
    asset_checks=list(report_checks()),
    jobs=[
        sync_accounts,
        sync_ad_entities,
        refresh_account_job,
        poll_reports,
        check_report_claims,
        update_summaries,
        delete_old_records,
    ],
    schedules=[
        sync_accounts_hourly,
        check_report_claims_hourly,
        delete_old_records_daily,
    ],
    sensors=[
        refresh_due_accounts,
        poll_reports_in_flight,
        update_changed_summaries,
        close_crashed_sessions,
    ],
    # A run is one process, its worker: half the CPU time, and no step that works on after its run was killed.
    executor=in_process_executor,
    resources={"workbench": WorkbenchResource(), "job_sessions": BidBeaconSessions()},
)
