"""What the command line understands, without a database."""

from datetime import date

import pytest
from typer.testing import CliRunner

from bidbeacon_pipelines.cli import BadOptionError, app, parse_days


@pytest.mark.parametrize(
    ("given", "days"),
    [
        ("2026-11-23", [date(2026, 11, 23)]),
        ("2026-11-23..2026-11-23", [date(2026, 11, 23)]),
        ("2026-02-27..2026-03-01", [date(2026, 2, 27), date(2026, 2, 28), date(2026, 3, 1)]),
    ],
)
def test_a_window_is_a_day_or_days_with_both_ends(given: str, days: list[date]) -> None:
    """Both ends of a range belong to it, over the end of a month too."""
    assert days == parse_days(given)


@pytest.mark.parametrize(
    "given",
    [
        "",
        "yesterday",
        "2026-02-30",
        "..",
        "..2026-11-23",
        "2026-11-23..",
        "2026-11-23..soon",
        "9999-12-31",
    ],
)
def test_what_is_no_day_is_refused_with_what_was_expected(given: str) -> None:
    """The message names the option, the two forms, and what came."""
    with pytest.raises(BadOptionError) as caught:
        parse_days(given)
    expected = f"--window: expected 2026-11-23 or 2026-11-01..2026-11-07, got: {given!r}."
    assert expected == str(caught.value)


def test_days_in_the_wrong_order_are_refused() -> None:
    """A range whose last day is before its first loads nothing by mistake."""
    with pytest.raises(
        BadOptionError, match=r"expected the earlier day first, got: '2026-11-07\.\.2026-11-01'"
    ):
        parse_days("2026-11-07..2026-11-01")


def test_without_a_command_the_help_is_shown() -> None:
    """`bidbeacon` alone lists its commands."""
    assert "refresh" in CliRunner().invoke(app, []).output
