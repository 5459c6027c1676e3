"""A job of steps in processes of their own, whose first attempt kills itself; imported by the processes that a test starts."""

import os
import signal

from dagster import OpExecutionContext, RetryPolicy, job, multiprocess_executor, op

from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.dagster import JobSessionsResource


class Sessions(JobSessionsResource):
    """In the database of the environment."""

    def store(self) -> SessionStore:
        """Return the store."""
        return SessionStore.connect(os.environ["BIDBEACON_DATABASE_URL"])


@op(retry_policy=RetryPolicy(max_retries=1))
def die_once(context: OpExecutionContext, sessions: Sessions) -> None:
    """Die without a word in the first attempt."""
    with sessions.session(context, "die-once"):
        if context.retry_number == 0:
            os.kill(os.getpid(), signal.SIGKILL)


@job(resource_defs={"sessions": Sessions()}, executor_def=multiprocess_executor)
def dying_once() -> None:
    """One op."""
    die_once()
