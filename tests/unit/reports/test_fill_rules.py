"""How long the first load of the history takes."""

import heapq
import random
from collections.abc import Iterator, Sequence
from datetime import timedelta

import pytest

from bidbeacon_pipelines.datasets.registry import DATASETS
from bidbeacon_pipelines.states.fill import Fill, ReportRate, minutes_left, time_left
from tests.support.simulation import ACCOUNTS, SimulatedDataset, noon


@pytest.mark.parametrize(
    ("rates", "left"),
    [
        ([(100, 50, 25.0)], (40, 62)),
        ([(100, 50, 25.0), (10, 50, 25.0)], (40, 62)),
        ([(100, 9, 25.0)], None),
        ([(100, 50, 25.0), (10, 0, 0.0)], None),
        ([(100, 50, 25.0), (0, 0, 0.0)], (40, 62)),
        ([(9, 50, 25.0)], None),
        ([(10, 50, 1.0)], (0, 1)),
        ([], None),
    ],
)
def test_time_left_is_a_range_from_the_last_reports(
    rates: list[tuple[int, int, float]], left: tuple[int, int] | None
) -> None:
    """It is of the slowest client id and region, and unknown before ten reports of each."""
    assert left == minutes_left(ReportRate(*one) for one in rates)


@pytest.mark.parametrize(
    ("left", "text"),
    [
        ((0, 1), "about 1 minute"),
        ((2, 3), "about 2 to 3 minutes"),
        ((40, 62), "about 40 to 65 minutes"),
        ((150, 234), "about 2 to 4 hours"),
        ((3_000, 4_700), "about 2 to 4 days"),
    ],
)
def test_time_left_is_in_round_numbers(left: tuple[int, int], text: str) -> None:
    """Minutes above twenty are rounded to five, the shortest time down and the longest up."""
    assert text == time_left(*left)


def test_a_fill_is_over_when_next_to_nothing_is_left() -> None:
    """New days are loaded for the first time every day."""
    assert "Loading history: 500 of 1,000 days, newest first" == Fill(500, 1_000, None).sentence
    assert Fill(500, 1_000, (3, 4)).sentence.endswith("; about 3 to 4 minutes left")
    assert [False, True] == [Fill(loaded, 1_000, None).is_over for loaded in (979, 980)]


FILLS = {
    "Amazon's places": ([*[1] * 10, *[5] * 5, *[18] * 2], 4, 8.0, 2),
    "loads at once": ([18] * 5, 20, 1.0, 1),
    "both": ([1, 5, 18], 8, 3.0, 2),
}


@pytest.mark.parametrize("limit", FILLS)
def test_the_estimate_of_a_simulated_fill_is_within_30_percent(limit: str) -> None:
    """From its middle on, until the last reports."""
    loads = sorted(_loads(*FILLS[limit], chance=random.Random(1)))
    for place in range(len(loads) // 2, len(loads) - 10, 5):
        now, end = loads[place], loads[-1]
        recent = [at for at in loads[: place + 1] if at >= now - 180]
        rate = ReportRate(len(loads) - place - 1, len(recent), now - recent[0])
        left = minutes_left([rate])
        assert left is not None
        assert sum(left) / 2 == pytest.approx(end - now, rel=0.3, abs=2 * FILLS[limit][2])


def _loads(
    accounts: Sequence[int], places: int, latency: float, at_once: int, *, chance: random.Random
) -> Iterator[float]:
    """Yield the minutes at which the reports of a fill are loaded, newest days first.

    Amazon makes as many reports at once as there are `places`, in `latency` minutes each, more or
    less. Loading takes a second, and 0.03 s for each window.
    """
    free, loaders = [0.0] * places, [0.0] * at_once
    complete = []
    for _, _, windows in sorted(_reports(accounts), reverse=True):
        at = heapq.heappop(free) + latency * chance.lognormvariate(0, 0.6)
        heapq.heappush(free, at)
        complete.append((at, windows))
    for at, windows in sorted(complete):
        loaded = max(at, heapq.heappop(loaders)) + (1 + 0.03 * windows) / 60
        heapq.heappush(loaders, loaded)
        yield loaded


def _reports(accounts: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """Yield the last day, the ads account and the windows of each report that a fill takes."""
    for number, countries in enumerate(accounts):
        now = noon(ACCOUNTS[countries], 0)
        for dataset in DATASETS.values():
            of_dataset = SimulatedDataset(dataset, ACCOUNTS[countries])
            of_dataset.advance(now)
            days = [day for _, day in of_dataset.due]
            for request in of_dataset.plan(now, patience=timedelta(0)):
                windows = sum(request.start <= day <= request.end for day in days)
                for _ in dataset.reports:
                    yield request.end.toordinal(), number, windows
