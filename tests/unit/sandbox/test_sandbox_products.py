"""Reports of Sponsored Products, Brands and Display: their own metrics and dimensions, sums that agree, and refusals."""

from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

SP, SB, SD = "SPONSORED_PRODUCTS", "SPONSORED_BRANDS", "SPONSORED_DISPLAY"
WORDS = {SP: "Sponsored Products", SB: "Sponsored Brands", SD: "Sponsored Display"}
BASE = (
    "date.value",
    "budgetCurrency.value",
    "adProduct.value",
    "advertiserAccount.id",
    "campaign.id",
    "campaign.country",
)
AD_GROUP, TARGET = "adGroup.id", ("target.value", "target.matchType")
ADVERTISED = ("advertisedProduct.id", "advertisedProduct.sku", "advertisedProduct.marketplace")
CONVERTED = ("convertedProduct.id", "convertedProductMarketplace.value")
PLACEMENT = "placementClassification.value"


def metrics(*kinds: str) -> tuple[str, ...]:
    """Return the names of purchases, sales and units of these kinds."""
    return tuple(
        f"metric.{name}{kind}" for kind in kinds for name in ("purchases", "sales", "unitsSold")
    )


TRAFFIC = ("metric.impressions", "metric.clicks", "metric.totalCost")
VIEWABLE = "metric.viewableImpressions"
NEW = ("metric.newToBrandPurchases", "metric.newToBrandSales", "metric.newToBrandUnitsSold")
PLAIN = (*TRAFFIC, *metrics(""))
EVERY = (*TRAFFIC, VIEWABLE, *metrics("", "Promoted", "Halo", "FromClicks", "FromViews"), *NEW)
DATASETS: dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = {
    "campaigns": ((SP, SB, SD), ("campaign.name", "campaign.costType"), EVERY),
    "placements": ((SP, SB), (PLACEMENT,), EVERY),
    "ad groups": ((SP, SB, SD), (AD_GROUP, "adGroup.name"), EVERY),
    "targets": ((SP, SB, SD), (AD_GROUP, *TARGET), EVERY),
    "products": ((SP, SD), (AD_GROUP, "ad.id", *ADVERTISED), EVERY),
    "brands ads": ((SB,), (AD_GROUP, "ad.id"), EVERY),
    "search terms": ((SP, SB), (AD_GROUP, *TARGET, "searchTerm.value"), PLAIN),
    "matched targets": ((SD,), ("matchedTarget.value",), PLAIN),
    "purchased by products": (
        (SP,),
        (AD_GROUP, *TARGET, *ADVERTISED[:2], *CONVERTED),
        metrics("", "Promoted", "Halo"),
    ),
    "purchased by brands": ((SB,), CONVERTED, (*metrics("", "FromClicks"), *NEW)),
    "purchased by display": ((SD,), (AD_GROUP, *CONVERTED), metrics("", "FromClicks")),
    "hourly campaigns": ((SP,), ("hour.value",), PLAIN),
    "hourly targets": ((SP,), ("hour.value", AD_GROUP, *TARGET), PLAIN),
    "hourly products": ((SP,), ("hour.value", AD_GROUP, "ad.id", *ADVERTISED), PLAIN),
}
SUMMED_ALIKE = (
    "campaigns",
    "ad groups",
    "placements",
    "targets",
    "products",
    "brands ads",
    "matched targets",
)


def on(*products: str) -> dict[str, Any]:
    """Make a filter on ad products."""
    return {
        "on": {
            "field": "adProduct.value",
            "comparisonOperator": "IN",
            "not": False,
            "values": list(products),
        }
    }


def rows_of(caller: Any, name: str, **changes: Any) -> list[dict[str, Any]]:
    """Ask for a dataset with all its fields, and return its rows."""
    products, dimensions, asked = DATASETS[name]
    fields = [*BASE, *dimensions, *asked]
    rows: list[dict[str, Any]] = caller.rows(fields=fields, filter=on(*products), **changes)
    return rows


def sums(rows: list[dict[str, Any]]) -> dict[tuple[str, str], dict[str, Decimal | None]]:
    """Add up each metric by country and ad product; None where all are null."""
    found: dict[tuple[str, str], dict[str, Decimal | None]] = defaultdict(dict)
    for row in rows:
        total = found[row["campaign.country"], row["adProduct.value"]]
        for name, value in row.items():
            if name.startswith("metric."):
                before = total.get(name)
                total[name] = before if value is None else Decimal(value) + (before or 0)
    return found


@pytest.fixture
def large(start: Callable[..., Any]) -> Any:
    """A caller of a sandbox with enough Display rows."""
    return start(rows_per_day=600)


