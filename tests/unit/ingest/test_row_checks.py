"""Which rows of a report are understood, which are refused and why, and how rows are summed."""

import json
import re
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bidbeacon_pipelines.causes import explain
from bidbeacon_pipelines.datasets import registry
from bidbeacon_pipelines.datasets.fields import Metric
from bidbeacon_pipelines.loading.rows import BadRow, IgnoredAs, OtherRow, RequestedAccount, RowCheck
from bidbeacon_pipelines.loading.staging import staged_columns
from bidbeacon_pipelines.values.decode import read_object
from tests.unit.ingest.conftest import Write

DAY = date(2025, 12, 29)
RAW: dict[str, Any] = {
    "date.value": "2025-12-29",
    "budgetCurrency.value": "USD",
    "adProduct.value": "Sponsored Products",
    "campaign.id": 300000000000002,
    "campaign.country": "US",
    "adGroup.id": "400000000000002",
    "target.value": "funny dog shirt",
    "target.matchType": "PHRASE",
    "metric.impressions": 1200,
    "metric.clicks": 18,
    "metric.purchases": 2,
    "metric.sales": Decimal("39.98"),
    "metric.totalCost": Decimal("9.870001"),
    "metric.unitsSold": 3,
    "metric.purchasesPromoted": 1,
    "metric.salesPromoted": Decimal("19.99"),
    "metric.unitsSoldPromoted": 1,
    "metric.salesHalo": Decimal("19.99"),
    "metric.unitsSoldHalo": 2,
}
PRODUCT = "SPONSORED_PRODUCTS"
UNESCAPED = {"\\\\": "\\", "\\t": "\t", "\\n": "\n", "\\r": "\r"}


def said(bad: BadRow) -> str:
    """Return what is wrong with a row."""
    return explain(bad.cause).sentence.removesuffix(".")


def _row_check(
    dataset: registry.Dataset = registry.DAILY_TARGETS,
    country: str = "US",
    *,
    period: tuple[date, date] = (DAY, DAY),
    ad_products: tuple[str, ...] = (PRODUCT,),
    has_one_country: bool = True,
) -> RowCheck:
    account = RequestedAccount(1, country, "America/Los_Angeles", frozenset([DAY]))
    return RowCheck(
        dataset, [account], ad_products=ad_products, period=period, has_one_country=has_one_country
    )


def _check(raw: dict[str, Any], **options: Any) -> Any:
    return _row_check(**options)(raw)


def _unescaped(cell: str) -> str | None:
    return None if cell == "\\N" else re.sub(r"\\.", lambda found: UNESCAPED[found[0]], cell)


def _stored(
    raw: dict[str, Any], dataset: registry.Dataset = registry.DAILY_TARGETS, **options: Any
) -> dict[str, Any]:
    """Return a good row as it is stored: the cells of its line, by column."""
    line = _check(raw, dataset=dataset, **options)
    assert isinstance(line, bytes), line
    cells = map(_unescaped, line.decode().split("\t"))
    row: dict[str, Any] = dict(zip(staged_columns(dataset), cells, strict=True))
    for metric in dataset.metrics:
        read = int if metric.kind == "count" else Decimal
        row[metric.column] = None if row[metric.column] is None else read(row[metric.column])
    return row


def _changed(field: str, value: object) -> dict[str, Any]:
    """Return the usual row with another value in one field, as it is stored."""
    return _stored(RAW | {field: value})


def test_row_as_amazon_sends_it() -> None:
    """A row of Amazon's becomes a row of ours, ids as text and amounts exact."""
    row = _stored(RAW)
    expected = {
        "account": "1",
        "window_date": "2025-12-29",
        "ad_product": "SPONSORED_PRODUCTS",
        "currency_code": "USD",
        "campaign_id": "300000000000002",
        "ad_group_id": "400000000000002",
        "target_value": "funny dog shirt",
        "match_type": "PHRASE",
        "impressions": 1200,
        "clicks": 18,
        "orders": 2,
        "sales": Decimal("39.98"),
        "spend": Decimal("9.870001"),
        "units": 3,
    }
    assert expected == {column: row[column] for column in expected}
    assert [34, 34] == [len(row["row_key"]), len(row["target_match"])]


