"""The export calls: create for each kind of entity, and get."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, get_args

from starlette.responses import Response

from bidbeacon_pipelines.sandbox.accounts import Account, AccountCountry
from bidbeacon_pipelines.sandbox.call import SCOPE_HEADER, Call, json_response, refuse, throttled
from bidbeacon_pipelines.sandbox.entities import State
from bidbeacon_pipelines.sandbox.export_files import AD_PRODUCT, ExportKind, media_type
from bidbeacon_pipelines.sandbox.exports import KEPT, Export
from bidbeacon_pipelines.sandbox.files import MAKING_SECONDS

_STATES = frozenset(get_args(State))


def create_export(kind: ExportKind) -> Callable[[Call], Awaitable[Response]]:
    """Make the handler of `POST /{region}/{kind}/export`."""

    async def create(call: Call) -> Response:
        account, country = await _admit(call)
        call.require_media(media_type(kind), accept=True)
        states = _read_states(await call.json())
        exports, now = call.sandbox.exports, call.now
        if exports.in_progress(kind, now) >= call.sandbox.config.max_exports_in_progress:
            raise throttled({"retry-after": "1"})
        failure = call.sandbox.faults.find_strike("export_failed", call.subject)
        export = exports.create(kind, (account, country), states, now, failure)
        if rule := call.sandbox.faults.find_strike("throttle_accepted", call.subject):
            raise throttled(rule.options.retry_after_header())
        return json_response(_head(export, "PROCESSING"), 202)

    return create


async def get_export(call: Call) -> Response:
    """Return an export's status, with a fresh url where it is complete; `GET /{region}/exports/{export_id}`."""
    account, country = await _admit(call)
    export = call.sandbox.exports.find(call.request.path_params["export_id"])
    if export is None or (export.account_id, export.country) != (account.account_id, country.country):
        raise refuse(404, {"code": "NOT_FOUND", "details": "Export not found"})
    call.require_accept(media_type(export.kind))
    if call.now >= export.ready_at + KEPT:
        raise refuse(404, {"code": "NOT_FOUND", "details": "Export is no longer available"})
    status = export.status(call.now)
    if status == "COMPLETED":
        return await _completed(call, export)
    failed = {"error": _error(export)} if status == "FAILED" else {}
    return json_response({**_head(export, status), **failed})


async def _admit(call: Call) -> tuple[Account, AccountCountry]:
    """Admit a call about one profile.

    Raises:
        Refusal: no scope header, an unknown or disabled profile, or one of another region.
    """
    found = call.profile()
    if found:
        call.concerns(found[0], found[1].country)
    await call.admit()
    if SCOPE_HEADER not in call.request.headers:
        raise refuse(400, {"code": "INVALID_ARGUMENT", "details": "Amazon-Advertising-API-Scope is missing"})
    if found is None or found[0].status == "DISABLED":
        raise refuse(403, {"code": "403", "details": "Not authorized to manage this profile"})
    if found[0].region != call.region:
        raise refuse(404, {"code": "404", "details": f"Profile not found in region {call.region}"})
    return found


def _read_states(body: Any) -> frozenset[State]:
    if not isinstance(body, dict) or body.get("adProductFilter") != [AD_PRODUCT]:
        raise refuse(
            400, {"code": "INVALID_ARGUMENT", "details": f'adProductFilter must be ["{AD_PRODUCT}"]'}
        )
    asked = body.get("stateFilter") or ["ENABLED", "PAUSED"]
    if not isinstance(asked, list) or not set(asked) <= _STATES:
        raise refuse(
            400, {"code": "INVALID_ARGUMENT", "details": f"stateFilter must be of {sorted(_STATES)}"}
        )
    return frozenset(asked)


async def _completed(call: Call, export: Export) -> Response:
    rows = call.sandbox.exports.rows
    key = f"exports-{export.export_id}"
    paths = await call.sandbox.files.parts_within(MAKING_SECONDS, key, lambda: rows(export), 1)
    if paths is None:
        return json_response(_head(export, "PROCESSING"))
    path = f"/downloads/exports/{export.export_id}/0.json.gz"
    [signed] = call.signed([path], call.sandbox.config.export_url_seconds)
    return json_response(
        {
            **_head(export, "COMPLETED"),
            "generatedAt": _iso(export.ready_at),
            "url": signed.url,
            "urlExpiresAt": _iso(signed.expires_at),
            "fileSize": call.announced_size(paths[0].stat().st_size),
        }
    )


def _head(export: Export, status: str) -> dict[str, Any]:
    return {"exportId": export.export_id, "status": status, "createdAt": _iso(export.created_at)}


def _error(export: Export) -> dict[str, str]:
    options = export.failure.options if export.failure else None
    code, reason = (options.code, options.reason) if options else (None, None)
    return {"errorCode": code or "INTERNAL_ERROR", "message": reason or "Export failed"}


def _iso(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")
