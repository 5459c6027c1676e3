"""The file store: signed urls, no Authorization header, errors as XML."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

from starlette.responses import FileResponse, Response, StreamingResponse

from bidbeacon_sandbox.call import Call, refuse_xml
from bidbeacon_sandbox.faults import FileNumber

_MEDIA = "application/octet-stream"


async def download(call: Call) -> Response:
    """Return a generated file; `GET /downloads/{kind}/{key}/{part}.json.gz?…`."""
    kind, key = call.request.path_params["kind"], call.request.path_params["key"]
    part = call.request.path_params["part"]
    _note_subject(call, kind, key)
    await call.suffer_faults()
    _check_url(call)
    if rule := call.sandbox.faults.find_strike("redirect", call.subject):
        return _redirected(call, rule.options.location)
    paths = await _find_paths(call, kind, key)
    if part >= len(paths) or _is_missing(call, part, len(paths)):
        raise refuse_xml(404, "NoSuchKey", "The specified key does not exist.")
    return _give(call, paths[part])


def _note_subject(call: Call, kind: str, key: str) -> None:
    accounts = call.sandbox.world.accounts
    if kind == "reports":
        report = call.sandbox.reports.find(key)
        call.concerns(accounts.find(report.request.account_id) if report else None)
    else:
        export = call.sandbox.exports.find(key)
        call.concerns(
            accounts.find(export.account_id) if export else None, export.country if export else None
        )


def _check_url(call: Call) -> None:
    request = call.request
    if "authorization" in request.headers:
        raise refuse_xml(
            400, "InvalidArgument", "Only one auth mechanism allowed; send no Authorization header"
        )
    expires_at = call.sandbox.signer.find_expiry(request.url.path, request.url.query)
    if expires_at is None:
        raise refuse_xml(403, "SignatureDoesNotMatch", "The request signature does not match.")
    if call.now >= expires_at:
        raise refuse_xml(403, "AccessDenied", "Request has expired")


async def _find_paths(call: Call, kind: str, key: str) -> list[Path]:
    sandbox = call.sandbox
    if kind == "reports":
        report = sandbox.reports.find(key)
        if report is None:
            return []
        rows = partial(sandbox.reports.rows, report)
        return await sandbox.files.parts(f"reports-{key}", rows, report.part_count)
    export = sandbox.exports.find(key)
    if export is None:
        return []
    return await sandbox.files.parts(f"exports-{key}", partial(sandbox.exports.rows, export), 1)


def _redirected(call: Call, location: str | None) -> Response:
    """Send the caller to another host, where by default nobody listens."""
    url = call.request.url
    origin = location or f"{url.scheme}://127.0.0.2:{url.port or 80}"
    return Response(status_code=302, headers={"location": f"{origin}{url.path}?{url.query}"})


def _is_missing(call: Call, part: int, count: int) -> bool:
    """Return whether part_missing takes this part: the one that its rule names, or the last one."""
    if call.request.path_params["kind"] != "reports":
        return False
    return (
        call.sandbox.faults.find_strike("part_missing", call.subject, FileNumber(part, count))
        is not None
    )


def _give(call: Call, path: Path) -> Response:
    """Return a file; half of it with truncated_gzip, little by little with trickle."""
    is_half = call.sandbox.faults.find_strike("truncated_gzip", call.subject) is not None
    trickle = call.sandbox.faults.find_strike("trickle", call.subject)
    if not is_half and trickle is None:
        return FileResponse(path, media_type=_MEDIA)
    content = path.read_bytes()
    if is_half:
        content = content[: len(content) // 2]
    if trickle is None:
        return Response(content, media_type=_MEDIA)
    pieces = _trickle(content, trickle.options.bytes_per_second)
    return StreamingResponse(
        pieces, headers={"content-length": str(len(content))}, media_type=_MEDIA
    )


async def _trickle(content: bytes, bytes_per_second: int) -> AsyncIterator[bytes]:
    """Return content in pieces, ten a second of real time."""
    size = max(1, bytes_per_second // 10)
    for start in range(0, len(content), size):
        piece = content[start : start + size]
        await asyncio.sleep(len(piece) / bytes_per_second)
        yield piece
