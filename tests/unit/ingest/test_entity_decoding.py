"""Entities as Amazon sends them become rows of our tables, and nothing of them is lost."""

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidbeacon_pipelines.datasets.digests import digest_of_row
from bidbeacon_pipelines.entities.read import (
    FIELDS,
    MOST_PROBLEMS_KEPT,
    EntityProblems,
    read_entities,
)

EXAMPLES = Path(__file__).parents[1] / "sandbox" / "contract_examples"
ASIN = {"asin": "B01"}
EXPRESSION = "TARGETING_EXPRESSION"
THEME = "SEARCH_RELATED_TO_YOUR_BRAND"
BUDGET = {"currencyCode": "USD", "amount": Decimal("10000000.10"), "ruleAmount": 30.125}
CAMPAIGN = {
    "campaignId": 300000000000007,
    "portfolioId": "9007199254740993123",
    "adProduct": "SPONSORED_BRANDS",
    "name": "Brand",
    "state": "ENABLED",
    "startDate": "2025-01-15",
    "endDate": "2026-12-31",
    "costType": "VCPM",
    "brandEntityId": "ENTITY3ABC",
    "deliveryStatus": "NOT_DELIVERING",
    "deliveryReasons": ["CAMPAIGN_OUT_OF_BUDGET"],
    "tags": [{"key": "team", "value": "a"}],
    "budgetCaps": {
        "recurrenceTimePeriod": "LIFETIME",
        "budgetType": "MONETARY",
        "budgetValue": {"monetaryBudget": BUDGET},
    },
    "optimization": [
        {"goalSettings": {"goal": "AWARENESS"}},
        {
            "bidStrategy": "NEW_TO_BRAND",
            "placementBidAdjustments": [{"placement": "HOME_PAGE", "percentage": 900}],
            "shopperCohortBidAdjustment": [{"percentage": 5}],
        },
    ],
    "creationDateTime": "2025-01-15T18:00:00.123Z",
    "lastUpdatedDateTime": "2025-12-01T10:00:00+01:00",
}
SMALLEST: dict[str, dict[str, Any]] = {
    "campaigns": {"campaignId": "3", "state": "ENABLED"},
    "adGroups": {"adGroupId": "4", "campaignId": "3", "state": "ENABLED"},
    "ads": {"adId": "5", "adGroupId": "4", "state": "ENABLED"},
    "targets": {"targetId": "6", "adGroupId": "4", "state": "ENABLED", "negative": False},
    "portfolios": {"portfolioId": "1", "state": "ENABLED"},
}
YEAR = {"startDate": "2025-01-01", "endDate": "2025-12-31"}
PORTFOLIO = {
    "portfolioId": 123,
    "name": "Always on",
    "state": "ENABLED",
    "inBudget": True,
    "budget": {"amount": 100.5, "currencyCode": "EUR", "policy": "DATE_RANGE"} | YEAR,
    "extendedData": {"servingStatus": "PORTFOLIO_STATUS_ENABLED"},
}


def exact(value: Any) -> Any:
    """Read a value as an export's file is read: numbers with a point are exact."""
    return json.loads(json.dumps(value, default=str), parse_float=Decimal)


def read(kind: str, *raw: Any) -> tuple[list[dict[str, Any]], EntityProblems]:
    """Read entities; return their rows and what could not be read."""
    problems = EntityProblems()
    return list(read_entities(kind, raw, problems)), problems


def read_one(kind: str, **changes: Any) -> dict[str, Any]:
    """Read the smallest entity of a kind with other fields; it has no problem."""
    [row], problems = read(kind, exact(SMALLEST[kind] | changes))
    assert problems.kept == []
    return row


def test_campaign_has_a_column_for_what_people_filter_by() -> None:
    """Amounts are exact, ids are text, and of a list of optimizations the one that has the field counts."""
    row = read_one("campaigns", **CAMPAIGN)
    assert json.loads(row.pop("delivery_reasons")) == ["CAMPAIGN_OUT_OF_BUDGET"]
    adjustments = [{"placement": "HOME_PAGE", "percentage": 900}]
    assert json.loads(row.pop("placement_bid_adjustments")) == adjustments
    assert set(json.loads(row.pop("details"))) == {"tags", "optimization"}
    assert row == {
        "campaign_id": "300000000000007",
        "name": "Brand",
        "portfolio_id": "9007199254740993123",
        "brand_entity_id": "ENTITY3ABC",
        "targeting": None,
        "cost_type": "VCPM",
        "start_date": date(2025, 1, 15),
        "end_date": date(2026, 12, 31),
        "budget": Decimal("10000000.10"),
        "rule_budget": Decimal("30.125"),
        "currency_code": "USD",
        "budget_type": "MONETARY",
        "budget_recurrence": "LIFETIME",
        "bid_strategy": "NEW_TO_BRAND",
        "state": "ENABLED",
        "ad_product": "SPONSORED_BRANDS",
        "delivery_status": "NOT_DELIVERING",
        "created_at": datetime(2025, 1, 15, 18, 0, 0, 123000, tzinfo=UTC),
        "updated_at": datetime(2025, 12, 1, 9, tzinfo=UTC),
    }


