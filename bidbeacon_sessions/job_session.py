"""`with_job_session`: the session around one piece of work."""

import logging
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any
from uuid import uuid4

from bidbeacon_sessions.actions import Subject
from bidbeacon_sessions.bounds import within
from bidbeacon_sessions.clock import Clock, utc_now
from bidbeacon_sessions.errors import NotConfiguredError
from bidbeacon_sessions.leases import Heartbeat
from bidbeacon_sessions.progress import working
from bidbeacon_sessions.recorder import SessionRecorder
from bidbeacon_sessions.redaction import redact, redact_text
from bidbeacon_sessions.settings import MAX_INPUT_BYTES, get_session_settings
from bidbeacon_sessions.store import SessionStore
from bidbeacon_sessions.writes import NewSession

logger = logging.getLogger(__name__)

_MAX_ERROR_TEXT = 8_000


@contextmanager
def with_job_session(
    job_name: str,
    *,
    input: dict[str, Any] | None = None,  # noqa: A002 - the column's name, and the word people use
    store: SessionStore | None = None,
    run_id: str | None = None,
    step_key: str | None = None,
    retry_number: int = 0,
    account: Subject | None = None,
    labels: dict[str, Any] | None = None,
    clock: Clock = utc_now,
) -> Iterator[SessionRecorder]:
    """Record everything inside as one session.

    ```python
    with with_job_session("refresh-account", input={"account": "US.38rle97"}) as session:
        session.add(WindowsQueued(…))
    ```

    The session ends as `succeeded`; as `failed` with the error when an exception leaves the block; as `cancelled` when an
    interrupt does (`KeyboardInterrupt`, Dagster's termination). Exceptions go on unchanged. A process that dies inside is noticed by
    its silence and closed as `crashed`. A database that is away, at the beginning, in the middle or at the end, does not stop the work.

    Args:
        job_name: what this work is called, kebab-case.
        input: what the job was given; stored once, secrets masked.
        store: where sessions are kept; absent: the database of `BIDBEACON_DATABASE_URL`.
        run_id: the run this is part of; with `step_key` and `retry_number` it names the attempt.
        step_key: the step within the run.
        retry_number: 0 for the first attempt.
        account: the account it works for, where it is just one.
        labels: plain facts shown beside the session (partition, asset).
        clock: gives the present instant in UTC.

    Raises:
        SessionClosedError: from `add`, when another process closed the session while this one was paused.
    """
    new = NewSession(
        id=uuid4(),
        job_name=job_name,
        started_at=clock(),
        run_id=run_id,
        step_key=step_key,
        retry_number=retry_number,
        account=account,
        input=within(redact(input or {}), MAX_INPUT_BYTES),
        labels=redact(labels or {}),
    )
    recorder = SessionRecorder(store or default_store(), new, clock)
    settings = get_session_settings()
    heartbeat = Heartbeat(
        recorder.store,
        recorder.progress,
        every=settings.heartbeat_seconds,
        lease_seconds=settings.lease_seconds,
        stalled_seconds=settings.stalled_seconds,
    )
    recorder.flush()
    with working(recorder.progress), heartbeat, _closing(recorder):
        yield recorder


@contextmanager
def _closing(recorder: SessionRecorder) -> Iterator[None]:
    """End the session the way the block ends, and let exceptions through."""
    patience = get_session_settings().close_wait_seconds
    try:
        yield
    except Exception as error:
        _close_quietly(recorder, "failed", error, patience)
        raise
    except BaseException as error:
        _close_quietly(recorder, "cancelled", error, 0)  # whoever interrupts does not want to wait
        raise
    recorder.close("succeeded", patience=patience)


def _close_quietly(recorder: SessionRecorder, status: str, error: BaseException, patience: float) -> None:
    """Close, but never hide the job's own error behind one of ours."""
    try:
        recorder.close(status, describe_error(error), patience=patience)
    except Exception as own:  # noqa: BLE001 - whatever it is, the job's error is the one to tell
        logger.warning("Session %s could not be closed: %s", recorder.session_id, redact_text(str(own)))


def describe_error(error: BaseException) -> dict[str, Any]:
    """Give an exception as stored in `job_sessions.error`: type, message and traceback, secrets masked, then bounded."""
    message = redact_text(str(error))
    trace = redact_text("".join(traceback.format_exception(error)))
    return {
        "type": type(error).__name__,
        "message": message[:_MAX_ERROR_TEXT],
        "traceback": trace[-_MAX_ERROR_TEXT:],
    }


@cache
def default_store() -> SessionStore:
    """Return this process's store of the database of `BIDBEACON_DATABASE_URL`.

    Raises:
        NotConfiguredError: the variable is not set.
    """
    url = get_session_settings().database_url
    if url is None:
        raise NotConfiguredError
    return SessionStore.connect(url.get_secret_value())
