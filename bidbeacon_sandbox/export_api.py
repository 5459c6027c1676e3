"""The API calls for the entities of one profile: exports and portfolios."""

from typing import Any

from starlette.responses import Response

from bidbeacon_sandbox.account_api import read_page
from bidbeacon_sandbox.accounts import AccountCountry, AdsAccount
from bidbeacon_sandbox.answers import iso, json_response, refuse, throttled
from bidbeacon_sandbox.call import SCOPE_HEADER, Call
from bidbeacon_sandbox.entities import EXPORT_KINDS, ExportKind
from bidbeacon_sandbox.exports import KEPT, Export, ExportFilter, media_type
from bidbeacon_sandbox.list_filters import PortfolioQuery, read_body
from bidbeacon_sandbox.rules import Accepted429, ExportEnds, OldBrands, Rows

_MOST_IN_PROGRESS = 5
"""How many exports of one kind may be in progress, in all accounts together."""
_PORTFOLIO_MEDIA = "application/vnd.spPortfolio.v3+json"


async def create_export(call: Call) -> Response:
    """Create an export of the entities of one kind; `POST /{region}/{kind}/export`."""
    kind = call.request.path_params["kind"]
    if kind not in EXPORT_KINDS:
        raise refuse(404, {"code": "NOT_FOUND", "details": "There are no such exports"})
    place = await _admit(call)
    call.require_media(media_type(kind))
    call.require_accept(media_type(kind))
    entity_filter = _read_filter(kind, await call.json(required=True))
    exports, now = call.sandbox.exports, call.now
    if exports.in_progress(kind, now) >= _MOST_IN_PROGRESS:
        raise throttled({"retry-after": "1"})
    changes = call.strikes(Rows, lambda rule: rule.of == kind)
    struck = *call.strikes(ExportEnds), *changes, *call.strikes(OldBrands)
    export = exports.create(kind, place, entity_filter, now, struck)
    if rule := call.strike(Accepted429):
        raise throttled(rule.headers())
    return _answer(export, _head(export, "PROCESSING"), 202)


async def get_export(call: Call) -> Response:
    """Return an export's status and signed URL; `GET /{region}/exports/{export_id}`."""
    account, country = await _admit(call)
    export = call.sandbox.exports.find(call.request.path_params["export_id"])
    place = account.account_id, country.country
    if export is None or (export.account_id, export.country) != place:
        raise refuse(404, {"code": "NOT_FOUND", "details": "Export not found"})
    call.require_accept(media_type(export.kind))
    if call.now >= export.ready_at + KEPT:
        raise refuse(404, {"code": "NOT_FOUND", "details": "Export is no longer available"})
    call.obeys(*export.rules)
    status = export.status(call.now)
    if status == "COMPLETED":
        return await _completed(call, export)
    failed = {}
    if status == "FAILED" and export.failure:
        failed = {"error": {"errorCode": export.failure.code, "message": export.failure.reason}}
    return _answer(export, _head(export, status) | failed)


async def list_portfolios(call: Call) -> Response:
    """Return the portfolios of a profile; `POST /{region}/portfolios/list`."""
    account, country = await _admit(call)
    call.require_media(_PORTFOLIO_MEDIA.lower())
    call.require_accept(_PORTFOLIO_MEDIA.lower())
    rows = call.sandbox.world.catalog(account, country).portfolios
    body = await call.json()
    query = read_body(PortfolioQuery, body)
    rows = [one for one in rows if query.passes(one)]
    page, following = read_page(body, rows)
    answer = {"portfolios": page, "totalResults": len(rows), **following}
    return json_response(answer, media=_PORTFOLIO_MEDIA)


async def _admit(call: Call) -> tuple[AdsAccount, AccountCountry]:
    found = call.sandbox.world.accounts.find_profile(call.request.headers.get(SCOPE_HEADER))
    if found:
        call.concerns(found[0], found[1].country)
    await call.admit()
    if SCOPE_HEADER not in call.request.headers:
        text = "Amazon-Advertising-API-Scope is missing"
        raise refuse(400, {"code": "INVALID_ARGUMENT", "details": text})
    if found is None or found[0].status == "DISABLED" or found[0] not in call.accounts():
        raise refuse(403, {"code": "403", "details": "Not authorized to manage this profile"})
    if found[0].region != call.facts.region:
        text = f"Profile not found in region {call.facts.region}"
        raise refuse(404, {"code": "404", "details": text})
    return found


def _read_filter(kind: ExportKind, body: Any) -> ExportFilter:
    entity_filter = read_body(ExportFilter, body)
    if entity_filter.is_about_targets and kind != "targets":
        text = "negativeFilter, targetLevelFilter and targetTypeFilter apply only to targets"
        raise refuse(400, {"code": "INVALID_ARGUMENT", "details": text})
    return entity_filter


async def _completed(call: Call, export: Export) -> Response:
    [content] = await call.sandbox.files.parts(call.sandbox.exports, export)
    [(url, expires_at)] = call.signed([f"/downloads/{export.id}/0.json.gz"])
    return _answer(
        export,
        {
            **_head(export, "COMPLETED"),
            "generatedAt": iso(export.ready_at),
            "url": url,
            "urlExpiresAt": iso(expires_at),
            "fileSize": call.announced_size(len(content)),
        },
    )


def _answer(export: Export, body: dict[str, Any], status: int = 200) -> Response:
    return json_response(body, status, media=media_type(export.kind))


def _head(export: Export, status: str) -> dict[str, Any]:
    return {"exportId": export.id, "status": status, "createdAt": iso(export.created_at)}
