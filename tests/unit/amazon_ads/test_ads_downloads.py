import gzip
import random
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from bidbeacon_pipelines.amazon_ads import Endpoints, download_to
from bidbeacon_pipelines.amazon_ads.download_rules import (
    DownloadLimits,
    DownloadTooSlow,
    FileOwner,
    NotWritten,
)
from bidbeacon_pipelines.amazon_ads.errors import (
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
from tests.unit.amazon_ads.fakes import Bench, open_bench

URL = "https://example-bucket.s3.amazonaws.com/part-0.json.gz?X-Amz-Signature=SECRET"
CONTENT = gzip.compress(b"[]", mtime=0)
SMALL = DownloadLimits(
    compressed_bytes=1000, inflated_bytes=10_000, ratio=20, ratio_free_bytes=2000
)
OWNER = FileOwner("EU", "amzn1.ads-account.g.one", "DE")
EXPIRED = (
    "<?xml version='1.0'?><Error><Code>AccessDenied</Code><Message>Request has expired</Message>"
    "<StringToSign>SECRET</StringToSign></Error>"
)


def file_answer(content: bytes = CONTENT, *, content_encoding: str = "identity") -> httpx.Response:
    """Return a file."""
    return httpx.Response(
        200, stream=httpx.ByteStream(content), headers={"Content-Encoding": content_encoding}
    )


def redirect(location: str) -> httpx.Response:
    """Return a redirect."""
    return httpx.Response(307, headers={"Location": location})


def fetch(
    bench: Bench,
    tmp_path: Path,
    *,
    expected_bytes: int | None = None,
    limits: DownloadLimits = SMALL,
    owner: FileOwner | None = OWNER,
) -> int:
    """Download `URL`."""
    return download_to(
        bench.client,
        SecretStr(URL),
        tmp_path / "r" / "part-0.json.gz",
        expected_bytes=expected_bytes,
        limits=limits,
        owner=owner,
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
        (
            400,
            "<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>",
        ),
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
def test_other_answers_have_their_errors(
    tmp_path: Path, status: int, kind: type[AdsApiError]
) -> None:
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


@pytest.mark.parametrize("content", [gzip.compress(b"[1]", mtime=0), CONTENT + CONTENT])
def test_wrong_size_that_stays_is_an_error(tmp_path: Path, content: bytes) -> None:
    """A whole gzip whose size stays another than announced, packed and unpacked, is never given."""
    bench = open_bench(attempts=2)
    bench.amazon.plays(file_answer(content), file_answer(content))
    with pytest.raises(
        DownloadIncomplete, match=f"{len(CONTENT)} bytes, got: {len(content)}, or . unpacked"
    ):
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


def incompressible(size: int) -> bytes:
    """Return bytes that gzip can't pack."""
    return random.Random(1).randbytes(size)


def test_large_files_are_refused(bench: Bench, tmp_path: Path) -> None:
    """A file over the bound is neither kept nor asked for again."""
    bench.amazon.plays(file_answer(gzip.compress(incompressible(1001))))
    with pytest.raises(DownloadRefused, match="larger than 1000 bytes"):
        fetch(bench, tmp_path)
    assert len(bench.amazon.calls) == 1
    assert files(tmp_path) == []


def test_files_announced_as_too_large_are_not_asked_for(bench: Bench, tmp_path: Path) -> None:
    """A file that Amazon announces as over both bounds is refused before anything is sent."""
    with pytest.raises(DownloadRefused, match="announces 10001"):
        fetch(bench, tmp_path, expected_bytes=10_001)
    assert bench.amazon.calls == []


def test_files_that_unpack_to_too_much_are_refused(bench: Bench, tmp_path: Path) -> None:
    """A file over the unpacked bound is refused, at an ordinary ratio."""
    content = gzip.compress(incompressible(600) * 17)
    assert len(content) < 1000
    bench.amazon.plays(file_answer(content))
    with pytest.raises(DownloadRefused, match="unpacks to more than 10000 bytes"):
        fetch(bench, tmp_path)
    assert len(bench.amazon.calls) == 1
    assert files(tmp_path) == []


def test_ratio_does_not_count_for_small_files(bench: Bench, tmp_path: Path) -> None:
    """A file of 2,000 zeros, 70 to 1, is fine below the size where the ratio counts, and refused above."""
    bench.amazon.plays(
        file_answer(gzip.compress(bytes(2000))), file_answer(gzip.compress(bytes(2001)))
    )
    fetch(bench, tmp_path)
    with pytest.raises(DownloadRefused, match="more than 20 times its size"):
        fetch(bench, tmp_path)


def in_chunks(content: bytes, size: int = 65_536) -> Iterator[bytes]:
    """Yield content in pieces, as a network does."""
    for start in range(0, len(content), size):
        yield content[start : start + size]


@dataclass
class Chunks(httpx.SyncByteStream):
    """A body that comes in pieces; `between` is called before each."""

    pieces: Iterator[bytes]
    between: Callable[[], object] = lambda: None

    def __iter__(self) -> Iterator[bytes]:
        """Yield the pieces."""
        for piece in self.pieces:
            self.between()
            yield piece


def zeros_gzipped(mebibytes: int) -> bytes:
    """Return a gzip of so many zeros, made without ever holding them."""
    packer = zlib.compressobj(9, wbits=31)
    zeros = bytes(1 << 20)
    return b"".join(packer.compress(zeros) for _ in range(mebibytes)) + packer.flush()


def test_bomb_is_cut_off_in_little_memory(bench: Bench, tmp_path: Path) -> None:
    """256 MiB of zeros in 256 KiB are refused by the usual limits, with not even 4 MiB in use on the way."""
    bench.amazon.plays(httpx.Response(200, stream=Chunks(in_chunks(zeros_gzipped(256)))))
    tracemalloc.start()
    try:
        with pytest.raises(DownloadRefused, match="500 times its size"):
            fetch(bench, tmp_path, limits=DownloadLimits())
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()
    assert files(tmp_path) == []


def test_one_long_chunk_is_unpacked_step_by_step(bench: Bench, tmp_path: Path) -> None:
    """A bomb in a single chunk takes no memory either: it is given up after the free 10 MiB."""
    content = zeros_gzipped(64)
    bench.amazon.plays(httpx.Response(200, stream=Chunks(iter([content]))))
    limits = DownloadLimits(inflated_bytes=32 << 20)
    tracemalloc.start()
    try:
        with pytest.raises(DownloadRefused):
            fetch(bench, tmp_path, limits=limits)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (CONTENT[:-1], "is truncated after 21 bytes"),
        (CONTENT[:5], "is truncated after 5 bytes"),
        (b"", "is empty"),
        (CONTENT[:-8] + bytes(8), "damaged.*incorrect data check"),
        (CONTENT[:12] + b"\xff" + CONTENT[13:], "damaged"),
        (CONTENT + b"garbage", "something follows after its end"),
        (CONTENT + bytes(3), "something follows after its end"),
        (CONTENT + CONTENT[:-4], "is truncated after 40 bytes"),
    ],
    ids=["last byte", "header", "empty", "checksum", "inside", "garbage", "zeros", "second member"],
)
def test_broken_gzip_is_fetched_again(tmp_path: Path, content: bytes, found: str) -> None:
    """A file that is cut short or damaged is fetched again, as often as the policy says, though its size was not announced."""
    bench = open_bench(attempts=3)
    bench.amazon.plays(file_answer(content), file_answer())
    assert fetch(bench, tmp_path) == len(CONTENT)
    bench.amazon.plays(*(file_answer(content) for _ in range(3)))
    with pytest.raises(DownloadIncomplete, match=found):
        fetch(bench, tmp_path)
    assert len(bench.amazon.calls) == 5
    assert (tmp_path / "r" / "part-0.json.gz").read_bytes() == CONTENT
    assert files(tmp_path) == ["part-0.json.gz"]


