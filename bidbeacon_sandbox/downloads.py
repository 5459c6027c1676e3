"""The file store. It refuses unsigned URLs and Authorization headers; its errors are XML."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from starlette.responses import Response, StreamingResponse

from bidbeacon_sandbox.answers import refuse_xml
from bidbeacon_sandbox.call import Call
from bidbeacon_sandbox.jobs import Jobs
from bidbeacon_sandbox.rules import File, Parts

_MEDIA = "application/octet-stream"


async def download(call: Call) -> Response:
    """Return a file of a report or export; `GET /downloads/{job}/{part}.json.gz?…`."""
    sandbox, job_id = call.sandbox, call.request.path_params["job"]
    part: int = call.request.path_params["part"]
    is_report = sandbox.reports.find(job_id) is not None
    jobs: Jobs[Any] = sandbox.reports if is_report else sandbox.exports
    job = jobs.find(job_id)
    if job:
        call.concerns(sandbox.world.accounts.find(job.account_id), job.country, job.datasets)
    await call.apply_rules()
    _check_url(call)
    rules = call.strikes(File, lambda rule: rule.size_factor is None)
    for rule in rules:
        if rule.redirect is not None:
            return _redirected(call, rule.redirect)
    files = await sandbox.files.parts(jobs, job) if job else []
    places = {part, part - len(files)}  # a negative number counts from the last one
    is_missing = is_report and call.strike(Parts, lambda rule: rule.missing in places)
    if part >= len(files) or is_missing:
        raise refuse_xml(404, "NoSuchKey", "The specified key does not exist.")
    return _send(files[part], rules)


def _check_url(call: Call) -> None:
    request = call.request
    if "authorization" in request.headers:
        text = "Only one auth mechanism allowed; send no Authorization header"
        raise refuse_xml(400, "InvalidArgument", text)
    expires_at = call.sandbox.urls.find_expiry(f"{request.url.path}?{request.url.query}")
    if expires_at is None:
        raise refuse_xml(403, "SignatureDoesNotMatch", "The request signature does not match.")
    if call.now >= expires_at:
        raise refuse_xml(403, "AccessDenied", "Request has expired")


def _redirected(call: Call, location: str) -> Response:
    """Return a redirect to the origin `location`; if that is empty, to an unreachable origin."""
    url = call.request.url
    origin = location or f"{url.scheme}://127.0.0.2:{url.port or 80}"
    return Response(status_code=302, headers={"location": f"{origin}{url.path}?{url.query}"})


def _send(content: bytes, rules: tuple[File, ...]) -> Response:
    for rule in rules:
        if rule.keep is not None:
            content = content[: int(len(content) * rule.keep)]
    speed = min((rule.bytes_per_second for rule in rules if rule.bytes_per_second), default=None)
    if speed is None:
        return Response(content, media_type=_MEDIA)
    headers = {"content-length": str(len(content))}
    return StreamingResponse(_trickle(content, speed), headers=headers, media_type=_MEDIA)


async def _trickle(content: bytes, bytes_per_second: int) -> AsyncIterator[bytes]:
    size = max(1, bytes_per_second // 10)
    for start in range(0, len(content), size):
        piece = content[start : start + size]
        await asyncio.sleep(len(piece) / bytes_per_second)
        yield piece
