"""How many reports planning takes, counted over 60 days of an account, and that docs/planning.md tells these numbers."""

import pytest

from benchmarks.simulation import DAILY, HOURLY, ZONES, fill, live, table
from bidbeacon_pipelines.reports.datasets import Dataset
from bidbeacon_pipelines.settings import PROJECT_ROOT

BOTH = pytest.mark.parametrize("dataset", [DAILY, HOURLY], ids=lambda dataset: dataset.name)
EACH_ZONE = pytest.mark.parametrize("zone", ZONES.values(), ids=ZONES)


@EACH_ZONE
@pytest.mark.parametrize(("dataset", "most"), [(DAILY, 7), (HOURLY, 1)], ids=["daily", "hourly"])
def test_an_empty_account_is_filled_with_few_reports(dataset: Dataset, most: int, zone: str) -> None:
    """24 months take at most seven reports, two weeks of hours one."""
    filled = fill(dataset, zone)

    assert filled.requests <= most
    assert filled.windows > 12 * filled.requests


@EACH_ZONE
@BOTH
def test_a_steady_account_takes_few_reports_a_day(dataset: Dataset, zone: str) -> None:
    """Over 60 days with a change of the clocks: at most four reports a day, where one a window would take seven, or three."""
    days = live(dataset, zone, 60)

    assert 60 == len({day.day for day in days})
    assert max(day.requests for day in days) <= 4
    assert {len(dataset.refresh_offsets)} == {day.windows for day in days}


@pytest.mark.parametrize("every", [2, 7, 30])
def test_what_was_missed_is_made_up_for_with_few_reports(every: int) -> None:
    """After two days, a week or a month without any refresh a daily dataset takes two reports at most."""
    assert max(day.requests for day in live(DAILY, ZONES["DE"], 60, every=every)) <= 2


def test_the_document_tells_these_numbers() -> None:
    """docs/planning.md has the table as `python -m benchmarks.simulation` prints it."""
    assert table() in (PROJECT_ROOT / "docs" / "planning.md").read_text(encoding="utf-8")