def test_unknown_fields_are_ignored() -> None:
    """A field that Amazon adds changes nothing."""
    assert _stored(RAW) == _changed("metric.new", 5)


@pytest.mark.parametrize("metric", registry.DAILY_TARGETS.metrics, ids=lambda metric: metric.column)
def test_null_is_not_zero(metric: Metric) -> None:
    """A metric without value is not a measured zero."""
    stored = [_changed(metric.field, value)[metric.column] for value in (None, 0)]
    assert [None, 0] == stored


UNSAID = "no country field"
UNREADABLE: list[object] = [False, 0, [], {}, 7, "USA"]
WITHOUT_COUNTRY = {key: value for key, value in RAW.items() if key != "campaign.country"}


@pytest.mark.parametrize(
    ("told", "own"),
    [
        *((told, "US") for told in ("US", "us", None, "", UNSAID)),
        *((told, own) for told in ("UK", "GB") for own in ("UK", "GB")),
    ],
)
def test_own_country(told: str | None, own: str) -> None:
    """Rows of the account's country, in both codes of the United Kingdom, and rows that tell none, are the account's."""
    raw = WITHOUT_COUNTRY if told is UNSAID else RAW | {"campaign.country": told}
    assert "1" == _stored(raw, country=own)["account"]


@pytest.mark.parametrize(
    ("told", "has_one_country"),
    [
        *((told, False) for told in (None, "", UNSAID)),
        *((told, has_one) for told in UNREADABLE for has_one in (True, False)),
    ],
)
def test_unreadable_country(told: object, *, has_one_country: bool) -> None:
    """It is never taken for the account's own; a row that tells none may be anyone's where there are several countries."""
    raw = WITHOUT_COUNTRY if told is UNSAID else RAW | {"campaign.country": told}
    result = _check(raw, has_one_country=has_one_country)
    assert said(result).startswith(
        "campaign.country: expected a country code of two letters, got: "
    )


def test_other_countries_rows_are_foreign() -> None:
    """Rows of another country are told apart, also where they would be bad."""
    canadian = RAW | {"campaign.country": "CA", "metric.clicks": "?"}
    assert OtherRow(IgnoredAs.COUNTRY) == _check(canadian)


@pytest.mark.parametrize(
    "told", ["Sponsored Products", PRODUCT, "sponsoredProducts", " Sponsored  products"]
)
def test_spellings_of_an_ad_product(told: str) -> None:
    """Letter case, blanks and underscores don't matter."""
    assert PRODUCT == _changed("adProduct.value", told)["ad_product"]


@pytest.mark.parametrize(
    ("told", "product"),
    [
        ("Sponsored Brands", "SPONSORED_BRANDS"),
        ("Sponsored Display", "SPONSORED_DISPLAY"),
        ("AMAZON_DSP", "AMAZON_DSP"),
    ],
)
def test_rows_of_other_ad_products(told: str, product: str) -> None:
    """Rows of another product than was asked for are told apart, also where they would be bad."""
    result = _check(RAW | {"adProduct.value": told, "target.matchType": 7})
    assert OtherRow(IgnoredAs.AD_PRODUCT, 1, product) == result


