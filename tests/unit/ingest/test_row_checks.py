"""Which rows of a report are understood, which are refused and why, and how rows are summed."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidbeacon_pipelines.ingest.field_types import as_country
from bidbeacon_pipelines.ingest.rows import (
    BadRow,
    ForeignRow,
    GoodRow,
    OtherProductRow,
    RowCheck,
    TargetRow,
)

DAY = date(2025, 12, 29)
RAW: dict[str, Any] = {
    "date.value": "2025-12-29",
    "budgetCurrency.value": "USD",
    "adProduct.value": "Sponsored Products",
    "campaign.id": 300000000000002,
    "campaign.name": "Manual - Dog shirts",
    "campaign.country": "US",
    "adGroup.id": "400000000000002",
    "adGroup.name": "Ad group 2",
    "ad.id": 9223372036854775807,
    "target.value": "funny dog shirt",
    "target.matchType": "PHRASE",
    "metric.impressions": 1200,
    "metric.clicks": 18,
    "metric.purchases": 2,
    "metric.sales": Decimal("39.98"),
    "metric.totalCost": Decimal("9.870001"),
}


def _check(raw: dict[str, Any], country: str = "US", *, index: int = 0, **options: Any) -> Any:
    check = RowCheck(TargetRow, as_country(country), "America/Los_Angeles", frozenset([DAY]), **options)
    return check(index, raw)


def _row(**changes: Any) -> TargetRow:
    result = _check(RAW | {key.replace("__", "."): value for key, value in changes.items()})
    assert isinstance(result, GoodRow), result
    row: TargetRow = result.row
    return row


def test_row_as_amazon_sends_it() -> None:
    """A row of Amazon's becomes a row of ours, ids as text and amounts exact."""
    expected = {
        "window_date": DAY,
        "country_code": "US",
        "currency_code": "USD",
        "ad_product": "SPONSORED_PRODUCTS",
        "campaign_id": "300000000000002",
        "campaign_name": "Manual - Dog shirts",
        "ad_group_id": "400000000000002",
        "ad_group_name": "Ad group 2",
        "ad_id": "9223372036854775807",
        "impressions": 1200,
        "clicks": 18,
        "orders": 2,
        "sales": Decimal("39.98"),
        "spend": Decimal("9.870001"),
        "target_value": "funny dog shirt",
        "target_match_type": "PHRASE",
    }

    assert expected == _row().model_dump()


def test_unknown_fields_are_ignored() -> None:
    """A field that Amazon adds changes nothing."""
    assert _row() == _row(metric__new=5)


def test_nulls_stay_nulls() -> None:
    """A metric without value is not a measured zero."""
    metrics = ("impressions", "clicks", "purchases", "sales", "totalCost")
    row = _row(**{f"metric__{name}": None for name in metrics})
    zeros = _row(**{f"metric__{name}": 0 for name in metrics})

    assert (None,) * 5 == (row.impressions, row.clicks, row.orders, row.sales, row.spend)
    assert (0,) * 5 == (zeros.impressions, zeros.clicks, zeros.orders, zeros.sales, zeros.spend)


@pytest.mark.parametrize("country", ["US", "us", None, ""])
def test_own_country(country: str | None) -> None:
    """Rows of the account's country, and rows that name none, are the account's."""
    assert "US" == _row(campaign__country=country).country_code


WITHOUT_COUNTRY = {key: value for key, value in RAW.items() if key != "campaign.country"}


def test_missing_country_field_is_accepted() -> None:
    """A report that tells no country is the account's, where the ads account has no other."""
    assert "US" == _check(WITHOUT_COUNTRY).row.country_code


@pytest.mark.parametrize("raw", [WITHOUT_COUNTRY, *(RAW | {"campaign.country": told} for told in (None, ""))])
def test_row_without_a_country_of_several(raw: dict[str, Any]) -> None:
    """Where the ads account has several countries, a row that tells none may be anyone's."""
    result = _check(raw, has_one_country=False)
    assert result.reason.startswith("campaign.country: expected a country of two letters, got: ")


@pytest.mark.parametrize("has_one_country", [True, False])
@pytest.mark.parametrize("told", [False, 0, [], {}, 7, "USA"])
def test_country_of_another_type(told: object, *, has_one_country: bool) -> None:
    """A country that is no text of two letters is never taken for the account's own."""
    result = _check(RAW | {"campaign.country": told}, has_one_country=has_one_country)
    assert result.reason.startswith("campaign.country: expected a country of two letters, got: ")


