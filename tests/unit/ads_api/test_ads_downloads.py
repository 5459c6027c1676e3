import gzip
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from bidbeacon_pipelines.ads_api import Endpoints, download_to
from bidbeacon_pipelines.ads_api.errors import (
    AdsApiError,
    DownloadIncomplete,
    DownloadRefused,
    MalformedAnswer,
    NotFound,
    Rejected,
    Throttled,
    Unreachable,
    Upstream,
    UrlExpired,
)
from tests.unit.ads_api.fakes import Bench, open_bench

URL = "https://example-bucket.s3.amazonaws.com/part-0.json.gz?X-Amz-Signature=SECRET"
CONTENT = gzip.compress(b"[]", mtime=0)
EXPIRED = (
    "<?xml version='1.0'?><Error><Code>AccessDenied</Code><Message>Request has expired</Message>"
    "<StringToSign>SECRET</StringToSign></Error>"
)


def file_answer(content: bytes = CONTENT, *, content_encoding: str = "identity") -> httpx.Response:
    """Give a file."""
    return httpx.Response(
        200, stream=httpx.ByteStream(content), headers={"Content-Encoding": content_encoding}
    )


def redirect(location: str) -> httpx.Response:
    """Give a redirect."""
    return httpx.Response(307, headers={"Location": location})


def fetch(bench: Bench, tmp_path: Path, *, expected_bytes: int | None = None, max_bytes: int = 1000) -> int:
    """Download `URL`."""
    return download_to(
        bench.client,
        SecretStr(URL),
        tmp_path / "r" / "part-0.json.gz",
        expected_bytes=expected_bytes,
        max_bytes=max_bytes,
    )


def files(tmp_path: Path) -> list[str]:
    """Name the files that are left."""
    return [path.name for path in tmp_path.rglob("*") if path.is_file()]


def test_file_is_written_as_it_came(bench: Bench, tmp_path: Path) -> None:
    """The file is on disk, byte for byte, with nothing beside it."""
    bench.amazon.plays(file_answer())
    assert fetch(bench, tmp_path, expected_bytes=len(CONTENT)) == len(CONTENT)
    assert (tmp_path / "r" / "part-0.json.gz").read_bytes() == CONTENT
    assert files(tmp_path) == ["part-0.json.gz"]


def test_content_encoding_does_not_unpack(bench: Bench, tmp_path: Path) -> None:
    """A file that is declared gzipped stays gzipped, so that its size is the one announced."""
    bench.amazon.plays(file_answer(content_encoding="gzip"))
    assert fetch(bench, tmp_path, expected_bytes=len(CONTENT)) == len(CONTENT)


def test_token_is_not_sent(bench: Bench, tmp_path: Path) -> None:
    """A download carries neither our token nor our client id: S3 answers 400 to one."""
    bench.amazon.plays(file_answer())
    fetch(bench, tmp_path)
    (call,) = bench.amazon.calls
    assert "Authorization" not in call.headers
    assert "Amazon-Advertising-API-ClientId" not in call.headers
    assert bench.amazon.token_calls == []


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/part-0.json.gz",
        "https://evilamazonaws.com/part",
        "https://amazonaws.com.example.com/part",
        "https://b.s3.amazonaws.com@example.com/part",
        "https://user@b.s3.amazonaws.com/part",
        "http://b.s3.amazonaws.com/part",
        "https://b.s3.amazonaws.com:8443/part",
        "https://127.0.0.1:3040/part",
        "file:///etc/passwd",
        "not a url",
        "https://[::1/part",
    ],
)
def test_other_hosts_are_refused(bench: Bench, tmp_path: Path, url: str) -> None:
    """Nothing is asked of a host that isn't Amazon's, and nothing without TLS."""
    with pytest.raises(DownloadRefused):
        download_to(bench.client, url, tmp_path / "x", expected_bytes=None)
    assert bench.amazon.calls == []
    assert files(tmp_path) == []


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("http://127.0.0.1:3040/files/1", True),
        ("http://127.0.0.1:3041/files/1", False),
        ("http://localhost:3040/files/1", False),
        ("https://b.s3.amazonaws.com/part", False),
    ],
)
def test_sandbox_serves_its_own_files_only(url: str, *, allowed: bool) -> None:
    """With the sandbox, files come from exactly its host and port."""
    assert Endpoints.sandbox("http://127.0.0.1:3040").allow_download(httpx.URL(url)) is allowed


def test_redirect_to_an_allowed_host_is_followed(bench: Bench, tmp_path: Path) -> None:
    """Amazon may send us to another of its hosts."""
    bench.amazon.plays(
        redirect("https://b2.s3.eu-west-1.amazonaws.com/part?X-Amz-Signature=x"), file_answer()
    )
    assert fetch(bench, tmp_path) == len(CONTENT)
    assert bench.amazon.calls[1].url.host == "b2.s3.eu-west-1.amazonaws.com"


