"""What `bidbeacon dev` does with Dagster's part of the database at its start: a process of its own.

Dagster's 100 MB of modules then don't stay in the supervisor.
"""

from dagster import DagsterInstance

from bidbeacon_pipelines.dagster_instance.storage import upgrade_dagster
from bidbeacon_pipelines.dev.postgres import resolve_database_url
from bidbeacon_pipelines.dev.recovery import close_runs_of_the_dead
from bidbeacon_pipelines.settings import get_settings


def main() -> None:
    """Bring Dagster's tables up to date, close the runs of the dead, and print how many there were."""
    upgrade_dagster(resolve_database_url(get_settings()))
    with DagsterInstance.get() as instance:
        print(close_runs_of_the_dead(instance))  # noqa: T201 - the answer to the supervisor


if __name__ == "__main__":
    main()
