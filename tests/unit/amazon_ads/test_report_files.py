import gzip
import json
import re
import signal
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from bidbeacon_pipelines.amazon_ads import (
    AdsApiClient,
    Endpoints,
    Report,
    ReportPart,
    ReportStatus,
    RetryPolicy,
)
from bidbeacon_pipelines.amazon_ads.download_rules import DownloadCancelled, FileOwner, NotWritten
from bidbeacon_pipelines.amazon_ads.errors import (
    AdsApiError,
    DownloadIncomplete,
    DownloadRefused,
    MalformedAnswer,
    Throttled,
    UrlExpired,
)
from bidbeacon_pipelines.amazon_ads.report_files import (
    PartMissing,
    PartsChanged,
    ReportNotReady,
    UrlsNotResigned,
    download_report,
)
from tests.unit.amazon_ads.fakes import CREDENTIALS, FakeClock, FakeLog

OWNER = FileOwner("NA", "amzn1.ads-account.g.one")
LONG = 20.0
MAIN = threading.main_thread().ident or 0
Answer = Callable[[], httpx.Response]


def content_of(number: int) -> bytes:
    """Return the file of a part."""
    return gzip.compress(json.dumps([{"metric.clicks": number}]).encode(), mtime=0)


@dataclass
class FakeBucket:
    """The files of one report at the transport; urls carry a signature, those below `valid_from` have expired.

    `odd` scripts what parts give instead of their file, in order; a thread of the client may be
    held in an answer.
    """

    parts: int
    valid_from: int = 0
    odd: dict[int, deque[Answer]] = field(default_factory=dict)
    signature: int = 0
    looks: int = 0
    asked: list[tuple[int, int]] = field(default_factory=list)
    clock: FakeClock = field(default_factory=FakeClock)
    log: FakeLog = field(default_factory=FakeLog)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def handle(self, request: httpx.Request) -> httpx.Response:
        """Answer a download, as a transport does."""
        number, signature = map(int, re.findall(r"part-(\d+)\?X=(\d+)", str(request.url))[0])
        with self._lock:
            self.asked.append((number, signature))
            script = self.odd.get(number)
            answer = script.popleft() if script else None
        if signature < self.valid_from:
            return expired()
        return answer() if answer else file_of(number)

    def report(self) -> Report:
        """Return the report with urls signed as they are now."""
        parts = tuple(
            ReportPart(
                SecretStr(f"https://b.s3.amazonaws.com/part-{number}?X={self.signature}"),
                len(content_of(number)),
            )
            for number in range(self.parts)
        )
        return Report("rpt-1", ReportStatus.COMPLETED, "COMPLETED", parts)

    def retrieve(self) -> Report:
        """Look at the report again: its urls are signed anew."""
        self.looks += 1
        self.signature += 1
        return self.report()

    def plays(self, number: int, *answers: Answer) -> None:
        """Have a part give these answers before its file."""
        self.odd.setdefault(number, deque()).extend(answers)

    def download(self, folder: Path, retrieve: Callable[[], Report] | None = None) -> list[Path]:
        """Download the report with a client that tries each file three times."""
        client = AdsApiClient(
            CREDENTIALS,
            Endpoints.amazon(),
            transport=httpx.MockTransport(self.handle),
            clock=self.clock,
            retry=RetryPolicy(attempts=3, draw=max),
            log=self.log,
        )
        with client:
            return download_report(
                client, self.report(), folder, retrieve=retrieve or self.retrieve, owner=OWNER
            )

    def times_asked(self) -> Counter[int]:
        """Count the requests for each part."""
        return Counter(number for number, _ in self.asked)


def stream(*pieces: bytes) -> httpx.Response:
    """Return a file that comes in pieces."""
    return httpx.Response(200, stream=Pieces(pieces))


@dataclass
class Pieces(httpx.SyncByteStream):
    """A body in pieces; `between` is called before each."""

    pieces: tuple[bytes, ...]
    between: Callable[[], object] = lambda: None

    def __iter__(self) -> Iterator[bytes]:
        """Yield the pieces."""
        for piece in self.pieces:
            self.between()
            yield piece


def file_of(number: int) -> httpx.Response:
    """Return a part's file."""
    return stream(content_of(number))


def expired() -> httpx.Response:
    """Return S3's answer to a url past its time."""
    body = b"<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"
    return httpx.Response(403, stream=httpx.ByteStream(body))


def truncated() -> httpx.Response:
    """Return half a file."""
    return stream(content_of(0)[:15])


def status(code: int, **headers: str) -> Answer:
    """Return an answer of this status."""
    return lambda: httpx.Response(
        code,
        headers={k.replace("_", "-"): v for k, v in headers.items()},
        stream=httpx.ByteStream(b""),
    )


