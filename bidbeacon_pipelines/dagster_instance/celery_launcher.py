"""The run launcher of a cluster: dagster-celery's, but runs can be terminated properly."""

import dagster as dg
from dagster_celery.launcher import CeleryRunLauncher


class BidBeaconCeleryLauncher(CeleryRunLauncher):
    """Sends whole runs to Celery's workers, and marks runs as canceling before the interrupt.

    dagster-celery does not mark them, so Dagster would record the interrupt as a failure.
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
