"""Totals of windows by ad product, which every load leaves, and datasets compared by them."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from bidbeacon_pipelines.datasets.registry import ALL_DATASETS
from bidbeacon_pipelines.loading.load import LoadResult
from bidbeacon_pipelines.problems.dataset_check_queries import compare_totals
from tests.postgres.load_world import DAY, LoadWorld

DATASETS = {dataset.name: dataset for dataset in ALL_DATASETS}
SP, SB, SD = "SPONSORED_PRODUCTS", "SPONSORED_BRANDS", "SPONSORED_DISPLAY"
SPELLED = {SP: "Sponsored Products", SB: "Sponsored Brands", SD: "Sponsored Display"}
Raw = dict[str, Any]


def row(ad_product: str, spend: str, campaign: int = 1, **fields: Any) -> Raw:
    """Return a row of a campaign as Amazon writes it."""
    zeros = {f"metric.{name}": 0 for name in ("impressions", "clicks", "purchases", "unitsSold")}
    return zeros | {
        "date.value": str(DAY),
        "budgetCurrency.value": "USD",
        "adProduct.value": SPELLED[ad_product],
        "campaign.country": "US",
        "campaign.id": campaign,
        "campaign.name": "Shirts",
        "adGroup.id": 11,
        "metric.totalCost": Decimal(spend),
        "metric.sales": Decimal(0),
        **fields,
    }


def load(
    shelf: LoadWorld, name: str, *rows: Raw, ad_products: tuple[str, ...] = (), age: float = 0
) -> LoadResult:
    """Load a report and return what was done; a field that a row has not is null."""
    dataset = DATASETS[name]
    products = ad_products or dataset.groups[0]
    fields = dict.fromkeys(dataset.fields_for(products))
    result = shelf.load(
        [fields | one for one in rows], dataset=dataset, ad_products=products, age=age
    )
    assert [DAY] == result.loaded
    return result


def placement(ad_product: str, spend: str, where: str = "TOP_OF_SEARCH") -> Raw:
    """Return a row of a placement."""
    return row(ad_product, spend) | {"placementClassification.value": where}


def totals(shelf: LoadWorld, name: str) -> dict[str, tuple[int, Decimal]]:
    """Return rows and spend of each ad product that a window has loaded."""
    found = shelf.query(f"""SELECT p.key, CAST(p.value ->> 'rows' AS bigint) AS rows, CAST(p.value ->> 'spend' AS numeric) AS spend
                              FROM report_windows, jsonb_each(product_totals) p WHERE dataset = '{name}'""")
    return {one["key"]: (one["rows"], one["spend"]) for one in found}


def differences(
    shelf: LoadWorld, name: str, other: str, *ad_products: str
) -> tuple[dict[str, int], list[Any]]:
    """Compare two datasets; return the counts, and ad product, spend and other spend of the differences."""
    with shelf.engine.begin() as connection:
        compared, found = compare_totals(
            connection, name, other, ad_products, longest_gap=timedelta(hours=6), most=10
        )
    return dict(compared), [(one["ad_product"], one["spend"], one["other_spend"]) for one in found]


def test_a_load_leaves_totals_of_the_ad_products_that_it_was_asked_for(shelf: LoadWorld) -> None:
    """To the last digit; zero where it had no rows."""
    load(
        shelf,
        "daily_products",
        row(SP, "0.000001") | {"ad.id": 1},
        row(SP, "99999999.5") | {"ad.id": 2},
    )
    assert totals(shelf, "daily_products") == {
        SP: (2, Decimal("99999999.500001")),
        SD: (0, Decimal(0)),
    }
    load(shelf, "daily_products", row(SB, "3") | {"ad.id": 3}, ad_products=(SB,))
    assert totals(shelf, "daily_products") == {
        SP: (2, Decimal("99999999.500001")),
        SD: (0, Decimal(0)),
        SB: (1, Decimal(3)),
    }


def test_a_load_tells_the_spend_of_its_own_ad_products(shelf: LoadWorld) -> None:
    """So do the windows of the two reports of a day."""
    load(shelf, "daily_products", row(SP, "5") | {"ad.id": 1})
    result = load(shelf, "daily_products", row(SB, "3") | {"ad.id": 3}, ad_products=(SB,))
    assert Decimal(3) == result.spend
    windows = shelf.windows(dataset=DATASETS["daily_products"])
    assert {"SB": 3, "SP+SD": 5} == {window.report: window.spend for window in windows}


def test_datasets_are_compared_by_ad_product(shelf: LoadWorld) -> None:
    """Placements equal their campaigns for each ad product that both have, whatever the others are."""
    load(shelf, "daily_campaigns", row(SP, "5"), row(SB, "7", 2), row(SD, "9", 3))
    load(
        shelf,
        "daily_placements",
        placement(SP, "4"),
        placement(SP, "1", "PRODUCT_PAGE"),
        placement(SB, "7"),
    )
    both = ("daily_placements", "daily_campaigns", SP, SB)
    assert ({"pairs": 2, "comparable": 2}, []) == differences(shelf, *both)
    load(shelf, "daily_placements", placement(SP, "5"), placement(SB, "6.999999"))
    assert ({"pairs": 2, "comparable": 2}, [(SB, Decimal("6.999999"), Decimal(7))]) == differences(
        shelf, *both
    )


def test_an_ad_product_that_is_missing_from_one_dataset_is_a_difference(shelf: LoadWorld) -> None:
    """Both were asked for it, and one has rows."""
    load(shelf, "daily_campaigns", row(SP, "5"), row(SB, "7", 2))
    load(shelf, "daily_placements", placement(SP, "5"))
    found = differences(shelf, "daily_placements", "daily_campaigns", SP, SB)
    assert ({"pairs": 2, "comparable": 2}, [(SB, Decimal(0), Decimal(7))]) == found


def test_an_ad_product_that_is_not_loaded_yet_is_not_compared(shelf: LoadWorld) -> None:
    """The other report of the same day may bring it later."""
    load(shelf, "daily_targets", row(SP, "5"), row(SB, "7", 2))
    load(shelf, "daily_products", row(SP, "5") | {"ad.id": 1})
    both = ("daily_products", "daily_targets", SP, SB, SD)
    assert ({"pairs": 1, "comparable": 1}, []) == differences(shelf, *both)
    load(shelf, "daily_products", row(SB, "6") | {"ad.id": 2}, ad_products=(SB,), age=1)
    assert ({"pairs": 2, "comparable": 1}, []) == differences(shelf, *both), "asked for a day apart"
    load(shelf, "daily_targets", row(SP, "5"), row(SB, "7", 2), age=1)
    assert ({"pairs": 2, "comparable": 1}, [(SB, Decimal(6), Decimal(7))]) == differences(
        shelf, *both
    )