@pytest.mark.parametrize("name", DATASETS)
def test_each_dataset_is_served(large: Any, name: str) -> None:
    """Each dataset has rows of its ad products and no others, and no key comes twice."""
    products, dimensions, _ = DATASETS[name]
    rows = rows_of(large, name)
    assert {row["adProduct.value"] for row in rows} == {WORDS[product] for product in products}
    keys = Counter(
        tuple(
            str(row[field])
            .removesuffix(":00:00")
            .removeprefix("2026-01-10T0")
            .removeprefix("2026-01-10T")
            for field in (*BASE, *dimensions)
        )
        for row in rows
    )
    assert keys.most_common(1)[0][1] == 1


def test_every_daily_dataset_adds_up(large: Any) -> None:
    """Campaigns, ad groups, placements, targets and ads of an ad product have the same sums of every metric."""
    expected = sums(rows_of(large, "campaigns"))
    assert len(expected) == 6
    for name in SUMMED_ALIKE[1:]:
        for key, totals in sums(rows_of(large, name)).items():
            assert totals.items() <= expected[key].items(), (name, key)


def test_metrics_that_a_product_lacks_are_null(large: Any) -> None:
    """Promoted and halo are Sponsored Products' own; viewable impressions and new-to-brand are the others'."""
    for (_, product), totals in sums(rows_of(large, "campaigns")).items():
        empty = {name for name, value in totals.items() if value is None}
        lacking = {VIEWABLE, *NEW} if product == WORDS[SP] else set(metrics("Promoted", "Halo"))
        assert empty == lacking


def test_parts_of_purchases_add_up(large: Any) -> None:
    """Promoted and halo make all, and so do clicks and views; no kind of purchase is more than all."""
    for row in rows_of(large, "targets"):
        values = {
            name: Decimal(value or 0) for name, value in row.items() if name.startswith("metric.")
        }
        for name in metrics(""):
            assert values[name] == values[f"{name}FromClicks"] + values[f"{name}FromViews"]
            if row["adProduct.value"] == WORDS[SP]:
                assert values[name] == values[f"{name}Promoted"] + values[f"{name}Halo"]
        assert values[NEW[0]] <= values["metric.purchases"] <= values["metric.unitsSold"]
        assert values[VIEWABLE] <= values["metric.impressions"]


def test_views_count_where_they_are_charged(large: Any) -> None:
    """Campaigns paid per click have no purchases from views; those paid per thousand views have, and cost without clicks."""
    rows = rows_of(large, "campaigns", start=date(2025, 11, 1), end=date(2025, 11, 20))
    views: dict[Any, Decimal] = defaultdict(Decimal)
    for row in rows:
        views[row["adProduct.value"], row["campaign.costType"]] += (
            row["metric.purchasesFromViews"] or 0
        )
        assert (
            row["metric.clicks"]
            or not row["metric.totalCost"]
            or row["campaign.costType"] == "VCPM"
        )
    assert views.pop((WORDS[SD], "VCPM")) > 0
    assert views.pop((WORDS[SB], "VCPM")) > 0
    assert views == {(WORDS[SP], None): 0, (WORDS[SB], "CPC"): 0, (WORDS[SD], "CPC"): 0}


@pytest.mark.parametrize(
    ("name", "metric"),
    [
        ("search terms", "metric.impressions"),
        ("purchased by products", "metric.sales"),
        ("purchased by brands", "metric.purchases"),
        ("purchased by display", "metric.purchases"),
    ],
)
def test_search_terms_and_purchases_lie_below(large: Any, name: str, metric: str) -> None:
    """Search terms without a click and purchases without a known product are not reported."""
    period = {"start": date(2026, 1, 1), "end": date(2026, 1, 10)}
    whole = sums(rows_of(large, "campaigns", **period))
    for key, totals in sums(rows_of(large, name, **period)).items():
        assert 0 < (totals[metric] or 0) < (whole[key][metric] or 0), key


def test_placements_in_both_spellings(large: Any) -> None:
    """Placements come in two spellings, one for each campaign."""
    spellings = {row[PLACEMENT] for row in rows_of(large, "placements")}
    assert spellings >= {
        "Top of Search on-Amazon",
        "TOP_OF_SEARCH",
        "PRODUCT_PAGE",
        "SITE_AMAZON_BUSINESS",
    }


def test_matched_targets_are_blank_elsewhere(large: Any) -> None:
    """The page where an ad showed is known for Sponsored Display only."""
    fields = [*BASE, "matchedTarget.value", *PLAIN]
    rows = large.rows(fields=fields, filter=None)
    blank = {row["adProduct.value"] for row in rows if row["matchedTarget.value"] is None}
    assert blank == {WORDS[SP], WORDS[SB]}


