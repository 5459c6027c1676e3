"""Takes the next steps of report requests: creates planned ones as far as their gates allow, and polls and loads those at Amazon."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import Connection

from bidbeacon_pipelines.accounts.tables import AdsAccount
from bidbeacon_pipelines.datasets.registry import DATASETS
from bidbeacon_pipelines.job_context import JobContext
from bidbeacon_pipelines.requests.drive import drive_request
from bidbeacon_pipelines.requests.gate import list_gates_with_work, pause_before_create
from bidbeacon_pipelines.requests.planning_rules import Candidate, next_to_create
from bidbeacon_pipelines.requests.queries import (
    LockLostError,
    list_candidates,
    lock_next_request,
)
from bidbeacon_sessions import SessionClosedError, SessionRecorder

logger = logging.getLogger(__name__)

LONGEST_PAUSE = timedelta(seconds=5)
"""No step waits longer inside a run: a slower pace is kept by the next run."""


def step_requests(
    context: JobContext,
    session: SessionRecorder,
    ads_account: AdsAccount | None = None,
    *,
    by_hand: bool = False,
    on_step: Callable[[], object] | None = None,
    until: Callable[[], bool] = lambda: False,
) -> int:
    """Take the next steps of all reports at Amazon that are due for one now; return how many there were.

    Planned reports are created first, and again after each step: a load takes long, and Amazon's
    places must not stand empty meanwhile. Only the first and last call wait for the pace of creates.

    Several processes share the work: each takes one request at a time, and passes by the ads
    accounts that others are at work on. A request is stepped once; one that falls due meanwhile is
    left to the next run, so that every run ends. None is taken once the run's worker is being
    stopped.

    Args:
        context: the tools.
        session: records the actions.
        ads_account: steps its reports only, and creates at its gate only, but the most urgent of
            all accounts first. Errors of creates are logged: they fail the shared run, which tries
            again.
        by_hand: for a load by hand of the ads account: creates only reports that somebody wants,
            and polls those of all accounts at its gate. Complete ones are left to others, since
            they may be large. All errors but those of its own creates are logged.
        on_step: called after each step.
        until: returns whether the others can wait for the next run.

    Raises:
        LockLostError: another session took over; this one stops.
        Exception: the error of one request, or a group of errors; the other requests were created
            or stepped before.
    """
    due_at, stepped = context.now(), list[int]()
    gate = None if ads_account is None else (ads_account.client_id, ads_account.region)
    failures: list[Exception] = []
    create = partial(create_reports, context, session, failures, ads_account, by_hand=by_hand)
    create(waits=True)
    while not until() and not context.is_stopping():
        with context.engine.begin() as connection:
            request = lock_next_request(
                connection,
                session.session_id,
                due_at=due_at,
                downloads=context.downloads,
                account_id=None if ads_account is None or by_hand else ads_account.account_id,
                gate=gate,
                loads=not by_hand,
                stepped=stepped,
            )
        if request is None:
            break
        stepped.append(request.id)
        with _keeping_errors(None if by_hand else failures, request.id):
            drive_request(context, session, request.id, loads=not by_hand)
        if on_step is not None:
            on_step()
        create(waits=False)
    if stepped:
        create(waits=True)
    if len(failures) > 1:
        raise ExceptionGroup("Several requests failed", failures)
    for failure in failures:
        raise failure
    return len(stepped)


def create_reports(
    context: JobContext,
    session: SessionRecorder,
    failures: list[Exception],
    ads_account: AdsAccount | None = None,
    *,
    waits: bool = True,
    by_hand: bool = False,
) -> None:
    """Create planned reports, the most urgent first, at every gate until each is full or closed, or nothing is planned.

    Safe to run beside others. With `waits`, wait for the pace between two creates. Errors that
    are not logged are added to `failures`; the rest is as in `step_requests`.
    """
    if ads_account is None:
        with context.engine.begin() as connection:
            gates = list_gates_with_work(connection, now=context.now())
    else:
        gates = [(ads_account.client_id, ads_account.region)]
    longest_pause = LONGEST_PAUSE if waits else timedelta(0)
    for gate in gates:
        tried: set[int] = set()
        next_request = partial(_next_request, context, gate, longest_pause, by_hand=by_hand)
        while (chosen := next_request(tried)) is not None:
            tried.add(chosen.request_id)
            is_raised = ads_account is None or (
                by_hand and chosen.account_id == ads_account.account_id
            )
            with _keeping_errors(failures if is_raised else None, chosen.request_id):
                drive_request(context, session, chosen.request_id)


@contextmanager
def _keeping_errors(failures: list[Exception] | None, request_id: int) -> Iterator[None]:
    """Add an error of a request to a list, or log it if there is none, instead of raising it: it does not stop the others."""
    try:
        yield
    except (LockLostError, SessionClosedError):
        raise
    except Exception as error:
        if failures is None:
            logger.exception("Request %s failed; the shared run tries it again", request_id)
        else:
            failures.append(error)


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
) -> Candidate | None:
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
    return chosen
