"""After the end of a host or of a killed `bidbeacon dev`: closes the Dagster runs that no process works on any more."""

from typing import Final

from dagster import DagsterInstance, DagsterRun, DagsterRunStatus, RunsFilter

FAILED_MESSAGE: Final = (
    "The process of this run was gone when BidBeacon was started: it was killed, or the machine was restarted. "
    "What is due is taken up by the next refresh."
)
CANCELLED_MESSAGE: Final = "This run was being cancelled when its process ended."


def close_runs_of_the_dead(instance: DagsterInstance) -> int:
    """Report the runs that are underway as failed, and return how many there were.

    To be called when no daemon and no run worker of this instance is alive: Dagster itself would
    show these runs as started for ever, and they would keep their account's slot. Queued runs stay:
    the daemon starts them.
    """
    underway = RunsFilter(
        statuses=[DagsterRunStatus.STARTING, DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING]
    )
    runs = list(instance.get_runs(filters=underway))
    for run in runs:
        _close(instance, run)
    return len(runs)


def _close(instance: DagsterInstance, run: DagsterRun) -> None:
    if run.status is DagsterRunStatus.CANCELING:
        instance.report_run_canceled(run, CANCELLED_MESSAGE)
    else:
        instance.report_run_failed(run, FAILED_MESSAGE)
