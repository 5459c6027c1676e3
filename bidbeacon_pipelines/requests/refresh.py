"""Brings an account up to date: its windows and plans, reports at its gate, and what of it is ready; never waits for Amazon."""

from collections.abc import Callable

from bidbeacon_pipelines.accounts.queries import change_ads_account, list_countries
from bidbeacon_pipelines.accounts.tables import AdsAccount
from bidbeacon_pipelines.job_context import JobContext
from bidbeacon_pipelines.requests.dispatch import (
    create_reports,
    kept_in,
    logging_errors,
    raise_together,
)
from bidbeacon_pipelines.requests.drive import drive_locked
from bidbeacon_pipelines.requests.plan import plan_account
from bidbeacon_pipelines.requests.queries import lock_next_request
from bidbeacon_sessions import SessionRecorder


def refresh_account(
    context: JobContext,
    session: SessionRecorder,
    ads_account: AdsAccount,
    *,
    on_step: Callable[[], object] | None = None,
) -> None:
    """Plan what is due for an ads account, run the dispatcher of its gate, poll and load what of it is ready.

    The dispatcher creates the most urgent reports first, so it may create other accounts' reports.
    `on_step` is called after each poll or load.
    """
    begin_refresh(context, session, ads_account)
    account_id = ads_account.account_id
    step_requests(context, session, at=ads_account, account_id=account_id, on_step=on_step)


def begin_refresh(context: JobContext, session: SessionRecorder, ads_account: AdsAccount) -> None:
    """Plan what is due for an ads account; first note that it was looked at, so that one whose planning fails is not always the next."""
    with context.engine.begin() as connection:
        change_ads_account(connection, ads_account.account_id, last_look_at=context.now())
        countries = list_countries(connection, ads_account.account_id)
    plan_account(context, session, ads_account, countries)


def step_requests(
    context: JobContext,
    session: SessionRecorder,
    *,
    at: AdsAccount | None = None,
    account_id: str | None = None,
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
        at: only at the gate of this ads account. Errors of creates there are logged only: they
            fail the shared run, which tries again.
        account_id: steps only those of this ads account.
        by_hand: for a load by hand: only reports that somebody wants are created, and complete ones
            are left to others, since they may be large.
        on_step: called after each step.
        until: returns whether the others can wait for the next run.

    Raises:
        LockLostError: another session took over; this one stops.
        Exception: the error of one request, or a group of errors; the other requests were created
            or stepped before.
    """
    due_at, gate = context.now(), None if at is None else (at.client_id, at.region)
    stepped: list[int] = []
    failures: list[Exception] = []

    def create(*, waits: bool) -> None:
        with kept_in(failures) if at is None else logging_errors(at):
            create_reports(context, session, gate=gate, waits=waits, by_hand=by_hand)

    create(waits=True)
    while not until() and not context.is_stopping():
        with context.engine.begin() as connection:
            request = lock_next_request(
                connection,
                session.session_id,
                due_at=due_at,
                downloads=context.downloads,
                account_id=account_id,
                gate=gate,
                loads=not by_hand,
                stepped=stepped,
            )
        if request is None:
            break
        stepped.append(request.id)
        with kept_in(failures):
            drive_locked(context, session, request, loads=not by_hand)
        if on_step is not None:
            on_step()
        create(waits=False)
    if stepped:
        create(waits=True)
    raise_together(failures)
    return len(stepped)
