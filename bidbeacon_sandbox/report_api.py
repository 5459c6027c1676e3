"""The unified v1 report calls: create, retrieve and delete."""

from datetime import timedelta
from typing import Any

from starlette.responses import Response

from bidbeacon_sandbox.accounts import AdsAccount
from bidbeacon_sandbox.answers import Refusal, answer_error, iso, json_response, refuse, throttled
from bidbeacon_sandbox.call import Call
from bidbeacon_sandbox.fields import RequestError
from bidbeacon_sandbox.report_request import (
    ReportRequest,
    check_period,
    checked,
    read_create,
    read_report_id,
)
from bidbeacon_sandbox.reports import Report
from bidbeacon_sandbox.rules import (
    Accepted429,
    Duplicate,
    History,
    OldBrands,
    OneAtATime,
    Parts,
    Refuse,
    ReportEnds,
    Rows,
)

_MULTI_STATUS = 207
_MEDIA = ("application/json", "application/vnd.adsapireporting.v1+json")
_ENDS = frozenset(("COMPLETED", "FAILED", "CANCELLED", "EXPIRED"))
_REASONS: dict[str | None, tuple[str, str]] = {
    "no_rights": ("FORBIDDEN", "Multi-account authorization failed"),
    "too_large": ("CONTENT_TOO_LARGE", "The report exceeds the maximum size"),
}


async def create_report(call: Call) -> Response:
    """Create one report or refuse the request; `POST /{region}/adsApi/v1/create/reports`."""
    sandbox, body = call.sandbox, await call.json()
    try:
        request = read_create(body)
    except RequestError:
        await _admit(call)
        raise
    account = sandbox.world.accounts.find(request.account_id)
    call.concerns(account, datasets=request.datasets)
    await _admit(call)
    checks = call.strikes(Refuse, lambda rule: rule.changes_checks)
    request = checked(request, checks)
    account = _own_account(call, account)
    histories = tuple(call.strikes(History))
    check_period(request, account.first_day(call.now), checks, histories)
    _refuse_by_rule(call, request)
    _check_room(call, account, request)
    rules = (
        *checks,
        *histories,
        *call.strikes(ReportEnds),
        *call.strikes(Rows, lambda rule: rule.of == "reports"),
        *call.strikes(Parts, lambda rule: rule.missing is None),
        *call.strikes(OldBrands),
    )
    report = sandbox.reports.create(request, call.now, rules, call.facts.client or "")
    if rule := call.strike(Accepted429):
        raise throttled(rule.headers())
    return _answer(_describe(report, report.status(report.created_at)))


async def retrieve_report(call: Call) -> Response:
    """Return a report's status and signed URLs; `POST /{region}/adsApi/v1/retrieve/reports`."""
    report = await _find_report(call)
    polled, pause = call.sandbox.reports.polled, call.sandbox.config.poll_min_seconds
    if report.id in polled and call.now < polled[report.id] + timedelta(seconds=pause):
        raise throttled()
    polled[report.id] = call.now
    _refuse_by_rule(call, report.request)
    return await _retrieved(call, report)


async def delete_report(call: Call) -> Response:
    """Delete a report; `POST /{region}/adsApi/v1/delete/reports`."""
    report = await _find_report(call)
    call.sandbox.reports.delete(report)
    return _answer(_describe(report, report.status(call.now)))


def _answer(document: dict[str, Any]) -> Response:
    success = [{"index": 0, "report": document}]
    return json_response({"error": [], "success": success}, _MULTI_STATUS)


def _describe(report: Report, status: str) -> dict[str, Any]:
    request = report.request
    ended = iso(report.ready_at) if status in _ENDS and report.ready_at else None
    completed = {"completedDateTime": ended} if status == "COMPLETED" else {}
    row_filter = {"filter": request.filter} if request.filter else {}
    period = {"startDate": request.start.isoformat(), "endDate": request.end.isoformat()}
    return {
        "reportId": report.id,
        "status": status,
        "creationDateTime": iso(report.created_at),
        "lastUpdatedDateTime": ended or iso(report.created_at),
        **completed,
        "format": request.format,
        "periods": [{"datePeriod": period}],
        "query": {"fields": request.fields, **row_filter},
        "linkedAccounts": [{"advertiserAccountId": request.account_id}],
        **_failure(report, status),
    }


