"""Hand-made reports of products, search terms and hours: what tells their rows apart, and what is summed."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from bidbeacon_pipelines.causes import explain
from bidbeacon_pipelines.datasets.registry import (
    DAILY_PRODUCTS,
    DAILY_SEARCH_TERMS,
    HOURLY_PRODUCTS,
    HOURLY_TARGETS,
    Dataset,
)
from bidbeacon_pipelines.settings import PROJECT_ROOT
from tests.postgres.load_world import (
    ASKED_AGAIN_AT,
    DAY,
    KEYWORD,
    LoadWorld,
    Raw,
    report_row,
)
from tests.report_rows import with_target_ids

AD = "3001"
SPRING, AUTUMN = date(2026, 3, 8), date(2025, 11, 2)
SPEND = Decimal("1.234567")


def product_row(asin: str | None = "B000000001", marketplace: str = "US", **changes: Any) -> Raw:
    """Give a row of a product."""
    of_product = {
        "ad.id": AD,
        "advertisedProduct.id": asin,
        "advertisedProduct.sku": "SHIRT-1",
        "advertisedProduct.marketplace": marketplace,
    }
    row = {
        name: value
        for name, value in report_row(**changes).items()
        if not name.startswith("target.")
    }
    return row | of_product


def term_row(term: str, value: str = "dog shirt", **changes: Any) -> Raw:
    """Give a row of a search term."""
    return report_row(value, **changes) | {"searchTerm.value": term}


def hour_row(hour: object, day: date = DAY, **changes: Any) -> Raw:
    """Give a row of an hour."""
    return report_row(day=day, **changes) | {"hour.value": hour}


def rows(shelf: LoadWorld, dataset: Dataset) -> list[Mapping[str, Any]]:
    """Give the stored rows of a dataset, in the order of their keys."""
    hour = "hour_at, " if dataset.grain == "hour" else ""
    keys = ", ".join(one.column for one in dataset.keys)
    return shelf.query(f"SELECT * FROM {with_target_ids(dataset)} ORDER BY {hour} {keys}")


def test_a_product_is_kept_under_its_asin(shelf: LoadWorld) -> None:
    """It has no target, is never unresolved, and has its marketplace, of which `UK` is `GB`."""
    shelf.load([product_row(marketplace="UK")], dataset=DAILY_PRODUCTS)
    [row] = rows(shelf, DAILY_PRODUCTS)
    assert ("B000000001", "GB", AD) == (row["product_id"], row["marketplace"], row["ad_id"])
    assert (SPEND, 0) == (row["spend"], shelf.window(dataset=DAILY_PRODUCTS).unresolved_count)


def test_products_are_told_apart_by_ad_and_marketplace(shelf: LoadWorld) -> None:
    """One ASIN through two ads and in two marketplaces is three rows; the same key twice is one."""
    given = [
        product_row(),
        product_row(),
        product_row(marketplace="CA"),
        product_row() | {"ad.id": 9},
    ]
    shelf.load(given, dataset=DAILY_PRODUCTS)
    found = {
        (row["ad_id"], row["marketplace"]): row["clicks"] for row in rows(shelf, DAILY_PRODUCTS)
    }
    assert {("3001", "US"): 10, ("3001", "CA"): 5, ("9", "US"): 5} == found


def test_search_terms_are_told_apart_as_they_are_written(shelf: LoadWorld) -> None:
    """Amazon tells terms apart by every letter and blank, so do we; a term of two targets is two rows."""
    given = [
        term_row("dog"),
        term_row("Dog"),
        term_row("dog "),
        term_row("dog"),
        term_row("dog", "late deal"),
    ]
    shelf.load(given, dataset=DAILY_SEARCH_TERMS)
    found = {
        (row["target_id"], row["search_term"]): row["clicks"]
        for row in rows(shelf, DAILY_SEARCH_TERMS)
    }
    assert {
        (KEYWORD, "dog"): 10,
        (KEYWORD, "Dog"): 5,
        (KEYWORD, "dog "): 5,
        (None, "dog"): 5,
    } == found


def test_hours_are_instants(shelf: LoadWorld) -> None:
    """The three forms of an hour of Los Angeles are one instant, summed; another hour is another row."""
    given = [hour_row(9), hour_row("9"), hour_row(f"{DAY}T09:00:00"), hour_row(10)]
    shelf.load(given, dataset=HOURLY_TARGETS)
    nine = datetime(2026, 1, 10, 17, tzinfo=UTC)
    found = {row["hour_at"]: row["clicks"] for row in rows(shelf, HOURLY_TARGETS)}
    assert {nine: 15, nine + timedelta(hours=1): 5} == found
    assert {DAY} == {row["window_date"] for row in rows(shelf, HOURLY_TARGETS)}


def test_the_skipped_hour_is_set_aside_with_its_cause(shelf: LoadWorld) -> None:
    """A row of an hour that does not exist goes to the quarantine; the other hours of the day are loaded."""
    given = [
        hour_row(hour, SPRING) | {"campaign.id": ad} for hour in range(3, 24) for ad in (1, 2, 3)
    ]
    shelf.load([*given, hour_row(2, SPRING)], days=[SPRING], dataset=HOURLY_TARGETS)
    [bad] = shelf.query("SELECT window_date, cause FROM quarantined_rows")
    assert SPRING == bad["window_date"]
    assert "where the clock goes forward over it, got: 2" in explain(bad["cause"]).sentence
    assert 63 == shelf.window(SPRING, HOURLY_TARGETS).row_count


def test_the_doubled_hour_goes_to_the_first_unless_its_offset_is_told(shelf: LoadWorld) -> None:
    """Bare hours are summed into the first; with offsets the two are two rows, an hour apart."""
    first, second = datetime(2025, 11, 2, 8, tzinfo=UTC), datetime(2025, 11, 2, 9, tzinfo=UTC)
    shelf.load([hour_row(1, AUTUMN), hour_row("1", AUTUMN)], days=[AUTUMN], dataset=HOURLY_TARGETS)
    assert [(first, 10)] == [(row["hour_at"], row["clicks"]) for row in rows(shelf, HOURLY_TARGETS)]
    told = [hour_row(f"{AUTUMN}T01:00:00{offset}", AUTUMN) for offset in ("-07:00", "-08:00")]
    shelf.load(told, days=[AUTUMN], age=2, dataset=HOURLY_TARGETS)
    assert [(first, 5), (second, 5)] == [
        (row["hour_at"], row["clicks"]) for row in rows(shelf, HOURLY_TARGETS)
    ]


def test_a_later_report_restates_single_hours(shelf: LoadWorld) -> None:
    """What changed, vanished and appeared is told with its hour; of days nothing has one."""
    shelf.load([hour_row(1), hour_row(2)], dataset=HOURLY_TARGETS)
    shelf.load([hour_row(1, clicks=6), hour_row(3)], age=2, dataset=HOURLY_TARGETS)
    told = shelf.query("SELECT change, hour_at FROM restatements")
    at = datetime(2026, 1, 10, 9, tzinfo=UTC)
    assert {
        "changed": at,
        "vanished": at + timedelta(hours=1),
        "appeared": at + timedelta(hours=2),
    } == {row["change"]: row["hour_at"] for row in told}
    shelf.load([report_row()])
    shelf.load([report_row(clicks=6)], age=2)
    [of_day] = shelf.query("SELECT hour_at FROM restatements WHERE dataset = 'daily_targets'")
    assert of_day["hour_at"] is None


@pytest.mark.parametrize(
    "dataset", [HOURLY_TARGETS, HOURLY_PRODUCTS, DAILY_PRODUCTS], ids=lambda one: one.name
)
def test_a_report_that_lost_nearly_everything_is_suspicious_until_it_comes_again(
    shelf: LoadWorld, dataset: Dataset
) -> None:
    """The guards are those of daily targets: suspicious at first, believed when a second report confirms it, whatever the time zone."""
    whole = [
        product_row()
        | {"target.value": "x", "target.matchType": "", "hour.value": 1, "campaign.id": n}
        for n in range(1, 31)
    ]
    shelf.load(whole, dataset=dataset)
    second = shelf.load(whole[:2], age=2, dataset=dataset)
    assert [DAY] == list(second.suspicious)
    assert (30, ASKED_AGAIN_AT) == (
        len(rows(shelf, dataset)),
        shelf.window(dataset=dataset).next_refresh_at,
    )
    shelf.execute(f"ALTER DATABASE {shelf.engine.url.database} SET TimeZone = 'Asia/Kolkata'")
    shelf.engine.dispose()
    assert [DAY] == shelf.load(whole[:2], age=3, dataset=dataset).loaded
    assert 2 == len(rows(shelf, dataset))


def test_a_long_search_term_is_stored(shelf: LoadWorld) -> None:
    """Its digest is the key, so that a text of any length fits."""
    term = "".join(chr(0x1F300 + n * 7 % 700) for n in range(5_000))
    shelf.load([term_row(term, "late deal")], dataset=DAILY_SEARCH_TERMS)
    [row] = rows(shelf, DAILY_SEARCH_TERMS)
    assert term == row["search_term"]


def test_the_documents_question_about_search_terms_is_answered(shelf: LoadWorld) -> None:
    """The query of docs/architecture.md runs as it stands, and finds the term that cost and brought nothing."""
    recent = datetime.now(UTC).date() - timedelta(days=2)
    given = [term_row("costly", day=recent, purchases=0), term_row("sells", day=recent)]
    shelf.load(given, days=[recent], dataset=DAILY_SEARCH_TERMS)
    document = (PROJECT_ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    [found] = shelf.query(document.partition("```sql\n")[2].partition("```")[0])
    assert ("costly", 5, SPEND) == (found["search_term"], found["clicks"], found["spend"])