@pytest.mark.parametrize("told", ["Sponsored Dreams", "", None, 1, ["SPONSORED_PRODUCTS"]])
def test_unknown_ad_products_are_bad(told: object) -> None:
    """A product that nobody knows is kept aside, and never taken for Sponsored Products."""
    result = _check(RAW | {"adProduct.value": told})
    assert said(result).startswith(
        "adProduct.value: expected a known ad product such as SPONSORED_PRODUCTS, got: "
    )


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, "0"),
        ("007", "007"),
        (9007199254740993, "9007199254740993"),
        ("9" * 20, "9" * 20),
        (Decimal("300000000000002.0"), "300000000000002"),
    ],
)
def test_ids_become_text(value: object, expected: str) -> None:
    """Ids are kept to the last digit, sent as number or string."""
    assert expected == _changed("campaign.id", value)["campaign_id"]


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("metric.sales", 0, "0"),
        ("metric.sales", Decimal("-0.0"), "0"),
        ("metric.sales", 5, "5"),
        ("metric.sales", Decimal("0.000001"), "0.000001"),
        ("metric.sales", Decimal("1.50000000"), "1.5"),
        ("metric.sales", Decimal("1E+3"), "1000"),
        ("metric.sales", Decimal("9999999999.999999"), "9999999999.999999"),
        ("metric.clicks", 0, "0"),
        ("metric.clicks", 10**12 - 1, "999999999999"),
        ("metric.clicks", Decimal("12.0"), "12"),
    ],
)
def test_metrics_stay_exact(field: str, value: object, expected: str) -> None:
    """Amounts are kept as sent, to the sixth decimal; counts are whole, so small that a sum of them fits its column."""
    stored = _changed(field, value)[field.removeprefix("metric.")]
    assert Decimal(expected) == stored
    assert not str(stored).startswith("-")


@pytest.mark.parametrize(
    "text", ["", " two  blanks ", "ünïcødé", "<img onerror=x>", "שלום", "😀", "a\tb\n", '"']
)
def test_text_is_kept_as_it_came(text: str) -> None:
    """Text keeps its blanks, its case and its odd characters."""
    assert text == _changed("target.value", text)["target_value"]


def test_null_is_not_empty() -> None:
    """A target without text is null, and another row than one whose text is empty."""
    fields = ("target.value", "target.matchType")
    null, empty = (_stored(RAW | dict.fromkeys(fields, value)) for value in (None, ""))
    columns = ("target_value", "match_type", "target_match")
    assert [None, None, None] == [null[column] for column in columns]
    assert ["", ""] == [empty[column] for column in columns[:2]]
    assert null["row_key"] != empty["row_key"]


COUNT = "a whole number from 0 to below 10^12, or null"
AMOUNT = "an amount from 0 to below 10^10 with at most 6 decimals, or null"
EXPECTED = {
    "date.value": "a date YYYY-MM-DD",
    "budgetCurrency.value": "a currency code of three capital letters",
    "campaign.country": "a country code of two letters",
    "campaign.id": "an id of at most 20 digits",
    "adGroup.id": "an id of at most 20 digits",
    "target.value": "text without NUL and lone surrogates",
    "target.matchType": "text without NUL and lone surrogates",
    "metric.impressions": COUNT,
    "metric.clicks": COUNT,
    "metric.purchases": COUNT,
    "metric.sales": AMOUNT,
    "metric.totalCost": AMOUNT,
}