@pytest.mark.parametrize(("told", "own"), [("UK", "GB"), ("GB", "GB"), ("GB", "UK"), ("UK", "UK")])
def test_uk_is_gb(told: str, own: str) -> None:
    """Amazon's two codes for the United Kingdom are one country."""
    assert "GB" == _check(RAW | {"campaign.country": told}, country=own).row.country_code


def test_other_countries_rows_are_foreign() -> None:
    """Rows of another country are told apart, also where they would be bad."""
    assert ForeignRow(0, "CA") == _check(RAW | {"campaign.country": "CA", "metric.clicks": "?"})


@pytest.mark.parametrize(
    "told", ["Sponsored Products", "SPONSORED_PRODUCTS", "sponsoredProducts", " Sponsored  products"]
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
    assert OtherProductRow(0, product) == result


@pytest.mark.parametrize("told", ["Sponsored Dreams", "", None, 1, ["SPONSORED_PRODUCTS"]])
def test_unknown_ad_products_are_bad(told: object) -> None:
    """A product that nobody knows is kept aside, and never taken for Sponsored Products."""
    result = _check(RAW | {"adProduct.value": told})
    assert result.reason.startswith("adProduct.value: expected a known ad product, got: ")


def test_missing_ad_product_is_bad() -> None:
    """Every report asks for the ad product, so a row without one can't be told apart."""
    raw = {key: value for key, value in RAW.items() if key != "adProduct.value"}
    assert "adProduct.value: missing" == _check(raw).reason


def test_rows_are_counted_through() -> None:
    """The index counts all rows, good, bad and foreign."""
    raws = [RAW, RAW | {"metric.clicks": -1}, RAW | {"campaign.country": "MX"}, RAW]
    results = [_check(raw, index=index) for index, raw in enumerate(raws)]

    assert [(0, GoodRow), (1, BadRow), (2, ForeignRow), (3, GoodRow)] == [(r.index, type(r)) for r in results]


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
        (Decimal("99999999999999.999999"), Decimal("99999999999999.999999")),
    ],
)
def test_amounts_stay_exact(value: object, expected: Decimal) -> None:
    """Amounts are kept as sent, to the sixth decimal."""
    sales = _row(metric__sales=value).sales

    assert expected == sales
    assert not str(sales).startswith("-")


@pytest.mark.parametrize(("value", "expected"), [(0, 0), (2**63 - 1, 2**63 - 1), (Decimal("12.0"), 12)])
def test_counts(value: object, expected: int) -> None:
    """Counts are whole numbers up to a bigint."""
    assert expected == _row(metric__clicks=value).clicks


@pytest.mark.parametrize(
    "text", ["", " two  blanks ", "ünïcødé", "<img onerror=x>", "שלום", "😀", "a\tb\n", '"']
)
def test_text_is_kept_as_it_came(text: str) -> None:
    """Text keeps its blanks, its case and its odd characters."""
    row = _row(target__value=text, campaign__name=text)

    assert (text, text) == (row.target_value, row.campaign_name)


def test_missing_text_values() -> None:
    """A target without text is empty text; a name without text is null."""
    row = _row(target__value=None, target__matchType=None, campaign__name=None, adGroup__name=None)

    assert ("", "", None, None) == (
        row.target_value,
        row.target_match_type,
        row.campaign_name,
        row.ad_group_name,
    )


