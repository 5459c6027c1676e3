"""The bodies of refusals: each part of the API has a shape of its own, as Amazon's documents describe it."""

from typing import Any

from bidbeacon_sandbox.rules import Operation

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
    """Return the body of a refusal with a code and a text, in the shape that its call has.

    A number as code (400005) stands at the beginning of the text, and the code is the status's word.
    Tokens, profiles and files, whose errors no document describes, have the body that is given.
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
