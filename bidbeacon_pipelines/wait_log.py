"""Records in each session the time spent waiting for Amazon."""

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from bidbeacon_pipelines.actions import WaitedForAmazon
from bidbeacon_pipelines.amazon_ads.waits import WaitSummary
from bidbeacon_pipelines.job_context import JobContext
from bidbeacon_sessions import SessionRecorder, Subject, with_job_session

logger = logging.getLogger(__name__)

_OWN_QUEUE = "our own queue"


@contextmanager
def job_session(
    context: JobContext,
    job_name: str,
    *,
    input: dict[str, Any] | None = None,  # noqa: A002 - as `with_job_session` calls it
    account: Subject | None = None,
    watched_by: Callable[[SessionRecorder], AbstractContextManager[object]] = nullcontext,
) -> Iterator[SessionRecorder]:
    """Record everything inside as one session, outside of Dagster, with the time spent waiting for Amazon.

    Args:
        context: the tools.
        job_name: what this work is called.
        input: what the job was given.
        account: the account it works for, where it is just one.
        watched_by: entered when the session is open, left after its last action.
    """
    with (
        with_job_session(job_name, input=input, store=context.sessions, account=account) as session,
        watched_by(session),
        recording_waits(context, session),
    ):
        yield session


@contextmanager
def recording_waits(context: JobContext, session: SessionRecorder) -> Iterator[None]:
    """Record the time spent waiting for Amazon at the end of a session, also of a failed one."""
    context.client.waits.take()
    try:
        yield
    except BaseException:
        _try_to_record(context, session)
        raise
    _record(context, session)


def waited(summary: WaitSummary) -> WaitedForAmazon | None:
    """Return the action that sums up the waits; None without any."""
    if not summary.count:
        return None
    return WaitedForAmazon(
        seconds=summary.seconds,
        queued_seconds=sum(cause.seconds for cause in summary.causes if cause.cause == _OWN_QUEUE),
        waits=summary.count,
        reason=_reason(summary),
    )


def _reason(summary: WaitSummary) -> str:
    """Return the number of waits and their main cause: "14 waits, 12 of them to create a report (HTTP 429)"."""
    waits = "1 wait" if summary.count == 1 else f"{summary.count:,} waits"
    first = summary.causes[0]
    share = "" if len(summary.causes) == 1 else f", {first.count:,} of them"
    return f"{waits}{share} to {first.operation} ({first.cause})"


def _record(context: JobContext, session: SessionRecorder) -> None:
    action = waited(context.client.waits.take())
    if action is not None:
        session.add(action)


def _try_to_record(context: JobContext, session: SessionRecorder) -> None:
    """Record, but never hide the job's own error behind one of ours."""
    try:
        _record(context, session)
    except Exception:
        logger.exception(
            "Session %s: the time spent waiting could not be recorded", session.session_id
        )