def names(folder: Path) -> list[str]:
    """Name what is in a folder."""
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def download_threads() -> list[str]:
    """Name the threads that transfer files."""
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("download_")]


def wait_until(condition: Callable[[], bool]) -> bool:
    """Wait for a condition; tell whether it came about within a deadline."""
    deadline = time.monotonic() + LONG
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0)  # lets the other threads run
    return True


def caller_waits() -> bool:
    """Tell whether the main thread has begun every part, and waits for the first to end."""
    frame = sys._current_frames()[MAIN]
    while frame is not None and frame.f_code.co_name != "as_completed":
        frame = frame.f_back  # type: ignore[assignment]  # None at the end, as the loop expects
    return frame is not None


@pytest.fixture(autouse=True)
def no_thread_stays() -> Iterator[None]:
    """Check, at each test's end, that no thread is left behind."""
    yield
    assert download_threads() == []


def test_all_parts_are_the_report(tmp_path: Path) -> None:
    """Seven parts come, in the report's order, each asked for once, without a second look at the report."""
    bucket = FakeBucket(parts=7)
    paths = bucket.download(tmp_path / "r")
    assert [content_of(number) for number in range(7)] == [path.read_bytes() for path in paths]
    assert bucket.times_asked() == dict.fromkeys(range(7), 1)
    assert bucket.looks == 0
    assert len(names(tmp_path / "r")) == 7


def test_two_parts_are_under_way_at_once(tmp_path: Path) -> None:
    """Two parts wait for each other in the middle of their files, and both arrive: they overlap; a third does not join."""
    bucket = FakeBucket(parts=6)
    both, under_way, most = threading.Barrier(2), [0], [0]
    lock = threading.Lock()

    def meet(number: int) -> httpx.Response:
        with lock:
            under_way[0] += 1
            most[0] = max(most[0], under_way[0])
        both.wait(LONG)
        with lock:
            under_way[0] -= 1
        return file_of(number)

    for number in range(6):
        bucket.plays(number, lambda number=number: meet(number))  # type: ignore[misc]  # bound now, as intended
    bucket.download(tmp_path)
    assert most == [2]


def test_broken_part_alone_is_fetched_again(tmp_path: Path) -> None:
    """A part that comes cut short is fetched again; the others stay as they are."""
    bucket = FakeBucket(parts=3)
    bucket.plays(1, truncated, truncated)
    paths = bucket.download(tmp_path)
    assert paths[1].read_bytes() == content_of(1)
    assert {0: 1, 1: 3, 2: 1} == bucket.times_asked()


def test_each_part_has_tries_of_its_own(tmp_path: Path) -> None:
    """Three parts that break twice each, at three tries each, all arrive."""
    bucket = FakeBucket(parts=3)
    for number in range(3):
        bucket.plays(number, status(503), truncated)
    bucket.download(tmp_path)
    assert {0: 3, 1: 3, 2: 3} == bucket.times_asked()


def test_part_that_stays_broken_is_an_error(tmp_path: Path) -> None:
    """A part that is cut short each time is tried as often as the policy says; no file of the report stays."""
    bucket = FakeBucket(parts=3)
    bucket.plays(2, truncated, truncated, truncated)
    with pytest.raises(DownloadIncomplete):
        bucket.download(tmp_path)
    assert {0: 1, 1: 1, 2: 3} == bucket.times_asked()
    assert names(tmp_path) == []


def test_longest_wait_that_parts_were_asked_for_is_kept(tmp_path: Path) -> None:
    """Where one part asks to wait 5 s and another 30 s, one wait of 30 s serves both."""
    bucket = FakeBucket(parts=2)
    bucket.plays(0, status(503, Retry_After="30"))
    bucket.plays(1, status(429, Retry_After="5"))
    bucket.download(tmp_path)
    assert bucket.clock.slept == [30.0]


def test_wait_that_is_too_long_is_an_error(tmp_path: Path) -> None:
    """A wait of an hour is not sat out; the error tells of it."""
    bucket = FakeBucket(parts=2)
    bucket.plays(1, status(429, Retry_After="3600"))
    with pytest.raises(Throttled) as caught:
        bucket.download(tmp_path)
    assert caught.value.retry_after == 3600
    assert bucket.clock.slept == []


def test_expired_urls_are_signed_anew_by_one_look(tmp_path: Path) -> None:
    """With all urls expired one look serves all parts; no more than the two under way have found it out."""
    bucket = FakeBucket(parts=6, valid_from=1)
    bucket.download(tmp_path)
    assert bucket.looks == 1
    assert len([number for number, signature in bucket.asked if signature == 0]) <= 2
    assert Counter(number for number, signature in bucket.asked if signature == 1) == dict.fromkeys(
        range(6), 1
    )


