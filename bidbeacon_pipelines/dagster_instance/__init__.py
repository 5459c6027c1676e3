"""The parts of Dagster's instance that `dagster.yaml` names, and the guard of its webserver.

None is imported here, because `dagster_celery` is installed only in a cluster.
"""