@pytest.mark.parametrize("size", [1, 7, 65_536])
def test_several_gzip_members_are_one_file(bench: Bench, tmp_path: Path, size: int) -> None:
    """A gzip of several members is a whole gzip, in whatever pieces it comes."""
    content = gzip.compress(b"[") + gzip.compress(b"") + gzip.compress(b"]")
    bench.amazon.plays(httpx.Response(200, stream=Chunks(in_chunks(content, size))))
    assert fetch(bench, tmp_path, expected_bytes=2) == len(content)


@pytest.mark.parametrize("content", [b"[]", b"<html>Sign in</html>", b"PK\x03\x04"])
def test_what_is_no_gzip_is_said_to_be_none(bench: Bench, tmp_path: Path, content: bytes) -> None:
    """A file that is no gzip is an error that shows its beginning, at once."""
    bench.amazon.plays(file_answer(content))
    with pytest.raises(MalformedAnswer, match="was to be gzipped and begins with") as caught:
        fetch(bench, tmp_path)
    assert repr(content[:4])[:-1] in str(caught.value)
    assert len(bench.amazon.calls) == 1
    assert files(tmp_path) == []


def test_announced_size_may_be_the_unpacked_one(bench: Bench, tmp_path: Path) -> None:
    """A file whose size unpacked is the announced one is whole, too."""
    content = gzip.compress(bytes(500))
    bench.amazon.plays(file_answer(content))
    assert fetch(bench, tmp_path, expected_bytes=500) == len(content)