def test_odd_targets(start: Callable[..., Any]) -> None:
    """Display targets have no match type, audiences by id not even a value; Brands have themes."""
    rows = rows_of(start(rows_per_day=3000), "targets")
    display = [row for row in rows if row["adProduct.value"] == WORDS[SD]]
    assert {row["target.matchType"] for row in display} == {None}
    values = {str(row["target.value"]).partition("=")[0] for row in display}
    assert values == {"None", "asin", "asin-expanded", "category", "views", "purchases"}
    brands = {row["target.matchType"] for row in rows if row["adProduct.value"] == WORDS[SB]}
    assert brands == {None, "EXACT", "PHRASE", "BROAD", "TARGETING_EXPRESSION", "THEME"}


@pytest.mark.parametrize(
    ("products", "dimensions", "asked", "code"),
    [
        ((SB,), (AD_GROUP, "ad.id", "advertisedProduct.id"), PLAIN, "400004"),
        ((SP, SB), ("advertisedProduct.id",), PLAIN, "400004"),
        ((SD,), (PLACEMENT,), PLAIN, "400004"),
        ((SD,), (AD_GROUP, *TARGET, "searchTerm.value"), PLAIN, "400004"),
        ((SP,), (AD_GROUP, PLACEMENT), PLAIN, "400004"),
        ((SP,), (PLACEMENT, "searchTerm.value"), PLAIN, "400004"),
        ((SP,), ("hour.value", "searchTerm.value"), PLAIN, "400004"),
        ((SB,), ("hour.value",), PLAIN, "400004"),
        ((SP, SD), ("hour.value",), PLAIN, "400004"),
        ((SB,), CONVERTED, TRAFFIC[:1], "400004"),
        ((SB,), CONVERTED, TRAFFIC[2:], "400004"),
        ((SB,), (AD_GROUP, *CONVERTED), metrics(""), "400004"),
        ((SD,), (AD_GROUP, *TARGET, *CONVERTED), metrics(""), "400004"),
        ((SD,), CONVERTED, metrics(""), "400006"),
        ((SP,), (AD_GROUP, *TARGET, *CONVERTED), metrics(""), "400006"),
        ((SP,), CONVERTED[:1], metrics(""), "400006"),
        ((SP,), CONVERTED[1:], metrics(""), "400006"),
        ((SB, SD), CONVERTED, metrics(""), "400006"),
        ((SP,), ("campaign.costType", "advertisedProduct.sku"), PLAIN, "400006"),
        ((SP,), ("placement.value",), PLAIN, "400005"),
        ((SP,), (), ("metric.acos",), "400005"),
    ],
)
def test_refused_queries(
    caller: Any,
    products: tuple[str, ...],
    dimensions: tuple[str, ...],
    asked: tuple[str, ...],
    code: str,
) -> None:
    """What an ad product doesn't have, what excludes another field, and a purchase without its own key are refused."""
    answer = caller.create(fields=[*BASE, *dimensions, *asked], filter=on(*products))
    assert (400, code) == (answer.status_code, answer.json()["code"])


def test_sales_need_a_currency(caller: Any) -> None:
    """Each metric that is an amount needs the currency."""
    for metric in (*metrics("Promoted", "Halo", "FromClicks", "FromViews"), *NEW):
        answer = caller.create(fields=["date.value", "campaign.id", metric])
        assert answer.status_code == (400 if "sales" in metric.lower() else 207), metric
        caller.state.clock.advance(600)


def test_mixed_products_can_be_refused(start: Callable[..., Any]) -> None:
    """With the switch a filter that names several ad products is 400006; one is answered, and so is no filter."""
    caller = start(refuse_mixed_products=True)
    fields = [*BASE, *PLAIN]
    refused = caller.create(fields=fields, filter=on(SP, SB))
    assert (400, "400006") == (refused.status_code, refused.json()["code"])
    assert [207, 207] == [
        caller.create(fields=fields, filter=one).status_code for one in (on(SB), None)
    ]


def test_hours_of_brands_and_display(start: Callable[..., Any]) -> None:
    """With the switch hours of Brands and Display campaigns are served, finer ones are still refused."""
    caller = start(hourly_brands_and_display=True)
    fields = [*BASE, "hour.value", *PLAIN, VIEWABLE]
    rows = caller.rows(fields=fields, filter=on(SP, SB, SD))
    assert {row["adProduct.value"] for row in rows} == set(WORDS.values())
    assert caller.create(fields=[*fields, AD_GROUP], filter=on(SD)).status_code == 400


