"""The run launcher of a cluster: dagster-celery's, with proper termination of runs."""

import dagster as dg
from dagster_celery.launcher import CeleryRunLauncher


class BidBeaconCeleryLauncher(CeleryRunLauncher):
    """Sends whole runs to Celery's workers; marks a run as canceling before interrupting it.

    dagster-celery does not mark runs, so Dagster would record the interrupt as a failure.
    """

    def terminate(self, run_id: str) -> bool:
        """Interrupt a run; return False if it is unknown or finished."""
        with dg.DagsterInstance.get() as instance:
            run = instance.get_run_by_id(run_id)
            if run is None or run.is_finished:
                return False
            if run.status is not dg.DagsterRunStatus.CANCELING:
                instance.report_run_canceling(run)
        return super().terminate(run_id)
