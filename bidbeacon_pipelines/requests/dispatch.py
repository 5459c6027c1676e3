"""Takes the next steps of report requests: creates, polls and loads their reports."""

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
from bidbeacon_pipelines.requests.queries import LockLostError, list_candidates, lock_next_request
from bidbeacon_sessions import SessionClosedError, SessionRecorder

logger = logging.getLogger(__name__)

LONGEST_WAIT_IN_A_RUN = timedelta(seconds=5)
"""The longest wait in a run; a request that has to wait longer is left to the next run."""


def step_requests(
    context: JobContext,
    session: SessionRecorder,
    ads_account: AdsAccount | None = None,
    *,
    by_hand: bool = False,
    on_step: Callable[[], object] | None = None,
    until: Callable[[], bool] = lambda: False,
) -> int:
    """Poll and load the reports that are due; return the number of their requests.

    Planned reports are created at the start and after each request, so that Amazon generates the
    next reports during long loads. The run waits for the required pause between two creates only at
    its start and end.

    Several processes can share the work: each takes one request at a time, and skips ads accounts
    that another process works on. A run takes each request once; if the request falls due again, it
    is left to the next run, so every run ends. A run ends early once `until()` is true or the
    worker is being stopped.

    With `ads_account`, only reports of this ads account are polled and loaded, and reports are
    created only at its gate, the most urgent of all accounts first. Errors of creates are logged;
    the run without `ads_account`, which serves all accounts, retries these creates.

    `by_hand` means that a person loads days of the ads account. Then only reports that a person
    wants are created. The reports of all accounts at the gate are polled, but not loaded, since
    they may be large. Only errors of creates for this ads account are raised; all others are
    logged.

    Raises:
        LockLostError: another session took over a request; this session stops.
        Exception: the error of a request, or a group of errors; raised after all other requests
            were processed.
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
        raise ExceptionGroup(f"{len(failures)} requests failed", failures)
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
    """Create planned reports, the most urgent first, until every gate is full or closed.

    Safe to run concurrently. If `waits` is true, wait for a short pause between two creates;
    otherwise such a pause counts as a closed gate. Errors that `step_requests` raises are added to
    `failures`; other errors are logged. The other arguments are those of `step_requests`.
    """
    if ads_account is None:
        with context.engine.begin() as connection:
            gates = list_gates_with_work(connection, now=context.now())
    else:
        gates = [(ads_account.client_id, ads_account.region)]
    longest_pause = LONGEST_WAIT_IN_A_RUN if waits else timedelta(0)
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
    """Add an error of the `with` block to `failures`; if `failures` is None, log the error.

    An error about a lost lock or a closed session is raised instead.
    """
    try:
        yield
    except (LockLostError, SessionClosedError):
        raise
    except Exception as error:
        if failures is None:
            logger.exception("Request %s failed; the run for all accounts retries it", request_id)
        else:
            failures.append(error)


def can_create_reports(connection: Connection, now: datetime) -> bool:
    """Return whether a planned report can be created now."""
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
    """Wait until the gate allows the next create, and return the most urgent request.

    Return None immediately if no request is ready or the wait would exceed `longest_pause`.
    Requests in `tried` are skipped.
    """
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
