"""The unified v1 report calls: create, retrieve and delete, and what they answer."""

from collections.abc import Callable
from datetime import date, datetime
from typing import Any

from starlette.responses import Response

from bidbeacon_sandbox.accounts import Account
from bidbeacon_sandbox.call import Call, Refusal, json_response, refuse, throttled
from bidbeacon_sandbox.fields import RequestError
from bidbeacon_sandbox.files import MAKING_SECONDS, SignedUrl
from bidbeacon_sandbox.report_request import (
    ReportRequest,
    check_period,
    find_account_id,
    find_datasets,
    first_asked,
    read_create,
    read_report_id,
    too_old,
    wire_filter,
)
from bidbeacon_sandbox.reports import Report
from bidbeacon_sandbox.rules import (
    Accepted429,
    Duplicate,
    Limits,
    OneAtATime,
    Parts,
    Refuse,
    ReportEnds,
    Rows,
)

_MULTI_STATUS = 207
_MEDIA = ("application/json", "application/vnd.adsapireporting.v1+json")
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
    rule = report.end_rule if status in _ENDS else None
    code, reason = (rule.code, rule.reason) if rule else (None, None)
    if status == "FAILED":
        too_large = rule is not None and rule.longer_than_days is not None
        usual = "The requested report is too large" if too_large else "Report generation failed"
        code, reason = code or "INTERNAL_ERROR", reason or usual
    return {"failureCode": code, "failureReason": reason}


