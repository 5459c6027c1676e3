"""Creates planned reports, the most urgent first, as far as the gate of each client id and region allows."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import Connection

from bidbeacon_pipelines.accounts.tables import AdsAccount
from bidbeacon_pipelines.datasets.registry import DATASETS
from bidbeacon_pipelines.job_context import JobContext
from bidbeacon_pipelines.requests.drive import drive_request
from bidbeacon_pipelines.requests.gate import list_gates_with_work, pause_before_create
from bidbeacon_pipelines.requests.planning_rules import next_to_create
from bidbeacon_pipelines.requests.queries import LockLostError, list_candidates
from bidbeacon_sessions import SessionClosedError, SessionRecorder

logger = logging.getLogger(__name__)

LONGEST_PAUSE = timedelta(seconds=5)
"""A pace that is slower than this is kept by the next run, not waited for."""


def create_reports(
    context: JobContext,
    session: SessionRecorder,
    *,
    gate: tuple[str, str] | None = None,
    waits: bool = True,
    by_hand: bool = False,
) -> None:
    """Create planned reports at every gate until each is full or closed, or nothing is planned.

    Safe to run beside others. With `gate`, only at that of this client id and region; with `waits`,
    wait for the pace between two creates; with `by_hand`, create only those that somebody wants.

    Raises:
        LockLostError: another session took over; this one stops.
        Exception: what went wrong with one request or ads account, or a group of them; the others
            were created before.
    """
    failures: list[Exception] = []
    gates = [gate] if gate is not None else []
    if gate is None:
        with context.engine.begin() as connection:
            gates = list_gates_with_work(connection, now=context.now())
    longest_pause = LONGEST_PAUSE if waits else timedelta(0)
    for one in gates:
        tried: set[int] = set()
        next_request = partial(_next_request, context, one, longest_pause, by_hand=by_hand)
        while (request_id := next_request(tried)) is not None:
            tried.add(request_id)
            with kept_in(failures):
                drive_request(context, session, request_id)
    raise_together(failures)


@contextmanager
def kept_in(failures: list[Exception]) -> Iterator[None]:
    """Add an error to a list instead of raising it, so that one account's error does not stop the others."""
    try:
        yield
    except (LockLostError, SessionClosedError):
        raise
    except Exception as error:  # noqa: BLE001 - the caller raises it when the others are done
        failures.append(error)


@contextmanager
def logging_errors(ads_account: AdsAccount) -> Iterator[None]:
    """Log an error of any request at the gate of an ads account instead of raising it: it fails the shared run, which tries it again."""
    failures: list[Exception] = []
    with kept_in(failures):
        yield
    for failure in failures:
        what = "Reports could not be created or polled at the gate of %s"
        logger.error(what, ads_account.label, exc_info=failure)


def raise_together(failures: Sequence[Exception]) -> None:
    """Raise the errors of several requests, a single one as it is; return if there are none."""
    if len(failures) > 1:
        raise ExceptionGroup("Several requests failed", failures)
    for failure in failures:
        raise failure


def can_create_reports(connection: Connection, now: datetime) -> bool:
    """Return whether `create_reports` has something to do now."""
    gates = list_gates_with_work(connection, now=now)
    return any(pause_before_create(connection, *gate, now) == timedelta(0) for gate in gates)


def _next_request(
    context: JobContext,
    gate: tuple[str, str],
    longest_pause: timedelta,
    tried: set[int],
    *,
    by_hand: bool,
) -> int | None:
    """Return the planned request to create next, after the pace between two; None where the gate is full or closed, or the worker is being stopped."""
    if context.is_stopping():
        return None
    now, late_after = context.now(), context.settings.late_after
    with context.engine.begin() as connection:
        pause = pause_before_create(connection, *gate, now)
        if pause is None or pause > longest_pause:
            return None
        planned = list_candidates(connection, *gate, now=now, tolerance=late_after)
    known = [
        one
        for one in planned
        if one.dataset in DATASETS and one.request_id not in tried and one.by_hand >= by_hand
    ]
    chosen = next_to_create(known, DATASETS, now=now)
    if chosen is not None and pause:
        context.sleep(pause.total_seconds())
    return None if chosen is None else chosen.request_id
