"""What is in a report: fields, grain, countries, exactness, and that it is the truth."""

from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

MONEY = ("metric.sales", "metric.totalCost")
COUNTS = ("metric.impressions", "metric.clicks", "metric.purchases")
DAY = date(2026, 1, 10)
KEYS = [
    "date.value",
    "budgetCurrency.value",
    "campaign.id",
    "campaign.country",
    "adGroup.id",
    "ad.id",
]
TARGET = ["target.value", "target.matchType"]


def totals(
    rows: list[dict[str, Any]], keys: list[str]
) -> dict[tuple[str, ...], tuple[Decimal, ...]]:
    """Add up the metrics of rows by some of their fields."""
    sums: dict[tuple[str, ...], list[Decimal]] = defaultdict(lambda: [Decimal()] * 5)
    for row in rows:
        key = tuple(str(row[name]) for name in keys)
        sums[key] = [
            old + (row[name] or 0) for old, name in zip(sums[key], (*COUNTS, *MONEY), strict=True)
        ]
    return {key: tuple(values) for key, values in sums.items()}


def truth(caller: Any, country: str, day: date = DAY, **query: str) -> list[dict[str, Any]]:
    """Ask for the truth of a day."""
    asked = {
        "account": caller.account().account_id,
        "country": country,
        "date": day.isoformat(),
        **query,
    }
    answer = caller.http.get(f"{caller.url}/sandbox/truth", params=asked)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["rows"])


def test_exactly_the_fields_asked_for(caller: Any) -> None:
    """A row has the fields that were asked for, and no others."""
    fields = ["date.value", "campaign.id", "adGroup.id", "metric.clicks"]
    assert all(set(fields) == set(row) for row in caller.rows(fields=fields))


def test_all_countries_in_one_report(caller: Any) -> None:
    """A report of a global account has the rows of all its countries, each in its currency."""
    kinds = {(row["campaign.country"], row["budgetCurrency.value"]) for row in caller.rows()}
    assert kinds == {("US", "USD"), ("CA", "CAD")}


def test_rows_are_unique_at_their_grain(caller: Any) -> None:
    """Without faults no key comes twice."""
    for fields in (
        TARGET,
        [],
        ["searchTerm.value", *TARGET],
        ["hour.value", *TARGET],
        ["advertisedProduct.id"],
    ):
        rows = caller.rows(fields=[*KEYS, *fields, *COUNTS])
        keys = Counter(tuple(str(row[name])[-19:] for name in [*KEYS, *fields]) for row in rows)
        assert keys.most_common(1)[0][1] == 1


@pytest.mark.parametrize(
    "finer",
    [["advertisedProduct.id"], []],
)
def test_every_daily_grain_adds_up(caller: Any, finer: list[str]) -> None:
    """Products and ads add up to the same totals as targets do, to the last digit."""
    by_target = caller.rows(fields=[*KEYS, *TARGET, *COUNTS, *MONEY])
    other = caller.rows(fields=[*KEYS, *finer, *COUNTS, *MONEY])
    assert totals(by_target, KEYS) == totals(other, KEYS)


def test_hours_miss_a_little_of_the_day(start: Callable[..., Any]) -> None:
    """Hours come from another pipeline: their clicks lie a few percent below the day's, their purchases don't."""
    caller = start(rows_per_day=400)
    by_day = caller.rows(fields=[*KEYS, *COUNTS])
    by_hour = caller.rows(fields=[*KEYS, "hour.value", *COUNTS])
    clicks, hourly = (sum(row["metric.clicks"] for row in rows) for rows in (by_day, by_hour))
    assert 0.95 * clicks < hourly < clicks


def test_search_terms_are_those_with_a_click(caller: Any) -> None:
    """A term without a click is not reported, so terms lie below their targets."""
    by_target = caller.rows(fields=[*KEYS, *TARGET, *COUNTS])
    by_term = caller.rows(fields=[*KEYS, *TARGET, "searchTerm.value", *COUNTS])
    assert all(row["metric.clicks"] for row in by_term)
    shown = [sum(row["metric.impressions"] for row in rows) for rows in (by_term, by_target)]
    assert 0 < shown[0] < shown[1]


