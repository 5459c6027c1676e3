from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidbeacon_pipelines.amazon_ads import AdsApiClient, Endpoints, RetryPolicy, retrieve_report
from bidbeacon_pipelines.amazon_ads.errors import Rejected, Throttled, Unreachable, Upstream
from bidbeacon_pipelines.amazon_ads.transport import parse_retry_after
from tests.unit.amazon_ads.fakes import (
    CREDENTIALS,
    HTML,
    Bench,
    FakeAmazon,
    FakeClock,
    open_bench,
    report_answer,
)

NOW = datetime(2025, 12, 30, 8, 0, tzinfo=UTC)


def throttled(retry_after: str | None = None) -> httpx.Response:
    """Return a 429."""
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    return httpx.Response(429, json={"message": "Too Many Requests"}, headers=headers)


def poll(bench: Bench) -> None:
    """Make a read."""
    retrieve_report(bench.client, "NA", "rpt-0b6f7c1e")


def test_retry_after_seconds_are_kept_exactly(bench: Bench) -> None:
    """A `Retry-After` in seconds is waited for, neither shorter nor longer."""
    bench.amazon.plays(throttled("17"), report_answer())
    poll(bench)
    assert bench.clock.slept == [17.0]


def test_retry_after_date_is_kept_exactly(bench: Bench) -> None:
    """A `Retry-After` as HTTP date is waited for."""
    until = format_datetime(bench.clock.now() + timedelta(seconds=42), usegmt=True)
    bench.amazon.plays(throttled(until), report_answer())
    poll(bench)
    assert bench.clock.slept == [42.0]


def test_retry_after_counts_for_503_too(bench: Bench) -> None:
    """A 503 may say how long to wait, as RFC 9110 has it."""
    bench.amazon.plays(
        httpx.Response(503, text=HTML, headers={"Retry-After": "5"}), report_answer()
    )
    poll(bench)
    assert bench.clock.slept == [5.0]


def test_long_retry_after_is_handed_on() -> None:
    """A wait over the bound isn't cut short: the caller gets it to plan with."""
    bench = open_bench(longest_wait_seconds=599, total_wait_seconds=10_000)
    bench.amazon.plays(throttled("600"))
    with pytest.raises(Throttled) as caught:
        poll(bench)
    assert caught.value.retry_after == 600
    assert bench.clock.slept == []


def test_all_waits_together_are_bounded() -> None:
    """The waits of one call stay within the policy's sum."""
    bench = open_bench(total_wait_seconds=100)
    bench.amazon.plays(*(throttled("40") for _ in range(5)))
    with pytest.raises(Throttled):
        poll(bench)
    assert bench.clock.slept == [40.0, 40.0]


def test_backoff_doubles_to_its_cap() -> None:
    """Without `Retry-After` the upper bound of the wait doubles up to the cap."""
    bench = open_bench(attempts=7, cap_seconds=10)
    bench.amazon.plays(*(throttled() for _ in range(6)), report_answer())
    poll(bench)
    assert bench.clock.slept == [1, 2, 4, 8, 10, 10]


def test_backoff_is_drawn_from_zero() -> None:
    """The jitter is full: waits are drawn from 0 up to the bound."""
    drawn: list[tuple[float, float]] = []

    def draw(low: float, high: float) -> float:
        drawn.append((low, high))
        return high / 4

    bench = open_bench(draw=draw)
    bench.amazon.plays(httpx.Response(500), httpx.Response(502), report_answer())
    poll(bench)
    assert drawn == [(0, 1), (0, 2)]
    assert bench.clock.slept == [0.25, 0.5]


@given(attempt=st.integers(1, 10_000))
def test_backoff_stays_within_bounds(attempt: int) -> None:
    """No attempt's wait is negative or over the cap."""
    assert 0 <= RetryPolicy(cap_seconds=20).pause(None, attempt) <= 20


@pytest.mark.parametrize(
    "trouble",
    [
        throttled(),
        httpx.Response(500, json={"code": "INTERNAL_ERROR", "details": "oops"}),
        httpx.Response(502, text=HTML),
        httpx.Response(504),
        httpx.Response(408),
        httpx.ReadTimeout("slow"),
        httpx.ConnectTimeout("slow"),
        httpx.ConnectError("refused"),
        httpx.ReadError("reset"),
        httpx.RemoteProtocolError("peer closed connection without sending complete message body"),
    ],
)
def test_reads_are_repeated(bench: Bench, trouble: httpx.Response | Exception) -> None:
    """A read survives a throttle, a server's error, a timeout and a broken connection."""
    bench.amazon.plays(trouble, report_answer())
    poll(bench)
    assert len(bench.amazon.calls) == 2


@pytest.mark.parametrize(
    ("trouble", "kind"),
    [
        (httpx.Response(429), Throttled),
        (httpx.Response(500), Upstream),
        (httpx.Response(408), Upstream),
        (httpx.ReadError("reset"), Unreachable),
    ],
)
def test_attempts_are_bounded(trouble: httpx.Response | Exception, kind: type[Exception]) -> None:
    """A trouble that stays comes out as its error after the last attempt."""
    bench = open_bench(attempts=3)
    bench.amazon.plays(*[trouble] * 3)
    with pytest.raises(kind):
        poll(bench)
    assert len(bench.amazon.calls) == 3


def test_refusals_are_not_repeated(bench: Bench) -> None:
    """A 400 is final."""
    bench.amazon.plays(httpx.Response(400, json={"code": "400000", "message": "exactly one id"}))
    with pytest.raises(Rejected):
        poll(bench)
    assert len(bench.amazon.calls) == 1


def test_waits_are_reported(bench: Bench) -> None:
    """Each wait is told when it begins: how long, for what, and why."""
    bench.amazon.plays(throttled("3"), report_answer())
    poll(bench)
    (wait,) = bench.waits
    assert (wait.seconds, wait.operation, wait.attempt) == (3.0, "retrieve a report", 1)
    assert "Too Many Requests" in wait.reason


def test_keyboard_ends_a_wait() -> None:
    """An interrupt during a wait ends the call at once."""

    class InterruptedClock(FakeClock):
        def sleep(self, seconds: float) -> None:
            raise KeyboardInterrupt

    amazon = FakeAmazon()
    amazon.plays(throttled("3"))
    transport = httpx.MockTransport(amazon.handle)
    with (
        AdsApiClient(
            CREDENTIALS, Endpoints.amazon(), transport=transport, clock=InterruptedClock()
        ) as client,
        pytest.raises(KeyboardInterrupt),
    ):
        retrieve_report(client, "NA", "rpt-0b6f7c1e")
    assert len(amazon.calls) == 1


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0),
        (" 120 ", 120),
        ("1.5", 1.5),
        ("Tue, 30 Dec 2025 08:00:30 GMT", 30),
        ("Tue, 30 Dec 2025 08:00:30 -0000", 30),
        ("Tue, 30 Dec 2025 07:00:00 GMT", 0),
        ("", None),
        (None, None),
        ("-5", None),
        ("soon", None),
        ("nan", None),
        ("9" * 40, None),
    ],
)
def test_retry_after_is_read(value: str | None, seconds: float | None) -> None:
    """Both forms of RFC 9110 are read, and nonsense counts as absent."""
    assert parse_retry_after(value, NOW) == seconds


@given(st.text())
def test_any_retry_after_is_survived(value: str) -> None:
    """No header value breaks the reading, and no wait is negative."""
    seconds = parse_retry_after(value, NOW)
    assert seconds is None or seconds >= 0
