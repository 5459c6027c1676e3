"""Hand-made reports of products, search terms and hours: what tells their rows apart, and what is summed."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from bidbeacon_pipelines.datasets.registry import (
    DAILY_PRODUCTS,
    DAILY_SEARCH_TERMS,
    HOURLY_TARGETS,
    Dataset,
)
from bidbeacon_pipelines.settings import PROJECT_ROOT
from tests.postgres.load_world import DAY, KEYWORD, LoadWorld, Raw, report_row
from tests.support.reading import tuples
from tests.support.report_rows import with_target_ids

AD = "3001"
AUTUMN = date(2025, 11, 2)
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


def clicks_by(shelf: LoadWorld, dataset: Dataset, *keys: str) -> dict[tuple[Any, ...], int]:
    """Return the clicks of each stored row, by columns that tell rows apart."""
    found = rows(shelf, dataset)
    assert len(found) == len({tuple(row[key] for key in keys) for row in found})
    return {tuple(row[key] for key in keys): row["clicks"] for row in found}


def test_a_product_is_kept_under_its_asin(shelf: LoadWorld) -> None:
    """It has no target, is never unresolved, and has its marketplace, of which `UK` is `GB`."""
    shelf.load([product_row(marketplace="UK")], dataset=DAILY_PRODUCTS)
    [row] = rows(shelf, DAILY_PRODUCTS)
    assert ("B000000001", "GB", AD) == (row["product_id"], row["marketplace"], row["ad_id"])
    assert (SPEND, 0) == (row["spend"], shelf.window(dataset=DAILY_PRODUCTS).unresolved_count)


def test_products_are_told_apart_by_ad_and_marketplace(shelf: LoadWorld) -> None:
    """One ASIN through two ads and in two marketplaces is three rows; the same key twice is one."""
    other_ad = product_row() | {"ad.id": 9}
    given = [product_row(), product_row(), product_row(marketplace="CA"), other_ad]
    shelf.load(given, dataset=DAILY_PRODUCTS)
    keys = ("ad_id", "marketplace")
    expected = {("3001", "US"): 10, ("3001", "CA"): 5, ("9", "US"): 5}
    assert expected == clicks_by(shelf, DAILY_PRODUCTS, *keys)


def test_search_terms_are_told_apart_as_they_are_written(shelf: LoadWorld) -> None:
    """Amazon tells terms apart by every letter and blank, so do we; a term of two targets is two rows."""
    given = [term_row(term) for term in ("dog", "Dog", "dog ", "dog")]
    shelf.load([*given, term_row("dog", "late deal")], dataset=DAILY_SEARCH_TERMS)
    expected = {
        (KEYWORD, "dog"): 10,
        (KEYWORD, "Dog"): 5,
        (KEYWORD, "dog "): 5,
        (None, "dog"): 5,
    }
    assert expected == clicks_by(shelf, DAILY_SEARCH_TERMS, "target_id", "search_term")


def test_hours_are_instants(shelf: LoadWorld) -> None:
    """The three forms of an hour of Los Angeles are one instant, summed; another hour is another row."""
    given = [hour_row(9), hour_row("9"), hour_row(f"{DAY}T09:00:00"), hour_row(10)]
    shelf.load(given, dataset=HOURLY_TARGETS)
    nine, ten = (datetime(2026, 1, 10, hour, tzinfo=UTC) for hour in (17, 18))
    expected = {(nine, DAY): 15, (ten, DAY): 5}
    assert expected == clicks_by(shelf, HOURLY_TARGETS, "hour_at", "window_date")


def test_the_doubled_hour_goes_to_the_first_unless_its_offset_is_told(shelf: LoadWorld) -> None:
    """Bare hours are summed into the first; with offsets the two are two rows, an hour apart."""
    first, second = datetime(2025, 11, 2, 8, tzinfo=UTC), datetime(2025, 11, 2, 9, tzinfo=UTC)
    shelf.load([hour_row(1, AUTUMN), hour_row("1", AUTUMN)], days=[AUTUMN], dataset=HOURLY_TARGETS)
    assert {(first,): 10} == clicks_by(shelf, HOURLY_TARGETS, "hour_at")
    told = [hour_row(f"{AUTUMN}T01:00:00{offset}", AUTUMN) for offset in ("-07:00", "-08:00")]
    shelf.load(told, days=[AUTUMN], age=2, dataset=HOURLY_TARGETS)
    assert {(first,): 5, (second,): 5} == clicks_by(shelf, HOURLY_TARGETS, "hour_at")


def test_a_later_report_restates_single_hours(shelf: LoadWorld) -> None:
    """What changed, vanished and appeared is told with its hour; of days nothing has one."""
    shelf.load([hour_row(1), hour_row(2)], dataset=HOURLY_TARGETS)
    shelf.load([hour_row(1, clicks=6), hour_row(3)], age=2, dataset=HOURLY_TARGETS)
    shelf.load([report_row()])
    shelf.load([report_row(clicks=6)], age=2)
    told = "SELECT dataset, change, hour_at FROM restatements ORDER BY dataset, hour_at"
    hours = [datetime(2026, 1, 10, hour, tzinfo=UTC) for hour in (9, 10, 11)]
    changes = zip(("changed", "vanished", "appeared"), hours, strict=True)
    of_hours = [(HOURLY_TARGETS.name, *change) for change in changes]
    assert [("daily_targets", "changed", None), *of_hours] == tuples(shelf.engine, told)


def test_a_second_report_confirms_the_first_whatever_the_time_zone(shelf: LoadWorld) -> None:
    """Hours are compared by their instants."""
    whole = [hour_row(1) | {"campaign.id": number} for number in range(1, 31)]
    shelf.load(whole, dataset=HOURLY_TARGETS)
    second = shelf.load(whole[:2], age=2, dataset=HOURLY_TARGETS)
    assert [DAY] == list(second.suspicious)
    shelf.execute(f"ALTER DATABASE {shelf.engine.url.database} SET TimeZone = 'Asia/Kolkata'")
    shelf.engine.dispose()
    assert [DAY] == shelf.load(whole[:2], age=3, dataset=HOURLY_TARGETS).loaded
    assert 2 == len(rows(shelf, HOURLY_TARGETS))


def test_a_long_search_term_is_stored(shelf: LoadWorld) -> None:
    """Its digest is the key, so that a text of any length fits."""
    term = "".join(chr(0x1F300 + n * 7 % 700) for n in range(5_000))
    shelf.load([term_row(term, "late deal")], dataset=DAILY_SEARCH_TERMS)
    [row] = rows(shelf, DAILY_SEARCH_TERMS)
    assert term == row["search_term"]


def test_the_documents_question_about_search_terms_is_answered(shelf: LoadWorld) -> None:
    """The first query of docs/how-to/answer-business-questions.md runs as it stands, and finds the term that cost and brought nothing."""
    recent = datetime.now(UTC).date() - timedelta(days=2)
    given = [term_row("costly", day=recent, purchases=0), term_row("sells", day=recent)]
    shelf.load(given, days=[recent], dataset=DAILY_SEARCH_TERMS)
    page = PROJECT_ROOT / "docs" / "how-to" / "answer-business-questions.md"
    document = page.read_text(encoding="utf-8")
    section = document.partition("## Run a first query\n")[2]
    [found] = shelf.query(section.partition("```sql\n")[2].partition("```")[0])
    assert ("costly", 5, SPEND) == (found["search_term"], found["clicks"], found["spend"])
