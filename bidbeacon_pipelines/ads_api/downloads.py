"""Downloads of reports and exports: straight to disk, from Amazon's hosts only, without our token."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import httpx
from pydantic import SecretStr

from bidbeacon_pipelines.ads_api.client import AdsApiClient
from bidbeacon_pipelines.ads_api.errors import AdsApiError, DownloadIncomplete, DownloadRefused, UrlExpired
from bidbeacon_pipelines.ads_api.failures import error_for
from bidbeacon_pipelines.ads_api.transport import Answer, unreachable

OPERATION = "download a file"
DEFAULT_MAX_BYTES = 2 * 1024**3

_MAX_REDIRECTS = 3
_ERROR_BODY_BYTES = 4096
_XML_FACT = re.compile(r"<(Code|Message)>([^<]*)</\1>")
# S3 answers 400 when the session that signed a URL has ended, and 403 when the URL itself has.
_EXPIRED_CODES = frozenset({"ExpiredToken", "TokenRefreshRequired"})


def download_to(
    client: AdsApiClient,
    url: str | SecretStr,
    path: Path,
    *,
    expected_bytes: int | None,
    max_bytes: int = DEFAULT_MAX_BYTES,
) -> int:
    """Download a file, as it is transferred (still gzipped); `path` appears only when all of it is there.

    A broken connection, a 5xx, or another size than expected is tried again from the start, as often as the
    client's policy says. What arrives is written to `<path>.part` first, which never stays behind.

    Args:
        client: The session, for its connections, hosts and policy; its token is not sent (S3 refuses it).
        url: The presigned URL.
        path: Where the file goes; its folder is made where there is none.
        expected_bytes: Size that Amazon announced; None where it didn't.
        max_bytes: A larger file is refused.

    Returns:
        The file's size in bytes.

    Raises:
        DownloadRefused: Host not allowed, redirect to such a host, or larger than `max_bytes`.
        UrlExpired: The URL's time is over.
        DownloadIncomplete: The size stayed another than expected.
        AdsApiError: As its tree says, for other answers and connections.
    """
    address = _parse(url.get_secret_value() if isinstance(url, SecretStr) else url)
    download = _Download(client, expected_bytes, max_bytes)
    part = path.with_name(f"{path.name}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        size = client.retries.run(lambda: download.write(address, part), operation=OPERATION)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return size


class _Download:
    """What one download has to keep to."""

    def __init__(self, client: AdsApiClient, expected_bytes: int | None, max_bytes: int) -> None:
        self._client = client
        self._expected = expected_bytes
        self._max = max_bytes

    def write(self, url: httpx.URL, part: Path) -> int:
        """Fetch once, from the start; gives the size."""
        self._check_size(self._expected or 0)
        try:
            with self._open(url) as response, part.open("wb") as file:
                size = self._copy(response, file)
        except httpx.RequestError as error:
            raise unreachable(error, OPERATION) from error
        if self._expected is not None and size != self._expected:
            raise DownloadIncomplete(
                f"the file was to have {self._expected} bytes, got: {size}", operation=OPERATION
            )
        return size

    def _copy(self, response: httpx.Response, file: BinaryIO) -> int:
        size = 0
        # Raw: a `Content-Encoding: gzip` must not unpack the file on its way.
        for chunk in response.iter_raw():
            size += len(chunk)
            self._check_size(size)
            file.write(chunk)
        return size

    def _check_size(self, size: int) -> None:
        if size > self._max:
            raise DownloadRefused(f"the file is larger than {self._max} bytes", operation=OPERATION)

    @contextmanager
    def _open(self, url: httpx.URL, redirects: int = 0) -> Iterator[httpx.Response]:
        """Open the file, following redirects to allowed hosts only."""
        self._check_host(url)
        request = self._client.http.build_request("GET", url, headers={"Accept-Encoding": "identity"})
        response = self._client.http.send(request, stream=True)
        try:
            if response.next_request is None:
                if response.status_code != httpx.codes.OK:
                    raise self._error(response)
                yield response
                return
        finally:
            response.close()
        if redirects == _MAX_REDIRECTS:
            raise DownloadRefused(f"more than {_MAX_REDIRECTS} redirects", operation=OPERATION)
        with self._open(response.next_request.url, redirects + 1) as final:
            yield final

    def _check_host(self, url: httpx.URL) -> None:
        if not self._client.endpoints.allow_download(url):
            expected = ", ".join(self._client.endpoints.download_hosts)
            raise DownloadRefused(
                f"the file was to come from {expected}, got: {url.scheme}://{url.host}", operation=OPERATION
            )

    def _error(self, response: httpx.Response) -> AdsApiError:
        facts = dict(_XML_FACT.findall(_beginning_of(response)))
        text = f"{facts['Code']}: {facts.get('Message', '')}" if "Code" in facts else ""
        answer = Answer(OPERATION, response.status_code, response.headers, text, self._client.clock.now())
        if response.status_code == httpx.codes.FORBIDDEN or facts.get("Code") in _EXPIRED_CODES:
            return UrlExpired(
                f"the URL no longer works: {text or 'no reason given'}",
                operation=OPERATION,
                status=answer.status,
                code=facts.get("Code"),
                request_id=answer.request_id,
            )
        return error_for(answer)


def _parse(url: str) -> httpx.URL:
    try:
        return httpx.URL(url)
    except httpx.InvalidURL as error:
        raise DownloadRefused(f"the file was to have a URL, got: {error}", operation=OPERATION) from None


def _beginning_of(response: httpx.Response) -> str:
    """Read no more of an error's body than is needed to know it; S3's names the signature further on."""
    body = b""
    for chunk in response.iter_raw():
        body += chunk
        if len(body) >= _ERROR_BODY_BYTES:
            break
    return body.decode(errors="replace")
