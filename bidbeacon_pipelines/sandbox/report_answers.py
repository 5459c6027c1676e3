"""What the unified v1 report calls answer: a report, its parts, and errors inside a 207."""

from datetime import datetime
from typing import Any

from starlette.responses import Response

from bidbeacon_pipelines.sandbox.refusals import RequestError, json_response
from bidbeacon_pipelines.sandbox.report_filter import wire_filter
from bidbeacon_pipelines.sandbox.reports import Report
from bidbeacon_pipelines.sandbox.signing import SignedUrl

_MULTI_STATUS = 207
_ENDS = frozenset(("COMPLETED", "FAILED", "CANCELLED", "EXPIRED"))


def answer(document: dict[str, Any]) -> Response:
    """Answer with one report."""
    return json_response({"error": None, "success": [{"index": 0, "report": document}]}, _MULTI_STATUS)


def answer_errors(error: RequestError) -> Response:
    """Answer that the one thing asked for failed."""
    return json_response({"error": [{"index": 0, "errors": [error.entry()]}], "success": []}, _MULTI_STATUS)


def describe(report: Report, status: str) -> dict[str, Any]:
    """Say how a report is, without its parts."""
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
            {"datePeriod": {"startDate": request.start.isoformat(), "endDate": request.end.isoformat()}}
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
    """Say where a report's parts are, and how large they are said to be."""
    return [
        {"sizeInBytes": size, "url": signed.url, "urlExpirationDateTime": _iso(signed.expires_at)}
        for size, signed in zip(sizes, urls, strict=True)
    ]


def _failure(report: Report, status: str) -> dict[str, str | None]:
    """Give code and reason of a report that did not complete; only FAILED has them without being told."""
    fault = report.end_fault if status in _ENDS else None
    code, reason = (fault.options.code, fault.options.reason) if fault else (None, None)
    if fault and fault.fault == "too_large_later":
        code, reason = "INTERNAL_ERROR", reason or "The requested report is too large"
    if status == "FAILED":
        code, reason = code or "INTERNAL_ERROR", reason or "Report generation failed"
    return {"failureCode": code, "failureReason": reason}


def _iso(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")