def test_trickling_file_is_cut_off(tmp_path: Path) -> None:
    """A server that sends a byte a second is left after 30 minutes, not when the file ends, and not asked again."""
    bench = open_bench()
    pieces = in_chunks(gzip.compress(incompressible(4000)), 1)
    bench.amazon.plays(httpx.Response(200, stream=Chunks(pieces, lambda: bench.clock.sleep(1))))
    with pytest.raises(DownloadTooSlow, match="within 1800 s"):
        fetch(bench, tmp_path, limits=DownloadLimits())
    assert len(bench.clock.slept) == 1801
    assert len(bench.amazon.calls) == 1
    assert files(tmp_path) == []


def test_trickling_error_is_cut_off(bench: Bench, tmp_path: Path) -> None:
    """The body of an error is not waited for without end either."""
    body = Chunks(iter([b"<Error>"] * 3000), lambda: bench.clock.sleep(60))
    bench.amazon.plays(httpx.Response(403, stream=body))
    with pytest.raises(DownloadTooSlow):
        fetch(bench, tmp_path)


def test_time_of_all_tries_counts_together_and_waits_do_not(tmp_path: Path) -> None:
    """Tries of 1, 20 and 20 minutes are too much; the hours between them are not what used the time up."""
    bench = open_bench(
        draw=lambda low, high: 7200.0, longest_wait_seconds=7200.0, total_wait_seconds=1_000_000.0
    )

    def cut_short(minutes: int) -> httpx.Response:
        pieces = in_chunks(CONTENT[:10], 5)
        return httpx.Response(200, stream=Chunks(pieces, lambda: bench.clock.sleep(minutes * 30)))

    bench.amazon.plays(cut_short(1), cut_short(20), cut_short(20))
    with pytest.raises(DownloadTooSlow):
        fetch(bench, tmp_path, limits=DownloadLimits())
    assert len(bench.amazon.calls) == 3


def test_full_disk_is_told(bench: Bench, tmp_path: Path) -> None:
    """A disk without space is an error that says so, once, and says where."""
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "part-0.json.gz.part").symlink_to("/dev/full")
    bench.amazon.plays(file_answer())
    with pytest.raises(NotWritten, match=r"the disk is full.*No space left on device") as caught:
        fetch(bench, tmp_path)
    assert str(tmp_path / "r") in str(caught.value)
    assert list((tmp_path / "r").iterdir()) == []
    assert len(bench.amazon.calls) == 1


def test_refusing_disk_is_told(bench: Bench, tmp_path: Path) -> None:
    """A folder that can't be made is an error of the client, not a crash."""
    (tmp_path / "r").write_text("in the way")
    with pytest.raises(NotWritten, match=r"the disk refuses.*File exists"):
        fetch(bench, tmp_path)


def test_interrupt_leaves_no_file(bench: Bench, tmp_path: Path) -> None:
    """An interrupt from the keyboard in the middle goes through, and nothing stays on disk."""

    def interrupt() -> None:
        raise KeyboardInterrupt

    bench.amazon.plays(httpx.Response(200, stream=Chunks(in_chunks(CONTENT, 5), interrupt)))
    with pytest.raises(KeyboardInterrupt):
        fetch(bench, tmp_path)
    assert files(tmp_path) == []


