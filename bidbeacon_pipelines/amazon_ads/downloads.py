"""Downloads files of reports and exports, from Amazon's hosts only and without our token.

A file is stored as it is transferred: gzipped. The reader of the file checks that the gzip stream
and the JSON array are complete.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import httpx
from pydantic import SecretStr
from tenacity import RetryCallState

from bidbeacon_pipelines.amazon_ads.client import AdsApiClient, AdsRequest, Owner, unreachable
from bidbeacon_pipelines.amazon_ads.errors import (
    AdsApiError,
    NotFound,
    ReportChanged,
    UrlExpired,
    as_text,
)
from bidbeacon_pipelines.amazon_ads.failures import ErrorBody, error_for
from bidbeacon_pipelines.amazon_ads.rate_limits import CallClass
from bidbeacon_pipelines.amazon_ads.reports import Report, ReportStatus
from bidbeacon_pipelines.amazon_ads.tables import ApiCall

# S3 sends its first byte within a second; a connection silent for so long is dead.
_TIMEOUT = httpx.Timeout(connect=10.0, read=30.0, write=30.0, pool=None)
MOST_BYTES: Final = 2 * 1024**3
"""Size limit of a file as it is transferred, gzipped."""
LONGEST_TRANSFER: Final = timedelta(minutes=30)
MOST_SIGNINGS: Final = 2
"""Fresh URLs are requested at most this many times between two successful downloads."""

_XML_FACT = re.compile(r"<(Code|Message)>([^<]*)</\1>")
# S3 answers 400 when the session that signed a URL has ended, and 403 when the URL itself has.
_EXPIRED_CODES = frozenset({"ExpiredToken", "TokenRefreshRequired"})
# A 401 concerns the URL, since no token is sent.
_REFUSED = frozenset({httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN})


def download(
    client: AdsApiClient, url: SecretStr, path: Path, owner: Owner, *, most_bytes: int = MOST_BYTES
) -> None:
    """Download a file without our token, which S3 refuses.

    After a broken connection or a 5xx, the download starts again, within the client's policy. After
    an error, a part of the file may be left on the disk.

    Raises:
        UrlExpired: The URL has expired.
        NotFound: There is no such file.
        AdsApiError: The host is not allowed, the file is larger than `most_bytes`, or the request
            failed otherwise.
        OSError: The file can't be written; `download_folder` turns this into `NotWritten`.
    """
    request = AdsRequest(
        name="download",
        operation="download a file",
        owner=owner,
        call_class=CallClass.DOWNLOAD,
        about=f", {path.name}",
    )

    def attempt(state: RetryCallState) -> None:
        with client.turn(request, state) as call, _opened(client, url, call) as response:
            _write(response, path, most_bytes, client.now)

    client.retried(attempt)


def download_report(
    client: AdsApiClient,
    report: Report,
    folder: Path,
    owner: Owner,
    *,
    retrieve: Callable[[], Report],
) -> list[Path]:
    """Download all parts of a completed report; return their paths in order.

    When a URL has expired, `retrieve` returns the report with fresh URLs. The announced expiry of a
    URL is ignored: our clock may differ from Amazon's, and a failed attempt is cheap.

    Raises:
        UrlExpired: Fresh URLs don't work either.
        ReportChanged: The report is no longer complete, or has other files now.
        AdsApiError: A call failed. The cause is `file-missing` if Amazon lists no file of the
            report, or doesn't have a listed file.
    """
    paths: list[Path] = []
    signings = 0
    while len(paths) < len(report.parts):
        part, path = report.parts[len(paths)], folder / f"part-{len(paths)}.json.gz"
        try:
            download(client, part.url, path, owner)
        except UrlExpired:
            if signings == MOST_SIGNINGS:
                raise
            signings += 1
            report = _compared(report, retrieve())
        except NotFound as error:
            raise _missing(
                f"file {len(paths) + 1} of {len(report.parts)}: {error.reason}"
            ) from error
        else:
            paths.append(path)
            signings = 0
    if not paths:
        raise _missing("the report is complete, but Amazon lists no file of it")
    return paths


def _compared(before: Report, now: Report) -> Report:
    old, new = ([part.size_bytes for part in report.parts] for report in (before, now))
    if now.status is ReportStatus.COMPLETED and old == new:
        return now
    reason = (
        f"the report was COMPLETED with files of {old} bytes, and is now {now.raw_status} "
        f"with files of {new} bytes"
    )
    changed = ReportChanged(reason, operation="download a report")
    changed.report = now
    raise changed


def _missing(reason: str) -> AdsApiError:
    return AdsApiError(reason, cause_code="file-missing", operation="download a report")


def _write(
    response: httpx.Response, path: Path, most_bytes: int, now: Callable[[], datetime]
) -> None:
    ends_at, size = now() + LONGEST_TRANSFER, 0
    with path.open("wb") as file:
        # Raw: a `Content-Encoding: gzip` must not unpack the file on its way.
        for chunk in response.iter_raw():
            size += len(chunk)
            if size > most_bytes:
                raise _refused(f"the file is larger than {most_bytes} bytes")
            if now() > ends_at:
                reason = f"the file didn't arrive within {LONGEST_TRANSFER}"
                raise AdsApiError(reason, cause_code="file-incomplete")
            file.write(chunk)


@contextmanager
def _opened(client: AdsApiClient, secret: SecretStr, call: ApiCall) -> Iterator[httpx.Response]:
    try:
        url = httpx.URL(secret.get_secret_value())
    except httpx.InvalidURL as error:
        raise _refused(f"the URL of the file is invalid: {error}") from None
    if not client.endpoints.allow_download(url):
        raise _foreign(client, url)
    # Identity: the file is gzipped already.
    headers = {"Accept-Encoding": "identity"}
    request = client.http.build_request("GET", url, headers=headers, timeout=_TIMEOUT)
    response = client.exchange(request, call, stream=True)
    try:
        if response.next_request is not None:
            raise _foreign(client, response.next_request.url)
        if response.status_code != httpx.codes.OK:
            raise _error(response)
        yield response
    except httpx.RequestError as error:
        raise unreachable(error) from error
    finally:
        response.close()


def _foreign(client: AdsApiClient, url: httpx.URL) -> AdsApiError:
    expected = ", ".join(client.endpoints.download_hosts)
    return _refused(f"expected a file from {expected}, got: {url.scheme}://{url.host}")


def _refused(reason: str) -> AdsApiError:
    return AdsApiError(reason, cause_code="download-refused")


def _error(response: httpx.Response) -> AdsApiError:
    # Only code and message are read: S3's body also contains the URL's signature.
    start = next(response.iter_text(4096), "")
    facts = {name: as_text(text) for name, text in _XML_FACT.findall(start)}
    code, text = facts.get("Code"), ": ".join(facts.values()) or "no reason given"
    if response.status_code in _REFUSED or code in _EXPIRED_CODES:
        return UrlExpired(text, code=code)
    return error_for(response, ErrorBody(code, text))
