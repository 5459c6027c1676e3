"""Creates the report of a request at Amazon, or adopts it if Amazon is already making it."""

from collections.abc import Callable, Mapping, Sequence

from bidbeacon_pipelines.accounts.tables import AdsAccount
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
from bidbeacon_pipelines.datasets.contract import FIELD, LEARNED
from bidbeacon_pipelines.datasets.registry import Dataset, find_other_spelling, spelled
from bidbeacon_pipelines.job_context import JobContext
from bidbeacon_pipelines.requests.refusals import weighed
from bidbeacon_pipelines.requests.results import no_answer, of_failed_create, of_report
from bidbeacon_pipelines.requests.rules import Failure, NoAnswer, Result
from bidbeacon_pipelines.requests.tables import ReportRequest
from bidbeacon_pipelines.windows.contracts import change_contract, read_contract
from bidbeacon_sessions import SessionRecorder


def request_report(
    context: JobContext,
    session: SessionRecorder,
    account: AdsAccount,
    request: ReportRequest,
    *,
    before: Failure | None,
) -> Result:
    """Create a request's report, or adopt the same one if Amazon is already making it.

    Args:
        context: the tools.
        session: where learned names of fields are recorded.
        account: whose report.
        request: what is asked for.
        before: why the previous attempt failed.

    Raises:
        AuthError: Amazon refuses the account, or our credentials; no report was created.
    """
    try:
        report = _create(context, session, account, request)
    except DuplicateReport as error:
        return _adopt(context, account, request, error)
    except AuthError:
        raise
    except AdsApiError as error:
        result = of_failed_create(error, context.now())
        if not isinstance(result, Failure):
            return result
        return weighed(result, before, is_part=request.narrows is not None)
    return of_report(report)


def _create(
    context: JobContext, session: SessionRecorder, account: AdsAccount, request: ReportRequest
) -> Report:
    """Create the report, and store the names of fields that worked."""
    dataset, fields = request.asked.dataset, request.asked.fields
    known = _read_spellings(context, request)

    def create(spelled_fields: Sequence[str]) -> Report:
        return create_report(
            context.client_for(account.credential),
            account.region,
            request.account_id,
            fields=spelled_fields,
            row_filter=ad_product_filter(request.asked.ad_products),
            start=request.start_date,
            end=request.end_date,
        )

    report, learned = create_by_any_name(dataset, fields, known, create)
    if learned:
        _learn_names(context, session, account.region, dataset.name, learned)
    return report


def _read_spellings(context: JobContext, request: ReportRequest) -> dict[str, str]:
    """Return Amazon's names of the fields of a request, by ours, as far as they are overridden."""
    with context.engine.begin() as connection:
        contract = read_contract(connection, request.account_id)
    return contract.spellings(request.asked.dataset)


def create_by_any_name(
    dataset: Dataset,
    fields: Sequence[str],
    known: Mapping[str, str],
    create: Callable[[Sequence[str]], Report],
) -> tuple[Report, dict[str, str]]:
    """Create a report; if Amazon doesn't know a field, try its other name at once.

    Args:
        dataset: what is asked for.
        fields: our names of its fields.
        known: Amazon's names of fields, as far as they are known to differ.
        create: creates the report with fields of these names.

    Returns:
        The report, and the names that worked and were not known, by ours.

    Raises:
        UnknownField: Amazon knows none of a field's names.
    """
    learned: dict[str, str] = {}
    while True:
        try:
            return create(spelled(fields, {**known, **learned})), learned
        except UnknownField as error:
            others = find_other_spelling(dataset, fields, error.reason)
            new = {ours: ours if ours in known else other for ours, other in others.items()}
            if not new.keys() - learned.keys():
                error.field = next((one for one in fields if one in error.reason), None)
                raise  # both names of a field are refused
            learned |= new


def _learn_names(
    context: JobContext,
    session: SessionRecorder,
    region: str,
    dataset: str,
    names: Mapping[str, str],
) -> None:
    """Store the names under which a region has accepted fields."""
    with context.engine.begin() as connection:
        for field, name in sorted(names.items()):
            change = (region, dataset, f"{FIELD}:{field}", None if name == field else name)
            change_contract(connection, session, *change, by=LEARNED, at=context.now())


def _adopt(
    context: JobContext, account: AdsAccount, request: ReportRequest, duplicate: DuplicateReport
) -> Result:
    """Adopt the report that Amazon is already making, if it is the requested one."""
    try:
        client = context.client_for(account.credential)
        report = retrieve_report(
            client, account.region, duplicate.report_id, account_id=account.account_id
        )
    except AdsApiError as error:
        return no_answer(error, context.now())
    is_ours = request.account_id in report.account_ids
    if is_ours and _is_same(report, request, _read_spellings(context, request)):
        return of_report(report, adopted=True)
    return NoAnswer(duplicate.failure_cause)


def _is_same(report: Report, request: ReportRequest, spellings: Mapping[str, str]) -> bool:
    """Whether a report covers the days of a request with its fields, in any spelling, and rows.

    An unfiltered report has our rows too: those of other ad products are set aside when it is
    loaded.
    """
    same_days = {(p.start, p.end) for p in report.periods} == {
        (request.start_date, request.end_date)
    }
    same_rows = report.row_filter in (None, ad_product_filter(request.asked.ad_products))
    spelt = *request.asked.dataset.other_names.items(), *spellings.items()
    ours = {other: name for name, other in spelt}
    same_fields = set(spelled(report.fields, ours)) == set(request.asked.fields)
    return same_days and same_rows and same_fields
