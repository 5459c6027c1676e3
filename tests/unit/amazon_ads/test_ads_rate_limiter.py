import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest

from bidbeacon_pipelines.amazon_ads import (
    create_export,
    create_report,
    get_export,
    list_accounts,
    retrieve_report,
)
from bidbeacon_pipelines.amazon_ads.errors import (
    AdsApiError,
    OutcomeUnknown,
    RateLimited,
    Throttled,
)
from bidbeacon_pipelines.amazon_ads.rate_limiter import CALLS_AT_ONCE
from bidbeacon_pipelines.amazon_ads.rate_limits import (
    CallClass,
    CallIntervals,
    LimitScope,
    LocalRateLimits,
)
from bidbeacon_pipelines.amazon_ads.transport import TIMEOUT
from tests.unit.amazon_ads.fakes import (
    Bench,
    FakeClock,
    ScriptedRateLimits,
    open_bench,
    report_answer,
)

ONE, TWO = "amzn1.ads-account.g.one", "amzn1.ads-account.g.two"
REPORT = "rpt-0b6f7c1e"


def throttled(
    retry_after: str | None = None, *, status: int = 429, date: str | None = None
) -> httpx.Response:
    """Return a throttle."""
    headers = {"Retry-After": retry_after, "Date": date}
    return httpx.Response(
        status,
        json={"message": "Too Many Requests"},
        headers={name: value for name, value in headers.items() if value is not None},
    )


def create(bench: Bench, account: str = ONE) -> None:
    """Ask for a report of one day."""
    day = date(2025, 12, 29)
    create_report(bench.client, "NA", account, fields=["date.value"], start=day, end=day)


def poll(bench: Bench, account: str | None = ONE) -> None:
    """Look at a report."""
    retrieve_report(bench.client, "NA", REPORT, account_id=account)


def test_each_call_waits_for_its_own_rate_limit() -> None:
    """Creates, looks, exports and the rest queue by region, class and account."""
    rate_limits = ScriptedRateLimits()
    bench = open_bench(rate_limits=rate_limits, attempts=1)
    for ask in (
        lambda: create(bench),
        lambda: poll(bench),
        lambda: create_export(bench.client, "EU", "7", "ads", account_id=ONE, country_code="DE"),
        lambda: get_export(bench.client, "FE", "7", "ads", "exp-1"),
    ):
        bench.amazon.plays(httpx.Response(400))
        with pytest.raises(AdsApiError):
            ask()
    bench.amazon.plays(*[httpx.Response(400)] * 3)
    with pytest.raises(AdsApiError):
        list_accounts(bench.client)
    assert rate_limits.asked == [
        LimitScope("NA", CallClass.CREATE, ONE),
        LimitScope("NA", CallClass.RETRIEVE, ONE),
        LimitScope("EU", CallClass.EXPORTS, ONE),
        LimitScope("FE", CallClass.EXPORTS),
        LimitScope("NA", CallClass.OTHER),
        LimitScope("EU", CallClass.OTHER),
        LimitScope("FE", CallClass.OTHER),
    ]


def test_queue_is_waited_for_before_the_request() -> None:
    """The place is waited for before the connection gets the request, whose timeouts are the usual ones."""
    bench = open_bench(rate_limits=ScriptedRateLimits([42.0]))
    came_at = bench.clock.now()
    seen: list[tuple[timedelta, object]] = []

    def see(request: httpx.Request) -> httpx.Response:
        seen.append((bench.clock.now() - came_at, request.extensions["timeout"]))
        return report_answer()

    bench.amazon.plays(see)
    poll(bench)
    assert seen == [(timedelta(seconds=42), TIMEOUT.as_dict())]
    assert bench.clock.slept == [42.0]


def test_attempts_queue_anew() -> None:
    """Every attempt takes a place, the one with a fresh token too."""
    rate_limits = ScriptedRateLimits()
    bench = open_bench(rate_limits=rate_limits)
    bench.amazon.plays(httpx.Response(500), httpx.Response(401), report_answer())
    poll(bench)
    assert len(rate_limits.asked) == 3


@pytest.mark.parametrize("ask", [create, poll])
def test_long_queue_is_handed_on(ask: object) -> None:
    """A place further off than the policy's longest wait isn't sat out, and nothing is sent: a create's outcome is known."""
    rate_limits = ScriptedRateLimits([61.0])
    bench = open_bench(rate_limits=rate_limits, longest_wait_seconds=60)
    with pytest.raises(RateLimited) as caught:
        ask(bench)  # type: ignore[operator]  # one of the two functions above
    assert caught.value.retry_after == 61
    assert ONE in str(caught.value)
    assert len(rate_limits.asked) == 1
    assert (bench.amazon.calls, bench.clock.slept, bench.waits) == ([], [], [])
    assert [record.call for record in bench.log.records] == ["token"]


