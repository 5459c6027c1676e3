"""The Celery app of the workers that execute Dagster's runs in a cluster.

Start one with `celery -A bidbeacon_pipelines.celery_worker worker`. Dagster's `CeleryRunLauncher`
sends whole runs to the workers. Each process of a worker executes one run at a time. Celery forks
the processes after it imported this module, so they have the definitions before their first run.
"""

import signal
import threading
from typing import Any, Final

import psutil
from celery import Celery
from celery.signals import task_postrun, worker_ready, worker_shutting_down
from dagster_celery.make_app import make_app
from dagster_celery.tasks import create_execute_job_task

from bidbeacon_pipelines.database.processes import announce
from bidbeacon_pipelines.definitions import defs
from bidbeacon_pipelines.job_context import request_stop
from bidbeacon_pipelines.private_files import make_new_files_private
from bidbeacon_pipelines.settings import Settings, get_settings
from bidbeacon_sessions.errors import SettingsError

# `run_monitoring.max_runtime_seconds` of dagster.yaml is three hours.
_LONGER_THAN_ANY_RUN: Final = 4 * 3600
SHUTDOWN_SECONDS: Final = 120
"""How long a run may continue after its worker got SIGTERM.

Containers need a longer grace period. A run that polls reports ends after the report that it is
loading. A load by hand that still waits after this time is interrupted; later runs load its
reports."""

CONFIG: Final[dict[str, Any]] = {
    "worker_concurrency": 1,
    # Without this a worker reserves a second run, which waits behind the first while others idle.
    "worker_prefetch_multiplier": 1,
    "worker_disable_prefetch": True,
    # A run is acknowledged when it starts. A late acknowledgement would not retry it: Dagster
    # ignores a second delivery of a started run. Sensors plan its work again instead.
    "task_acks_late": False,
    # Redis redelivers unacknowledged tasks after this time.
    "broker_transport_options": {"visibility_timeout": _LONGER_THAN_ANY_RUN},
    # After a network failure connections to Redis may be broken unnoticed. Without this a run that
    # starts with one is dropped without being executed, and stays "starting" for three minutes.
    "result_backend_always_retry": True,
    # Run monitoring fails a run whose task is no longer in Redis.
    "result_expires": 24 * 3600,
    # A new process costs only a fork, and frees memory that Dagster does not release.
    "worker_max_tasks_per_child": 500,
    "broker_connection_retry_on_startup": True,
    # Dagster's log goes to stderr directly, and not also through Celery's.
    "worker_redirect_stdouts": False,
}


def make_worker_app(settings: Settings) -> Celery:
    """Return the Celery app that takes runs from Dagster's queue in Redis.

    Raises:
        SettingsError: BIDBEACON_REDIS_URL is not set.
    """
    if settings.redis_url is None:
        raise SettingsError("BIDBEACON_REDIS_URL is not set: set it to the cluster's Redis.")
    url = settings.redis_url.get_secret_value()
    app: Celery = make_app(  # type: ignore[no-untyped-call] # dagster-celery's
        {
            "broker": url,
            "backend": url,
            "task_default_queue": "dagster",
            "config_source": CONFIG,
        }
    )
    create_execute_job_task(app)
    return app


def _restore_sigterm(**_: object) -> None:
    # After a run Dagster leaves SIGTERM with SIGINT's handler, which an idle process ignores.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _limit_shutdown(**_: object) -> None:
    # Celery itself would wait for hours.
    request_stop()
    timer = threading.Timer(SHUTDOWN_SECONDS, _interrupt_runs)
    timer.daemon = True
    timer.start()


def _interrupt_runs() -> None:
    # SIGTERM, as from Dagster's Terminate: the run fails and its session is closed.
    for process in psutil.Process().children():
        process.terminate()


def _announce(**_: object) -> None:
    url = get_settings().database_url
    if url is not None:
        announce("worker", url.get_secret_value())


worker_ready.connect(_announce)
task_postrun.connect(_restore_sigterm)
worker_shutting_down.connect(_limit_shutdown)
make_new_files_private()
defs.get_repository_def()
app = make_worker_app(get_settings())
