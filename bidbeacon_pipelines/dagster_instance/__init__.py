"""The parts of Dagster's instance that `dagster.yaml` names, and the guard of its webserver.

This package imports none of them: only a cluster has `dagster_celery`.
"""