def test_ad_group_of_brands_has_no_bid_and_one_of_display_has_a_goal() -> None:
    """Each ad product fills its own columns."""
    brands = read_one("adGroups", adProduct="SPONSORED_BRANDS")
    assert (None, None) == (brands["default_bid"], brands["currency_code"])
    goal = {"goalSettings": {"goal": "CONVERSIONS", "kpi": "CLICKS"}}
    bid = {"defaultBid": 0.45}
    display = read_one("adGroups", optimization=goal, creativeType="IMAGE", bid=bid)
    columns = ("creative_type", "goal", "kpi", "default_bid", "details")
    expected = ["IMAGE", "CONVERSIONS", "CLICKS", Decimal("0.45"), "{}"]
    assert expected == [display[column] for column in columns]


def test_ad_may_show_many_products_and_a_landing_page() -> None:
    """Products of cards count as well, each once; ASINs and SKUs are told apart; without creative the list is empty."""
    products = [
        {"productIdType": "ASIN", "productId": "B01"},
        {"productIdType": "SKU", "productId": "SKU-1"},
        {"productId": "B02"},
    ]
    cards = [{"product": products[0]}, {"product": {"productIdType": "ASIN", "productId": "B03"}}]
    page = {"landingPageType": "STORE", "landingPageUrl": "https://www.amazon.com/stores/x"}
    creative = {"products": products, "cards": cards, "landingPage": page, "headline": "Hi"}
    row = read_one("ads", adType="PRODUCT_COLLECTION", creative=creative)
    assert (row["asins"], row["skus"]) == (["B01", "B02", "B03"], ["SKU-1"])
    assert (row["landing_page_type"], row["landing_page_url"]) == tuple(page.values())
    assert json.loads(row["details"])["creative"]["headline"] == "Hi"
    assert read_one("ads")["asins"] == []


@pytest.mark.parametrize(
    ("details", "row", "columns"),
    [
        ({"matchType": "PHRASE", "keyword": "dog"}, ("PHRASE", "Dog"), {"keyword": "dog"}),
        ({"matchType": "SEARCH_CLOSE_MATCH"}, (f"{EXPRESSION}_PREDEFINED", "close-match"), {}),
        ({"matchType": "PRODUCT_EXACT"} | ASIN, (EXPRESSION, 'asin="B01"'), ASIN),
        (
            {"productCategoryId": 123, "productCategoryResolved": "Toys"},
            (EXPRESSION, 'category="Toys"'),
            {"category_id": "123", "category": "Toys"},
        ),
        (
            {"productCategoryResolved": "Toys", "productBrand": 9, "productBrandResolved": "Acme"},
            (EXPRESSION, 'category="Toys" brand="Acme"'),
            {"brand_id": "9", "brand": "Acme"},
        ),
    ],
)
def test_target_has_the_digest_of_the_rows_that_name_it(
    details: dict[str, Any], row: tuple[str, str], columns: dict[str, str]
) -> None:
    """Whatever kind it is."""
    target = read_one("targets", targetDetails=details)
    assert target["match_digest"] == digest_of_row(*row) is not None
    assert columns.items() <= target.items()


def test_categories_that_differ_in_a_refinement_have_different_digests() -> None:
    """A row must not be given to a narrower target."""
    plain = {"productCategoryResolved": "Toys"}
    narrow = plain | {"productPriceLessThan": "20", "productPrimeShippingEligible": True}
    rows = [read_one("targets", targetDetails=details) for details in (plain, narrow)]
    assert rows[0]["match_digest"] != rows[1]["match_digest"]
    assert json.loads(rows[1]["details"])["targetDetails"]["productPriceLessThan"] == "20"


@pytest.mark.parametrize(
    ("details", "columns"),
    [
        ({"audienceId": "99"}, {"audience_id": "99"}),
        ({"event": "VIEW", "lookback": 30}, {"event": "VIEW", "lookback_days": 30}),
        (
            {"event": "PURCHASE", "lookback": "7", "productCategoryResolved": "Toys"},
            {"event": "PURCHASE", "lookback_days": 7, "expression": None},
        ),
        ({"matchType": THEME}, {"match_type": THEME}),
    ],
)
def test_audiences_and_themes_have_columns_and_no_digest(
    details: dict[str, Any], columns: dict[str, Any]
) -> None:
    """Reports do not name them."""
    target = read_one("targets", targetDetails=details)
    assert columns.items() <= target.items()
    assert target["match_digest"] is None


