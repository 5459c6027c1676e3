"""Which rows of a report are understood, which are refused and why, and how rows are summed."""

import gzip
import re
from datetime import date
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bidbeacon_pipelines.causes import explain
from bidbeacon_pipelines.datasets.registry import (
    DAILY_CAMPAIGNS,
    DAILY_PLACEMENTS,
    DAILY_PRODUCTS,
    DAILY_TARGETS,
    HOURLY_TARGETS,
    Dataset,
)
from bidbeacon_pipelines.loading.rows import (
    BadRow,
    NotWaitedFor,
    OtherRow,
    RowCheck,
    WaitingAccount,
)
from bidbeacon_pipelines.loading.staging import staged_columns
from bidbeacon_pipelines.values.decode import read_object

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
PRODUCTS = ("SPONSORED_PRODUCTS",)
UNESCAPED = {"\\\\": "\\", "\\t": "\t", "\\n": "\n", "\\r": "\r"}


def said(bad: BadRow) -> str:
    """Return what is wrong with a row."""
    return explain(bad.cause).sentence.removesuffix(".")


@pytest.fixture(name="part", scope="module")
def _part(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("checked") / "part.json.gz"


def _row_check(
    dataset: Dataset,
    country: str = "US",
    *,
    period: tuple[date, date] = (DAY, DAY),
    ad_products: tuple[str, ...] = PRODUCTS,
    has_one_country: bool = True,
) -> RowCheck:
    account = WaitingAccount(1, country, "America/Los_Angeles", frozenset([DAY]))
    return RowCheck(
        dataset, [account], ad_products=ad_products, period=period, has_one_country=has_one_country
    )


def _check(
    raw: dict[str, Any],
    country: str = "US",
    *,
    dataset: Dataset = DAILY_TARGETS,
    period: tuple[date, date] = (DAY, DAY),
    ad_products: tuple[str, ...] = PRODUCTS,
    has_one_country: bool = True,
) -> Any:
    check = _row_check(
        dataset, country, period=period, ad_products=ad_products, has_one_country=has_one_country
    )
    return check(raw)


def _unescaped(cell: str) -> str | None:
    return None if cell == "\\N" else re.sub(r"\\.", lambda found: UNESCAPED[found[0]], cell)


def _stored(
    raw: dict[str, Any], dataset: Dataset = DAILY_TARGETS, **options: Any
) -> dict[str, Any]:
    """Return a good row as it is stored: the cells of its line, by column."""
    line = _check(raw, dataset=dataset, **options)
    assert isinstance(line, bytes), line
    cells = map(_unescaped, line.decode().split("\t"))
    row: dict[str, Any] = dict(zip(staged_columns(dataset), cells, strict=True))
    for metric in dataset.metrics:
        told = row[metric.column]
        row[metric.column] = (
            None if told is None else int(told) if metric.kind == "count" else Decimal(told)
        )
    return row


def _row(**changes: Any) -> SimpleNamespace:
    return SimpleNamespace(
        **_stored(RAW | {key.replace("__", "."): value for key, value in changes.items()})
    )


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
    assert _row() == _row(metric__new=5)


def test_nulls_stay_nulls() -> None:
    """A metric without value is not a measured zero."""
    metrics = ("impressions", "clicks", "purchases", "sales", "totalCost", "unitsSold")
    row = _row(**{f"metric__{name}": None for name in metrics})
    zeros = _row(**{f"metric__{name}": 0 for name in metrics})

    assert (None,) * 5 == (row.impressions, row.clicks, row.orders, row.sales, row.spend)
    assert (0,) * 5 == (zeros.impressions, zeros.clicks, zeros.orders, zeros.sales, zeros.spend)


@pytest.mark.parametrize("country", ["US", "us", None, ""])
def test_own_country(country: str | None) -> None:
    """Rows of the account's country, and rows that name none, are the account's."""
    assert "1" == _row(campaign__country=country).account


WITHOUT_COUNTRY = {key: value for key, value in RAW.items() if key != "campaign.country"}


def test_missing_country_field_is_accepted() -> None:
    """A report that tells no country is the account's, where the ads account has no other."""
    assert "1" == _stored(WITHOUT_COUNTRY)["account"]


@pytest.mark.parametrize(
    "raw", [WITHOUT_COUNTRY, *(RAW | {"campaign.country": told} for told in (None, ""))]
)
def test_row_without_a_country_of_several(raw: dict[str, Any]) -> None:
    """Where the ads account has several countries, a row that tells none may be anyone's."""
    result = _check(raw, has_one_country=False)
    assert said(result).startswith("campaign.country: expected a country of two letters, got: ")


@pytest.mark.parametrize("has_one_country", [True, False])
@pytest.mark.parametrize("told", [False, 0, [], {}, 7, "USA"])
def test_country_of_another_type(told: object, *, has_one_country: bool) -> None:
    """A country that is no text of two letters is never taken for the account's own."""
    result = _check(RAW | {"campaign.country": told}, has_one_country=has_one_country)
    assert said(result).startswith("campaign.country: expected a country of two letters, got: ")


@pytest.mark.parametrize(("told", "own"), [("UK", "GB"), ("GB", "GB"), ("GB", "UK"), ("UK", "UK")])
def test_uk_is_gb(told: str, own: str) -> None:
    """Amazon's two codes for the United Kingdom are one country."""
    assert "1" == _stored(RAW | {"campaign.country": told}, country=own)["account"]


def test_other_countries_rows_are_foreign() -> None:
    """Rows of another country are told apart, also where they would be bad."""
    assert OtherRow(NotWaitedFor.COUNTRY) == _check(
        RAW | {"campaign.country": "CA", "metric.clicks": "?"}
    )


@pytest.mark.parametrize(
    "told",
    ["Sponsored Products", "SPONSORED_PRODUCTS", "sponsoredProducts", " Sponsored  products"],
)
def test_spellings_of_an_ad_product(told: str) -> None:
    """Letter case, blanks and underscores don't matter."""
    assert "SPONSORED_PRODUCTS" == _row(adProduct__value=told).ad_product


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
    assert OtherRow(NotWaitedFor.AD_PRODUCT, 1, product) == result


@pytest.mark.parametrize("told", ["Sponsored Dreams", "", None, 1, ["SPONSORED_PRODUCTS"]])
def test_unknown_ad_products_are_bad(told: object) -> None:
    """A product that nobody knows is kept aside, and never taken for Sponsored Products."""
    result = _check(RAW | {"adProduct.value": told})
    assert said(result).startswith("adProduct.value: expected a known ad product, got: ")


def test_missing_ad_product_is_bad() -> None:
    """Every report asks for the ad product, so a row without one can't be told apart."""
    raw = {key: value for key, value in RAW.items() if key != "adProduct.value"}
    assert "adProduct.value: missing" == said(_check(raw))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, "0"),
        ("007", "007"),
        (9007199254740993, "9007199254740993"),
        ("9999999999999999999", "9999999999999999999"),
        (Decimal("300000000000002.0"), "300000000000002"),
    ],
)
def test_ids_become_text(value: object, expected: str) -> None:
    """Ids are kept to the last digit, sent as number or string."""
    assert expected == _row(campaign__id=value).campaign_id


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, Decimal(0)),
        (Decimal("-0.0"), Decimal(0)),
        (5, Decimal(5)),
        (Decimal("0.000001"), Decimal("0.000001")),
        (Decimal("1.50000000"), Decimal("1.5")),
        (Decimal("1E+3"), Decimal(1000)),
        (Decimal("9999999999.999999"), Decimal("9999999999.999999")),
    ],
)
def test_amounts_stay_exact(value: object, expected: Decimal) -> None:
    """Amounts are kept as sent, to the sixth decimal."""
    sales = _row(metric__sales=value).sales

    assert expected == sales
    assert not str(sales).startswith("-")