def test_far_places_are_not_taken_ahead() -> None:
    """A call whose place is far off sleeps first and takes one when it is near: its region goes on meanwhile."""
    rate_limits = ScriptedRateLimits([30.0, 0.5])
    bench = open_bench(rate_limits=rate_limits)
    bench.amazon.plays(report_answer())
    poll(bench)
    assert bench.clock.slept == [30.0, 0.5]
    assert rate_limits.longest == [1.0, 1.0]


def test_queue_is_bounded_in_all() -> None:
    """A call that is overtaken again and again gives up when all its waits together reach the bound."""
    rate_limits = ScriptedRateLimits([30.0, 20.0, 11.0])
    bench = open_bench(rate_limits=rate_limits, longest_wait_seconds=60)
    with pytest.raises(RateLimited):
        poll(bench)
    assert bench.clock.slept == [30.0, 20.0]
    assert bench.amazon.calls == []


def test_accounts_held_together_come_back_apart() -> None:
    """Accounts that were held until the same instant start the region's gap apart."""
    clock = FakeClock()
    intervals = CallIntervals(dict.fromkeys(CallClass, 2.0), dict.fromkeys(CallClass, 0.0))
    rate_limits = LocalRateLimits(intervals, clock.now)
    bench = open_bench(clock=clock, rate_limits=rate_limits)
    for account in (ONE, TWO):
        rate_limits.pause(LimitScope("NA", CallClass.RETRIEVE, account), 30)
    began, starts = clock.now(), list[float]()

    def answer(_: httpx.Request) -> httpx.Response:
        starts.append((clock.now() - began).total_seconds())
        return report_answer()

    bench.amazon.plays(answer, answer)
    poll(bench, ONE)
    poll(bench, TWO)
    assert starts == [30, 32]


def test_long_queue_holds_nobody_back() -> None:
    """Our own queue is no wish of Amazon's: it doesn't grow by being met."""
    rate_limits = ScriptedRateLimits([600.0])
    with pytest.raises(RateLimited):
        poll(open_bench(rate_limits=rate_limits))
    assert rate_limits.paused == []


def test_retry_after_is_waited_once() -> None:
    """The pause that Amazon asked for and the pause of the rate limit are one wait."""
    bench = open_bench()
    bench.amazon.plays(throttled("17"), report_answer())
    poll(bench)
    assert bench.clock.slept == [17.0]
    assert len(bench.amazon.calls) == 2


def test_retry_after_is_waited_once_with_intervals() -> None:
    """With intervals between starts too, the pause is one wait: the place is due when it ends."""
    clock = FakeClock()
    bench = open_bench(clock=clock, rate_limits=LocalRateLimits(now=clock.now))
    bench.amazon.plays(throttled("17"), report_answer())
    poll(bench)
    assert bench.clock.slept == [17.0]


def test_others_of_the_account_wait_too() -> None:
    """After a 429 another client under the same rate limits, as another process is, waits out the rest before its call."""
    clock = FakeClock()
    rate_limits = LocalRateLimits(CallIntervals.none(), clock.now)
    first = open_bench(clock=clock, rate_limits=rate_limits, attempts=1)
    second = open_bench(clock=clock, rate_limits=rate_limits)
    first.amazon.plays(throttled("30"))
    with pytest.raises(Throttled):
        poll(first)
    clock.instant += timedelta(seconds=10)
    second.amazon.plays(report_answer())
    poll(second)
    assert clock.slept == [20.0]


def test_others_do_not_wait() -> None:
    """After a 429 of one account's look, its creates and another account's looks go on."""
    bench = open_bench(attempts=1)
    bench.amazon.plays(throttled("30"), report_answer(), report_answer())
    with pytest.raises(Throttled):
        poll(bench)
    poll(bench, TWO)
    create(bench)
    assert bench.clock.slept == []


def test_hold_longer_than_the_bound_stays() -> None:
    """A `Retry-After` that isn't waited out pauses the rate limit all the same: the next call isn't sent before."""
    bench = open_bench()
    bench.amazon.plays(throttled("600"))
    with pytest.raises(Throttled) as caught:
        poll(bench)
    assert (type(caught.value), caught.value.retry_after) == (Throttled, 600)
    with pytest.raises(RateLimited) as held:
        poll(bench)
    assert held.value.retry_after == 600
    assert (len(bench.amazon.calls), bench.clock.slept) == (1, [])


def test_throttled_create_holds_its_account() -> None:
    """A create whose outcome is unknown after a 429 holds back the account's next create."""
    bench = open_bench()
    bench.amazon.plays(throttled("40"), report_answer())
    with pytest.raises(OutcomeUnknown):
        create(bench)
    create(bench)
    assert bench.clock.slept == [40.0]


@pytest.mark.parametrize("status", [429, 503])
def test_no_wish_holds_nobody(status: int) -> None:
    """Without a `Retry-After` only the call itself backs off."""
    rate_limits = ScriptedRateLimits()
    bench = open_bench(rate_limits=rate_limits)
    bench.amazon.plays(throttled(status=status), report_answer())
    poll(bench)
    assert rate_limits.paused == []


