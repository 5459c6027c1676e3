"""Requests one report from Amazon, and returns the result as `reports.transitions` has it."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta

from bidbeacon_pipelines.accounts.ads_account_queries import AdsAccount
from bidbeacon_pipelines.amazon_ads.errors import (
    AdsApiError,
    AuthError,
    DuplicateReport,
    OutcomeUnknown,
    Throttled,
    UnknownField,
)
from bidbeacon_pipelines.amazon_ads.ledger import Tries
from bidbeacon_pipelines.amazon_ads.reports import (
    CREATE_OPERATION,
    Report,
    ad_product_filter,
    create_report,
    retrieve_report,
)
from bidbeacon_pipelines.datasets.learned import (
    list_field_spellings,
    list_histories,
    set_field_spellings,
)
from bidbeacon_pipelines.datasets.registry import find_other_spelling, get_dataset, spelled
from bidbeacon_pipelines.job_context import JobContext
from bidbeacon_pipelines.requests import transitions
from bidbeacon_pipelines.requests.lifecycle import Failure
from bidbeacon_pipelines.requests.queries import Request
from bidbeacon_pipelines.requests.refusals import is_surely_served, weighed
from bidbeacon_pipelines.requests.states import failure_kind, reported


def request_report(
    context: JobContext,
    account: AdsAccount,
    request: Request,
    *,
    today: date,
    before: Failure | None,
    tries: Tries | None = None,
) -> transitions.Answer:
    """Create a request's report, or adopt the same one if Amazon is already making it.

    Args:
        context: the tools.
        account: whose report.
        request: what is asked for.
        today: the latest local date of its countries.
        before: why the previous attempt failed.
        tries: previous attempts, for the log of calls.

    Raises:
        AuthError: Amazon refuses the account, or our credentials; no report was created.
    """
    try:
        report = _create(context, account, request, tries)
    except OutcomeUnknown as error:
        return transitions.NoAnswer(
            not_before(context, error),
            str(error),
            error.cause.cause_word,
            is_throttled=isinstance(error.cause, Throttled),
        )
    except Throttled as error:  # before the create itself, whose own 429 leaves its outcome unknown
        return transitions.RateLimited(
            not_before(context, error) or context.now(), str(error), error.cause_word
        )
    except DuplicateReport as error:
        return _adopt(context, account, request, error)
    except AuthError:
        raise
    except AdsApiError as error:
        return _refused(context, account, request, error, before, today)
    return reported(report)


def _create(
    context: JobContext, account: AdsAccount, request: Request, tries: Tries | None
) -> Report:
    """Create the report; if Amazon doesn't know a field, try its other name at once, and store what worked."""
    with context.engine.begin() as connection:
        known = list_field_spellings(connection, account.region)
    learned: dict[str, str] = {}
    while True:
        try:
            report = _create_spelled(context, account, request, known | learned, tries)
            break
        except UnknownField as error:
            dataset = get_dataset(request.dataset)
            fields = dataset.fields_for(request.ad_products)
            others = find_other_spelling(dataset, fields, error.reason)
            new = {ours: ours if ours in known else other for ours, other in others.items()}
            if not new.keys() - learned.keys():
                raise  # both names of a field are refused
            learned |= new
    if learned:
        with context.engine.begin() as connection:
            set_field_spellings(connection, account.region, learned)
    return report


def _create_spelled(
    context: JobContext,
    account: AdsAccount,
    request: Request,
    spellings: Mapping[str, str],
    tries: Tries | None,
) -> Report:
    dataset = get_dataset(request.dataset)
    return create_report(
        context.client,
        account.region,
        request.account_id,
        fields=spelled(dataset.fields_for(request.ad_products), spellings),
        row_filter=ad_product_filter(request.ad_products),
        start=request.start_date,
        end=request.end_date,
        tries=tries,
    )


def poll_report(context: JobContext, account: AdsAccount, report_id: str) -> Report:
    """Return the status of a report.

    Raises:
        AdsApiError: see its class hierarchy.
    """
    return retrieve_report(context.client, account.region, report_id, account_id=account.account_id)


def failure_of(context: JobContext, error: AdsApiError) -> Failure:
    """Return what an error means for its request."""
    return Failure(failure_kind(error), str(error), error.code, not_before(context, error))


def not_before(context: JobContext, error: AdsApiError) -> datetime | None:
    """Return the instant that Amazon asked us to wait for, if any."""
    return (
        None if error.retry_after is None else context.now() + timedelta(seconds=error.retry_after)
    )


def count_rest(
    context: JobContext, answer: transitions.NoAnswer | transitions.RateLimited, until: datetime
) -> None:
    """Count the time until a request is sent again as time waiting for Amazon."""
    if answer.cause is not None:
        seconds = max(0.0, (until - context.now()).total_seconds())
        context.client.waits.add(CREATE_OPERATION, answer.cause, seconds, rests=True)


def _adopt(
    context: JobContext, account: AdsAccount, request: Request, duplicate: DuplicateReport
) -> transitions.Answer:
    """Adopt the report that Amazon is already making, if it is the requested one."""
    try:
        report = poll_report(context, account, duplicate.report_id)
    except AdsApiError as error:
        return transitions.NoAnswer(not_before(context, error), str(error))
    if request.account_id in report.account_ids and _is_same(report, request):
        return reported(report, adopted=True)
    return transitions.NoAnswer(reason=f"Amazon reports it as a duplicate of report {duplicate}")


def _is_same(report: Report, request: Request) -> bool:
    """Whether a report covers the days of a request with its fields and rows.

    An unfiltered report has our rows too: those of other ad products are set aside when it is
    loaded.
    """
    dataset = get_dataset(request.dataset)
    same_days = {(p.start, p.end) for p in report.periods} == {
        (request.start_date, request.end_date)
    }
    same_rows = report.row_filter in (None, ad_product_filter(request.ad_products))
    ours = {other: name for name, other in dataset.other_names.items()}
    fields = dataset.fields_for(request.ad_products)
    return same_days and same_rows and set(spelled(report.fields, ours)) == set(fields)


def _refused(
    context: JobContext,
    account: AdsAccount,
    request: Request,
    error: AdsApiError,
    before: Failure | None,
    today: date,
) -> transitions.Answer:
    with context.engine.begin() as connection:
        histories = list_histories(connection, account.region, request.dataset, now=context.now())
    known = histories.get(request.ad_products[0])
    is_searched = known is not None and not known.is_on_trial
    served = not is_searched and is_surely_served(
        get_dataset(request.dataset), request.start_date, today
    )
    return transitions.Refused(weighed(failure_of(context, error), before, surely_served=served))
