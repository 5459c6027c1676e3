"""How many reports planning takes, counted over 60 days of ads accounts, and that docs/explanation/planning.md tells these numbers."""

from datetime import timedelta

import pytest

from bidbeacon_pipelines.datasets.registry import Dataset
from bidbeacon_pipelines.settings import PROJECT_ROOT
from tests.support.simulation import (
    ACCOUNTS,
    DAILY,
    WORLDWIDE,
    ZONES,
    fill,
    kinds,
    live,
    miss,
    table,
)

EACH_ACCOUNT = pytest.mark.parametrize("countries", ACCOUNTS.values(), ids=ACCOUNTS)


@pytest.mark.parametrize("dataset", [alike[0] for alike in kinds()], ids=lambda one: one.name)
def test_filling_does_not_grow_with_countries(dataset: Dataset) -> None:
    """An empty ads account of 18 countries takes as many reports as one of a single country."""
    filled = [fill(dataset, countries) for countries in (*ACCOUNTS.values(), WORLDWIDE)]
    assert {filled[0].requests} == {one.requests for one in filled}
    assert filled[-1].windows > 20 * filled[0].windows


@EACH_ACCOUNT
def test_a_steady_day_takes_one_report_or_two(countries: tuple[str, ...]) -> None:
    """Over 60 days with changes of the clocks: two reports of a dataset and day at 18 countries, else one."""
    assert max(day.requests for day in live(DAILY, countries)) <= (2 if len(countries) > 5 else 1)


@pytest.mark.parametrize("country", ZONES)
def test_one_country_waits_for_nobody(country: str) -> None:
    """One report a day, in every time zone."""
    assert {1} == {day.requests for day in live(DAILY, (country,), days=20)}


def test_all_countries_of_the_world_take_three_reports_a_day() -> None:
    """Eleven midnights lie 19 hours apart: within six hours of each other they make three groups, within nine two."""
    hours = {6: 3, 9: 2, 0: 11}
    assert hours == {
        most: max(
            day.requests for day in live(DAILY, WORLDWIDE, days=7, patience=timedelta(hours=most))
        )
        for most in hours
    }


@EACH_ACCOUNT
@pytest.mark.parametrize("every", [2, 7, 30])
def test_missed_days_are_made_up_for_with_one_report(
    every: int, countries: tuple[str, ...]
) -> None:
    """After two days, a week or a month without any refresh."""
    assert {1} == {one.requests for one in miss(DAILY, countries, every)}


def test_the_document_tells_these_numbers() -> None:
    """docs/explanation/planning.md has the table that the simulation counts."""
    page = PROJECT_ROOT / "docs" / "explanation" / "planning.md"
    assert table() in page.read_text(encoding="utf-8"), "run `make docs`"