def test_redirect_elsewhere_is_refused(bench: Bench, tmp_path: Path) -> None:
    """A redirect to a foreign host isn't followed."""
    bench.amazon.plays(redirect("https://example.com/part"))
    with pytest.raises(DownloadRefused, match=r"https://example\.com"):
        fetch(bench, tmp_path)
    assert len(bench.amazon.calls) == 1


def test_redirects_are_bounded(bench: Bench, tmp_path: Path) -> None:
    """A circle of redirects ends."""
    bench.amazon.plays(*(redirect(URL) for _ in range(4)))
    with pytest.raises(DownloadRefused, match="more than 3 redirects"):
        fetch(bench, tmp_path)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (403, EXPIRED),
        (403, ""),
        (400, "<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>"),
    ],
)
def test_expired_url_is_told_apart(bench: Bench, tmp_path: Path, status: int, body: str) -> None:
    """A URL past its time has an error of its own, at once, without what it was signed with."""
    bench.amazon.plays(httpx.Response(status, text=body))
    with pytest.raises(UrlExpired) as caught:
        fetch(bench, tmp_path)
    assert "SECRET" not in str(caught.value)
    assert len(bench.amazon.calls) == 1
    assert files(tmp_path) == []


@pytest.mark.parametrize(
    ("status", "kind"),
    [(404, NotFound), (400, Rejected), (429, Throttled), (503, Upstream), (204, MalformedAnswer)],
)
def test_other_answers_have_their_errors(tmp_path: Path, status: int, kind: type[AdsApiError]) -> None:
    """Every answer but a file is an error, and leaves no file."""
    bench = open_bench(attempts=1)
    bench.amazon.plays(httpx.Response(status))
    with pytest.raises(kind):
        fetch(bench, tmp_path)
    assert files(tmp_path) == []


def test_wrong_size_is_tried_again(bench: Bench, tmp_path: Path) -> None:
    """A file that came short is downloaded again from the start."""
    bench.amazon.plays(file_answer(CONTENT[:10]), file_answer())
    assert fetch(bench, tmp_path, expected_bytes=len(CONTENT)) == len(CONTENT)
    assert (tmp_path / "r" / "part-0.json.gz").read_bytes() == CONTENT


@pytest.mark.parametrize("content", [CONTENT[:-1], CONTENT + b"x", b""], ids=["short", "long", "empty"])
def test_wrong_size_that_stays_is_an_error(tmp_path: Path, content: bytes) -> None:
    """A file whose size stays another than announced is never given."""
    bench = open_bench(attempts=2)
    bench.amazon.plays(file_answer(content), file_answer(content))
    with pytest.raises(DownloadIncomplete, match=f"{len(CONTENT)} bytes, got: {len(content)}"):
        fetch(bench, tmp_path, expected_bytes=len(CONTENT))
    assert files(tmp_path) == []


def test_broken_connection_is_tried_again(bench: Bench, tmp_path: Path) -> None:
    """A download survives a connection that breaks and a 503 of S3."""
    bench.amazon.plays(
        httpx.ReadError("reset"), httpx.Response(503, text="<Code>SlowDown</Code>"), file_answer()
    )
    assert fetch(bench, tmp_path) == len(CONTENT)
    assert [wait.operation for wait in bench.waits] == ["download a file"] * 2


def test_connection_that_stays_broken_is_an_error(tmp_path: Path) -> None:
    """A download that never succeeds ends as `Unreachable`, without a file and without its URL's query."""
    bench = open_bench(attempts=2)
    bench.amazon.plays(httpx.ReadError("reset"), httpx.ConnectError("refused"))
    with pytest.raises(Unreachable) as caught:
        fetch(bench, tmp_path)
    assert "SECRET" not in str(caught.value)
    assert files(tmp_path) == []


def test_large_files_are_refused(bench: Bench, tmp_path: Path) -> None:
    """A file over the bound is neither kept nor asked for again."""
    bench.amazon.plays(file_answer(b"x" * 1001))
    with pytest.raises(DownloadRefused, match="larger than 1000 bytes"):
        fetch(bench, tmp_path)
    assert len(bench.amazon.calls) == 1
    assert files(tmp_path) == []


def test_files_announced_as_too_large_are_not_asked_for(bench: Bench, tmp_path: Path) -> None:
    """A file that Amazon announces as over the bound is refused before anything is sent."""
    with pytest.raises(DownloadRefused, match="larger than 1000 bytes"):
        fetch(bench, tmp_path, expected_bytes=1001)
    assert bench.amazon.calls == []


def test_old_file_stays_when_a_download_fails(bench: Bench, tmp_path: Path) -> None:
    """What was there before is only replaced by a whole file."""
    path = tmp_path / "r" / "part-0.json.gz"
    path.parent.mkdir()
    path.write_bytes(b"old")
    bench.amazon.plays(httpx.Response(403))
    with pytest.raises(UrlExpired):
        fetch(bench, tmp_path)
    assert path.read_bytes() == b"old"