@pytest.mark.parametrize(
    ("field", "value", "got"),
    [
        ("campaign.id", None, "nothing"),
        ("campaign.id", "", "''"),
        ("campaign.id", "12a", "'12a'"),
        ("campaign.id", " 12", "' 12'"),
        ("campaign.id", "12\n", "'12\\n'"),
        ("campaign.id", "١٢", "'\\u0661\\u0662'"),
        ("campaign.id", "1" * 21, f"'{'1' * 21}'"),
        ("campaign.id", -5, "-5"),
        ("campaign.id", True, "True"),
        ("campaign.id", 12.0, "12.0"),
        ("campaign.id", Decimal("12.5"), "12.5"),
        ("campaign.id", Decimal("3E+14"), "3E+14"),
        ("campaign.id", Decimal("9007199254740994.0"), "9007199254740994.0"),
        ("campaign.id", Decimal("NaN"), "NaN"),
        ("adGroup.id", ["1"], "['1']"),
        ("adGroup.id", {}, "{}"),
        ("metric.impressions", -1, "-1"),
        ("metric.impressions", 10**12, "1000000000000"),
        ("metric.clicks", True, "True"),
        ("metric.clicks", "18", "'18'"),
        ("metric.clicks", 18.0, "18.0"),
        ("metric.clicks", Decimal("1.5"), "1.5"),
        ("metric.purchases", Decimal("1E+400"), "1E+400"),
        ("metric.purchases", Decimal("Infinity"), "Infinity"),
        ("metric.sales", Decimal("-0.01"), "-0.01"),
        ("metric.sales", Decimal("NaN"), "NaN"),
        ("metric.sales", Decimal("sNaN"), "sNaN"),
        ("metric.sales", Decimal("-Infinity"), "-Infinity"),
        ("metric.sales", Decimal("0.1234567"), "0.1234567"),
        ("metric.sales", Decimal("1E-999999"), "1E-999999"),
        ("metric.sales", 10**10, "10000000000"),
        ("metric.sales", Decimal("1E+999999"), "1E+999999"),
        ("metric.totalCost", False, "False"),
        ("metric.totalCost", "9.87", "'9.87'"),
        ("metric.totalCost", 9.87, "9.87"),
        ("date.value", None, "nothing"),
        ("date.value", "20251229", "'20251229'"),
        ("date.value", "2025-02-30", "'2025-02-30'"),
        ("date.value", "2025-12-29T00:00:00", "'2025-12-29T00:00:00'"),
        ("date.value", 20251229, "20251229"),
        ("budgetCurrency.value", None, "nothing"),
        ("budgetCurrency.value", "dollar", "'dollar'"),
        ("campaign.country", "United States", "'United States'"),
        ("campaign.country", 1, "1"),
        ("target.value", "a\0b", "'a\\x00b'"),
        ("target.value", 5, "5"),
        ("target.value", "\ud800", "'\\ud800'"),
        ("target.matchType", ["PHRASE"], "['PHRASE']"),
        ("target.value", "\0" + "x" * 500, f"'\\x00{'x' * 75}…"),
    ],
)
def test_bad_value_is_named(field: str, value: object, got: str) -> None:
    """A value that can't be understood makes a bad row that tells field, expectation and value."""
    result = _check(RAW | {field: value})

    account = None if field == "campaign.country" else 1
    unplaced = field in {"date.value", "campaign.country"}
    sentence = f"{field}: expected {EXPECTED[field]}, got: {got}"
    assert (sentence, account, None if unplaced else DAY) == (said(result), *result[1:])


@pytest.mark.parametrize("field", sorted(set(RAW) - {"campaign.country"}))
def test_missing_field_is_bad(field: str) -> None:
    """A field that was asked for and didn't come is not taken for a null."""
    result = _check({key: value for key, value in RAW.items() if key != field})
    assert f"{field}: missing" == said(result)


def test_all_faults_of_a_row_are_told() -> None:
    """A row with two faults tells both."""
    result = _check(RAW | {"metric.clicks": -1, "adGroup.id": None})
    faults = [f"{field}: expected {EXPECTED[field]}" for field in ("adGroup.id", "metric.clicks")]
    assert f"{faults[0]}, got: nothing; {faults[1]}, got: -1" == said(result)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.decimals(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=3,
)


@given(
    changes=st.dictionaries(st.sampled_from(sorted(RAW)), ANYTHING),
    dropped=st.sets(st.sampled_from(sorted(RAW))),
)
def test_no_row_breaks_the_check(changes: dict[str, Any], dropped: set[str]) -> None:
    """Whatever stands in a row, it is good, foreign, or bad with a reason; a good one fits the columns."""
    result = _check({key: value for key, value in (RAW | changes).items() if key not in dropped})
    if isinstance(result, bytes):
        assert len(staged_columns(registry.DAILY_TARGETS)) == len(result.split(b"\t"))
        assert not {"\0", "\n", "\r"} & set(result.decode())
    else:
        assert isinstance(result, OtherRow) or said(result)


