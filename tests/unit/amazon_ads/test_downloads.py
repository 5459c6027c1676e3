"""Files on their way to disk: whole, bounded, from Amazon's hosts only, with fresh urls where needed."""

import gzip
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from bidbeacon_pipelines.amazon_ads import errors
from bidbeacon_pipelines.amazon_ads.client import Owner
from bidbeacon_pipelines.amazon_ads.download_folders import download_folder
from bidbeacon_pipelines.amazon_ads.downloads import LONGEST_TRANSFER, download, download_report
from bidbeacon_pipelines.amazon_ads.endpoints import AMAZON, Endpoints
from bidbeacon_pipelines.amazon_ads.reports import Report, ReportPart
from tests.unit.amazon_ads.fakes import FakeAmazon, throttled

OWNER = Owner("NA", "amzn1.one")
HOST = "https://bucket.s3.amazonaws.com"
FILE = gzip.compress(b"[]")
XML = (
    "<Error><Code>{}</Code><Message>Request has expired</Message><Signature>abc</Signature></Error>"
)
EXPIRED = httpx.Response(403, text=XML.format("AccessDenied"))
GONE = httpx.Response(404, text=XML.format("NoSuchKey"))
OK = httpx.Response(200, content=FILE)


def fetch(
    amazon: FakeAmazon, path: Path, url: str = f"{HOST}/1?X-Amz-Signature=s", **more: Any
) -> None:
    """Download one file."""
    download(amazon.connect(), SecretStr(url), path, OWNER, **more)


def report(*parts: str, status: str = "COMPLETED", size: int = 22) -> Report:
    """Return a report with parts at these paths."""
    made = [ReportPart(url=SecretStr(f"{HOST}{part}"), size_bytes=size) for part in parts]
    return Report(report_id="r-1", raw_status=status, parts=tuple(made))


class CutStream(httpx.SyncByteStream):
    """A body whose connection breaks in the middle."""

    def __init__(self, then: Callable[[], None] | None = None) -> None:
        self._then = then

    def __iter__(self) -> Iterator[bytes]:
        yield FILE[:5]
        if self._then is None:
            raise httpx.RemoteProtocolError("peer closed connection")
        self._then()
        yield FILE[5:]


def cut(_: httpx.Request) -> httpx.Response:
    """Answer with a file that breaks off."""
    return httpx.Response(200, stream=CutStream())


def test_file_is_written_as_it_is_transferred(amazon: FakeAmazon, tmp_path: Path) -> None:
    """Without our token, and not unpacked where it says that it is packed."""
    packed = {"Content-Encoding": "gzip"}
    amazon.plays(lambda _: httpx.Response(200, headers=packed, stream=httpx.ByteStream(FILE)))
    fetch(amazon, tmp_path / "file")
    assert FILE == (tmp_path / "file").read_bytes()
    assert "Authorization" not in amazon.calls[0].headers
    assert [] == amazon.token_calls


@pytest.mark.parametrize(
    "failure", [cut, httpx.ConnectError("no"), httpx.Response(500), throttled("1")]
)
def test_file_is_tried_again_from_start(amazon: FakeAmazon, tmp_path: Path, failure: Any) -> None:
    """After a broken connection, an error of the server, and a 429."""
    amazon.plays(failure, OK)
    fetch(amazon, tmp_path / "file")
    assert (FILE, [1]) == ((tmp_path / "file").read_bytes(), amazon.clock.slept)


def test_file_that_never_comes_is_given_up(amazon: FakeAmazon, tmp_path: Path) -> None:
    """After all attempts."""
    amazon.plays(*[cut] * 5)
    with pytest.raises(errors.Unavailable, match="peer closed connection"):
        fetch(amazon, tmp_path / "file")


def test_file_is_bounded_while_it_is_written(amazon: FakeAmazon, tmp_path: Path) -> None:
    """One byte more than allowed is refused, and not tried again."""
    amazon.plays(OK, OK)
    fetch(amazon, tmp_path / "file", most_bytes=len(FILE))
    with pytest.raises(errors.AdsApiError, match="larger than 21 bytes") as caught:
        fetch(amazon, tmp_path / "other", most_bytes=len(FILE) - 1)
    assert "download-refused" == caught.value.cause_code
    assert len(FILE) > (tmp_path / "other").stat().st_size


def test_file_that_trickles_is_given_up(amazon: FakeAmazon, tmp_path: Path) -> None:
    """After half an hour."""
    seconds = LONGEST_TRANSFER.total_seconds() + 1
    stream = CutStream(lambda: amazon.clock.sleep(seconds))
    amazon.plays(lambda _: httpx.Response(200, stream=stream))
    with pytest.raises(errors.AdsApiError, match="didn't arrive within"):
        fetch(amazon, tmp_path / "file")


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/1",
        "http://bucket.s3.amazonaws.com/1",
        "https://amazonaws.com.evil.example/1",
        "https://user@bucket.s3.amazonaws.com/1",
        "https://bucket.s3.amazonaws.com:8443/1",
        "file:///etc/passwd",
        "https://bucket\n.amazonaws.com",
    ],
)
def test_other_hosts_are_refused(amazon: FakeAmazon, tmp_path: Path, url: str) -> None:
    """Before anything is sent."""
    with pytest.raises(errors.AdsApiError) as caught:
        fetch(amazon, tmp_path / "file", url)
    assert ("download-refused", []) == (caught.value.cause_code, amazon.calls)


