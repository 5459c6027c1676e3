"""What the rows of each dataset are told by, and of which hour they are; on rows as Amazon writes them."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from bidbeacon_pipelines.ingest.rows import BadRow, GoodRow, ReportRow, RowCheck, RowEntity
from bidbeacon_pipelines.reports.datasets import DATASETS, get_dataset

DAY = date(2025, 12, 29)
ZONE = "America/Los_Angeles"
SHARED: dict[str, Any] = {
    "date.value": "2025-12-29",
    "budgetCurrency.value": "USD",
    "adProduct.value": "Sponsored Products",
    "campaign.id": 300000000000002,
    "campaign.name": "Manual - Dog shirts",
    "adGroup.id": 400000000000002,
    "ad.id": 500000000000002,
    "metric.impressions": 100,
    "metric.clicks": 3,
    "metric.purchases": 1,
    "metric.sales": Decimal("19.99"),
    "metric.totalCost": Decimal("1.2"),
}
TARGET = {"target.value": "funny dog shirt", "target.matchType": "PHRASE"}
PRODUCT = {"advertisedProduct.id": "B0EXAMPLE1", "advertisedProduct.marketplace": "US"}
OF_DATASET: dict[str, dict[str, Any]] = {
    "daily_targets": TARGET,
    "hourly_targets": TARGET | {"hour.value": 17},
    "daily_products": PRODUCT,
    "hourly_products": PRODUCT | {"hour.value": "9"},
    "daily_search_terms": TARGET | {"searchTerm.value": "Funny  dog shirt XL"},
}
NAMED = {"target_value": "funny dog shirt", "match_type": "PHRASE"}
ENTITIES = {
    "daily_targets": RowEntity(**NAMED),
    "hourly_targets": RowEntity(**NAMED),
    "daily_products": RowEntity("B0EXAMPLE1", "US"),
    "hourly_products": RowEntity("B0EXAMPLE1", "US"),
    "daily_search_terms": RowEntity(detail="Funny  dog shirt XL", **NAMED),
}
STARTS = {
    "hourly_targets": datetime(2025, 12, 30, 1, tzinfo=UTC),
    "hourly_products": datetime(2025, 12, 29, 17, tzinfo=UTC),
}


def check(name: str, day: date = DAY, **changes: Any) -> Any:
    """Check one row of a dataset with changed fields (`hour__value=3` is of `hour.value`)."""
    raw = SHARED | OF_DATASET[name] | {"date.value": str(day)}
    raw |= {field.replace("__", "."): value for field, value in changes.items()}
    model: type[ReportRow] = get_dataset(name).row_model
    return RowCheck(model, "US", ZONE, frozenset([day]))(0, raw)


@pytest.mark.parametrize("name", DATASETS)
def test_a_row_says_what_it_is_told_by(name: str) -> None:
    """Targets by their texts, products by id and marketplace, search terms by target and term."""
    assert ENTITIES[name] == check(name).row.entity


@pytest.mark.parametrize("name", DATASETS)
def test_rows_of_hourly_datasets_have_an_instant(name: str) -> None:
    """17:00 and 9:00 in Los Angeles; a row of a whole day has none."""
    assert STARTS.get(name) == check(name).hour_at


def test_an_hour_that_does_not_exist_is_bad_with_its_reason() -> None:
    """Between 1:59 and 3:00 of the day the clock goes forward there is no hour 2."""
    spring = date(2026, 3, 8)
    bad = check("hourly_targets", spring, hour__value="2")
    assert isinstance(bad, BadRow)
    assert (
        "hour.value: expected an hour that 2026-03-08 has in America/Los_Angeles, where the clock goes forward over it,"
        " got: '2'"
    ) == bad.reason
    assert spring == bad.window_date
    assert isinstance(check("hourly_targets", spring, hour__value=3), GoodRow)


def test_a_timestamp_of_another_day_is_bad() -> None:
    """The hour and the date of a row must agree."""
    bad = check("hourly_targets", hour__value="2025-12-30T09:00:00")
    assert "hour.value: expected an hour of 2025-12-29, got: '2025-12-30T09:00:00'" == bad.reason


@pytest.mark.parametrize("value", [24, None, "noon", "2025-12-29T25:00:00"])
def test_what_is_no_hour_makes_a_bad_row(value: object) -> None:
    """The reason says field, expectation and value."""
    reason = check("hourly_products", hour__value=value).reason
    assert reason.startswith(
        "hour.value: expected an hour from 0 to 23 or the local time of its beginning, got: "
    )


@pytest.mark.parametrize("value", ["B0 EXAMPLE", 7, "B" * 101])
def test_what_is_no_product_makes_a_bad_row(value: object) -> None:
    """A row that names no product can't be told from others."""
    assert (
        "advertisedProduct.id: expected a product's id, got: "
        in check("daily_products", advertisedProduct__id=value).reason
    )


@pytest.mark.parametrize("value", [None, ""])
def test_an_ad_may_have_no_product(value: object) -> None:
    """Its row is a row like all others, of an empty product."""
    changes = {"advertisedProduct__id": value, "advertisedProduct__marketplace": value}
    assert ("", "") == check("daily_products", **changes).row.entity[:2]


def test_a_text_too_long_for_a_key_makes_a_bad_row() -> None:
    """500 characters of four bytes each fit the index; one more is refused before the database would."""
    assert isinstance(check("daily_search_terms", searchTerm__value="🐶" * 500), GoodRow)
    reason = check("daily_search_terms", searchTerm__value="x" * 501).reason
    assert reason.startswith("searchTerm.value: expected at most 500 characters, got: ")


def test_a_missing_term_is_an_empty_one() -> None:
    """Null is the empty text, as it is for targets."""
    assert "" == check("daily_search_terms", searchTerm__value=None).row.entity.detail


def test_a_model_that_does_not_say_its_entity_is_a_mistake_that_is_seen() -> None:
    """The base model has none: whoever forgets it gets an error that says so."""
    raw = SHARED | {"campaign.country": "US"}
    with pytest.raises(NotImplementedError, match="ReportRow does not say what its rows' entity is"):
        _ = ReportRow.model_validate(raw).entity
