"""The plot is a well-formed picture that shows gaps as gaps."""

import xml.etree.ElementTree as ET
from datetime import date, timedelta
from decimal import Decimal

import pytest

from bidbeacon_pipelines.reports.plots import Point, plot_svg

FIRST = date(2026, 3, 1)


def draw(*spends: int | None) -> ET.Element:
    """Draw days with these spends and no sales."""
    points = [
        Point(FIRST + timedelta(days=n), None if spend is None else Decimal(spend), None)
        for n, spend in enumerate(spends)
    ]
    return ET.fromstring(plot_svg(points, "EUR"))


def shapes(picture: ET.Element, kind: str) -> list[ET.Element]:
    """Give the elements of a kind."""
    return [element for element in picture.iter() if element.tag.endswith(f"}}{kind}")]


def test_a_day_that_is_missing_parts_the_line() -> None:
    """Two lines where a day is unknown between, and a dot for a day that stands alone."""
    picture = draw(1, 2, None, 4, 5, None, 7)
    assert (2, 1) == (len(shapes(picture, "polyline")), len(shapes(picture, "circle")))


def test_more_is_higher_and_all_is_inside() -> None:
    """The largest amount has the smallest y, and no point leaves the picture."""
    [line] = shapes(draw(0, 3, 480), "polyline")
    places = [tuple(map(int, place.split(","))) for place in line.attrib["points"].split()]
    assert sorted(places, key=lambda place: -place[1]) == places
    assert all(0 <= x <= 720 and 0 <= y <= 240 for x, y in places)


@pytest.mark.parametrize("spends", [[0], [0, 0], [None]])
def test_nothing_to_show_is_a_picture_too(spends: list[int | None]) -> None:
    """Zeros and unknown days divide by nothing."""
    assert "EUR a day" in [element.text for element in shapes(draw(*spends), "text")]


def test_no_days_are_refused() -> None:
    """There is no time axis then."""
    with pytest.raises(ValueError, match="at least one day"):
        plot_svg([], "EUR")
