from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from bidbeacon_pipelines.amazon_ads import retrieve_report
from bidbeacon_pipelines.amazon_ads.waits import WaitCause, Waits, WaitSummary, duration_text
from tests.unit.amazon_ads.fakes import Bench, ScriptedRateLimits, open_bench, report_answer


def poll(bench: Bench) -> None:
    """Look at a report."""
    retrieve_report(bench.client, "NA", "rpt-0b6f7c1e")


def test_client_adds_up_its_waits() -> None:
    """Each pause between attempts and each long wait for a place is added, by what was asked and why."""
    bench = open_bench(rate_limits=ScriptedRateLimits([4.0]))
    bench.amazon.plays(
        httpx.Response(429, headers={"Retry-After": "30"}),
        httpx.Response(429, headers={"Retry-After": "20"}),
        httpx.ReadTimeout("slow"),
        httpx.ConnectError("refused"),
        report_answer(),
    )
    poll(bench)
    assert set(bench.client.waits.summary().causes) == {
        WaitCause("retrieve a report", "HTTP 429", 2, 50.0),
        WaitCause("retrieve a report", "no connection", 1, 8.0),
        WaitCause("retrieve a report", "connection broken", 1, 4.0),
        WaitCause("retrieve a report", "our own queue", 1, 4.0),
    }
    assert bench.client.waits.summary().seconds == sum(bench.clock.slept)


def test_costliest_cause_comes_first() -> None:
    """Causes are ordered by the time they cost."""
    tally = Waits()
    for cause, seconds in (("a", 1.0), ("b", 5.0), ("c", 2.0), ("a", 2.5)):
        tally.add("x", cause, seconds)
    assert [each.cause for each in tally.summary().causes] == ["b", "a", "c"]


def test_waits_for_a_token_are_told_with_the_call(bench: Bench) -> None:
    """A token that has to be waited for is a wait of the call that needs it."""
    bench.amazon.plays_token(httpx.Response(503))
    bench.amazon.plays(report_answer())
    poll(bench)
    assert bench.client.waits.summary().causes == (
        WaitCause("retrieve a report", "HTTP 503", 1, 1.0),
    )


def test_nothing_waited_is_nothing(bench: Bench) -> None:
    """Without a wait there is nothing to tell."""
    bench.amazon.plays(report_answer())
    poll(bench)
    summary = bench.client.waits.summary()
    assert (summary.count, summary.seconds, summary.causes) == (0, 0, ())


@pytest.mark.parametrize(
    ("waits", "sentence"),
    [
        (
            [("create a report", "HTTP 429", 16.0)] * 11
            + [("retrieve a report", "HTTP 503", 16.0)],
            "Waited 3 min 12 s for Amazon: 12 waits, mostly to create a report (HTTP 429).",
        ),
        (
            [("retrieve a report", "HTTP 429", 7.0)],
            "Waited 7 s for Amazon: 1 wait, to retrieve a report (HTTP 429).",
        ),
        ([], "Did not wait for Amazon."),
    ],
)
def test_waits_are_said_in_a_sentence(waits: list[tuple[str, str, float]], sentence: str) -> None:
    """The sentence has the time, the number of waits and their main cause."""
    tally = Waits()
    for wait in waits:
        tally.add(*wait)
    assert tally.summary().sentence == sentence


def test_taking_begins_anew() -> None:
    """What was taken is told once."""
    tally = Waits()
    tally.add("create a report", "HTTP 429", 3.0)
    assert tally.take().seconds == 3
    assert tally.take() == WaitSummary()


def test_threads_add_up() -> None:
    """Waits of many threads are all counted."""
    tally = Waits()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: tally.add("x", "y", 1.0), range(800)))
    assert (tally.summary().count, tally.summary().seconds) == (800, 800)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.04, "under 0.1 s"),
        (0.4, "0.4 s"),
        (0.97, "1.0 s"),
        (1, "1 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (192, "3 min 12 s"),
        (3600, "1 h"),
        (3845, "1 h 4 min"),
    ],
)
def test_durations_are_said_in_two_units(seconds: float, said: str) -> None:
    """A duration has its two largest units, and no zero ones."""
    assert duration_text(seconds) == said
