"""`python -m tests.faults.frozen.frozen_run PLACE`: the shared look at reports as a run of Dagster, halted inside its first load."""

import sys

from dagster import DagsterInstance

from bidbeacon_pipelines.database.address import open_database
from bidbeacon_pipelines.database.engine import shared_engine
from bidbeacon_pipelines.definitions import defs
from bidbeacon_pipelines.settings import get_settings
from tests.support.frozen_worker import prepare


def main() -> None:
    """Run it, with the settings of the environment."""
    prepare(shared_engine(open_database(get_settings())), sys.argv[1])
    with DagsterInstance.get() as instance:
        defs.resolve_job_def("poll_reports").execute_in_process(instance=instance)


if __name__ == "__main__":
    main()
