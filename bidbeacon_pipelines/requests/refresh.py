"""Brings an account up to date: its windows and plans, reports at its gate, and what of it is ready; never waits for Amazon."""

from collections.abc import Callable, Sequence
from functools import partial

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
from bidbeacon_pipelines.requests.tables import ReportRequest
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
    What goes wrong with one of them is logged only: it fails the shared run, which tries it again.
    `on_step` is called after each poll or load.
    """

    def create(context: JobContext, session: SessionRecorder, *, waits: bool) -> None:
        with logging_errors(ads_account):
            gate = (ads_account.client_id, ads_account.region)
            create_reports(context, session, gate=gate, waits=waits)

    begin_refresh(context, session, ads_account)
    account_id = ads_account.account_id
    step_requests(context, session, account_id=account_id, create=create, on_step=on_step)


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
    account_id: str | None = None,
    gate: tuple[str, str] | None = None,
    loads: bool = True,
    create: Callable[..., object] = create_reports,
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
        account_id: only those of this ads account.
        gate: only those of ads accounts with this client id and region.
        loads: whether complete reports are loaded; else they are left to others.
        create: creates planned reports, as `create_reports` does.
        on_step: called after each step.
        until: returns whether the others can wait for the next run.

    Raises:
        LockLostError: another session took over; this one stops.
        Exception: the error of one request, or a group of errors; the other requests were created
            or stepped before.
    """
    take = partial(
        lock_next_request,
        session_id=session.session_id,
        due_at=context.now(),
        downloads=context.downloads,
        account_id=account_id,
        gate=gate,
        loads=loads,
    )
    stepped: list[int] = []
    failures: list[Exception] = []
    with kept_in(failures):
        create(context, session, waits=True)
    while not until() and (request := _take_next(context, take, stepped)) is not None:
        stepped.append(request.id)
        with kept_in(failures):
            drive_locked(context, session, request, loads=loads)
        if on_step is not None:
            on_step()
        with kept_in(failures):
            create(context, session, waits=False)
    if stepped:
        with kept_in(failures):
            create(context, session, waits=True)
    raise_together(failures)
    return len(stepped)


def _take_next(
    context: JobContext, take: Callable[..., ReportRequest | None], stepped: Sequence[int]
) -> ReportRequest | None:
    if context.is_stopping():
        return None
    with context.engine.begin() as connection:
        return take(connection, stepped=stepped)