@pytest.mark.parametrize(
    ("value", "expected"), [(0, 0), (10**12 - 1, 10**12 - 1), (Decimal("12.0"), 12)]
)
def test_counts(value: object, expected: int) -> None:
    """Counts are whole numbers, so small that a sum of them fits its column."""
    assert expected == _row(metric__clicks=value).clicks


@pytest.mark.parametrize(
    "text", ["", " two  blanks ", "ünïcødé", "<img onerror=x>", "שלום", "😀", "a\tb\n", '"']
)
def test_text_is_kept_as_it_came(text: str) -> None:
    """Text keeps its blanks, its case and its odd characters."""
    assert text == _row(target__value=text).target_value


def test_null_is_not_empty() -> None:
    """A target without text is null, and another row than one whose text is empty."""
    null, empty = (
        _row(target__value=None, target__matchType=None),
        _row(target__value="", target__matchType=""),
    )
    assert (None, None, None) == (null.target_value, null.match_type, null.target_match)
    assert ("", "") == (empty.target_value, empty.match_type)
    assert null.row_key != empty.row_key


ID = "expected an id of at most 20 digits, got: "
COUNT = "expected a whole number from 0 to below 10^12, or null, got: "
AMOUNT = "expected an amount from 0 to below 10^10 with at most 6 decimals, or null, got: "
TEXT = "expected text without NUL and lone surrogates, got: "


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("campaign.id", None, f"{ID}nothing"),
        ("campaign.id", "", f"{ID}''"),
        ("campaign.id", "12a", f"{ID}'12a'"),
        ("campaign.id", " 12", f"{ID}' 12'"),
        ("campaign.id", "12\n", f"{ID}'12\\n'"),
        ("campaign.id", "١٢", f"{ID}'\\u0661\\u0662'"),
        ("campaign.id", "1" * 21, f"{ID}'{'1' * 21}'"),
        ("campaign.id", -5, f"{ID}-5"),
        ("campaign.id", True, f"{ID}True"),
        ("campaign.id", 12.0, f"{ID}12.0"),
        ("campaign.id", Decimal("12.5"), f"{ID}12.5"),
        ("campaign.id", Decimal("3E+14"), f"{ID}3E+14"),
        ("campaign.id", Decimal("9007199254740994.0"), f"{ID}9007199254740994.0"),
        ("campaign.id", Decimal("NaN"), f"{ID}NaN"),
        ("adGroup.id", ["1"], f"{ID}['1']"),
        ("adGroup.id", {}, f"{ID}{{}}"),
        ("metric.impressions", -1, f"{COUNT}-1"),
        ("metric.impressions", 10**12, f"{COUNT}1000000000000"),
        ("metric.clicks", True, f"{COUNT}True"),
        ("metric.clicks", "18", f"{COUNT}'18'"),
        ("metric.clicks", 18.0, f"{COUNT}18.0"),
        ("metric.clicks", Decimal("1.5"), f"{COUNT}1.5"),
        ("metric.purchases", Decimal("1E+400"), f"{COUNT}1E+400"),
        ("metric.purchases", Decimal("Infinity"), f"{COUNT}Infinity"),
        ("metric.sales", Decimal("-0.01"), f"{AMOUNT}-0.01"),
        ("metric.sales", Decimal("NaN"), f"{AMOUNT}NaN"),
        ("metric.sales", Decimal("sNaN"), f"{AMOUNT}sNaN"),
        ("metric.sales", Decimal("-Infinity"), f"{AMOUNT}-Infinity"),
        ("metric.sales", Decimal("0.1234567"), f"{AMOUNT}0.1234567"),
        ("metric.sales", Decimal("1E-999999"), f"{AMOUNT}1E-999999"),
        ("metric.sales", 10**10, f"{AMOUNT}10000000000"),
        ("metric.sales", Decimal("1E+999999"), f"{AMOUNT}1E+999999"),
        ("metric.totalCost", False, f"{AMOUNT}False"),
        ("metric.totalCost", "9.87", f"{AMOUNT}'9.87'"),
        ("metric.totalCost", 9.87, f"{AMOUNT}9.87"),
        ("date.value", None, "expected a date YYYY-MM-DD, got: nothing"),
        ("date.value", "20251229", "expected a date YYYY-MM-DD, got: '20251229'"),
        ("date.value", "2025-02-30", "expected a date YYYY-MM-DD, got: '2025-02-30'"),
        (
            "date.value",
            "2025-12-29T00:00:00",
            "expected a date YYYY-MM-DD, got: '2025-12-29T00:00:00'",
        ),
        ("date.value", 20251229, "expected a date YYYY-MM-DD, got: 20251229"),
        ("date.value", "2025-12-30", "expected a day that was asked for, got: '2025-12-30'"),
        (
            "budgetCurrency.value",
            None,
            "expected a currency of three capital letters, got: nothing",
        ),
        (
            "budgetCurrency.value",
            "dollar",
            "expected a currency of three capital letters, got: 'dollar'",
        ),
        (
            "campaign.country",
            "United States",
            "expected a country of two letters, got: 'United States'",
        ),
        ("campaign.country", 1, "expected a country of two letters, got: 1"),
        ("target.value", "a\0b", f"{TEXT}'a\\x00b'"),
        ("target.value", 5, f"{TEXT}5"),
        ("target.value", "\ud800", f"{TEXT}'\\ud800'"),
        ("target.matchType", ["PHRASE"], f"{TEXT}['PHRASE']"),
        ("target.value", "\0" + "x" * 500, f"{TEXT}'\\x00{'x' * 75}…"),
    ],
)
def test_bad_value_is_named(field: str, value: object, reason: str) -> None:
    """A value that can't be understood makes a bad row that tells field, expectation and value."""
    raw = RAW | {field: value}
    result = _check(raw)

    account = None if field == "campaign.country" else 1
    unplaced = field in {"date.value", "campaign.country"}
    assert (f"{field}: {reason}", account, None if unplaced else DAY) == (said(result), *result[1:])


