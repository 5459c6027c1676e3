"""Each row of a report is counted once: loaded, summed, quarantined, withheld, or not waited for."""

from collections import Counter
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import IntegrityError

from tests.postgres.load_world import DAY, LoadWorld, Raw, report_row

DAYS = [DAY, DAY + timedelta(days=1)]
NOT_WAITED_FOR = DAY + timedelta(days=2)
_CAMPAIGNS = st.integers(1, 5)


@st.composite
def rows(draw: st.DrawFn) -> Raw:
    """Return a row that is good, bad, of another country, product or day, or of no day at all; few campaigns, so keys repeat."""
    changes: list[Raw] = [
        *[{}] * 3,
        {"metric.clicks": -1},
        {"campaign.id": None},
        {"date.value": "yesterday"},
        {"date.value": "2020-01-01"},
        {"date.value": str(NOT_WAITED_FOR)},
        {"date.value": str(NOT_WAITED_FOR), "metric.clicks": -1},
        {"campaign.country": "CA", "metric.clicks": -1},
        {"campaign.country": False},
        {"adProduct.value": "Sponsored Brands", "adGroup.id": None},
        {"adProduct.value": "Sponsored Dreams"},
    ]
    row = report_row(day=draw(st.sampled_from(DAYS))) | {"campaign.id": draw(_CAMPAIGNS)}
    return row | draw(st.sampled_from(changes))


def is_of_others(row: Raw) -> bool:
    """Return whether a row is another country's, of an ad product that was not asked for, or of a day that no window waits for."""
    country, day = row["campaign.country"], row["date.value"]
    not_asked = row["adProduct.value"] == "Sponsored Brands" or day == str(NOT_WAITED_FOR)
    return bool(country == "CA" or (country == "US" and not_asked))


def is_good(row: Raw) -> bool:
    """Return whether a row is one of ours that can be understood."""
    ours = row["campaign.country"] == "US" and row["adProduct.value"] == "Sponsored Products"
    understood = row["metric.clicks"] != -1 and row["campaign.id"] is not None
    return ours and understood and row["date.value"] in set(map(str, DAYS))


def stored_counts(shelf: LoadWorld) -> dict[str, Any]:
    """Return what was stored with the last load."""
    [row] = shelf.query("SELECT * FROM report_loads ORDER BY request_id DESC LIMIT 1")
    return {name: count for name, count in row.items() if name.startswith("rows_")}


def expected_counts(report: Sequence[Raw], loaded: Sequence[date]) -> dict[str, int]:
    """Count a report's rows without the load, given the days that it was loaded into."""
    good = [row for row in report if is_good(row)]
    taken = [row for row in good if date.fromisoformat(row["date.value"]) in loaded]
    keys = Counter((row["date.value"], row["campaign.id"]) for row in taken)
    others = sum(map(is_of_others, report))
    return {
        "rows_read": len(report),
        "rows_loaded": len(keys),
        "rows_summed": len(taken) - len(keys),
        "rows_quarantined": len(report) - len(good) - others,
        "rows_withheld": len(good) - len(taken),
        "rows_ignored": others,
    }


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(report=st.lists(rows(), max_size=60), share=st.sampled_from([0.0, 0.3, 1.0]))
def test_every_row_is_counted_once(shelf: LoadWorld, report: list[Raw], share: float) -> None:
    """Whatever a report has, and whichever windows take it, what is stored with the load adds up and is true."""
    result = shelf.load(report, days=DAYS, bad_row_share=share, period=(DAYS[0], NOT_WAITED_FOR))
    counts = stored_counts(shelf)
    assert expected_counts(report, result.loaded) == counts
    assert counts.pop("rows_read") == sum(counts.values())


def test_counts_that_do_not_add_up_are_refused(shelf: LoadWorld) -> None:
    """The table itself makes sure of it."""
    shelf.load([report_row()])
    with pytest.raises(IntegrityError, match="every_row_is_counted"):
        shelf.execute("UPDATE report_loads SET rows_loaded = rows_loaded + 1")
