"""Accounts and profiles as the sandbox lists them."""

import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest

MEDIA = "application/vnd.listaccountsresource.v1+json"


def listed(caller: Any, region: str = "na", body: Any = None, media: str = MEDIA) -> httpx.Response:
    """Ask a region for its accounts."""
    headers = caller.headers | {"Content-Type": media}
    url = f"{caller.url}/{region}/adsAccounts/list"
    answer: httpx.Response = caller.http.post(url, headers=headers, json=body or {})
    return answer


def test_accounts_of_each_region(caller: Any) -> None:
    """Each region lists its own accounts: US with CA and a disabled one, DE with GB, JP."""
    accounts = {
        region: listed(caller, region).json()["adsAccounts"] for region in ("na", "eu", "fe")
    }
    found = {
        region: [(account["countryCodes"], account["status"]) for account in items]
        for region, items in accounts.items()
    }
    assert found == {
        "na": [(["US", "CA"], "CREATED"), (["US"], "DISABLED")],
        "eu": [(["DE", "GB"], "CREATED")],
        "fe": [(["JP"], "CREATED")],
    }


def test_account_ids(caller: Any) -> None:
    """An account id ends in 25 letters and digits, and each of its countries has a profile and an entity."""
    account = listed(caller).json()["adsAccounts"][0]
    assert re.fullmatch(r"amzn1\.ads-account\.g\.[a-z0-9]{25}", account["adsAccountId"])
    ids = [
        (entry["countryCode"], next(iter(entry.keys() - {"countryCode"})))
        for entry in account["alternateIds"]
    ]
    assert ids == [("US", "profileId"), ("US", "entityId"), ("CA", "profileId"), ("CA", "entityId")]
    assert account["errors"]["MX"][0]["errorCode"] == "NOT_REGISTERED"


def test_profiles_of_a_region(caller: Any) -> None:
    """Profiles say UK where accounts say GB, and some profile ids are beyond 2^53."""
    profiles = caller.http.get(f"{caller.url}/eu/v2/profiles", headers=caller.headers).json()
    kinds = [
        (profile["countryCode"], profile["currencyCode"], profile["timezone"])
        for profile in profiles
    ]
    assert kinds == [("DE", "EUR", "Europe/Paris"), ("UK", "GBP", "Europe/London")]
    assert all(2**53 < profile["profileId"] < 2**63 for profile in profiles)


def test_all_pages(start: Callable[..., Any]) -> None:
    """Following nextToken gives every account of a region once, at most maxResults a page."""
    caller = start(accounts=60)
    names, token = [], None
    while True:
        page = listed(
            caller, body={"maxResults": 7} | ({"nextToken": token} if token else {})
        ).json()
        assert len(page["adsAccounts"]) <= 7
        names += [account["adsAccountId"] for account in page["adsAccounts"]]
        token = page.get("nextToken")
        if token is None:
            break
    assert names == [account.account_id for account in caller.state.world.accounts.in_region("NA")]
    assert len(set(names)) == len(names) > 7


def test_page_is_a_hundred_at_most(start: Callable[..., Any]) -> None:
    """Without maxResults a page has a hundred accounts and a nextToken."""
    page = listed(start(accounts=500)).json()
    assert len(page["adsAccounts"]) == 100
    assert page["nextToken"]


@pytest.mark.parametrize(
    "body", [{"maxResults": 0}, {"maxResults": 101}, {"nextToken": "???"}, [1]]
)
def test_bad_list_bodies(caller: Any, body: Any) -> None:
    """A page size out of bounds, a made-up token or a body of another shape is a 400."""
    assert listed(caller, body=body).status_code == 400


def test_list_needs_its_media_type(caller: Any) -> None:
    """The accounts call takes its own content type only."""
    assert listed(caller, media="application/json").status_code == 415


def test_bare_array(start: Callable[..., Any]) -> None:
    """With the array shape each account is wrapped, and there is no object around."""
    body = listed(start(accounts_shape="array")).json()
    assert [["adsAccount"], ["adsAccount"]] == [list(entry) for entry in body]


def test_same_seed_same_accounts(start: Callable[..., Any]) -> None:
    """Accounts depend on the seed only; a larger number adds accounts and changes none."""
    few, many, other = (
        start(seed=seed, accounts=count) for seed, count in ((5, 4), (5, 9), (6, 4))
    )
    assert few.state.world.accounts.accounts == many.state.world.accounts.accounts[:4]
    assert few.state.world.accounts.accounts != other.state.world.accounts.accounts
