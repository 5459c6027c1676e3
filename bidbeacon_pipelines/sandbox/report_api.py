"""The unified v1 report calls: create and retrieve."""

from datetime import datetime
from typing import Any

from starlette.responses import Response

from bidbeacon_pipelines.sandbox.accounts import Account
from bidbeacon_pipelines.sandbox.call import SCOPE_HEADER, Call
from bidbeacon_pipelines.sandbox.faults import REPORT_FAULTS
from bidbeacon_pipelines.sandbox.part_files import MAKING_SECONDS
from bidbeacon_pipelines.sandbox.refusals import Refusal, RequestError, json_response, refuse, throttled
from bidbeacon_pipelines.sandbox.report_request import (
    ReportRequest,
    check_period,
    find_account_id,
    read_create,
    read_retrieve,
)
from bidbeacon_pipelines.sandbox.reports import Report, ReportStatus
from bidbeacon_pipelines.sandbox.signing import SignedUrl

_MULTI_STATUS = 207


async def create_report(call: Call) -> Response:
    """Accept one report; `POST /{region}/adsApi/v1/create/reports`."""
    body = await call.json()
    account = call.sandbox.world.accounts.find(find_account_id(body))
    call.concerns(account)
    await _admit(call)
    try:
        request = read_create(body)
        account = _own_account(call, account)
        check_period(request, account.first_day(call.now))
    except RequestError as error:
        raise _refused(call, error) from error
    _check_room(call, account, request)
    faults = call.sandbox.faults.find_strikes(REPORT_FAULTS, call.subject)
    report = call.sandbox.reports.create(request, call.now, faults)
    if rule := call.sandbox.faults.find_strike("throttle_accepted", call.subject):
        raise throttled(rule.options.retry_after_header())
    return _answer(_document(report, report.status(report.created_at)))


async def retrieve_report(call: Call) -> Response:
    """Say how a report is, with fresh urls where it is complete; `POST /{region}/adsApi/v1/retrieve/reports`."""
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
        return _errors(RequestError("404000", f"Report not found: {report_id}", "reportIds[0]"))
    if call.sandbox.reports.is_polled_too_soon(report, call.now):
        raise throttled()
    return await _retrieved(call, report)


async def _admit(call: Call) -> None:
    await call.admit()
    call.require_media("application/json")
    if SCOPE_HEADER in call.request.headers:
        raise refuse(
            400, {"code": "400000", "message": "v1 report calls carry no Amazon-Advertising-API-Scope"}
        )


def _own_account(call: Call, account: Account | None) -> Account:
    if account is None or account.status == "DISABLED":
        raise refuse(403, {"code": "403", "message": "Not authorized for this advertiser account"})
    if account.region != call.region:
        raise RequestError(
            "400000", f"The account is not in region {call.region}", "accessRequestedAccounts[0]"
        )
    return account


def _check_room(call: Call, account: Account, request: ReportRequest) -> None:
    in_flight = call.sandbox.reports.in_flight(account, call.now)
    twin = next((report for report in in_flight if _is_same(report.request, request)), None)
    if twin is not None and call.sandbox.faults.find_strike("duplicate_refused", call.subject):
        raise refuse(425, {"code": "425", "detail": f"The Request is a duplicate of : {twin.report_id}"})
    if len(in_flight) >= call.sandbox.config.max_reports_in_flight:
        raise throttled()


def _is_same(one: ReportRequest, other: ReportRequest) -> bool:
    same_period = (one.start, one.end) == (other.start, other.end)
    return same_period and one.account_id == other.account_id and set(one.fields) == set(other.fields)


async def _retrieved(call: Call, report: Report) -> Response:
    status = report.status(call.now)
    document = _document(report, status)
    if status == "COMPLETED":
        sandbox = call.sandbox
        key, rows = f"reports-{report.report_id}", lambda: sandbox.reports.rows(report)
        paths = await sandbox.files.parts_within(MAKING_SECONDS, key, rows)
        if paths is None:
            return _answer(_document(report, "PROCESSING"))
        urls = _signed(call, report, len(paths))
        document["completedReportParts"] = [
            {
                "sizeInBytes": path.stat().st_size,
                "url": signed.url,
                "urlExpirationDateTime": _iso(signed.expires_at),
            }
            for path, signed in zip(paths, urls, strict=True)
        ]
    return _answer(document)


def _signed(call: Call, report: Report, count: int) -> list[SignedUrl]:
    """Sign a report's parts anew; with no_resign those urls come again that were given first."""
    sandbox = call.sandbox
    if (
        sandbox.faults.find_strike("no_resign", call.subject)
        and (report.report_id, 0) in sandbox.reports.signed
    ):
        return [sandbox.reports.signed[report.report_id, part] for part in range(count)]
    expired = sandbox.faults.find_strike("expired_url", call.subject)
    seconds = 0.0 if expired else sandbox.config.url_seconds
    urls = []
    for part in range(count):
        path = f"/downloads/reports/{report.report_id}/{part}.json.gz"
        signed = sandbox.signer.sign(call.base_url, path, call.now, seconds)
        sandbox.reports.signed.setdefault((report.report_id, part), signed)
        urls.append(signed)
    return urls


def _document(report: Report, status: ReportStatus) -> dict[str, Any]:
    request, failure = report.request, report.find_fault("report_failed")
    is_over = status in {"COMPLETED", "FAILED"} and report.ready_at is not None
    ended = _iso(report.ready_at) if is_over and report.ready_at else None
    failed = status == "FAILED" and failure is not None
    code = failure.options.code if failure else None
    reason = failure.options.reason if failure else None
    return {
        "reportId": report.report_id,
        "status": status,
        "creationDateTime": _iso(report.created_at),
        "lastUpdatedDateTime": ended or _iso(report.created_at),
        "completedDateTime": ended if status == "COMPLETED" else None,
        "format": request.format,
        "periods": [
            {"datePeriod": {"startDate": request.start.isoformat(), "endDate": request.end.isoformat()}}
        ],
        "query": {"fields": list(request.fields), "filter": None},
        "linkedAccounts": [{"advertiserAccountId": request.account_id}],
        "url": None,
        "currencyOfView": None,
        "failureCode": (code or "INTERNAL_ERROR") if failed else None,
        "failureReason": (reason or "Report generation failed") if failed else None,
        "formatOptions": None,
        "locale": None,
        "timeZoneMode": None,
    }


def _answer(document: dict[str, Any]) -> Response:
    return json_response({"error": None, "success": [{"index": 0, "report": document}]}, _MULTI_STATUS)


def _errors(error: RequestError) -> Response:
    return json_response({"error": [{"index": 0, "errors": [error.entry()]}], "success": []}, _MULTI_STATUS)


def _refused(call: Call, error: RequestError) -> Refusal:
    if call.sandbox.config.refusals == "multi_status":
        return Refusal(_errors(error))
    return refuse(400, {"code": error.code, "message": error.message, "fieldLocation": error.location})


def _iso(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")