def test_sandbox_allows_its_own_address_only() -> None:
    """With its port; the real Amazon's hosts are none of it."""
    sandbox = Endpoints.sandbox("http://127.0.0.1:3040/")
    urls = ["http://127.0.0.1:3040/f", "http://127.0.0.1:3041/f", f"{HOST}/f"]
    assert [True, False, False] == [sandbox.allow_download(httpx.URL(url)) for url in urls]
    assert AMAZON.allow_download(httpx.URL(f"{HOST}/f"))


def test_redirect_is_not_followed(amazon: FakeAmazon, tmp_path: Path) -> None:
    """Wherever it leads to."""
    amazon.plays(httpx.Response(302, headers={"Location": "https://evil.example/"}))
    with pytest.raises(errors.AdsApiError):
        fetch(amazon, tmp_path / "file")
    assert 1 == len(amazon.calls)


def test_full_disk_is_this_hosts_fault(amazon: FakeAmazon, tmp_path: Path) -> None:
    """The error names host, folder and free space, and nothing of the file is left."""
    amazon.plays(OK)
    said = "No space left on device, .* MiB are free"
    with (
        pytest.raises(errors.NotWritten, match=said) as caught,
        download_folder(tmp_path, "report") as folder,
    ):
        (folder / "file").symlink_to("/dev/full")
        fetch(amazon, folder / "file")
    assert (socket.gethostname(), str(tmp_path)) == (caught.value.host, caught.value.folder)
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("answer", "kind", "reason"),
    [
        (EXPIRED, errors.UrlExpired, "AccessDenied: Request has expired"),
        (httpx.Response(401), errors.UrlExpired, "no reason given"),
        (httpx.Response(400, text=XML.format("ExpiredToken")), errors.UrlExpired, "ExpiredToken: "),
        (GONE, errors.NotFound, "NoSuchKey: "),
        (throttled("90"), errors.Throttled, "no reason given"),
    ],
)
def test_answers_that_are_no_file(
    amazon: FakeAmazon,
    tmp_path: Path,
    answer: httpx.Response,
    kind: type[errors.AdsApiError],
    reason: str,
) -> None:
    """S3's code and words are kept, its signature is not."""
    amazon.plays(answer)
    with pytest.raises(kind) as caught:
        fetch(amazon, tmp_path / "file")
    assert caught.value.reason.startswith(reason)
    assert "abc" not in str(caught.value)


def test_parts_come_one_after_the_other_with_fresh_urls(amazon: FakeAmazon, tmp_path: Path) -> None:
    """A report is retrieved again when a url has expired; parts that are there are not fetched twice."""
    amazon.plays(OK, EXPIRED, OK, EXPIRED, EXPIRED, OK)
    first, *others = (report(*(f"/{part}{n}" for part in "abc")) for n in ("", 2, 3, 4))
    fresh = iter(others)
    paths = download_report(amazon.connect(), first, tmp_path, OWNER, retrieve=lambda: next(fresh))
    assert ["/a", "/b", "/b2", "/c2", "/c3", "/c4"] == [call.url.path for call in amazon.calls]
    assert [tmp_path / f"part-{number}.json.gz" for number in range(3)] == paths


def test_urls_that_stay_expired_are_given_up(amazon: FakeAmazon, tmp_path: Path) -> None:
    """After two looks at the report without any file."""
    amazon.plays(*[EXPIRED] * 3)
    with pytest.raises(errors.UrlExpired):
        made = report("/a")
        download_report(amazon.connect(), made, tmp_path, OWNER, retrieve=lambda: made)
    assert 3 == len(amazon.calls)


@pytest.mark.parametrize(
    "now", [report("/a", status="PENDING"), report("/a", "/b"), report("/a", size=23)]
)
def test_report_that_changed_is_said(amazon: FakeAmazon, tmp_path: Path, now: Report) -> None:
    """The error has the report as it is now."""
    amazon.plays(EXPIRED)
    with pytest.raises(errors.ReportChanged) as caught:
        download_report(amazon.connect(), report("/a"), tmp_path, OWNER, retrieve=lambda: now)
    assert now is caught.value.report


@pytest.mark.parametrize("parts", [(), ("/a",)])
def test_missing_file_is_no_missing_report(
    amazon: FakeAmazon, tmp_path: Path, parts: tuple[str, ...]
) -> None:
    """Amazon lists a file and doesn't have it, or lists none."""
    amazon.plays(GONE)
    made = report(*parts)
    with pytest.raises(errors.AdsApiError) as caught:
        download_report(amazon.connect(), made, tmp_path, OWNER, retrieve=lambda: made)
    assert "file-missing" == caught.value.cause_code
    assert not isinstance(caught.value, errors.NotFound)
