"""The plot is a well-formed picture that shows gaps as gaps."""

import re
import xml.etree.ElementTree as ET
from datetime import date, timedelta
from decimal import Decimal

import pytest

from bidbeacon_pipelines.reports.plots import Point, plot_svg

FIRST = date(2026, 3, 1)
DAYS = [FIRST + timedelta(days=n) for n in range(60)]


def draw(*spends: int | None) -> ET.Element:
    """Draw days with these spends and no sales."""
    points = [
        Point(FIRST + timedelta(days=n), None if spend is None else Decimal(spend), None)
        for n, spend in enumerate(spends)
    ]
    return ET.fromstring(plot_svg(points, "EUR"))


def shapes(picture: ET.Element, kind: str) -> list[ET.Element]:
    """Return the elements of a kind."""
    return [element for element in picture.iter() if element.tag.endswith(f"}}{kind}")]


def stretches(picture: ET.Element) -> list[list[tuple[int, int]]]:
    """Return where each stretch of days of all curves goes through; a dot is one of a single place."""
    curves = [path.attrib["d"] for path in shapes(picture, "path") if "H" not in path.attrib["d"]]
    found = [re.findall(r"(\d+) (\d+)", part) for curve in curves for part in curve.split("M")[1:]]
    return [[(int(x), int(y)) for x, y in places] for places in found]


def test_a_day_that_is_missing_parts_the_line() -> None:
    """Two lines where a day is unknown between, and a dot for a day that stands alone."""
    assert [2, 2, 1] == [len(places) for places in stretches(draw(1, 2, None, 4, 5, None, 7))]


def test_more_is_higher_and_all_is_inside() -> None:
    """The largest amount has the smallest y, and no point leaves the picture."""
    [places] = stretches(draw(0, 3, 480))
    assert sorted(places, key=lambda place: -place[1]) == places
    assert all(0 <= x <= 720 and 0 <= y <= 240 for x, y in places)


@pytest.mark.parametrize("known", [1, 2], ids=["lone days", "days by two"])
def test_gaps_do_not_make_it_larger(known: int) -> None:
    """However the days of two months lie, they are drawn with as many elements, and in no more bytes than without a gap."""
    whole = plot_svg([Point(day, Decimal(9), Decimal(99)) for day in DAYS], "EUR")
    parted = plot_svg(
        [
            Point(day, *([Decimal(9), Decimal(99)] if n % 3 < known else [None, None]))
            for n, day in enumerate(DAYS)
        ],
        "EUR",
    )
    assert whole.count("<") == parted.count("<")
    assert len(parted) <= len(whole)


@pytest.mark.parametrize("spends", [[0], [0, 0], [None]])
def test_nothing_to_show_is_a_picture_too(spends: list[int | None]) -> None:
    """Zeros and unknown days divide by nothing."""
    assert "EUR a day" in [element.text for element in shapes(draw(*spends), "text")]


def test_no_days_are_refused() -> None:
    """There is no time axis then."""
    with pytest.raises(ValueError, match="at least one day"):
        plot_svg([], "EUR")