def _iso(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")


_STATUSES = {"FORBIDDEN": 403, "CONTENT_TOO_LARGE": 413}


async def create_report(call: Call) -> Response:
    """Accept one report; `POST /{region}/adsApi/v1/create/reports`."""
    body = await call.json()
    account = call.sandbox.world.accounts.find(find_account_id(body))
    call.concerns(account, datasets=find_datasets(body))
    await _admit(call)
    rules = call.sandbox.rules.strikes(Refuse, call.subject, _is_about_fields)
    try:
        request = read_create(body, rules)
        account = _own_account(call, account)
        first_day = account.first_day(call.now)
        check_period(request, first_day, rules)
        _refuse_for_a_reason(call, request, first_asked(request, first_day, rules))
        _check_room(call, account, request)
        _refuse_with_a_code(call)
    except RequestError as error:
        raise _refused(call, error) from error
    report = call.sandbox.reports.create(
        request, call.now, (*rules, *_rules_of_report(call)), call.subject.client or ""
    )
    if rule := call.sandbox.rules.strike(Accepted429, call.subject):
        raise throttled(rule.headers())
    return answer(describe(report, report.status(report.created_at)))


async def retrieve_report(call: Call) -> Response:
    """Return a report's status, with fresh urls where it is complete; `POST /{region}/adsApi/v1/retrieve/reports`."""
    report = await _find_report(call)
    if call.sandbox.reports.is_polled_too_soon(report, call.now):
        raise throttled()
    try:
        _refuse_with_a_code(call)
    except RequestError as error:
        raise _refused(call, error) from error
    return await _retrieved(call, report)


async def delete_report(call: Call) -> Response:
    """Forget a report; `POST /{region}/adsApi/v1/delete/reports`."""
    report = await _find_report(call)
    call.sandbox.reports.delete(report)
    return answer(describe(report, report.status(call.now)))


async def _find_report(call: Call) -> Report:
    """Return the report that a body names.

    Raises:
        Refusal: it names none, or one that there isn't or that the credential can't see.
    """
    try:
        report_id = read_report_id(await call.json())
    except RequestError as error:
        await _admit(call)
        raise _refused(call, error) from error
    report = call.sandbox.reports.find(report_id)
    account = call.sandbox.world.accounts.find(report.request.account_id) if report else None
    call.concerns(account, datasets=report.request.datasets if report else ())
    await _admit(call)
    if report is None or account is None or account not in call.accounts():
        missing = RequestError("NOT_FOUND", f"Report not found: {report_id}", "reportIds[0]")
        raise Refusal(answer_errors(missing))
    return report


async def _admit(call: Call) -> None:
    await call.admit()
    call.require_media(*_MEDIA)


def _own_account(call: Call, account: Account | None) -> Account:
    if account is None or account.status == "DISABLED" or not call.may_see(account):
        raise refuse(403, {"code": "403", "message": "Not authorized for this advertiser account"})
    if account.region != call.subject.region:
        text = f"The account is not in region {call.subject.region}"
        raise RequestError("400000", text, "accessRequestedAccounts[0]")
    return account


def _is_about_fields(rule: Refuse) -> bool:
    """Return whether a rule changes what is refused because of fields, filter or period."""
    by_reason = rule.reason in {"old_names", "mixed_products"}
    return by_reason or bool(rule.fields or rule.history_days or rule.accept)


def _refuse_for_a_reason(call: Call, request: ReportRequest, first: date) -> None:
    days = (request.end - request.start).days + 1

    def strikes(reason: str) -> Callable[[Refuse], bool]:
        return lambda rule: rule.reason == reason and (reason != "too_large" or days > rule.days)

    rules, subject = call.sandbox.rules, call.subject
    if rules.strike(Refuse, subject, strikes("no_rights")):
        place = "accessRequestedAccounts[0]"
        raise RequestError("FORBIDDEN", "Multi-account authorization failed", place)
    if rules.strike(Refuse, subject, strikes("too_large")):
        text = "The report exceeds the maximum size"
        raise RequestError("CONTENT_TOO_LARGE", text, "reports[0].periods[0]")
    if rules.strike(Refuse, subject, strikes("too_old")):
        raise too_old(first, hourly=request.is_hourly)


def _refuse_with_a_code(call: Call) -> None:
    rule = call.sandbox.rules.strike(Refuse, call.subject, lambda rule: rule.code)
    if rule is not None and rule.code is not None:
        error = RequestError(rule.code, rule.message or "Internal error, try again later")
        raise Refusal(answer_errors(error)) if rule.as_207 else error


def _check_room(call: Call, account: Account, request: ReportRequest) -> None:
    sandbox, subject = call.sandbox, call.subject
    in_flight = sandbox.reports.in_flight(account, call.now)
    twin = next((report for report in in_flight if _is_same(report.request, request)), None)
    if twin is not None and sandbox.rules.strike(Duplicate, subject):
        text = f"The Request is a duplicate of : {twin.report_id}"
        raise refuse(425, {"code": "425", "detail": text})
    if len(in_flight) >= sandbox.config.max_reports_in_flight:
        raise throttled()
    busy = sum(
        report.client == subject.client
        for one in sandbox.world.accounts.in_region(account.region)
        for report in sandbox.reports.in_flight(one, call.now)
    )
    if rule := sandbox.rules.strike(OneAtATime, subject, lambda rule: busy >= rule.most):
        raise throttled(rule.headers())


def _rules_of_report(call: Call) -> tuple[Limits, ...]:
    """Return the rules that a report has from its creation on."""
    rules, subject = call.sandbox.rules, call.subject
    return (
        *rules.strikes(ReportEnds, subject),
        *rules.strikes(Rows, subject),
        *rules.strikes(Parts, subject),
    )


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
    paths = await sandbox.files.parts_within(MAKING_SECONDS, key, rows, report.part_count)
    if paths is None:
        return answer(describe(report, "PROCESSING"))
    places = [f"/downloads/reports/{report.report_id}/{part}.json.gz" for part in range(len(paths))]
    urls, of_parts = call.signed(places), report.rules_of(Parts)
    if any(rule.single_url for rule in of_parts):
        return answer(describe(report, status) | {"url": urls[0].url})
    sizes = [call.announced_size(path.stat().st_size) for path in paths]
    parts = describe_parts(sizes, urls)
    if any(rule.twice for rule in of_parts):
        parts.append(parts[0])
    return answer(describe(report, status) | {"completedReportParts": parts})


def _refused(call: Call, error: RequestError) -> Refusal:
    as_207 = call.sandbox.rules.strike(
        Refuse, call.subject, lambda rule: rule.as_207 and not rule.code
    )
    if as_207:
        return Refusal(answer_errors(error))
    status = _STATUSES.get(error.code, 400)
    return refuse(status, {"code": error.code, "message": error.message})
