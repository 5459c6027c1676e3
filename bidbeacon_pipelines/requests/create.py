"""Creates the report of a request, or adopts the same report if Amazon already has it."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection

from bidbeacon_pipelines.accounts.queries import change_ads_account
from bidbeacon_pipelines.actions import (
    ReportAdopted,
    ReportRequested,
    SkipReason,
    WindowSkipped,
    WindowsQueued,
)
from bidbeacon_pipelines.amazon_ads.errors import (
    AdsApiError,
    AuthError,
    DuplicateReport,
    UnknownField,
)
from bidbeacon_pipelines.amazon_ads.reports import (
    Report,
    ad_product_filter,
    create_report,
    retrieve_report,
)
from bidbeacon_pipelines.contract.queries import read_contract
from bidbeacon_pipelines.contract.rules import FIELD, LEARNED
from bidbeacon_pipelines.datasets.registry import Dataset, other_spellings, spelled
from bidbeacon_pipelines.requests.gate import enter_gate, record_create_result
from bidbeacon_pipelines.requests.locked import LockedRequest
from bidbeacon_pipelines.requests.queries import (
    attach_windows,
    delete_plans,
    is_needed,
    lock_request_row,
    update_request,
)
from bidbeacon_pipelines.requests.refusals import doubted, weighed
from bidbeacon_pipelines.requests.results import (
    failure_from,
    no_answer,
    of_failed_create,
    of_report,
)
from bidbeacon_pipelines.requests.rules import (
    Create,
    NoAnswer,
    Reported,
    RequestFailure,
    Result,
    failure_of,
)
from bidbeacon_pipelines.requests.tables import ReportRequest
from bidbeacon_pipelines.windows.contract_changes import change_contract
from bidbeacon_pipelines.windows.queries import list_windows_of_request
from bidbeacon_pipelines.windows.rules import missed_offsets
from bidbeacon_sessions import Action


def create(request: LockedRequest) -> bool:
    """Create the report of a request, or adopt the same report if Amazon already generates it.

    The attempt is stored first, so that it counts even if the process dies. Return False if no
    attempt was made: the gate is closed, or the plan is no longer needed.
    """
    before, now = failure_of(request.row), request.context.now
    if not _begin_attempt(request):
        return False
    try:
        result: Result = of_report(_create_report(request))
    except DuplicateReport as error:
        result = _adopt(request, error)
    except AuthError as error:
        result = request.record_refusal(error, doubted(failure_from(error, now())))
    except AdsApiError as error:
        result = of_failed_create(error, now())
        if isinstance(result, RequestFailure):
            result = weighed(result, before, is_part=request.row.narrows is not None)
    if isinstance(result, Reported):
        request.reset_refusals()
    after = request.after(result)
    action = _action_of(request, result, after)
    with request.storing(after) as connection:
        if action is not None:
            request.session.add_in(connection, action)
        place = connection, request.session, request.ads_account
        record_create_result(*place, result, now(), late_after=request.context.settings.late_after)
    return True


def _begin_attempt(request: LockedRequest) -> bool:
    """Reserve the creation of a report at the gate, attach windows and count the attempt.

    Return False if no report may be created now, or if the planned request is not needed any more.
    """
    context, session_id = request.context, request.session.session_id
    with context.engine.begin() as connection:
        row = lock_request_row(connection, request.row.id, session_id)
        if row is None:
            return False
        request.row, now = row, context.now()
        is_plan = row.attempts == 0 and not request.windows
        if is_plan and _is_needless(connection, row, now):
            delete_plans(connection, [row.id])
            return False
        first_limit = context.settings.first_reports_in_flight
        if not enter_gate(connection, request.ads_account, now, first_limit=first_limit):
            return False
        if not request.windows:
            _attach_windows(request, connection, now)
        after = request.after(Create())
        update_request(connection, row, after, session_id)
    request.row = after
    return True


def _is_needless(connection: Connection, plan: ReportRequest, now: datetime) -> bool:
    """Return whether a plan has too many days or isn't needed; if so, schedule a planning run."""
    contract, planned = read_contract(connection, plan.account_id), plan.dataset_report
    report = contract.report(planned.dataset, planned.ad_products)
    if plan.days <= report.longest_period_days and is_needed(connection, plan.id, now=now):
        return False
    change_ads_account(connection, plan.account_id, planned_at=None)
    return True


