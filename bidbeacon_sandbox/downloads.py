"""The file store: signed urls, no Authorization header, errors as XML."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

from starlette.responses import FileResponse, Response, StreamingResponse

from bidbeacon_sandbox.call import Call, refuse_xml
from bidbeacon_sandbox.rules import File, Parts

_MEDIA = "application/octet-stream"


async def download(call: Call) -> Response:
    """Return a generated file; `GET /downloads/{kind}/{key}/{part}.json.gz?…`."""
    kind, key = call.request.path_params["kind"], call.request.path_params["key"]
    part = call.request.path_params["part"]
    _note_subject(call, kind, key)
    await call.suffer_rules()
    _check_url(call)
    rules = call.sandbox.rules.strikes(File, call.subject)
    location = next((rule.redirect for rule in rules if rule.redirect is not None), None)
    if location is not None:
        return _redirected(call, location)
    paths = await _find_paths(call, kind, key)
    if part >= len(paths) or _is_missing(call, part, len(paths)):
        raise refuse_xml(404, "NoSuchKey", "The specified key does not exist.")
    return _give(paths[part], rules)


def _note_subject(call: Call, kind: str, key: str) -> None:
    accounts = call.sandbox.world.accounts
    if kind == "reports":
        report = call.sandbox.reports.find(key)
        if report:
            call.concerns(
                accounts.find(report.request.account_id), datasets=report.request.datasets
            )
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


def _redirected(call: Call, location: str) -> Response:
    """Send the caller to another host, where by default nobody listens."""
    url = call.request.url
    origin = location or f"{url.scheme}://127.0.0.2:{url.port or 80}"
    return Response(status_code=302, headers={"location": f"{origin}{url.path}?{url.query}"})


def _is_missing(call: Call, part: int, count: int) -> bool:
    """Return whether a rule takes this part; a negative number counts from the last one."""
    if call.request.path_params["kind"] != "reports":
        return False
    places = {part, part - count}
    rule = call.sandbox.rules.strike(Parts, call.subject, lambda rule: rule.missing in places)
    return rule is not None


def _give(path: Path, rules: tuple[File, ...]) -> Response:
    """Return a file; a part of it, or little by little, where rules say so."""
    keep = min((rule.keep for rule in rules if rule.keep is not None), default=None)
    speed = min((rule.bytes_per_second for rule in rules if rule.bytes_per_second), default=None)
    if keep is None and speed is None:
        return FileResponse(path, media_type=_MEDIA)
    content = path.read_bytes()
    if keep is not None:
        content = content[: int(len(content) * keep)]
    if speed is None:
        return Response(content, media_type=_MEDIA)
    headers = {"content-length": str(len(content))}
    return StreamingResponse(_trickle(content, speed), headers=headers, media_type=_MEDIA)


async def _trickle(content: bytes, bytes_per_second: int) -> AsyncIterator[bytes]:
    """Return content in pieces, ten a second of real time."""
    size = max(1, bytes_per_second // 10)
    for start in range(0, len(content), size):
        piece = content[start : start + size]
        await asyncio.sleep(len(piece) / bytes_per_second)
        yield piece