@pytest.mark.parametrize("field", sorted(set(RAW) - {"campaign.country"}))
def test_missing_field_is_bad(field: str) -> None:
    """A field that was asked for and didn't come is not taken for a null."""
    result = _check({key: value for key, value in RAW.items() if key != field})

    assert f"{field}: missing" == said(result)


def test_fields_are_read_by_amazons_names_only() -> None:
    """A field with our name for it doesn't stand in for Amazon's."""
    raw = {key: value for key, value in RAW.items() if key != "metric.clicks"} | {"clicks": 18}

    assert "metric.clicks: missing" == said(_check(raw))


def test_all_faults_of_a_row_are_told() -> None:
    """A row with two faults tells both."""
    result = _check(RAW | {"metric.clicks": -1, "adGroup.id": None})

    assert f"adGroup.id: {ID}nothing; metric.clicks: {COUNT}-1" == said(result)


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
        assert len(staged_columns(DAILY_TARGETS)) == len(result.split(b"\t"))
        assert not {"\0", "\n", "\r"} & set(result.decode())
    else:
        assert isinstance(result, OtherRow) or said(result)


WIRE = {
    "date.value": '"2025-12-29"',
    "hour.value": "9",
    "budgetCurrency.value": '"USD"',
    "adProduct.value": '"Sponsored Products"',
    "campaign.id": "300000000000002",
    "campaign.country": '"US"',
    "campaign.costType": '"CPC"',
    "adGroup.id": '"1"',
    "ad.id": "2",
    "advertisedProduct.id": '"B0EXAMPLE1"',
    "advertisedProduct.marketplace": '"US"',
    "advertisedProduct.sku": '"MUG-11"',
    "target.value": '"funny dog shirt"',
    "target.matchType": '"PHRASE"',
    "metric.impressions": "1200",
    "metric.clicks": "18",
    "metric.purchases": "null",
    "metric.sales": "39.980000",
    "metric.totalCost": "9.870001",
    "metric.unitsSold": "0",
    "metric.viewableImpressions": "1000",
    "metric.newToBrandPurchases": "1",
    "metric.newToBrandSales": "10",
    "metric.newToBrandUnitsSold": "1",
    "metric.purchasesPromoted": "0",
    "metric.salesPromoted": "19.99",
    "metric.unitsSoldPromoted": "0",
    "metric.salesHalo": "19.99",
    "metric.unitsSoldHalo": "0",
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
        (HOURLY_TARGETS, PRODUCTS),
        (DAILY_PRODUCTS, ("SPONSORED_PRODUCTS", "SPONSORED_DISPLAY")),
        (DAILY_CAMPAIGNS, ("SPONSORED_PRODUCTS", "SPONSORED_BRANDS")),
    ],
)
@settings(max_examples=100, deadline=None)
@given(rows=ODD_ROWS)
def test_remembered_rows_are_checked_as_new_ones(
    part: Path,
    dataset: Dataset,
    ad_products: tuple[str, ...],
    rows: list[tuple[list[Any], set[str]]],
) -> None:
    """Whatever a check has seen before, a row comes out as its values do, the second time too."""
    texts = [_wire_row(*row) for row in [([], set()), *rows, *rows]]
    part.write_bytes(gzip.compress(f"[{','.join(texts)}]".encode(), compresslevel=1))
    check, fresh = (_row_check(dataset, ad_products=ad_products) for _ in range(2))
    found = [check(row) for batch in check.decoder.batches(part) for row in batch.rows]
    assert isinstance(found[0], bytes)
    assert [fresh(read_object(text)) for text in texts] == found