def _failure(report: Report, status: str) -> dict[str, str]:
    """Return failure code and reason; empty unless the report FAILED or its rule sets them."""
    rule = report.end_rule if status in _ENDS else None
    code, reason = (rule.code, rule.reason) if rule else (None, None)
    if status == "FAILED":
        too_large = rule is not None and rule.longer_than_days > 0
        usual = "The requested report is too large" if too_large else "Report generation failed"
        code, reason = code or "INTERNAL_ERROR", reason or usual
    failure = {"failureCode": code, "failureReason": reason}
    return {name: text for name, text in failure.items() if text}


async def _find_report(call: Call) -> Report:
    body = await call.json()
    try:
        report_id = read_report_id(body)
    except RequestError:
        await _admit(call)
        raise
    report = call.sandbox.reports.find(report_id)
    account = call.sandbox.world.accounts.find(report.account_id) if report else None
    call.concerns(account, datasets=report.datasets if report else ())
    await _admit(call)
    if report is None or account not in call.accounts_in_region():
        raise Refusal(answer_error(RequestError("NOT_FOUND", f"Report not found: {report_id}")))
    call.obeys(*report.rules_of(ReportEnds), *report.rules_of(Parts))
    return report


async def _admit(call: Call) -> None:
    await call.admit()
    call.require_media(*_MEDIA)


def _own_account(call: Call, account: AdsAccount | None) -> AdsAccount:
    if account is None or account.status == "DISABLED" or account not in call.accounts():
        raise refuse(403, {"code": "403", "message": "Not authorized for this advertiser account"})
    if account.region != call.facts.region:
        raise RequestError("400000", f"The account is not in region {call.facts.region}")
    return account


def _refuse_by_rule(call: Call, request: ReportRequest) -> None:
    def strikes(rule: Refuse) -> bool:
        if rule.reason == "too_large":
            return request.days > rule.days
        return rule.reason == "no_rights" or rule.code is not None

    if rule := call.strike(Refuse, strikes):
        own = rule.code or "", rule.message or "Internal error, try again later"
        error = RequestError(*_REASONS.get(rule.reason, own))
        raise Refusal(answer_error(error)) if rule.as_207 else error


def _check_room(call: Call, account: AdsAccount, request: ReportRequest) -> None:
    """Refuse a report if too many are in flight, or if a rule refuses it as a duplicate."""
    sandbox, now = call.sandbox, call.now
    in_flight = sandbox.reports.in_flight(account, now)
    twin = next((one for one in in_flight if _is_same(one.request, request)), None)
    if twin and call.strike(Duplicate):
        text = f"The Request is a duplicate of : {twin.id}"
        raise refuse(425, {"code": "425", "detail": text})
    if len(in_flight) >= sandbox.config.max_reports_in_flight:
        raise throttled()

    def is_busy(rule: OneAtATime) -> bool:
        every, client = sandbox.world.accounts.accounts, call.facts.client
        here = {one.account_id for one in every if one.region == account.region}
        own = [one for one in sandbox.reports if one.client == client and one.account_id in here]
        return sum(one.is_in_flight(now) for one in own) >= rule.most

    if rule := call.strike(OneAtATime, is_busy):
        raise throttled(rule.headers())


def _is_same(first: ReportRequest, second: ReportRequest) -> bool:
    same_period = (first.start, first.end) == (second.start, second.end)
    same_rows = set(first.fields) == set(second.fields) and first.filter == second.filter
    return same_period and first.account_id == second.account_id and same_rows


async def _retrieved(call: Call, report: Report) -> Response:
    status, sandbox = report.status(call.now), call.sandbox
    if report.end(call.now) != "COMPLETED":
        return _answer(_describe(report, status))
    files = await sandbox.files.parts(sandbox.reports, report)
    places = [f"/downloads/{report.id}/{part}.json.gz" for part in range(len(files))]
    urls, of_parts = call.signed(places), report.rules_of(Parts)
    if any(rule.single_url for rule in of_parts):
        return _answer(_describe(report, status) | {"url": urls[0][0]})
    parts = [
        {
            "sizeInBytes": call.announced_size(len(file)),
            "url": url,
            "urlExpirationDateTime": iso(expires_at),
        }
        for file, (url, expires_at) in zip(files, urls, strict=True)
    ]
    if any(rule.twice for rule in of_parts):
        parts.append(parts[0])
    return _answer(_describe(report, status) | {"completedReportParts": parts})