@pytest.mark.parametrize("bid", [0.5, "0.5", {"bid": 0.5, "currencyCode": "USD"}, {"bid": "0.50"}])
def test_bid_is_a_number_or_an_object(bid: Any) -> None:
    """Both forms are in one file."""
    row = read_one("targets", bid=bid)
    assert (row["bid"], row["details"]) == (Decimal("0.5"), "{}")


@pytest.mark.parametrize("bid", [None, "", {}, {"currencyCode": "USD"}])
def test_bid_may_be_absent(bid: Any) -> None:
    """Then the ad group's holds."""
    assert read_one("targets", bid=bid)["bid"] is None


def test_target_of_a_campaign_has_no_ad_group() -> None:
    """Its level follows where Amazon does not say it."""
    row = read_one("targets", adGroupId=None, campaignId="3", negative=True)
    assert (row["ad_group_id"], row["target_level"], row["negative"]) == (None, "CAMPAIGN", True)


def test_portfolio_has_its_budget() -> None:
    """Policy and dates are in columns, everything else is kept."""
    row = read_one("portfolios", **PORTFOLIO)
    assert json.loads(row.pop("details")) == {"extendedData": PORTFOLIO["extendedData"]}
    assert row == {
        "portfolio_id": "123",
        "name": "Always on",
        "in_budget": True,
        "budget": Decimal("100.5"),
        "currency_code": "EUR",
        "budget_policy": "DATE_RANGE",
        "start_date": date(2025, 1, 1),
        "end_date": date(2025, 12, 31),
        "state": "ENABLED",
    }


@pytest.mark.parametrize("kind", FIELDS)
def test_example_of_the_contract_is_read_without_a_problem(kind: str) -> None:
    """The bodies that Amazon documents."""
    path = EXAMPLES / f"file_{kind.lower()}.json"
    entities = exact(json.loads(path.read_text())) if path.exists() else [exact(PORTFOLIO)]
    rows, problems = read(kind, *entities)
    assert (len(entities), []) == (len(rows), problems.kept)


@pytest.mark.parametrize("kind", SMALLEST)
@pytest.mark.parametrize("value", [None, "", " ", True, [], {}, 1.5, "x" * 101])
def test_entity_without_a_readable_id_is_set_aside(kind: str, value: Any) -> None:
    """With its cause, and as it came; the others are read."""
    good = SMALLEST[kind]
    name = next(iter(good))
    rows, problems = read(kind, exact(good | {name: value}), exact(good))
    assert (1, 1) == (len(rows), problems.set_aside)
    [problem] = problems.kept
    assert problem.set_aside
    assert problem.cause["field"] == name
    assert json.loads(problem.raw) == good | {name: value}


@pytest.mark.parametrize("raw", [None, 7, "campaign", [], [{"campaignId": 1}]])
def test_what_is_no_object_is_set_aside(raw: Any) -> None:
    """The entities around it are read."""
    rows, problems = read("campaigns", SMALLEST["campaigns"], raw, CAMPAIGN)
    assert (2, 1) == (len(rows), problems.set_aside)
    assert "row-unreadable" == problems.kept[0].cause["code"]


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("targets", {"negative": "perhaps"}),
        ("targets", {"adGroupId": None}),
        ("ads", {"adGroupId": ""}),
        ("adGroups", {"campaignId": None}),
        ("campaigns", {"state": None}),
    ],
)
def test_entity_that_would_mislead_is_set_aside(kind: str, changes: dict[str, Any]) -> None:
    """It must not be guessed whether a target is negative, or where an entity belongs."""
    rows, problems = read(kind, SMALLEST[kind] | changes)
    assert ([], 1) == (rows, problems.set_aside)