def test_each_exchange_is_recorded(tmp_path: Path) -> None:
    """Every try is a record, with what it came to, the wait before it, and whom it concerns."""
    bench = open_bench(draw=lambda low, high: 3.0)
    slow_down = httpx.Response(503, headers={"x-amz-request-id": "R-1"})
    bench.amazon.plays(slow_down, file_answer(CONTENT[:9]), file_answer())
    fetch(bench, tmp_path)
    assert [
        ("download", "EU", OWNER.account_id, "DE", 503, "Upstream", 0.0, 0, "R-1"),
        ("download", "EU", OWNER.account_id, "DE", 200, "DownloadIncomplete", 3.0, 1, None),
        ("download", "EU", OWNER.account_id, "DE", 200, None, 3.0, 2, None),
    ] == bench.log.facts(
        "call",
        "region",
        "account_id",
        "country_code",
        "status",
        "error",
        "waited",
        "retry_count",
        "request_id",
    )


def test_nobodys_file_is_not_recorded(bench: Bench, tmp_path: Path) -> None:
    """Without an owner there is nothing to record an exchange under."""
    bench.amazon.plays(file_answer())
    fetch(bench, tmp_path, owner=None)
    assert bench.log.records == []


def test_old_file_stays_when_a_download_fails(bench: Bench, tmp_path: Path) -> None:
    """What was there before is only replaced by a whole file."""
    path = tmp_path / "r" / "part-0.json.gz"
    path.parent.mkdir()
    path.write_bytes(b"old")
    bench.amazon.plays(httpx.Response(403))
    with pytest.raises(UrlExpired):
        fetch(bench, tmp_path)
    assert path.read_bytes() == b"old"


def with_id(answer: httpx.Response) -> httpx.Response:
    """Return an answer that names its request, as each of Amazon's does."""
    answer.headers["x-amz-request-id"] = "R-7"
    return answer


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (file_answer(CONTENT[:10]), 200),
        (file_answer(CONTENT + CONTENT), 200),
        (file_answer(b"no gzip"), 200),
        (file_answer(gzip.compress(incompressible(1001))), 200),
        (redirect("https://example.com/part"), 307),
        (httpx.Response(403, text=EXPIRED), 403),
        (httpx.Response(404), 404),
        (httpx.Response(503), 503),
    ],
    ids=[
        "truncated",
        "wrong-size",
        "no-gzip",
        "too-large",
        "redirect",
        "expired",
        "missing",
        "upstream",
    ],
)
def test_every_error_tells_its_file_and_exchange(
    tmp_path: Path, answer: httpx.Response, status: int
) -> None:
    """Whoever found what was wrong: which file of whom it is, the status, and the id that Amazon's support asks for."""
    bench = open_bench(attempts=1)
    bench.amazon.plays(with_id(answer))
    with pytest.raises(AdsApiError) as caught:
        fetch(bench, tmp_path, expected_bytes=len(CONTENT))
    about = f"part-0.json.gz of account {OWNER.account_id} in DE"
    error = caught.value
    assert (about, status, "R-7") == (error.about, error.status, error.request_id)
    assert f"Could not download a file ({about}; status {status}, " in str(error)


def test_error_before_any_answer_tells_its_file(tmp_path: Path) -> None:
    """A connection that never came about has no status, and nobody's file no account."""
    bench = open_bench(attempts=1)
    bench.amazon.plays(httpx.ConnectError("refused"))
    with pytest.raises(Unreachable) as caught:
        fetch(bench, tmp_path, owner=None)
    assert ("part-0.json.gz", None, None) == (
        caught.value.about,
        caught.value.status,
        caught.value.request_id,
    )


def test_a_broken_file_is_counted_as_one(bench: Bench, tmp_path: Path) -> None:
    """Its wait is not told as one for a status that says that all was well."""
    bench.amazon.plays(file_answer(CONTENT[:10]), file_answer())
    fetch(bench, tmp_path)
    assert ["broken file"] == [wait.cause for wait in bench.waits]
