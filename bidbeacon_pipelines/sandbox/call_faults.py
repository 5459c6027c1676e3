"""What the faults of any call answer, and answers with fields that nobody knows."""

import json
from collections.abc import Callable
from typing import Any

from starlette.responses import Response

from bidbeacon_pipelines.sandbox.fault_rules import CallFault, FaultOptions, Operation
from bidbeacon_pipelines.sandbox.refusals import Refusal, json_response, refuse, refuse_html, throttled

_SERVER_ERRORS = (500, 502, 503)
_MAPS = frozenset(("errors",))
"""Objects whose keys are data (an account's `errors` by country), not fields."""


def refusal_of(fault: CallFault, options: FaultOptions, operation: Operation, turn: int) -> Refusal:
    """Give the answer of a fault that ends a call; `turn` counts the calls, and chooses among server errors."""
    if fault == "server_error":
        status = options.status or _SERVER_ERRORS[turn % len(_SERVER_ERRORS)]
        return refuse(status, {"code": "INTERNAL_ERROR", "details": "An internal error has occurred"})
    if fault == "wrong_region":
        return _wrong_region(operation)
    return _REFUSALS[fault](options)


def with_unknown_fields(response: Response) -> Response:
    """Give the same answer with a field more in each of its objects; what isn't JSON stays as it is."""
    if response.media_type != "application/json":
        return response
    return json_response(_with_unknown(json.loads(bytes(response.body))), response.status_code)


def _with_unknown(value: Any, *, is_map: bool = False) -> Any:
    if isinstance(value, list):
        return [_with_unknown(item) for item in value]
    if not isinstance(value, dict):
        return value
    known = {
        key: _with_unknown(item, is_map=key in _MAPS and isinstance(item, dict))
        for key, item in value.items()
    }
    return known if is_map else known | {"newField": {"value": 1}}


def _wrong_region(operation: Operation) -> Refusal:
    if operation in {"create_report", "retrieve_report"}:
        return refuse(400, {"code": "400000", "message": "The account is not in this region"})
    return refuse(404, {"code": "404", "details": "Profile not found in this region"})


def _forbidden(_: FaultOptions) -> Refusal:
    return refuse(403, {"code": "403", "details": "Profile has no rights for this resource"})


def _unauthorized(_: FaultOptions) -> Refusal:
    return refuse(401, {"code": "UNAUTHORIZED", "details": "Access token is not valid"})


_REFUSALS: dict[CallFault, Callable[[FaultOptions], Refusal]] = {
    "throttle": lambda options: throttled(options.retry_after_header()),
    "html_body": lambda options: refuse_html(options.status or 503),
    "forbidden": _forbidden,
    "unauthorized": _unauthorized,
    "token_expiry": _unauthorized,
}
