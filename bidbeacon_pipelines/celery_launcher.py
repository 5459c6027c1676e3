"""The run launcher of a cluster: dagster-celery's, with a Terminate that cancels."""

import dagster as dg
from dagster_celery.launcher import CeleryRunLauncher


class BidBeaconCeleryLauncher(CeleryRunLauncher):
    """Send whole runs to Celery's workers, and note that a run is being cancelled before it is interrupted.

    dagster-celery leaves that out, so Dagster takes the interrupt for a failure.
    """

    def terminate(self, run_id: str) -> bool:
        """Interrupt a run; return False where there is none at work."""
        with dg.DagsterInstance.get() as instance:
            run = instance.get_run_by_id(run_id)
            if run is None or run.is_finished:
                return False
            if run.status is not dg.DagsterRunStatus.CANCELING:
                instance.report_run_canceling(run)
        return super().terminate(run_id)