WIRE = {name: json.dumps(value, default=float) for name, value in RAW.items()} | {
    "hour.value": "9",
    "campaign.costType": '"CPC"',
    "ad.id": "2",
    "advertisedProduct.id": '"B0EXAMPLE1"',
    "advertisedProduct.marketplace": '"US"',
    "advertisedProduct.sku": '"MUG-11"',
    "metric.purchases": "null",
    "metric.sales": "39.980000",
    "metric.viewableImpressions": "1000",
    "metric.newToBrandPurchases": "1",
    "metric.newToBrandSales": "10",
    "metric.newToBrandUnitsSold": "1",
}
ODD_WORDS = r"""
    0 1 1.0 -0 -0.0 -1 999999999999 1000000000000 9999999999.999999 10000000000 1e3 1E+3 1e400 9007199254740994 9007199254740994.0 9223372036854775807 9223372036854775808
    999999999999999999 1000000000000000000 0.1234567 0.123456 1.50000000 99999999999999 99999999999999.9 100000000000000
    123456789012345 123456789012345.5 NaN Infinity null true false {} ["a"] "" "1" "01" "9" "null" "\\N" "a\tb" "\u0000" "\ud800"
    "\ud83d\ude00" "größe" "US" "UK" "CA" "SPONSORED_BRANDS" "sponsoredDisplay" "2025-12-29T09:00:00" "2025-12-28"
"""
ODD = [*ODD_WORDS.split(), "[1,\t2]", '"Sponsored Brands"', "1" * 19, "1" * 20, "9" * 5_000]
FIELDS = [*WIRE, "campaignCountry.value", "advertisedProductMarketplace.value"]


def _wire_row(more: list[tuple[str, str]], dropped: set[str]) -> str:
    """Return the text of a row; a field of `more` that it has already comes twice."""
    fields = [*((name, value) for name, value in WIRE.items() if name not in dropped), *more]
    return "{" + ", ".join(f'"{name}": {value}' for name, value in fields) + "}"


ODD_ROWS = st.lists(
    st.tuples(
        st.lists(st.tuples(st.sampled_from(FIELDS), st.sampled_from(ODD)), max_size=2),
        st.sets(st.sampled_from(list(WIRE)), max_size=2),
    ),
    max_size=6,
)


@pytest.mark.parametrize(
    ("dataset", "ad_products"),
    [
        (registry.HOURLY_TARGETS, (PRODUCT,)),
        (registry.DAILY_PRODUCTS, ("SPONSORED_PRODUCTS", "SPONSORED_DISPLAY")),
        (registry.DAILY_CAMPAIGNS, ("SPONSORED_PRODUCTS", "SPONSORED_BRANDS")),
    ],
)
@settings(max_examples=100, deadline=None)
@given(rows=ODD_ROWS)
def test_remembered_rows_are_checked_as_new_ones(
    part: Write, dataset: registry.Dataset, ad_products: tuple[str, ...], rows: list[Any]
) -> None:
    """Whatever a check has seen before, a row comes out as its values do, the second time too."""
    texts = [_wire_row(*row) for row in [([], set()), *rows, *rows]]
    path = part(f"[{','.join(texts)}]")
    check, fresh = (_row_check(dataset, ad_products=ad_products) for _ in range(2))
    batches = check.decoder.batches(path)
    found = [checked for batch in batches for checked in check.check_batch(batch.rows)]
    assert isinstance(found[0], bytes)
    assert [fresh(read_object(text)) for text in texts] == found


@pytest.mark.parametrize("clicks", [18, -1], ids=["good", "bad"])
def test_rows_of_days_that_nothing_waits_for_are_not_checked(clicks: int) -> None:
    """A day of the report that is in no window of the country is no bad row, whatever it has."""
    other = RAW | {"date.value": "2025-12-28", "metric.clicks": clicks}
    assert OtherRow(IgnoredAs.DAY, 1) == _check(other, period=(date(2025, 12, 28), DAY))


@pytest.mark.parametrize("day", ["2025-12-28", "2025-12-30"])
def test_a_day_outside_of_the_report_is_bad(day: str) -> None:
    """The row is the account's, and of no window."""
    result = _check(RAW | {"date.value": day})
    told = f"date.value: expected a day of the requested period, got: '{day}'"
    assert (told, 1, None) == (said(result), *result[1:])


CAMPAIGN = {name: RAW[name] for name in RAW if not name.startswith(("target.", "adGroup."))}


