"""The parts of Dagster's instance named in `dagster.yaml`, and its webserver's guard.

No module is imported here, because `dagster_celery` is installed only in a cluster.
"""