@pytest.mark.parametrize("clicks", [18, -1], ids=["good", "bad"])
def test_rows_of_days_that_nothing_waits_for_are_not_checked(clicks: int) -> None:
    """A day of the report that is in no window of the country is no bad row, whatever it has; a day outside of the report is."""
    other = RAW | {"date.value": "2025-12-28", "metric.clicks": clicks}
    assert OtherRow(NotWaitedFor.DAY, 1) == _check(other, period=(date(2025, 12, 28), DAY))
    outside = _check(other)
    assert isinstance(outside, BadRow)
    assert outside.window_date is None


CAMPAIGN = {
    name: value for name, value in RAW.items() if not name.startswith(("target.", "adGroup."))
}


def test_what_an_ad_product_does_not_measure_may_be_missing() -> None:
    """Rows of a report of several products have null, or nothing, where a metric is not theirs; what is theirs must come."""
    mixed = ("SPONSORED_PRODUCTS", "SPONSORED_BRANDS")
    products = _stored(CAMPAIGN, DAILY_CAMPAIGNS, ad_products=mixed)
    assert (None, None, None) == (
        products["viewable_impressions"],
        products["cost_type"],
        products["campaign_name"],
    )
    brands = CAMPAIGN | {"adProduct.value": "Sponsored Brands"}
    bad = _check(brands, dataset=DAILY_CAMPAIGNS, ad_products=mixed)
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
        row = _stored(CAMPAIGN | {field: told}, DAILY_PLACEMENTS)
        assert (stored, told) == (row["placement"], row["placement_reported"])


