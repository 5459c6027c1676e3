"""The calls about the entities of one profile: exports of each kind, and the list of portfolios."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from pydantic import ValidationError
from starlette.responses import Response

from bidbeacon_sandbox.account_api import read_page
from bidbeacon_sandbox.accounts import Account, AccountCountry
from bidbeacon_sandbox.call import SCOPE_HEADER, Call, json_response, refuse, throttled
from bidbeacon_sandbox.exports import (
    KEPT,
    PORTFOLIO_MEDIA,
    Export,
    ExportFilter,
    ExportKind,
    media_type,
    portfolio_row,
)
from bidbeacon_sandbox.files import MAKING_SECONDS
from bidbeacon_sandbox.rules import Accepted429, ExportEnds, Rows


def create_export(kind: ExportKind) -> Callable[[Call], Awaitable[Response]]:
    """Make the handler of `POST /{region}/{kind}/export`."""

    async def create(call: Call) -> Response:
        account, country = await _admit(call)
        call.require_media(media_type(kind), accept=True)
        asked = _read_filter(kind, await call.json())
        exports, now = call.sandbox.exports, call.now
        if exports.in_progress(kind, now) >= call.sandbox.config.max_exports_in_progress:
            raise throttled({"retry-after": "1"})
        rules = (
            *call.sandbox.rules.strikes(ExportEnds, call.subject),
            *call.sandbox.rules.strikes(Rows, call.subject, lambda rule: rule.of == kind),
        )
        export = exports.create(kind, (account, country), asked, now, rules)
        if rule := call.sandbox.rules.strike(Accepted429, call.subject):
            raise throttled(rule.headers())
        return json_response(_head(export, "PROCESSING"), 202)

    return create


async def get_export(call: Call) -> Response:
    """Return an export's status, with a fresh url where it is complete; `GET /{region}/exports/{export_id}`."""
    account, country = await _admit(call)
    export = call.sandbox.exports.find(call.request.path_params["export_id"])
    if export is None or (export.account_id, export.country) != (
        account.account_id,
        country.country,
    ):
        raise refuse(404, {"code": "NOT_FOUND", "details": "Export not found"})
    call.require_accept(media_type(export.kind))
    if call.now >= export.ready_at + KEPT:
        raise refuse(404, {"code": "NOT_FOUND", "details": "Export is no longer available"})
    status = export.status(call.now)
    if status == "COMPLETED":
        return await _completed(call, export)
    failed = {"error": _error(export)} if status == "FAILED" else {}
    return json_response({**_head(export, status), **failed})


async def list_portfolios(call: Call) -> Response:
    """Return the portfolios of a profile; `POST /{region}/portfolios/list`."""
    account, country = await _admit(call)
    call.require_media(PORTFOLIO_MEDIA, accept=True)
    market = country.market
    rows = [
        portfolio_row(portfolio, market.currency, cents=market.has_cents)
        for portfolio in call.sandbox.world.catalog(account, country).portfolios
    ]
    page, following = read_page(await call.json(), rows)
    return json_response({"portfolios": page, "totalResults": len(rows)} | following)


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
        raise refuse(
            400, {"code": "INVALID_ARGUMENT", "details": "Amazon-Advertising-API-Scope is missing"}
        )
    if found is None or found[0].status == "DISABLED" or not call.may_see(found[0]):
        raise refuse(403, {"code": "403", "details": "Not authorized to manage this profile"})
    if found[0].region != call.subject.region:
        raise refuse(
            404, {"code": "404", "details": f"Profile not found in region {call.subject.region}"}
        )
    return found


def _read_filter(kind: ExportKind, body: Any) -> ExportFilter:
    try:
        asked = ExportFilter.model_validate(body)
    except ValidationError as error:
        first = error.errors()[0]
        text = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        raise refuse(400, {"code": "INVALID_ARGUMENT", "details": text}) from error
    if asked.is_about_targets and kind != "targets":
        text = "negativeFilter, targetLevelFilter and targetTypeFilter are for targets"
        raise refuse(400, {"code": "INVALID_ARGUMENT", "details": text})
    return asked


async def _completed(call: Call, export: Export) -> Response:
    rows = call.sandbox.exports.rows
    key = f"exports-{export.export_id}"
    paths = await call.sandbox.files.parts_within(MAKING_SECONDS, key, lambda: rows(export), 1)
    if paths is None:
        return json_response(_head(export, "PROCESSING"))
    path = f"/downloads/exports/{export.export_id}/0.json.gz"
    [signed] = call.signed([path])
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
    failure = export.failure or ExportEnds(rule="export_ends")
    return {"errorCode": failure.code, "message": failure.reason}


def _iso(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")