def test_wish_of_a_503_counts() -> None:
    """A 503 may ask to wait, too."""
    rate_limits = ScriptedRateLimits()
    bench = open_bench(rate_limits=rate_limits)
    bench.amazon.plays(throttled("5", status=503), report_answer())
    poll(bench)
    assert rate_limits.paused == [(LimitScope("NA", CallClass.RETRIEVE, ONE), 5.0)]


@pytest.mark.parametrize("ahead", [timedelta(hours=-3), timedelta(), timedelta(days=2)])
def test_date_counts_from_the_answers_own(ahead: timedelta) -> None:
    """A `Retry-After` as a date is as far off as the answer's own `Date` says, whatever our clock shows."""
    bench = open_bench()
    theirs: datetime = bench.clock.now() + ahead
    until = format_datetime(theirs + timedelta(seconds=42), usegmt=True)
    bench.amazon.plays(throttled(until, date=format_datetime(theirs, usegmt=True)), report_answer())
    poll(bench)
    assert bench.clock.slept == [42.0]


def test_date_that_is_none_leaves_our_clock() -> None:
    """With a `Date` that can't be read, a `Retry-After` as a date counts from our clock."""
    bench = open_bench()
    until = format_datetime(bench.clock.now() + timedelta(seconds=42), usegmt=True)
    bench.amazon.plays(throttled(until, date="once"), report_answer())
    poll(bench)
    assert bench.clock.slept == [42.0]


@pytest.mark.parametrize("value", ["soon", "-5", "nan", "", "1e3", "Tue, 99 Dec 2025 08:00:30 GMT"])
def test_wish_that_cannot_be_read_is_none(value: str) -> None:
    """Nonsense counts as no `Retry-After`: the call backs off within its bounds, and nobody else waits."""
    rate_limits = ScriptedRateLimits()
    bench = open_bench(rate_limits=rate_limits, draw=lambda low, high: (low + high) / 2)
    bench.amazon.plays(throttled(value), report_answer())
    poll(bench)
    assert (bench.clock.slept, rate_limits.paused) == ([0.5], [])


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0.5, []), (1.0, [("retrieve a report", 1.0, 0)]), (20.0, [("retrieve a report", 20.0, 0)])],
)
def test_long_places_are_told(seconds: float, told: list[tuple[str, float, int]]) -> None:
    """A wait for a place is told when it is a second or more, as one before any attempt."""
    bench = open_bench(rate_limits=ScriptedRateLimits([seconds]))
    bench.amazon.plays(report_answer())
    poll(bench)
    assert [(wait.operation, wait.seconds, wait.attempt) for wait in bench.waits] == told


class StoppedClock(FakeClock):
    """A clock whose sleepers sleep until they are woken."""

    def __init__(self) -> None:
        super().__init__()
        self.asleep = threading.Event()
        self.wake = threading.Event()

    def sleep(self, seconds: float) -> None:
        """Sleep until woken."""
        self.asleep.set()
        assert self.wake.wait(timeout=10)
        super().sleep(seconds)


def test_waiting_holds_no_lock() -> None:
    """While a call waits for its place, others of the region go through."""
    clock = StoppedClock()
    bench = open_bench(clock=clock)
    bench.client._rate_limiter._rate_limits.pause(LimitScope("NA", CallClass.RETRIEVE, ONE), 30)
    bench.amazon.plays(*(report_answer() for _ in range(CALLS_AT_ONCE + 3)))
    with ThreadPoolExecutor(1 + CALLS_AT_ONCE) as pool:
        waiting = [pool.submit(poll, bench) for _ in range(1 + CALLS_AT_ONCE)]
        assert clock.asleep.wait(timeout=10)
        poll(bench, TWO)
        assert len(bench.amazon.calls) == 1
        clock.wake.set()
        for each in waiting:
            each.result(timeout=10)
    assert len(bench.amazon.calls) == 2 + CALLS_AT_ONCE


def test_calls_at_once_are_few() -> None:
    """No more than four calls of a region run at once in a process; the others follow."""
    bench = open_bench()
    lock, running, most = threading.Lock(), 0, 0
    full = threading.Barrier(CALLS_AT_ONCE)

    def answer(_: httpx.Request) -> httpx.Response:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        full.wait(timeout=10)
        with lock:
            running -= 1
        return report_answer()

    bench.amazon.plays(*[answer] * 3 * CALLS_AT_ONCE)
    with ThreadPoolExecutor(3 * CALLS_AT_ONCE) as pool:
        list(pool.map(lambda _: poll(bench), range(3 * CALLS_AT_ONCE)))
    assert most == CALLS_AT_ONCE


def test_failed_calls_give_their_turn_back() -> None:
    """Calls that fail leave room for the next."""
    bench = open_bench(attempts=1)
    bench.amazon.plays(*[httpx.ReadError("reset")] * CALLS_AT_ONCE, report_answer())
    for _ in range(CALLS_AT_ONCE):
        with pytest.raises(AdsApiError):
            poll(bench)
    poll(bench)
    assert len(bench.amazon.calls) == CALLS_AT_ONCE + 1