def test_parts_that_arrived_are_not_fetched_again(tmp_path: Path) -> None:
    """When the urls expire after two parts, only the others are fetched with the fresh ones."""
    bucket = FakeBucket(parts=3)
    bucket.plays(2, expired)
    bucket.download(tmp_path)
    assert {0: 1, 1: 1, 2: 2} == bucket.times_asked()
    assert bucket.looks == 1


def test_urls_that_stay_expired_are_told(tmp_path: Path) -> None:
    """After two looks in vain the report is to be asked for anew; it is no plain `UrlExpired`."""
    bucket = FakeBucket(parts=3, valid_from=99)
    with pytest.raises(
        UrlsNotResigned, match=r"Request has expired, even after 2 looks.*requested again"
    ) as caught:
        bucket.download(tmp_path)
    assert isinstance(caught.value, UrlExpired)
    assert (bucket.looks, caught.value.status) == (2, 403)
    assert names(tmp_path) == []


def test_urls_may_expire_as_often_as_parts_arrive(tmp_path: Path) -> None:
    """Where each url outlives one part only, every look is worth it, and the report is complete at last."""
    bucket = FakeBucket(parts=5)

    def expire(number: int) -> httpx.Response:
        bucket.valid_from = bucket.signature + 1
        return file_of(number)

    for number in range(5):
        bucket.plays(number, *[lambda number=number: expire(number)] * 5)
    assert len(bucket.download(tmp_path)) == 5
    assert bucket.looks > 2


def test_look_for_fresh_urls_may_fail(tmp_path: Path) -> None:
    """What the second look raises comes through; nothing stays on disk."""
    bucket = FakeBucket(parts=2)
    bucket.plays(1, expired)

    def throttled() -> Report:
        raise Throttled("Too Many Requests", operation="retrieve a report", retry_after=60)

    with pytest.raises(Throttled, match="retrieve a report"):
        bucket.download(tmp_path, throttled)
    assert names(tmp_path) == []


@pytest.mark.parametrize("parts", [1, 3], ids=["fewer", "more"])
def test_another_number_of_parts_is_told(tmp_path: Path, parts: int) -> None:
    """A report that has more or fewer files at the second look is not put together of both."""
    bucket = FakeBucket(parts=2, valid_from=1)
    with pytest.raises(PartsChanged, match=f"had 2 files .* now has {parts} of"):
        bucket.download(tmp_path, replace(bucket, parts=parts).retrieve)
    assert names(tmp_path) == []


def test_other_size_of_a_part_that_arrived_is_told(tmp_path: Path) -> None:
    """A part that is here already and is announced with another size now belongs to another making of the report."""
    bucket = FakeBucket(parts=2)
    bucket.plays(1, expired)
    changed = replace(bucket.report().parts[0], size_bytes=7)
    with pytest.raises(PartsChanged):
        bucket.download(
            tmp_path, lambda: replace(bucket.report(), parts=(changed, bucket.report().parts[1]))
        )


def test_other_size_of_a_part_that_is_missing_counts(tmp_path: Path) -> None:
    """A part that has yet to come is held to the size of the second look."""
    bucket = FakeBucket(parts=1)
    bucket.plays(0, expired, *[lambda: stream(gzip.compress(b"[]", mtime=0))])
    fresh = replace(bucket.report().parts[0], size_bytes=22)
    [path] = bucket.download(tmp_path, lambda: replace(bucket.report(), parts=(fresh,)))
    assert path.read_bytes() == gzip.compress(b"[]", mtime=0)


@pytest.mark.parametrize("word", ["EXPIRED", "FAILED", "PENDING"])
def test_report_that_is_no_longer_complete_is_told(tmp_path: Path, word: str) -> None:
    """The error carries what Amazon says of the report now."""
    bucket = FakeBucket(parts=2, valid_from=1)
    changed = Report("rpt-1", ReportStatus(word), word)
    with pytest.raises(ReportNotReady, match=f"COMPLETED and is now {word}") as caught:
        bucket.download(tmp_path, lambda: changed)
    assert caught.value.report == changed


def test_missing_part_is_told(tmp_path: Path) -> None:
    """A 404 names the part, isn't repeated, and leaves no file."""
    bucket = FakeBucket(parts=3)
    bucket.plays(2, status(404))
    with pytest.raises(PartMissing, match=r"missing at Amazon: file 3 of 3.*status 404"):
        bucket.download(tmp_path)
    assert bucket.times_asked()[2] == 1
    assert names(tmp_path) == []


def test_report_without_parts_is_told(tmp_path: Path) -> None:
    """A complete report has a file."""
    with pytest.raises(PartMissing, match="no file at all"):
        FakeBucket(parts=0).download(tmp_path)


