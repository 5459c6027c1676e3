"""The unified v1 report calls: create and retrieve, and what they answer."""

from datetime import date, datetime
from typing import Any

from starlette.responses import Response

from bidbeacon_sandbox.accounts import Account
from bidbeacon_sandbox.call import (
    SCOPE_HEADER,
    Call,
    Refusal,
    json_response,
    refuse,
    throttled,
)
from bidbeacon_sandbox.config import SandboxConfig
from bidbeacon_sandbox.faults import REPORT_FAULTS
from bidbeacon_sandbox.fields import RequestError
from bidbeacon_sandbox.files import MAKING_SECONDS, SignedUrl
from bidbeacon_sandbox.report_request import (
    ReportRequest,
    check_period,
    find_account_id,
    first_asked,
    read_create,
    read_retrieve,
    too_old,
    wire_filter,
)
from bidbeacon_sandbox.reports import Report
from bidbeacon_sandbox.variants import vary_create

_MULTI_STATUS = 207
_FEW_DAYS = 7
"""A report of so few days at most is made beside longer ones, so that nobody who asked for a day waits for a backfill."""
_ENDS = frozenset(("COMPLETED", "FAILED", "CANCELLED", "EXPIRED"))


def answer(document: dict[str, Any]) -> Response:
    """Answer with one report."""
    return json_response(
        {"error": None, "success": [{"index": 0, "report": document}]}, _MULTI_STATUS
    )


def answer_errors(error: RequestError) -> Response:
    """Answer that the one thing asked for failed."""
    return json_response(
        {"error": [{"index": 0, "errors": [error.entry()]}], "success": []}, _MULTI_STATUS
    )


def describe(report: Report, status: str) -> dict[str, Any]:
    """Return a report's description, without its parts."""
    request = report.request
    ended = _iso(report.ready_at) if status in _ENDS and report.ready_at else None
    return {
        "reportId": report.report_id,
        "status": status,
        "creationDateTime": _iso(report.created_at),
        "lastUpdatedDateTime": ended or _iso(report.created_at),
        "completedDateTime": ended if status == "COMPLETED" else None,
        "format": request.format,
        "periods": [
            {
                "datePeriod": {
                    "startDate": request.start.isoformat(),
                    "endDate": request.end.isoformat(),
                }
            }
        ],
        "query": {"fields": list(request.fields), "filter": wire_filter(request.filter)},
        "linkedAccounts": [{"advertiserAccountId": request.account_id}],
        "url": None,
        "currencyOfView": None,
        **_failure(report, status),
        "formatOptions": None,
        "locale": None,
        "timeZoneMode": None,
    }


def describe_parts(sizes: list[int], urls: list[SignedUrl]) -> list[dict[str, Any]]:
    """Return the urls of a report's parts with their announced sizes."""
    return [
        {"sizeInBytes": size, "url": signed.url, "urlExpirationDateTime": _iso(signed.expires_at)}
        for size, signed in zip(sizes, urls, strict=True)
    ]


def _failure(report: Report, status: str) -> dict[str, str | None]:
    """Return code and reason of a report that did not complete; only FAILED has them without being told."""
    fault = report.end_fault if status in _ENDS else None
    code, reason = (fault.options.code, fault.options.reason) if fault else (None, None)
    if fault and fault.fault == "too_large_later":
        code, reason = "INTERNAL_ERROR", reason or "The requested report is too large"
    if status == "FAILED":
        code, reason = code or "INTERNAL_ERROR", reason or "Report generation failed"
    return {"failureCode": code, "failureReason": reason}


