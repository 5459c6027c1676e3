"""Days summed up: exact, and null where nothing is known or it would divide by zero."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from bidbeacon_pipelines.summaries.rules import summarize_days

SP, SB = "SPONSORED_PRODUCTS", "SPONSORED_BRANDS"
DAY, NEXT = date(2026, 3, 3), date(2026, 3, 4)
AT = datetime(2026, 3, 5, 1, 2, 3, 456789, tzinfo=UTC)


def window(day: date, daily: int = 1, hourly: int = 0) -> dict[str, Any]:
    """Return a day with so many loads of each grain."""
    as_of = {"daily_as_of": AT if daily else None, "hourly_as_of": AT if hourly else None}
    return {"summary_date": day, "daily_loads": daily, "hourly_loads": hourly} | as_of


def total(
    spend: str | None,
    sales: str | None,
    *,
    grain: str = "daily",
    day: date = DAY,
    currency: str = "USD",
    ad_product: str = SP,
) -> dict[str, Any]:
    """Return what a day's rows add up to."""
    amounts = [None if amount is None else Decimal(amount) for amount in (spend, sales)]
    counts = {"impressions": 2**53 + 1, "clicks": 3, "orders": None}
    return {
        "grain": grain,
        "summary_date": day,
        "ad_product": ad_product,
        "currency_code": currency,
        "spend": amounts[0],
        "sales": amounts[1],
    } | counts


def test_amounts_stay_exact() -> None:
    """Neither long amounts nor large counts pass through a float."""
    [row] = summarize_days([window(DAY)], [total("12345678901234.000001", "3")], "USD")
    assert (row["spend"], row["impressions"]) == (Decimal("12345678901234.000001"), 2**53 + 1)
    assert (row["acos"], row["daily_as_of"]) == (row["spend"] / 3, AT)
    assert isinstance(row["impressions"], int)


def test_dividing_by_zero_gives_null() -> None:
    """Without sales there is no ACOS, without spend no ROAS."""
    found = [
        summarize_days([window(DAY)], [total(*amounts)], "USD")[0]
        for amounts in (("5", "0"), ("0", "5"), ("0", "0"))
    ]
    assert [(None, 0), (0, None), (None, None)] == [(row["acos"], row["roas"]) for row in found]


def test_a_loaded_day_without_rows_is_zero_and_one_not_loaded_is_null() -> None:
    """Zero was measured; null was not."""
    empty, hours_only = summarize_days([window(DAY), window(NEXT, 0, 2)], [], "USD")
    assert (empty["spend"], empty["clicks"], empty["hourly_spend"]) == (Decimal(0), 0, None)
    assert (hours_only["spend"], hours_only["hourly_spend"], hours_only["spend_difference"]) == (
        None,
        Decimal(0),
        None,
    )


def test_hours_are_compared_with_their_day() -> None:
    """The difference is hours less day, exactly."""
    [row] = summarize_days(
        [window(DAY, 1, 1)], [total("5", "9"), total("4.999999", "9.5", grain="hourly")], "USD"
    )
    assert (row["spend_difference"], row["sales_difference"]) == (
        Decimal("-0.000001"),
        Decimal("0.5"),
    )


def test_each_currency_is_a_row_of_its_own() -> None:
    """Amounts of another currency are never added to the account's."""
    rows = summarize_days([window(DAY)], [total("5", "9"), total("7", "8", currency="CAD")], "USD")
    assert [("CAD", Decimal(7)), ("USD", Decimal(5))] == [
        (row["currency_code"], row["spend"]) for row in rows
    ]


def test_each_ad_product_is_a_row_of_its_own() -> None:
    """Its hours are null where Amazon serves none, though the day's hours are loaded; Sponsored Products have a row in any case."""
    rows = summarize_days([window(DAY, 1, 1)], [total("5", "9", ad_product=SB)], "USD")
    assert [(SB, Decimal(5), None), (SP, Decimal(0), Decimal(0))] == [
        (row["ad_product"], row["spend"], row["hourly_spend"]) for row in rows
    ]


ROWS = [
    {"summary_date": DAY, "ad_product": SP, "orders": 2, "spend": Decimal(1), "sales": Decimal(10)},
    {"summary_date": DAY, "ad_product": SB, "orders": 1, "spend": Decimal(3), "sales": Decimal(10)},
    {"summary_date": NEXT, "ad_product": SP, "orders": None, "spend": None, "sales": None},
]


def test_no_days_give_no_rows() -> None:
    """Nothing loaded, nothing summed up."""
    assert summarize_days([], [], "USD") == []
