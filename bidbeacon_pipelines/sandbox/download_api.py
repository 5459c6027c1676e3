"""The file store: signed urls, no Authorization header, errors as XML."""

from pathlib import Path

from starlette.responses import FileResponse, Response

from bidbeacon_pipelines.sandbox.call import Call
from bidbeacon_pipelines.sandbox.faults import FileNumber
from bidbeacon_pipelines.sandbox.refusals import refuse_xml


async def download(call: Call) -> Response:
    """Give a generated file; `GET /downloads/{kind}/{key}/{part}.json.gz?…`."""
    kind, key = call.request.path_params["kind"], call.request.path_params["key"]
    part = call.request.path_params["part"]
    _note_subject(call, kind, key)
    await call.suffer_faults()
    _check_url(call)
    paths = await _find_paths(call, kind, key)
    if part >= len(paths) or _is_missing(call, part, len(paths)):
        raise refuse_xml(404, "NoSuchKey", "The specified key does not exist.")
    if call.sandbox.faults.find_strike("truncated_gzip", call.subject):
        return _half(paths[part])
    return FileResponse(paths[part], media_type="application/octet-stream")


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
        return (
            await sandbox.files.parts(f"reports-{key}", lambda: sandbox.reports.rows(report))
            if report
            else []
        )
    export = sandbox.exports.find(key)
    if export is None:
        return []
    return await sandbox.files.parts(f"exports-{key}", lambda: sandbox.exports.rows(export), whole=True)


def _is_missing(call: Call, part: int, count: int) -> bool:
    """Whether part_missing takes this part: the one that its rule names, or the last one."""
    if call.request.path_params["kind"] != "reports":
        return False
    return call.sandbox.faults.find_strike("part_missing", call.subject, FileNumber(part, count)) is not None


def _half(path: Path) -> Response:
    content = path.read_bytes()
    return Response(content[: len(content) // 2], media_type="application/octet-stream")