@dataclass
class Endless(httpx.SyncByteStream):
    """A gzip that goes on and on, by empty blocks of deflate; tells when the first one is under way."""

    begun: threading.Event = field(default_factory=threading.Event)

    def __iter__(self) -> Iterator[bytes]:
        """Yield a header, and blocks without end."""
        yield content_of(0)[:10]
        while True:
            yield b"\x00\x00\x00\xff\xff"
            self.begun.set()


def test_error_for_good_ends_the_others_in_mid_file(tmp_path: Path) -> None:
    """While a part is under way without an end in sight, another one's 404 ends both, and the rest isn't begun."""
    bucket, endless = FakeBucket(parts=9), Endless()

    def missing() -> httpx.Response:
        assert endless.begun.wait(LONG)
        return status(404)()

    bucket.plays(0, lambda: httpx.Response(200, stream=endless))
    bucket.plays(1, missing)
    with pytest.raises(PartMissing):
        bucket.download(tmp_path)
    assert bucket.times_asked() == {0: 1, 1: 1}
    assert {("NotFound",), ("DownloadCancelled",)} == set(bucket.log.facts("error"))
    assert names(tmp_path) == []


def test_interrupt_ends_the_threads(tmp_path: Path) -> None:
    """An interrupt in the caller's thread, where it waits, ends the transfers; no thread and no file stays."""
    bucket, endless = FakeBucket(parts=4), Endless()

    def interrupt() -> httpx.Response:
        assert endless.begun.wait(LONG)
        assert wait_until(caller_waits)
        signal.pthread_kill(MAIN, signal.SIGINT)
        return httpx.Response(200, stream=Endless())

    bucket.plays(0, lambda: httpx.Response(200, stream=endless))
    bucket.plays(1, interrupt)
    with pytest.raises(KeyboardInterrupt):
        bucket.download(tmp_path)
    assert names(tmp_path) == []
    assert download_threads() == []


def test_interrupt_while_waiting_to_try_again_is_clean(tmp_path: Path) -> None:
    """The wait is in the caller's thread; an interrupt of it leaves no file, though parts had arrived."""

    class Interrupted(FakeClock):
        def sleep(self, seconds: float) -> None:
            raise KeyboardInterrupt

    bucket = FakeBucket(parts=2, clock=Interrupted())
    bucket.plays(1, truncated)
    with pytest.raises(KeyboardInterrupt):
        bucket.download(tmp_path)
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (lambda: stream(b"<html>"), MalformedAnswer),
        (
            lambda: httpx.Response(
                302, headers={"Location": "https://example.com/"}, stream=httpx.ByteStream(b"")
            ),
            DownloadRefused,
        ),
    ],
    ids=["no gzip", "foreign redirect"],
)
def test_error_of_a_part_is_the_reports(
    tmp_path: Path, answer: Answer, kind: type[AdsApiError]
) -> None:
    """What a part ends in comes through as it is, at once."""
    bucket = FakeBucket(parts=2)
    bucket.plays(0, answer)
    with pytest.raises(kind):
        bucket.download(tmp_path)
    assert bucket.times_asked()[0] == 1


def test_full_disk_ends_the_report(tmp_path: Path) -> None:
    """A full disk is told once; it isn't tried again, and no file stays."""
    (tmp_path / "part-1.json.gz.part").symlink_to("/dev/full")
    bucket = FakeBucket(parts=2)
    with pytest.raises(NotWritten, match="the disk is full"):
        bucket.download(tmp_path)
    assert bucket.times_asked()[1] == 1
    assert names(tmp_path) == []


def test_each_try_of_each_part_is_recorded(tmp_path: Path) -> None:
    """Records tell the part's earlier tries, and the wait between two rounds once."""
    bucket = FakeBucket(parts=2)
    bucket.plays(0, truncated)
    bucket.plays(1, status(503))
    bucket.download(tmp_path)
    facts = bucket.log.facts("call", "account_id", "retry_count", "status", "error")
    account = OWNER.account_id
    assert {
        ("download", account, 0, 200, "DownloadIncomplete"): 1,
        ("download", account, 0, 503, "Upstream"): 1,
        ("download", account, 1, 200, None): 2,
    } == Counter(facts)
    assert sum(bucket.clock.slept) == sum(record.waited for record in bucket.log.records) > 0


def test_cancelled_is_never_what_is_told(tmp_path: Path) -> None:
    """Whichever part ends first, the error is of the part that failed, not of those that were ended for it."""
    for failing in range(4):
        bucket = FakeBucket(parts=4)
        bucket.plays(failing, status(404))
        with pytest.raises(AdsApiError) as caught:
            bucket.download(tmp_path / str(failing))
        assert not isinstance(caught.value, DownloadCancelled)