ID = "expected an id of at most 20 digits, got: "
COUNT = "expected a whole number from 0 to 9223372036854775807 or null, got: "
AMOUNT = "expected an amount from 0 to below 10^14 with at most 6 decimals, or null, got: "
TEXT = "expected text without NUL and lone surrogates, got: "


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("campaign.id", None, f"{ID}None"),
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
        ("ad.id", {}, f"{ID}{{}}"),
        ("metric.impressions", -1, f"{COUNT}-1"),
        ("metric.impressions", 2**63, f"{COUNT}9223372036854775808"),
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
        ("metric.sales", 10**14, f"{AMOUNT}100000000000000"),
        ("metric.sales", Decimal("1E+999999"), f"{AMOUNT}1E+999999"),
        ("metric.totalCost", False, f"{AMOUNT}False"),
        ("metric.totalCost", "9.87", f"{AMOUNT}'9.87'"),
        ("metric.totalCost", 9.87, f"{AMOUNT}9.87"),
        ("date.value", None, "expected a date YYYY-MM-DD, got: None"),
        ("date.value", "20251229", "expected a date YYYY-MM-DD, got: '20251229'"),
        ("date.value", "2025-02-30", "expected a date YYYY-MM-DD, got: '2025-02-30'"),
        ("date.value", "2025-12-29T00:00:00", "expected a date YYYY-MM-DD, got: '2025-12-29T00:00:00'"),
        ("date.value", 20251229, "expected a date YYYY-MM-DD, got: 20251229"),
        ("date.value", "2025-12-30", "expected a day that was asked for, got: 2025-12-30"),
        ("budgetCurrency.value", None, "expected a currency of three capital letters, got: None"),
        ("budgetCurrency.value", "dollar", "expected a currency of three capital letters, got: 'dollar'"),
        ("campaign.country", "United States", "expected a country of two letters, got: 'United States'"),
        ("campaign.country", 1, "expected a country of two letters, got: 1"),
        ("campaign.name", "a\0b", f"{TEXT}'a\\x00b'"),
        ("campaign.name", 5, f"{TEXT}5"),
        ("target.value", "\ud800", f"{TEXT}'\\ud800'"),
        ("target.matchType", ["PHRASE"], f"{TEXT}['PHRASE']"),
        ("target.value", "\0" + "x" * 500, f"{TEXT}'\\x00{'x' * 75}…"),
    ],
)
def test_bad_value_is_named(field: str, value: object, reason: str) -> None:
    """A value that can't be understood makes a bad row that tells field, expectation and value."""
    raw = RAW | {field: value}
    result = _check(raw)

    unplaced = field in {"date.value", "campaign.country"}
    assert BadRow(0, f"{field}: {reason}", None if unplaced else DAY) == result


@pytest.mark.parametrize("field", sorted(set(RAW) - {"campaign.country", "campaign.name", "adGroup.name"}))
def test_missing_field_is_bad(field: str) -> None:
    """A field that was asked for and didn't come is not taken for a null."""
    result = _check({key: value for key, value in RAW.items() if key != field})

    assert f"{field}: missing" == result.reason


def test_fields_are_read_by_amazons_names_only() -> None:
    """A field with our name for it doesn't stand in for Amazon's."""
    raw = {key: value for key, value in RAW.items() if key != "metric.clicks"} | {"clicks": 18}

    assert "metric.clicks: missing" == _check(raw).reason


def test_all_faults_of_a_row_are_told() -> None:
    """A row with two faults tells both."""
    result = _check(RAW | {"metric.clicks": -1, "ad.id": None})

    assert f"ad.id: {ID}None; metric.clicks: {COUNT}-1" == result.reason


def test_another_currency_is_bad_where_one_is_expected() -> None:
    """A row in another currency than the account's is refused, so that no two currencies are added."""
    result = _check(RAW | {"budgetCurrency.value": "CAD"}, currency_code="USD")

    assert "budgetCurrency.value: expected USD, got: CAD" == result.reason
    assert isinstance(_check(RAW, currency_code="USD"), GoodRow)


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

    if isinstance(result, GoodRow):
        row = result.row
        assert all(value is None or 0 <= value < 2**63 for value in (row.impressions, row.clicks, row.orders))
        assert all(value is None or 0 <= value < 10**14 for value in (row.sales, row.spend))
        assert "\0" not in f"{row.target_value}{row.target_match_type}{row.campaign_name}".encode().decode()
    else:
        assert isinstance(result, ForeignRow) or result.reason


@pytest.mark.parametrize("clicks", [18, -1], ids=["good", "bad"])
def test_rows_of_days_that_nothing_waits_for_are_not_checked(clicks: int) -> None:
    """A day of the report that is in no window of the country is no bad row, whatever it has; a day outside of the report is."""
    other = RAW | {"date.value": "2025-12-28", "metric.clicks": clicks}
    assert ForeignRow(0, "US") == _check(other, period=(date(2025, 12, 28), DAY))
    outside = _check(other, period=(DAY, DAY))
    assert isinstance(outside, BadRow)
    assert outside.window_date is None
