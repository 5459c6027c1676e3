"""The filter of a report's query: which rows pass, and which filters Amazon refuses."""

from collections import Counter
from typing import Any

import pytest

PRODUCT_FIELDS = [
    "date.value",
    "adProduct.value",
    *("campaign.id", "campaign.country", "adGroup.id", "ad.id"),
    *("advertisedProduct.id", "advertisedProduct.marketplace"),
    "metric.clicks",
]
TARGET_FIELDS = [
    *("date.value", "adProduct.value", "campaign.id", "campaign.country", "adGroup.id", "ad.id"),
    *("target.value", "target.matchType", "metric.clicks"),
]


def on(field: str, *values: str, **changes: Any) -> dict[str, Any]:
    """Make a filter on one field."""
    operator = "EQUALS" if len(values) == 1 else "IN"
    return {
        "on": {"field": field, "comparisonOperator": operator, "not": False, "values": list(values)}
        | changes
    }


def all_of(*filters: dict[str, Any]) -> dict[str, Any]:
    """Make a filter of which all have to pass."""
    return {"and": {"filters": list(filters)}}


def products(rows: list[dict[str, Any]]) -> Counter[str]:
    """Count the rows of each ad product."""
    return Counter(row["adProduct.value"] for row in rows)


def test_unfiltered_report_mixes_products(start: Any) -> None:
    """Without a filter a report has the rows of all three ad products, Sponsored Products first in number."""
    caller = start(rows_per_day=400)
    counted = products(caller.rows(fields=TARGET_FIELDS, filter=None))
    assert ["Sponsored Products", "Sponsored Brands", "Sponsored Display"] == [
        name for name, _ in counted.most_common()
    ]
    assert 0.15 < counted["Sponsored Brands"] / counted["Sponsored Products"] < 0.35


def test_filtered_report(caller: Any) -> None:
    """A filter lets the rows of its ad products pass and no others, and changes nothing about them."""
    mixed = caller.rows(fields=TARGET_FIELDS, filter=None)
    for names, word in (
        (["SPONSORED_PRODUCTS"], "Sponsored Products"),
        (["SPONSORED_BRANDS"], "Sponsored Brands"),
    ):
        rows = caller.rows(fields=TARGET_FIELDS, filter=on("adProduct.value", *names))
        assert [row for row in mixed if row["adProduct.value"] == word] == rows
    both = on("adProduct.value", "SPONSORED_BRANDS", "SPONSORED_DISPLAY")
    assert {"Sponsored Brands", "Sponsored Display"} == set(
        products(caller.rows(fields=TARGET_FIELDS, filter=both))
    )
    rest = on("adProduct.value", "SPONSORED_PRODUCTS", **{"not": True})
    assert {"Sponsored Brands", "Sponsored Display"} == set(
        products(caller.rows(fields=TARGET_FIELDS, filter=rest))
    )


def test_filters_by_country_and_campaign(caller: Any) -> None:
    """Filters can be joined by `and`, nested, and be about a country or a campaign."""
    mixed = caller.rows(fields=TARGET_FIELDS, filter=None)
    campaign = next(str(row["campaign.id"]) for row in mixed if row["campaign.country"] == "CA")
    one = caller.rows(
        fields=TARGET_FIELDS,
        filter=all_of(
            on("campaign.country", "CA"),
            all_of(on("campaign.id", campaign), on("campaignCountry.value", "CA")),
        ),
    )
    assert one
    found = [row for row in mixed if str(row["campaign.id"]) == campaign]
    assert [row for row in found if row["campaign.country"] == "CA"] == one
    assert {row["campaign.country"] for row in found} == {"US", "CA"}


def test_rows_of_other_products(start: Any) -> None:
    """Sponsored Brands rows have no product, Sponsored Display targets no match type."""
    caller = start(rows_per_day=400)
    mixed = caller.rows(fields=PRODUCT_FIELDS, filter=None)
    by_product = [row for row in mixed if row["adProduct.value"] == "Sponsored Brands"]
    assert {(None, None)} == {
        (row["advertisedProduct.id"], row["advertisedProduct.marketplace"]) for row in by_product
    }
    display = caller.rows(fields=TARGET_FIELDS, filter=on("adProduct.value", "SPONSORED_DISPLAY"))
    assert {None} == {row["target.matchType"] for row in display}


def test_answer_repeats_the_filter(caller: Any) -> None:
    """A report says which filter it was asked for with."""
    wanted = all_of(on("adProduct.value", "SPONSORED_PRODUCTS"), on("campaign.country", "US"))
    assert wanted == caller.report(caller.create_id(filter=wanted))["query"]["filter"]


PRODUCT = on("adProduct.value", "SPONSORED_PRODUCTS")


@pytest.mark.parametrize(
    ("refused", "code"),
    [
        ({"on": {key: value for key, value in PRODUCT["on"].items() if key != "not"}}, "400000"),
        (on("adProduct.value", "SPONSORED_PRODUCTS", **{"not": None}), "400000"),
        ({"or": {"filters": [PRODUCT]}}, "400000"),
        (on("adProduct.value", "Sponsored Products"), "400000"),
        (on("adProduct.value", "SPONSORED_PRODUCTS", comparisonOperator="LIKE"), "400000"),
        (on("adProduct.value", "SPONSORED_PRODUCTS", values=[]), "400000"),
        (
            on(
                "adProduct.value",
                "SPONSORED_BRANDS",
                "SPONSORED_DISPLAY",
                comparisonOperator="EQUALS",
            ),
            "400000",
        ),
        (all_of(), "400000"),
        (all_of(*[PRODUCT] * 11), "400000"),
        (on("adGroup.id", "1"), "400005"),
        (all_of(PRODUCT, on("adProductType", "1")), "400005"),
    ],
)
def test_refused_filters(caller: Any, refused: dict[str, Any], code: str) -> None:
    """A filter of another shape, with another operator or spelling, or by a field that can't be filtered, is a 400."""
    answer = caller.create(filter=refused)
    assert (400, code) == (answer.status_code, answer.json()["code"])


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        (["date.value", "campaign.id", "clicks"], "400013"),
        (["campaign.id", "metric.clicks"], "400000"),
        (["date.value", "adProduct.value", "metric.clicks"], "400000"),
        (["date.value", "campaign.id"], "400000"),
        (["date.value", "campaign.id", "target.matchType", "metric.clicks"], "400006"),
        (["date.value", "campaign.id", "metric.totalCost"], "400006"),
    ],
)
def test_refused_fields(caller: Any, fields: list[str], code: str) -> None:
    """A report needs a time dimension, a level of detail and a metric, fields with a dot, and companions."""
    answer = caller.create(fields=fields)
    assert (400, code) == (answer.status_code, answer.json()["code"])
    assert answer.json()["message"].startswith(code)
