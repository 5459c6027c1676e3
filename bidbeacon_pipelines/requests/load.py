"""Loads the completed report of a request into the windows that wait for it."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from bidbeacon_pipelines.accounts.queries import lock_rows
from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.actions import SkipReason, WindowSkipped
from bidbeacon_pipelines.amazon_ads.client import Owner
from bidbeacon_pipelines.amazon_ads.downloads import download_report
from bidbeacon_pipelines.amazon_ads.errors import AuthError
from bidbeacon_pipelines.amazon_ads.reports import Report, ReportStatus
from bidbeacon_pipelines.causes import Cause
from bidbeacon_pipelines.database.locks import LockTakenError
from bidbeacon_pipelines.datasets.partitions import ensure_partitions
from bidbeacon_pipelines.loading.load import LoadRules, Waiting, load_report
from bidbeacon_pipelines.loading.load_actions import LoadFacts, actions_of_load
from bidbeacon_pipelines.loading.load_queries import ReportScope
from bidbeacon_pipelines.requests.endings import plan_released, without_report
from bidbeacon_pipelines.requests.learning import learn_from_part, reopen_ended
from bidbeacon_pipelines.requests.locked import LockedRequest, note_refused, retried, retrieve
from bidbeacon_pipelines.requests.queries import keep_lock, list_ended_requests, update_request
from bidbeacon_pipelines.requests.results import LOAD_ERRORS, of_failed_load, of_report
from bidbeacon_pipelines.requests.rules import Load, Loaded, NoAnswer, NotMade, Result
from bidbeacon_pipelines.windows.tables import ReportWindow


def load(request: LockedRequest) -> None:
    """Store the attempt, then download the report and load it."""
    request.store(request.after(Load()))
    context = request.context
    later = context.now() + context.settings.poll_every
    try:
        report = request.report or retrieve(request)
        if report.status is not ReportStatus.COMPLETED:
            request.store(request.after(of_report(report)))
            return
        owner = Owner(request.ads_account.region, request.row.account_id)
        with context.download_folder(f"request-{request.row.id}") as folder:
            again = partial(retrieve, request)
            parts = download_report(request.client, report, folder, owner, retrieve=again)
            _load_parts(request, report, parts)
    except LockTakenError as error:  # that another job works on these rows is no failed attempt
        facts = {key: request.facts[key] for key in ("account", "dataset", "windows")}
        reason = SkipReason.WORKED_ON_ELSEWHERE
        skipped = WindowSkipped(**facts, reason=reason, detail=str(error))
        request.store(request.after(NotMade(later)), skipped)
    except AuthError as error:
        _store_failed(request, note_refused(request, error, NoAnswer(error.failure_cause)))
    except LOAD_ERRORS as error:
        _store_failed(request, of_failed_load(error, context.now(), later))


def _store_failed(request: LockedRequest, result: Result) -> None:
    request.report = None  # the next attempt retrieves it again, at least for fresh urls
    after = request.after(result)
    is_retried = after.failure_kind is None  # otherwise the following step records the failure
    action = retried(request, result, after, request.row.loads) if is_retried else None
    request.store(after, action)


def _load_parts(request: LockedRequest, report: Report, parts: Sequence[Path]) -> None:
    """Load the windows of all countries, and record what was loaded, in one transaction that only the session with the lock can commit."""
    if not request.windows:  # nothing waits for it any more
        request.store(request.after(Loaded()))
        return
    context, session, row, dataset = request.context, request.session, request.row, request.dataset
    started = context.now()
    ensure_partitions(context.engine, dataset, row.start_date, row.end_date)
    with context.engine.begin() as connection:
        request.row = row = keep_lock(connection, row.id, session.session_id)
        for key in sorted(request.windows):  # in one order, to avoid deadlocks between reports
            lock_rows(connection, request.countries[key])
        ended = list_ended_requests(connection, row, started)

        def refused(account: Account, window: ReportWindow, why: Cause) -> ReportWindow:
            return without_report(window, why, dataset, account.time_zone, started, ended)

        as_of, period = row.sent_at or row.created_at, (row.start_date, row.end_date)
        scope = ReportScope(row.asked, row.id, as_of, period, session.session_id)
        rules = LoadRules(started, context.settings.bad_row_share, refused)
        waiting = [Waiting(request.countries[key], own) for key, own in request.windows.items()]
        results = load_report(connection, scope, waiting, parts, rules)
        facts = LoadFacts(
            scope,
            account=request.ads_account.ads_account_key,
            report_id=report.report_id,
            currencies={key: request.countries[key].currency_code for key in results},
            part_count=len(parts),
            size_bytes=sum(part.stat().st_size for part in parts),
            seconds=(context.now() - started).total_seconds(),
        )
        for action in actions_of_load(results, facts):
            session.add_in(connection, action)
        plan_released(connection, row)
        after = request.after(Loaded())
        update_request(connection, row, after, session.session_id)
        learn_from_part(request, connection, started)
        reopen_ended(request, connection, started)
    request.windows.clear()
    request.row = after
