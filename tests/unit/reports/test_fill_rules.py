"""How long the first load of the history takes."""

import pytest

from bidbeacon_pipelines.states.fill import Fill, minutes_left, time_left


@pytest.mark.parametrize(
    ("to_load", "days", "loads", "minutes", "left"),
    [
        (1_000, 1_000, 10, 50, (40, 62)),
        (1_000, 1_000, 9, 50, None),
        (1_000, 1_000, 10, 0, None),
        (1, 1_000, 10, 1, (0, 1)),
    ],
)
def test_time_left_is_a_range_from_the_last_loads(
    to_load: int, days: int, loads: int, minutes: float, left: tuple[int, int] | None
) -> None:
    """A fifth less to a quarter more than at the speed of the last hour; nothing before ten loads."""
    assert left == minutes_left(to_load, days, loads, minutes)


@pytest.mark.parametrize(
    ("left", "told"),
    [
        ((0, 1), "about 1 minute"),
        ((2, 3), "about 2 to 3 minutes"),
        ((40, 62), "about 40 to 65 minutes"),
        ((150, 234), "about 2 to 4 hours"),
        ((3_000, 4_700), "about 2 to 4 days"),
    ],
)
def test_time_left_is_told_in_round_numbers(left: tuple[int, int], told: str) -> None:
    """As long as a range says something."""
    assert told == time_left(*left)


def test_a_fill_is_over_when_next_to_nothing_is_left() -> None:
    """New days are loaded for the first time every day."""
    assert "Loading history: 500 of 1,000 days, newest first" == Fill(500, 1_000, None).sentence
    assert Fill(500, 1_000, (3, 4)).sentence.endswith("; about 3 to 4 minutes left")
    assert [False, True] == [Fill(loaded, 1_000, None).is_over for loaded in (979, 980)]