def test_report_is_the_truth(caller: Any) -> None:
    """The truth of a day is what its report says, row by row, nulls among it."""
    for country in ("US", "CA"):
        rows = [row for row in caller.rows() if row["campaign.country"] == country]
        told = {
            (str(row["ad.id"]), row["target.value"], row["target.matchType"]): [
                row[name] for name in COUNTS
            ]
            + [None if row[name] is None else str(row[name]) for name in MONEY]
            for row in rows
        }
        true = {
            (row["adId"], row["targetValue"], row["targetMatchType"]): [
                row[name] for name in ("impressions", "clicks", "purchases", "sales", "totalCost")
            ]
            for row in truth(caller, country)
        }
        assert told == true


def test_product_and_term_truth(caller: Any) -> None:
    """The truth by product and by search term has the same clicks as the truth by target."""
    clicks = sum(row["clicks"] for row in truth(caller, "US"))
    assert clicks == sum(row["clicks"] for row in truth(caller, "US", grain="product"))
    assert clicks == sum(row["clicks"] for row in truth(caller, "US", grain="search_term"))


def test_forms_of_ids_hours_and_nulls(start: Callable[..., Any]) -> None:
    """Ids come as numbers and as strings, hours in three forms, zeros sometimes as null, ids beyond 2^53."""
    rows = start(rows_per_day=300).rows(fields=[*KEYS, *TARGET, "hour.value", *COUNTS, *MONEY])
    assert {type(row["campaign.id"]) for row in rows} == {int, str}
    ids = {str(row["ad.id"]) for row in rows}
    assert {15, 16, 17, 18, 19} == {len(number) for number in ids}
    assert any(2**53 < int(number) < 2**63 for number in ids)
    forms = {
        "T" if "T" in str(hour) else type(hour).__name__
        for hour in (row["hour.value"] for row in rows)
    }
    assert forms == {"T", "int", "str"}
    assert {row["metric.sales"] for row in rows} >= {None, 0}


def test_amounts_are_exact(start: Callable[..., Any]) -> None:
    """Amounts have at most six decimals as written; most sales have two, some costs more."""
    rows = start(rows_per_day=300).rows()
    places = {name: Counter(decimals(row[name]) for row in rows if row[name]) for name in MONEY}
    assert max(max(counter) for counter in places.values()) <= 6
    assert places["metric.sales"][2] > len(rows) / 4
    assert sum(count for digits, count in places["metric.totalCost"].items() if digits > 2) > 10


def decimals(amount: Decimal | int) -> int:
    """Count the decimals of an amount as it was written."""
    return -int(Decimal(amount).as_tuple().exponent)


def test_yen_are_whole_mostly(caller: Any) -> None:
    """Amounts in yen are whole for most rows."""
    rows = caller.rows(account=caller.account(2))
    assert {"JPY"} == {row["budgetCurrency.value"] for row in rows}
    whole = sum(decimals(row["metric.totalCost"] or 0) == 0 for row in rows)
    assert whole > len(rows) / 2


def test_today_is_partial(start: Callable[..., Any]) -> None:
    """Today has only the account's own hours that are over, and grows until its end."""
    caller = start(clock_start=datetime(2026, 1, 15, 18, 30, tzinfo=UTC), rows_per_day=200)
    today = date(2026, 1, 15)
    hours = {row["hour"] for row in truth(caller, "US", today, hourly="true")}
    assert hours == set(range(10))
    early = sum(row["impressions"] for row in truth(caller, "US", today))
    late = sum(row["impressions"] for row in truth(caller, "US", today, at="2026-01-16T07:30:00Z"))
    assert 0 < early < late
    assert truth(caller, "US", date(2026, 1, 16)) == []


def test_report_is_as_of_its_creation(caller: Any) -> None:
    """A report asked for yesterday and retrieved today has yesterday's numbers."""
    early = caller.create_id(start=date(2026, 1, 13), end=date(2026, 1, 14))
    caller.state.clock.advance(20 * 86_400)
    before, now = (
        caller.rows_of(caller.report(early)),
        caller.rows(start=date(2026, 1, 13), end=date(2026, 1, 14)),
    )
    assert totals(before, ["date.value"]) != totals(now, ["date.value"])
    assert sum(row["metric.purchases"] or 0 for row in before) < sum(
        row["metric.purchases"] or 0 for row in now
    )
