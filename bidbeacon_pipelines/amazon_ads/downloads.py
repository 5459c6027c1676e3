"""Downloads reports and exports straight to disk, from Amazon's hosts only, without our token, and checks them."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import httpx
from pydantic import SecretStr

from bidbeacon_pipelines.amazon_ads.cancellation import Cancellation
from bidbeacon_pipelines.amazon_ads.client import AdsApiClient
from bidbeacon_pipelines.amazon_ads.download_rules import (
    DEFAULT_LIMITS,
    OPERATION,
    DownloadLimits,
    DownloadTooSlow,
    FileOwner,
    not_written,
)
from bidbeacon_pipelines.amazon_ads.errors import (
    AdsApiError,
    DownloadIncomplete,
    DownloadRefused,
    UrlExpired,
)
from bidbeacon_pipelines.amazon_ads.failures import error_for
from bidbeacon_pipelines.amazon_ads.gzip_check import GzipCheck
from bidbeacon_pipelines.amazon_ads.ledger import Exchange, Tries, record_exchange
from bidbeacon_pipelines.amazon_ads.transport import Answer, request_id_of, unreachable
from bidbeacon_sessions.progress import note_progress

# S3 sends its first byte within a second; a connection silent for so long is dead, and is asked
# again.
TIMEOUT = httpx.Timeout(connect=10.0, read=30.0, write=30.0, pool=None)

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
    limits: DownloadLimits = DEFAULT_LIMITS,
    owner: FileOwner | None = None,
) -> int:
    """Download a gzipped file, as it is transferred; `path` appears only when all of it is there and undamaged.

    A broken connection, a 5xx, a file that is cut short, damaged or of another size than expected
    is tried again from the start, as often as the client's policy says. What arrives is written to
    `<path>.part` first, which never stays behind.

    Args:
        client: The session, for its connections, hosts and policy; its token is not sent (S3
            refuses it).
        url: The presigned URL.
        path: Where the file goes; its folder is made where there is none.
        expected_bytes: Size that Amazon announced, gzipped or unpacked, which is unknown; None if
            it did not.
        limits: Its limits.
        owner: Its account; without it, the exchanges aren't recorded.

    Returns:
        The file's size in bytes, gzipped.

    Raises:
        DownloadRefused: Host not allowed, redirect to such a host, larger than the limits, or a
            bomb.
        UrlExpired: The URL has expired.
        DownloadIncomplete: It stayed cut short, damaged, or of another size than expected.
        DownloadTooSlow: It took longer than the limits allow.
        MalformedAnswer: It is no gzip.
        NotWritten: The disk is full or not writable.
        AdsApiError: For other responses and connection errors.
    """
    transfer = Transfer(client, path, limits=limits, owner=owner)
    return client.retries.run(
        lambda: transfer.attempt(url, expected_bytes), operation=OPERATION, tries=transfer.tries
    )


class Transfer:
    """One file on its way, however often it is tried: what it has to keep to, and when its time is over.

    Attributes:
        tries: What came before the next attempt.
    """

    def __init__(
        self,
        client: AdsApiClient,
        path: Path,
        *,
        limits: DownloadLimits = DEFAULT_LIMITS,
        owner: FileOwner | None = None,
    ) -> None:
        self.tries = Tries()
        self._client = client
        self._path = path
        self._limits = limits
        self._owner = owner
        self._time_left = timedelta(seconds=limits.seconds)
        self._began = client.clock.now()

    def attempt(
        self,
        url: str | SecretStr,
        expected_bytes: int | None,
        cancellation: Cancellation | None = None,
    ) -> int:
        """Fetch once, from the start; gives the size, gzipped. For the rest see `download_to`.

        Raises:
            DownloadCancelled: The cancellation was asked for.
        """
        address = _parse(url.get_secret_value() if isinstance(url, SecretStr) else url)
        self._check_announced(expected_bytes or 0)
        try:
            with self._recorded() as exchange, self._with_facts(exchange), self._timed():
                check = self._fetch(
                    address, expected_bytes, exchange, cancellation or Cancellation()
                )
        except OSError as error:
            raise not_written(error, self._path) from error
        return check.compressed

    def _fetch(
        self, url: httpx.URL, expected: int | None, exchange: Exchange, cancellation: Cancellation
    ) -> GzipCheck:
        part = self._path.with_name(f"{self._path.name}.part")
        self._path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with self._open(url, exchange) as response, cancellation.heeded_by(response):
                check = self._write(response, part, cancellation)
            _compare(check, expected)
            part.replace(self._path)
        except httpx.RequestError as error:
            raise unreachable(error, OPERATION) from error
        finally:
            part.unlink(missing_ok=True)
        return check

    def _write(self, response: httpx.Response, part: Path, cancellation: Cancellation) -> GzipCheck:
        check = GzipCheck(self._limits)
        part.touch(mode=0o600)
        with part.open("wb") as file:
            # Raw: a `Content-Encoding: gzip` must not unpack the file on its way.
            for chunk in response.iter_raw():
                note_progress()
                cancellation.check()
                self._check_time()
                check.feed(chunk)
                file.write(chunk)
        check.finish()
        return check

    def _check_announced(self, size: int) -> None:
        """Refuse, before anything is sent, what would be too large even as an unpacked size."""
        most = max(self._limits.inflated_bytes, self._limits.compressed_bytes)
        if size > most:
            raise DownloadRefused(
                f"the file is larger than {most} bytes, even unpacked: Amazon announces {size}",
                operation=OPERATION,
            )

    @contextmanager
    def _with_facts(self, exchange: Exchange) -> Iterator[None]:
        """Add the file and the exchange to an error, since the code that raised it knows neither."""
        try:
            yield
        except AdsApiError as error:
            error.add_facts(
                about=self._about, status=exchange.status, request_id=exchange.request_id
            )
            raise

    @property
    def _about(self) -> str:
        """Name the file, and whose it is, where that is known."""
        owner = self._owner
        account = f" of account {owner.account_id}" if owner and owner.account_id else ""
        country = f" in {owner.country_code}" if owner and owner.country_code else ""
        return f"{self._path.name}{account}{country}"

    @contextmanager
    def _timed(self) -> Iterator[None]:
        """Subtract the block's duration from the file's time limit; waits between attempts don't count."""
        self._began = self._client.clock.now()
        try:
            yield
        finally:
            self._time_left -= self._client.clock.now() - self._began

    def _check_time(self) -> None:
        if self._client.clock.now() - self._began > self._time_left:
            raise DownloadTooSlow(
                f"the file didn't arrive within {self._limits.seconds:g} s", operation=OPERATION
            )

    @contextmanager
    def _recorded(self) -> Iterator[Exchange]:
        owner = self._owner
        if owner is None:
            yield Exchange()
            return
        with record_exchange(
            self._client.log,
            self._client.clock,
            "download",
            owner.region,
            tries=self.tries,
            account_id=owner.account_id,
            country_code=owner.country_code,
        ) as exchange:
            yield exchange

    @contextmanager
    def _open(
        self, url: httpx.URL, exchange: Exchange, redirects: int = 0
    ) -> Iterator[httpx.Response]:
        """Open the file, following redirects to allowed hosts only."""
        self._check_host(url)
        http = self._client.http
        request = http.build_request(
            "GET", url, headers={"Accept-Encoding": "identity"}, timeout=TIMEOUT
        )
        response = http.send(request, stream=True)
        exchange.status, exchange.request_id = response.status_code, request_id_of(response.headers)
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
        with self._open(response.next_request.url, exchange, redirects + 1) as final:
            yield final

    def _check_host(self, url: httpx.URL) -> None:
        if not self._client.endpoints.allow_download(url):
            expected = ", ".join(self._client.endpoints.download_hosts)
            raise DownloadRefused(
                f"the file was to come from {expected}, got: {url.scheme}://{url.host}",
                operation=OPERATION,
            )

    def _error(self, response: httpx.Response) -> AdsApiError:
        facts = dict(_XML_FACT.findall(self._beginning_of(response)))
        text = f"{facts['Code']}: {facts.get('Message', '')}" if "Code" in facts else ""
        answer = Answer(
            OPERATION, response.status_code, response.headers, text, self._client.clock.now()
        )
        # A 401 too says something of the url alone, since we show no token.
        refused = {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}
        if response.status_code in refused or facts.get("Code") in _EXPIRED_CODES:
            return UrlExpired(
                text or "no reason given",
                operation=OPERATION,
                status=answer.status,
                code=facts.get("Code"),
                request_id=answer.request_id,
            )
        return error_for(answer)

    def _beginning_of(self, response: httpx.Response) -> str:
        """Read no more of an error's body than is needed to know it; S3's names the signature further on."""
        body = b""
        for chunk in response.iter_raw():
            self._check_time()
            body += chunk
            if len(body) >= _ERROR_BODY_BYTES:
                break
        return body.decode(errors="replace")


def _parse(url: str) -> httpx.URL:
    try:
        return httpx.URL(url)
    except httpx.InvalidURL as error:
        raise DownloadRefused(
            f"the file was to have a URL, got: {error}", operation=OPERATION
        ) from None


def _compare(check: GzipCheck, expected: int | None) -> None:
    """Compare with the announced size; Amazon doesn't say whether that is the gzipped or the unpacked one."""
    if expected not in {None, check.compressed, check.inflated}:
        raise DownloadIncomplete(
            f"the file was to have {expected} bytes, got: {check.compressed}, or {check.inflated} unpacked",
            operation=OPERATION,
        )