def _attach_windows(request: LockedRequest, connection: Connection, now: datetime) -> None:
    """Attach windows to the request, and record the missed refreshes that the report replaces."""
    session, dataset = request.session, request.dataset
    attach_windows(connection, request.row.id, now=now)
    request.windows = list_windows_of_request(connection, request.row.id)
    session.add_in(connection, WindowsQueued(**request.facts, by_hand=request.row.by_hand))
    for key, windows in request.windows.items():
        zone, missed, offsets = request.countries[key].time_zone, [], set[int]()
        for window in windows:
            day, as_of = window.window_date, window.data_as_of
            skipped = missed_offsets(dataset, day, zone, as_of, now).skipped
            if as_of is not None and skipped:
                missed.append(day)
                offsets.update(skipped)
        if missed:
            detail = "T+" + ", T+".join(map(str, sorted(offsets)))
            skip = {"account": key, "dataset": dataset.name, "windows": missed, "detail": detail}
            session.add_in(connection, WindowSkipped(**skip, reason=SkipReason.OFFSET_MISSED))


def _action_of(request: LockedRequest, result: Result, after: ReportRequest) -> Action | None:
    if not isinstance(result, Reported):
        return request.retried(result, after, request.row.attempts)
    facts = request.facts | {"report_id": result.report_id}
    if result.is_adopted:
        return ReportAdopted(**facts)
    return ReportRequested(**facts, attempt=after.attempts, bridged=_count_bridged(request))


def _count_bridged(request: LockedRequest) -> int:
    """Return the number of the report's days that are not due in any country."""
    if request.row.by_hand:
        return 0
    now, windows = request.context.now(), [window for _, window in request.waiting]
    due = {w.window_date for w in windows if w.next_refresh_at and w.next_refresh_at <= now}
    return len({w.window_date for w in windows} - due)


def _create_report(request: LockedRequest) -> Report:
    """Create the report, and store field names that Amazon accepted for the first time."""
    row, dataset, region = request.row, request.dataset, request.ads_account.region

    def create_as(spelled_fields: Sequence[str]) -> Report:
        return create_report(
            request.client,
            region,
            row.account_id,
            fields=spelled_fields,
            row_filter=ad_product_filter(row.dataset_report.ad_products),
            start=row.start_date,
            end=row.end_date,
        )

    known, fields = request.contract.spellings(dataset), row.dataset_report.fields
    report, learned = create_by_any_name(dataset, fields, known, create_as)
    if learned:
        with request.context.engine.begin() as connection:
            for field, name in sorted(learned.items()):
                value = None if name == field else name
                change = region, dataset.name, f"{FIELD}:{field}", value
                at = request.context.now()
                change_contract(connection, request.session, *change, by=LEARNED, at=at)
    return report


def create_by_any_name(
    dataset: Dataset,
    fields: Sequence[str],
    known: Mapping[str, str],
    create: Callable[[Sequence[str]], Report],
) -> tuple[Report, dict[str, str]]:
    """Create a report; if Amazon rejects a field's name, retry with the field's other name.

    `fields` are our names of the fields. `known` maps some of them to the names that Amazon is
    known to use instead. Return the report, and a dict. For each field whose name was
    rejected, the dict maps our name to the name that Amazon accepted.

    Raises:
        UnknownField: Amazon rejects all names of a field.
    """
    learned: dict[str, str] = {}
    while True:
        try:
            return create(spelled(fields, {**known, **learned})), learned
        except UnknownField as error:
            others = other_spellings(dataset, fields, error.reason)
            new = {ours: ours if ours in known else other for ours, other in others.items()}
            if not new.keys() - learned.keys():
                error.field = next((one for one in fields if one in error.reason), None)
                raise  # both names of a field are refused
            learned |= new


def _adopt(request: LockedRequest, duplicate: DuplicateReport) -> Result:
    row, region = request.row, request.ads_account.region
    try:
        report = retrieve_report(
            request.client, region, duplicate.report_id, account_id=row.account_id
        )
    except AdsApiError as error:
        return no_answer(error, request.context.now())
    spellings = request.contract.spellings(request.dataset)
    if row.account_id in report.account_ids and _is_same(report, row, spellings):
        return of_report(report, adopted=True)
    return NoAnswer(duplicate.failure_cause)


def _is_same(report: Report, request: ReportRequest, spellings: Mapping[str, str]) -> bool:
    """Return whether a report has the same days, fields and row filter as the request.

    A field counts as the same under any of its names. `spellings` maps our names of fields to the
    names learned from Amazon. A report without a row filter counts as the same.
    """
    same_days = {(p.start, p.end) for p in report.periods} == {
        (request.start_date, request.end_date)
    }
    requested = request.dataset_report
    # An unfiltered report has the same rows: the load ignores those of other ad products.
    same_rows = report.row_filter in (None, ad_product_filter(requested.ad_products))
    spelt = *requested.dataset.other_names.items(), *spellings.items()
    ours = {other: name for name, other in spelt}
    same_fields = set(spelled(report.fields, ours)) == set(requested.fields)
    return same_days and same_rows and same_fields