def test_renamed_fields_are_read() -> None:
    """Amazon's newer names of country and marketplace; where both stand there, the one that we know counts."""
    row = CAMPAIGN | {
        "adGroup.id": 1,
        "ad.id": 2,
        "advertisedProduct.id": "B0X",
        "advertisedProduct.sku": None,
    }
    newer = row | {"advertisedProductMarketplace.value": "UK", "campaignCountry.value": "US"}
    del newer["campaign.country"]
    stored = _stored(newer, DAILY_PRODUCTS, has_one_country=False)
    assert ("1", "GB") == (stored["account"], stored["marketplace"])
    both = newer | {"advertisedProduct.marketplace": "US"}
    assert "US" == _stored(both, DAILY_PRODUCTS, has_one_country=False)["marketplace"]


@pytest.mark.parametrize("told", [9, "9", "2025-12-29T09:00:00", Decimal("9.0")])
def test_hours_are_instants(told: object) -> None:
    """An hour of the account's day, in each form, as UTC."""
    row = _stored(RAW | {"hour.value": told}, HOURLY_TARGETS)
    assert "2025-12-29T17:00:00+00:00" == row["hour_at"]


@pytest.mark.parametrize("day", ["9999-12-31", "0001-01-01"])
def test_a_day_without_instants_is_a_bad_row(day: str) -> None:
    """The first and last days of the calendar have hours that are no instants in UTC; such a row costs no good ones."""
    for hour in (0, 17, 23):
        bad = _check(RAW | {"date.value": day, "hour.value": hour}, dataset=HOURLY_TARGETS)
        assert f"date.value: expected a day that was asked for, got: '{day}'" == said(bad)


@pytest.mark.parametrize("told", [24, True, None, [], {}, "2025-12-30T09:00:00", "nine"])
def test_impossible_hours_are_bad(told: object) -> None:
    """Whatever stands there; no value is taken for another that is equal to it in Python."""
    assert isinstance(_check(RAW | {"hour.value": 1}, dataset=HOURLY_TARGETS), bytes)
    assert said(_check(RAW | {"hour.value": told}, dataset=HOURLY_TARGETS)).startswith(
        "hour.value: expected "
    )