def _iso(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")


_STATUSES = {"FORBIDDEN": 403, "CONTENT_TOO_LARGE": 413}


async def create_report(call: Call) -> Response:
    """Accept one report; `POST /{region}/adsApi/v1/create/reports`."""
    body = vary_create(await call.json(), call.sandbox.config.variants)
    account = call.sandbox.world.accounts.find(find_account_id(body))
    call.concerns(account)
    await _admit(call)
    try:
        request = read_create(body, _config_of(call))
        account = _own_account(call, account)
        first_day = account.first_day(call.now)
        check_period(request, first_day, call.sandbox.config)
        _strike_refusals(call, request, first_day)
    except RequestError as error:
        raise _refused(call, error) from error
    _check_room(call, account, request)
    _fail_partially(call)
    faults = call.sandbox.faults.find_strikes(REPORT_FAULTS, call.subject)
    report = call.sandbox.reports.create(request, call.now, faults)
    in_flight = call.sandbox.reports.in_flight(account, call.now)
    call.sandbox.ledger.note_in_flight(account.account_id, len(in_flight))
    if rule := call.sandbox.faults.find_strike("throttle_accepted", call.subject):
        raise throttled(rule.options.retry_after_header())
    return answer(describe(report, report.status(report.created_at)))


async def retrieve_report(call: Call) -> Response:
    """Return a report's status, with fresh urls where it is complete; `POST /{region}/adsApi/v1/retrieve/reports`."""
    body = await call.json()
    try:
        report_id = read_retrieve(body)
    except RequestError as error:
        await _admit(call)
        raise _refused(call, error) from error
    report = call.sandbox.reports.find(report_id)
    account = call.sandbox.world.accounts.find(report.request.account_id) if report else None
    call.concerns(account)
    await _admit(call)
    if report is None or account is None or account.region != call.region:
        return answer_errors(
            RequestError("404000", f"Report not found: {report_id}", "reportIds[0]")
        )
    if call.sandbox.reports.is_polled_too_soon(report, call.now):
        raise throttled()
    _fail_partially(call)
    return await _retrieved(call, report)


async def _admit(call: Call) -> None:
    await call.admit()
    call.require_media("application/json")
    if SCOPE_HEADER in call.request.headers:
        raise refuse(
            400,
            {"code": "400000", "message": "v1 report calls carry no Amazon-Advertising-API-Scope"},
        )


def _own_account(call: Call, account: Account | None) -> Account:
    if account is None or account.status == "DISABLED":
        raise refuse(403, {"code": "403", "message": "Not authorized for this advertiser account"})
    if account.region != call.region:
        raise RequestError(
            "400000", f"The account is not in region {call.region}", "accessRequestedAccounts[0]"
        )
    return account


def _config_of(call: Call) -> SandboxConfig:
    """Return the settings that a create is read with; some of its fields are renamed where that fault strikes."""
    config, struck = (
        call.sandbox.config,
        call.sandbox.faults.find_strike("renamed_fields", call.subject),
    )
    return config if struck is None else config.model_copy(update={"renamed_fields": True})


def _strike_refusals(call: Call, request: ReportRequest, first_day: date) -> None:
    if call.sandbox.faults.find_strike("missing_rights", call.subject):
        place = "accessRequestedAccounts[0]"
        raise RequestError("FORBIDDEN", "Multi-account authorization failed", place)
    rule = call.sandbox.faults.find_strike("too_large", call.subject)
    if rule is not None and (request.end - request.start).days >= rule.options.days:
        raise RequestError(
            "CONTENT_TOO_LARGE", "The report exceeds the maximum size", "reports[0].periods[0]"
        )
    if call.sandbox.faults.find_strike("too_old", call.subject):
        first = first_asked(request, first_day, call.sandbox.config)
        raise too_old(first, hourly=request.is_hourly)


def _check_room(call: Call, account: Account, request: ReportRequest) -> None:
    in_flight = call.sandbox.reports.in_flight(account, call.now)
    twin = next((report for report in in_flight if _is_same(report.request, request)), None)
    if twin is not None and call.sandbox.faults.find_strike("duplicate_refused", call.subject):
        raise refuse(
            425, {"code": "425", "detail": f"The Request is a duplicate of : {twin.report_id}"}
        )
    if len(in_flight) >= call.sandbox.config.max_reports_in_flight:
        raise throttled()
    is_busy = any(
        call.sandbox.reports.in_flight(account, call.now) for account in _accounts_here(call)
    )
    if is_busy and (rule := call.sandbox.faults.find_strike("one_at_a_time", call.subject)):
        raise throttled(rule.options.retry_after_header())


def _accounts_here(call: Call) -> list[Account]:
    return call.sandbox.world.accounts.in_region(call.region)


def _fail_partially(call: Call) -> None:
    rule = call.sandbox.faults.find_strike("partial_failure", call.subject)
    if rule is not None:
        code, reason = (
            rule.options.code or "500000",
            rule.options.reason or "Internal error, try again later",
        )
        raise Refusal(answer_errors(RequestError(code, reason)))


def _is_same(first: ReportRequest, second: ReportRequest) -> bool:
    same_period = (first.start, first.end) == (second.start, second.end)
    same_rows = set(first.fields) == set(second.fields) and first.filter == second.filter
    return same_period and first.account_id == second.account_id and same_rows


async def _retrieved(call: Call, report: Report) -> Response:
    status = report.status(call.now)
    if report.end(call.now) != "COMPLETED":
        return answer(describe(report, status))
    sandbox = call.sandbox
    key, rows = f"reports-{report.report_id}", lambda: sandbox.reports.rows(report)
    are_few = (report.request.end - report.request.start).days < _FEW_DAYS
    paths = await sandbox.files.parts_within(
        MAKING_SECONDS, key, rows, report.part_count, are_few=are_few
    )
    if paths is None:
        return answer(describe(report, "PROCESSING"))
    places = [f"/downloads/reports/{report.report_id}/{part}.json.gz" for part in range(len(paths))]
    urls = call.signed(places, sandbox.config.url_seconds)
    if report.find_fault("single_url"):
        return answer(describe(report, status) | {"url": urls[0].url})
    sizes = [call.announced_size(path.stat().st_size) for path in paths]
    parts = describe_parts(sizes, urls)
    if report.find_fault("part_listed_twice"):
        parts.append(parts[0])
    return answer(describe(report, status) | {"completedReportParts": parts})


def _refused(call: Call, error: RequestError) -> Refusal:
    struck = call.sandbox.faults.find_strike("multi_status", call.subject)
    if call.sandbox.config.refusals == "multi_status" or struck is not None:
        return Refusal(answer_errors(error))
    status = _STATUSES.get(error.code, 400)
    return refuse(
        status, {"code": error.code, "message": error.message, "fieldLocation": error.location}
    )