def test_what_an_ad_product_does_not_measure_may_be_missing() -> None:
    """Rows of a report of several products have null, or nothing, where a metric is not theirs; what is theirs must come."""
    mixed = ("SPONSORED_PRODUCTS", "SPONSORED_BRANDS")
    products = _stored(CAMPAIGN, registry.DAILY_CAMPAIGNS, ad_products=mixed)
    optional = ("viewable_impressions", "cost_type", "campaign_name")
    assert [None] * 3 == [products[column] for column in optional]
    brands = CAMPAIGN | {"adProduct.value": "Sponsored Brands"}
    bad = _check(brands, dataset=registry.DAILY_CAMPAIGNS, ad_products=mixed)
    assert "campaign.costType: missing; metric.viewableImpressions: missing" in said(bad)


@pytest.mark.parametrize(
    ("told", "stored"),
    [
        ("Top of Search on-Amazon", "TOP_OF_SEARCH"),
        ("TOP_OF_SEARCH", "TOP_OF_SEARCH"),
        ("Detail Page on-Amazon", "PRODUCT_PAGE"),
        ("PRODUCT_PAGE", "PRODUCT_PAGE"),
        ("Other on-Amazon", "REST_OF_SEARCH"),
        ("REST_OF_SEARCH", "REST_OF_SEARCH"),
        ("Off Amazon", "OFF_AMAZON"),
        ("SITE_AMAZON_BUSINESS", "SITE_AMAZON_BUSINESS"),
        ("On the Moon", "On the Moon"),
    ],
)
def test_spellings_of_a_placement(told: str, stored: str) -> None:
    """Both spellings of a known placement are one key; what Amazon wrote stands beside it."""
    for field in ("placementClassification.value", "placement.value"):
        row = _stored(CAMPAIGN | {field: told}, registry.DAILY_PLACEMENTS)
        assert (stored, told) == (row["placement"], row["placement_reported"])


def test_renamed_fields_are_read() -> None:
    """Amazon's newer names of country and marketplace; where both stand there, the one that we know counts."""
    product = {"advertisedProduct.id": "B0X", "advertisedProduct.sku": None}
    row = CAMPAIGN | {"adGroup.id": 1, "ad.id": 2} | product
    newer = row | {"advertisedProductMarketplace.value": "UK", "campaignCountry.value": "US"}
    del newer["campaign.country"]
    stored = _stored(newer, registry.DAILY_PRODUCTS, has_one_country=False)
    assert ("1", "GB") == (stored["account"], stored["marketplace"])
    both = newer | {"advertisedProduct.marketplace": "US"}
    assert "US" == _stored(both, registry.DAILY_PRODUCTS, has_one_country=False)["marketplace"]


@pytest.mark.parametrize("told", [9, "9", "2025-12-29T09:00:00", Decimal("9.0")])
def test_hours_are_instants(told: object) -> None:
    """An hour of the account's day, in each form, as UTC."""
    row = _stored(RAW | {"hour.value": told}, registry.HOURLY_TARGETS)
    assert "2025-12-29T17:00:00+00:00" == row["hour_at"]


@pytest.mark.parametrize("day", ["9999-12-31", "0001-01-01"])
def test_a_day_without_instants_is_a_bad_row(day: str) -> None:
    """The first and last days of the calendar have hours that are no instants in UTC; such a row costs no good ones."""
    for hour in (0, 17, 23):
        bad = _check(RAW | {"date.value": day, "hour.value": hour}, dataset=registry.HOURLY_TARGETS)
        assert f"date.value: expected a day of the requested period, got: '{day}'" == said(bad)


@pytest.mark.parametrize("told", [24, True, None, [], {}, "2025-12-30T09:00:00", "nine"])
def test_impossible_hours_are_bad(told: object) -> None:
    """Whatever stands there; no value is taken for another that is equal to it in Python."""
    assert isinstance(_check(RAW | {"hour.value": 1}, dataset=registry.HOURLY_TARGETS), bytes)
    assert said(_check(RAW | {"hour.value": told}, dataset=registry.HOURLY_TARGETS)).startswith(
        "hour.value: expected "
    )
