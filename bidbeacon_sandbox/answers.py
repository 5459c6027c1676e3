"""Answers to calls, and refusals in the shape that Amazon documents for each call."""

from datetime import datetime
from typing import Any
from xml.sax.saxutils import escape

from starlette.responses import Response

from bidbeacon_sandbox.fields import RequestError
from bidbeacon_sandbox.rows import to_json
from bidbeacon_sandbox.rules import Answer, Operation

JSON = "application/json"


class Refusal(Exception):  # noqa: N818 - an answer, not a failure
    """Ends a call with `response`; `error_body` can turn `details` into the response's body."""

    def __init__(self, response: Response, details: dict[str, Any] | None = None) -> None:
        super().__init__(f"refused with status {response.status_code}")
        self.response, self.details = response, details


def json_response(
    body: Any, status: int = 200, headers: dict[str, str] | None = None, media: str = JSON
) -> Response:
    """Return a JSON response; non-ASCII characters are not escaped."""
    return Response(to_json(body), status, headers, media_type=media)


def iso(instant: datetime) -> str:
    """Format a UTC time as in Amazon's answers: `2026-01-31T23:59:59Z`."""
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")


def refuse(status: int, details: dict[str, Any], headers: dict[str, str] | None = None) -> Refusal:
    """Return a refusal with the JSON body `details`, which `error_body` adapts to the call."""
    return Refusal(json_response(details, status, headers), details)


def refuse_xml(status: int, code: str, message: str) -> Refusal:
    """Return a refusal by the file store, whose errors are XML."""
    text = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{escape(code)}</Code><Message>{escape(message)}</Message></Error>"
    )
    return Refusal(Response(text, status, media_type="application/xml"))


def throttled(headers: dict[str, str] | None = None) -> Refusal:
    """Return a 429 refusal like that of Amazon's gateway; `headers` may contain Retry-After."""
    return refuse(429, BODIES[429], headers)


BODIES: dict[int, dict[str, Any]] = {
    401: {"code": "UNAUTHORIZED", "details": "Access token is not valid"},
    403: {"code": "403", "details": "Profile has no rights for this resource"},
    429: {"message": "Too Many Requests"},
}
_SERVER_ERROR = {"code": "INTERNAL_ERROR", "details": "An internal error has occurred"}


def refusal_of(rule: Answer) -> Refusal:
    """Return the refusal that an `answer` rule defines; its default status is 503."""
    status = rule.status or 503
    if rule.html:
        text = (
            f"<html><head><title>{status}</title></head>"
            f"<body><h1>{status} Service Unavailable</h1></body></html>"
        )
        return Refusal(Response(text, status, rule.headers(), media_type="text/html"))
    return refuse(status, BODIES.get(status, _SERVER_ERROR), rule.headers())


def answer_error(error: RequestError) -> Response:
    """Return a response with status 207 in which the only item has this error."""
    one = {"code": error.code, "message": error.message}
    return json_response({"error": [{"index": 0, "errors": [one]}], "success": []}, 207)


_REPORTS_WORDS = {
    401: "UNAUTHORIZED",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    413: "CONTENT_TOO_LARGE",
    429: "TOO_MANY_REQUESTS",
}
_PORTFOLIO_WORDS = {
    401: "UNAUTHORIZED",
    403: "ACCESS_DENIED",
    415: "UNSUPPORTED_MEDIA_TYPE",
    429: "THROTTLED",
}


def error_body(operation: Operation, status: int, details: dict[str, Any]) -> dict[str, Any]:
    """Return the body of a refusal in the form that Amazon documents for the call.

    In errors of report calls and account queries, `code` is a word, and a numeric code in `details`
    (400005) becomes the start of the message. Errors of calls for tokens, profiles and files are
    undocumented: for these calls, `details` is returned unchanged.
    """
    texts = (str(details[key]) for key in ("message", "details", "detail") if key in details)
    code, text = str(details.get("code", "")), next(texts, "")
    match operation:
        case "create_report" | "retrieve_report" | "delete_report" | "query_accounts":
            word = _REPORTS_WORDS.get(status, "BAD_REQUEST")
            return {"code": word, "message": _numbered(code, text)}
        case "list_portfolios":
            return {"code": _PORTFOLIO_WORDS.get(status, "INVALID_ARGUMENT"), "message": text}
        case "create_export" | "get_export":
            return {"message": text}
        case "list_accounts":
            word = _REPORTS_WORDS.get(status, "BAD_REQUEST")
            return {"errors": [{"errorCode": word, "errorId": status, "errorMessage": text}]}
    return details


def _numbered(code: str, text: str) -> str:
    is_number = code.isdecimal() and len(code) > len("400")
    return f"{code}: {text}" if is_number and not text.startswith(code) else text