def test_history_of_brands_and_display(start: Callable[..., Any]) -> None:
    """Days before a product's own history are refused when only such products are asked for, else silently missing."""
    caller = start(brands_history_days=60, display_history_days=65)
    fields = [*BASE, *PLAIN]
    old = {"start": date(2025, 11, 10), "end": date(2025, 11, 20)}
    statuses = {
        products: caller.create(fields=fields, filter=on(*products), **old).status_code
        for products in ((SB,), (SD,), (SB, SD))
    }
    assert statuses == {(SB,): 400, (SD,): 400, (SB, SD): 400}
    first: dict[str, str] = {}
    for row in caller.rows(fields=fields, filter=on(SP, SB, SD), **old):
        day, product = row["date.value"], row["adProduct.value"]
        first[product] = min(day, first.get(product, day))
    assert first == {WORDS[SP]: "2025-11-10", WORDS[SB]: "2025-11-16", WORDS[SD]: "2025-11-11"}
    within = {"start": date(2025, 11, 11), "end": date(2025, 11, 20)}
    assert caller.create(fields=fields, filter=on(SB, SD), **within).status_code == 207


def totals_of(caller: Any, **query: str) -> list[dict[str, Any]]:
    """Ask for the true totals of the day that the reports are about."""
    asked = {"start": "2026-01-10", "end": "2026-01-10", **query}
    answer = caller.http.get(f"{caller.url}/sandbox/truth/totals", params=asked)
    assert answer.status_code == 200, answer.text
    rows: list[dict[str, Any]] = answer.json()["totals"]
    return rows


@pytest.mark.parametrize(
    ("dataset", "names"),
    [
        ("daily", SUMMED_ALIKE[:2]),
        ("hourly", ("hourly campaigns", "hourly targets", "hourly products")),
        ("search_terms", ("search terms",)),
        (
            "purchased_products",
            ("purchased by products", "purchased by brands", "purchased by display"),
        ),
    ],
)
def test_totals_are_those_of_reports(large: Any, dataset: str, names: tuple[str, ...]) -> None:
    """The truth of each account, country, day and ad product is the sum of each report's rows, metric by metric."""
    account = large.account().account_id
    true = {
        (one["country"], WORDS[one["product"]]): one
        for one in totals_of(large, dataset=dataset, account=account)
    }
    seen = set()
    for name in names:
        for key, found in sums(rows_of(large, name)).items():
            seen.add(key)
            for metric, value in found.items():
                told = true[key][metric.removeprefix("metric.")]
                assert (None if told is None else Decimal(told)) == value, (name, key, metric)
    assert seen == set(true)


def test_totals_of_all_accounts(caller: Any) -> None:
    """Without a choice the totals are those of all accounts, countries, days and products."""
    rows = totals_of(caller, end="2026-01-11")
    places = [
        (account.account_id, code)
        for account in caller.state.world.accounts.accounts
        for code in account.country_codes
    ]
    assert Counter((row["account"], row["country"]) for row in rows) == dict.fromkeys(places, 6)
    assert {row["product"] for row in totals_of(caller, product=SD, country="GB")} == {SD}


@pytest.mark.parametrize(
    "query", [{"end": "2026-01-09"}, {"dataset": "x"}, {"end": "2029-01-09"}, {"product": "x"}]
)
def test_bad_totals_queries(caller: Any, query: dict[str, str]) -> None:
    """An unknown dataset or product, or a period that is none or too long, is a 400."""
    asked = {"start": "2026-01-10", "end": "2026-01-10", **query}
    assert caller.http.get(f"{caller.url}/sandbox/truth/totals", params=asked).status_code == 400


@pytest.mark.parametrize("product", [SP, SB, SD])
@pytest.mark.parametrize(
    "grain", ["campaign", "placement", "target", "product", "search_term", "purchased_product"]
)
def test_rows_of_the_truth_add_up(large: Any, product: str, grain: str) -> None:
    """The true rows of each grain have the totals of their dataset."""
    dataset = {"search_term": "search_terms", "purchased_product": "purchased_products"}.get(
        grain, "daily"
    )
    asked = {"account": large.account().account_id, "country": "US"}
    rows = large.http.get(
        f"{large.url}/sandbox/truth",
        params=asked | {"date": "2026-01-10", "grain": grain, "product": product},
    ).json()["rows"]
    found = sum(Decimal(row["sales"] or 0) for row in rows)
    if (grain, product) == ("search_term", SD):
        assert totals_of(large, dataset=dataset, product=product, **asked) == []
    else:
        [total] = totals_of(large, dataset=dataset, product=product, **asked)
        assert found == Decimal(total["sales"]) > 0


def test_today_of_brands_is_partial(start: Callable[..., Any]) -> None:
    """Today's Brands and Display numbers grow with its hours, conversions among them."""
    caller = start(clock_start=datetime(2026, 1, 15, 18, 30, tzinfo=UTC), rows_per_day=600)
    day = {"start": "2026-01-15", "end": "2026-01-15", "country": "US", "product": SB}
    early, late = (
        totals_of(caller, **day, at=f"2026-01-{at}Z")[0] for at in ("15T18:30:00", "16T07:30:00")
    )
    for metric in ("impressions", "viewableImpressions", "purchases"):
        assert 0 < early[metric] < late[metric]
