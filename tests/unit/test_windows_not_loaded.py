"""The error that says which of the requested windows were not loaded, and why."""

from datetime import date, timedelta

import pytest

from bidbeacon_pipelines.requests.backfill import WindowNotLoadedError, split_reasons

DAY = date(2026, 11, 16)


def reasons(*of_each_day: str) -> dict[date, str]:
    """Return the reasons of days that follow each other."""
    return {DAY + timedelta(days=number): reason for number, reason in enumerate(of_each_day)}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("Out of ink",), "1 window was not loaded. 2026-11-16: Out of ink."),
        (
            ("Out of ink", "No paper; and none ordered", "Out of ink"),
            "3 windows were not loaded. 2026-11-16, 2026-11-18: Out of ink; 2026-11-17: No paper; and none ordered.",
        ),
        (
            ("Out of ink",) * 120,
            "120 windows were not loaded. 2026-11-16, 2026-11-17, 2026-11-18 and 117 more: Out of ink.",
        ),
    ],
)
def test_each_reason_is_given_once_with_its_first_days(given: tuple[str, ...], said: str) -> None:
    """And is found again in the message."""
    message = str(WindowNotLoadedError("daily_targets", reasons(*given)))
    assert f"daily_targets: {said}" == message
    assert list(dict.fromkeys(given)) == split_reasons(message)


def test_reasons_that_are_sentences_are_joined_as_others_are() -> None:
    """Each loses its full stop, and the message ends with one."""
    message = str(WindowNotLoadedError("daily_targets", reasons("Out of ink. Given up.", "Jam.")))
    assert message.endswith("2026-11-16: Out of ink. Given up; 2026-11-17: Jam.")


def test_of_many_reasons_five_are_given() -> None:
    """The days of the others are counted."""
    message = str(WindowNotLoadedError("daily_targets", reasons(*"abcdefgh")))
    assert message.endswith("2026-11-20: e (and 3 more).")
    assert 5 == len(split_reasons(message))