@pytest.mark.parametrize(
    ("kind", "field", "value", "column"),
    [
        ("campaigns", "startDate", "2025-02-30", "start_date"),
        ("campaigns", "startDate", {"year": 2025}, "start_date"),
        ("campaigns", "creationDateTime", "yesterday", "created_at"),
        ("campaigns", "name", ["a"], "name"),
        ("campaigns", "portfolioId", 1.5, "portfolio_id"),
        ("adGroups", "bid", 1e14, "default_bid"),
        ("adGroups", "bid", "cheap", "default_bid"),
        ("adGroups", "bid", True, "default_bid"),
        ("adGroups", "bid", [1], "default_bid"),
        ("targets", "bid", "0.0000001", "bid"),
        ("targets", "bid", "NaN", "bid"),
        ("targets", "targetDetails", {"lookback": -1}, "lookback_days"),
        ("portfolios", "inBudget", "sometimes", "in_budget"),
    ],
)
def test_entity_with_an_unreadable_field_is_stored_without_it(
    kind: str, field: str, value: Any, column: str
) -> None:
    """The cause names the field, and the value stays in the details."""
    [row], problems = read(kind, exact(SMALLEST[kind] | {field: value}))
    assert (None, 0, 1) == (row[column], problems.set_aside, problems.incomplete)
    assert problems.kept[0].cause["field"].startswith(field)
    assert json.loads(row["details"])[field] == value


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("optimization", "none"),
        ("optimization", [1, None]),
        ("budgetCaps", []),
        ("budgetCaps", {"budgetValue": None}),
        ("budgetCaps", [{"budgetValue": {"monetaryBudget": []}}]),
        ("deliveryReasons", {"reason": "X"}),
        ("tags", {"a": {"b": None}}),
    ],
)
def test_structure_of_another_form_costs_nothing(field: str, value: Any) -> None:
    """It has no column's value, and is kept as it came."""
    row = read_one("campaigns", **{field: value})
    if field == "deliveryReasons":
        assert json.loads(row["delivery_reasons"]) == value
    else:
        assert json.loads(row["details"]) == {field: value}


def test_spellings_of_words_become_one() -> None:
    """Filters and exports write words in capitals, rows of reports do not."""
    row = read_one("campaigns", state="enabled", adProduct="Sponsored Products")
    assert (row["state"], row["ad_product"]) == ("ENABLED", "SPONSORED_PRODUCTS")


def test_text_that_postgres_cannot_store_is_replaced() -> None:
    """NUL and lone surrogates, in columns as in details."""
    row = read_one("campaigns", name="a\0b\ud800", tags=[{"\0": "\udfff🐶"}])
    assert row["name"] == "a␀b\N{REPLACEMENT CHARACTER}"
    assert json.loads(row["details"]) == {"tags": [{"␀": "\N{REPLACEMENT CHARACTER}🐶"}]}


def test_numbers_beyond_every_range_are_kept_as_text() -> None:
    """Postgres has none as large, and JSON has no infinity."""
    tags = [Decimal("1e999999"), Decimal("Infinity"), Decimal("0.1"), 10**30]
    [row], _ = read("campaigns", SMALLEST["campaigns"] | {"tags": tags})
    assert row["details"] == f'{{"tags":["1E+999999","Infinity",0.1,{10**30}]}}'


def test_entity_nested_too_deeply_is_set_aside() -> None:
    """It costs no other."""
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    good = SMALLEST["campaigns"]
    rows, problems = read("campaigns", good | {"tags": deep}, good)
    assert (1, 1) == (len(rows), problems.set_aside)
    assert "nested too deeply" in str(problems.first_cause)


def test_only_so_many_problems_are_kept_and_all_are_counted() -> None:
    """A file of nothing but bad entities must not fill the table."""
    _, problems = read("ads", *[{}] * (MOST_PROBLEMS_KEPT + 5))
    assert (MOST_PROBLEMS_KEPT, MOST_PROBLEMS_KEPT + 5) == (len(problems.kept), problems.set_aside)


_WORDS = st.sampled_from(["name", "bid", "optimization", "budgetCaps", "amount", "creative", "x"])
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.decimals() | st.text("aé🐶7 \0", max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_WORDS, inner, max_size=3),
    max_leaves=8,
)


def leaves(raw: dict[str, Any], at: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every value of an object that is no object itself, with its path."""
    for name, value in raw.items():
        if isinstance(value, dict):
            yield from leaves(value, (*at, name))
        else:
            yield (*at, name), value


@given(st.sampled_from(list(SMALLEST)), st.data())
def test_whatever_comes_no_other_entity_is_lost_and_nothing_is_dropped(
    kind: str, data: st.DataObject
) -> None:
    """Each value of an entity that is stored is in a column or in the details."""
    names = sorted({wanted.path[0] for wanted in FIELDS[kind].values()} | {"tags", "creative"})
    raw = SMALLEST[kind] | data.draw(st.dictionaries(st.sampled_from(names), _JSON, max_size=4))
    rows, problems = read(kind, raw, SMALLEST[kind])
    assert len(rows) + problems.set_aside == 2
    if problems.set_aside == 0:
        details = dict(leaves(json.loads(rows[0]["details"])))
        held = [wanted for column, wanted in FIELDS[kind].items() if rows[0][column] is not None]
        kept = details.keys() | {path for wanted in held for path in wanted.paths}
        dropped = {path: value for path, value in leaves(raw) if path not in kept}
        assert [] == [path for path, value in dropped.items() if str(value or "").strip()]
