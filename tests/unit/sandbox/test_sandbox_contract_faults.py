"""What Amazon's contract allows and few recordings show: other spellings, other regions, renamed fields, one report at a time."""

from collections import Counter
from collections.abc import Callable
from typing import Any

from tests.unit.sandbox.conftest import TARGET_FIELDS

PRODUCT_FIELDS = [
    *(field for field in TARGET_FIELDS if not field.startswith("target.")),
    "advertisedProduct.id",
    "advertisedProduct.marketplace",
]


def test_one_at_a_time(caller: Any) -> None:
    """While any report of the region is in flight a create is a 429; afterwards it isn't."""
    caller.fault("one_at_a_time", options={"retry_after": "none"})
    first = caller.create()
    second = caller.create()
    caller.state.clock.advance(120)
    assert [207, 429, 207] == [answer.status_code for answer in (first, second, caller.create())]
    assert "retry-after" not in second.headers


def test_renamed_fields(caller: Any) -> None:
    """Only the newer name of the country is known, and rows have it."""
    caller.fault("renamed_fields")
    renamed = ["campaignCountry.value" if f == "campaign.country" else f for f in TARGET_FIELDS]
    assert "400005" == caller.create().json()["code"]
    assert {"US", "CA"} == {row["campaignCountry.value"] for row in caller.rows(fields=renamed)}


def test_multi_status(caller: Any) -> None:
    """The same refusal comes inside a 207."""
    caller.fault("multi_status")
    answer = caller.create(fields=["metric.clicks"])
    assert (207, "400000") == (answer.status_code, answer.json()["error"][0]["errors"][0]["code"])


def test_part_listed_twice(caller: Any) -> None:
    """The first part comes once more with the same url."""
    caller.fault("part_listed_twice")
    caller.fault("more_parts", options={"parts": 2})
    urls = [part["url"] for part in caller.completed()["completedReportParts"]]
    assert (3, urls[0]) == (len(urls), urls[2])


def test_foreign_rows(caller: Any) -> None:
    """Each row comes once more as one of Australia; the others are as they were."""
    clean = caller.rows()
    caller.fault("foreign_rows", options={"share": 1})
    rows = caller.rows()
    countries = Counter((row["campaign.country"], row["budgetCurrency.value"]) for row in rows)
    assert countries["AU", "AUD"] == len(clean)
    assert [row for row in rows if row["campaign.country"] != "AU"] == clean


def test_null_products(caller: Any) -> None:
    """Rows of products name none; rows of targets stay as they are."""
    clean = caller.rows()
    caller.fault("null_products", options={"share": 1})
    rows = caller.rows(fields=PRODUCT_FIELDS)
    assert {(None, None)} == {
        (row["advertisedProduct.id"], row["advertisedProduct.marketplace"]) for row in rows
    }
    assert clean == caller.rows()


def test_other_spellings(caller: Any) -> None:
    """Rows say `UK`, and the ad product as filters do."""
    caller.fault("other_spellings")
    rows = caller.rows(account=caller.account(1))
    assert {"DE", "UK"} == {row["campaign.country"] for row in rows}
    assert {"SPONSORED_PRODUCTS"} == {row["adProduct.value"] for row in rows}


def test_unreadable_country(caller: Any) -> None:
    """The country is false, 0, a list or missing."""
    caller.fault("bad_rows", options={"share": 1, "kinds": ["unreadable_country"]})
    found = {str(row.get("campaign.country", "missing")) for row in caller.rows()}
    assert {"False", "0", "[]", "missing"} == found


def test_countries_of_accounts(start: Callable[..., Any]) -> None:
    """Accounts are in the countries that the settings name, then in any."""
    sandbox = start(countries=[["DE", "IT", "FR"], ["AU"]], accounts=3)
    accounts = [sandbox.account(index) for index in range(3)]
    assert [("DE", "IT", "FR"), ("AU",)] == [account.country_codes for account in accounts[:2]]
    assert ["EU", "FE"] == [account.region for account in accounts[:2]]
