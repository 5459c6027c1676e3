"""Which accounts a listing brings, and what is said of those that are odd."""

from typing import Any

import httpx
import pytest

from bidbeacon_pipelines.amazon_ads.accounts import AccountListing, ListedAccount, list_accounts
from bidbeacon_pipelines.amazon_ads.errors import CredentialRefused, Throttled, Unavailable
from tests.unit.amazon_ads.fakes import FakeAmazon

ACME: dict[str, Any] = {
    "adsAccountId": "amzn1.acme",
    "accountName": "Acme",
    "status": "CREATED",
    "countryCodes": ["UK", "US"],
    "alternateIds": [
        {"countryCode": "UK", "profileId": 2**63 + 1},
        {"countryCode": "GB", "entityId": "ENTITY1"},
        {"countryCode": "US", "profileId": "77"},
    ],
    "errors": {
        "UK": [{"errorCode": "SUSPENDED"}],
        "MX": [{"errorCode": "X", "errorMessage": "Marketplace not registered"}],
    },
}
UK_PROFILE = {
    "profileId": 2**63 + 1,
    "countryCode": "UK",
    "currencyCode": "gbp",
    "timezone": "Europe/London",
    "accountInfo": {"marketplaceStringId": "A1F83G8C2ARO7P", "type": "Vendor", "name": "Acme Ltd"},
}
US_PROFILE = {"profileId": "77", "timezone": "Mars/Olympus"}
DOWN = httpx.Response(503)


def page(*accounts: Any, **more: Any) -> httpx.Response:
    """Return a page of ads accounts."""
    return httpx.Response(200, json={"adsAccounts": accounts} | more)


def profiles(*items: Any) -> httpx.Response:
    """Return a region's profiles."""
    return httpx.Response(200, json=items)


EMPTY = [page(), profiles(), profiles()]
"""The answers of a region without accounts: its profiles are asked for twice."""


def listing(amazon: FakeAmazon, *answers: httpx.Response) -> AccountListing:
    """Return what comes of these answers, those of NA first; the other regions have nothing."""
    rest = EMPTY * 3
    amazon.plays(*answers, *rest[len(answers) :])
    return list_accounts(amazon.connect(attempts=1))


def by_country(found: AccountListing) -> dict[str, ListedAccount]:
    """Return the accounts by country."""
    return {account.country_code: account for account in found.accounts}


def test_account_per_country_joined_with_its_profile(amazon: FakeAmazon) -> None:
    """`UK` is `GB`, ids keep every digit, and what the profile says wins over the country."""
    found = listing(amazon, page(ACME), profiles(UK_PROFILE, US_PROFILE))
    expected = ListedAccount(
        account_id="amzn1.acme",
        country_code="GB",
        name="Acme",
        status="CREATED",
        profile_id=str(2**63 + 1),
        entity_id="ENTITY1",
        region="NA",
        currency_code="GBP",
        time_zone="Europe/London",
        marketplace_id="A1F83G8C2ARO7P",
        account_type="vendor",
        problems=("SUSPENDED.",),
    )
    assert expected == by_country(found)["GB"]
    assert ("NA", "EU", "FE") == found.answered_regions


def test_what_is_missing_is_replaced_and_said(amazon: FakeAmazon) -> None:
    """No profile, a profile that is not listed, a time zone that is none, an unknown country."""
    odd = {"adsAccountId": "amzn1.odd", "countryCodes": ["DE", "QQ"]}
    found = listing(amazon, page(ACME, odd), profiles(US_PROFILE))
    us, gb, de, unknown = (by_country(found)[code] for code in ("US", "GB", "DE", "QQ"))
    assert ("America/Los_Angeles", "USD") == (us.time_zone, us.currency_code)
    assert "time zone is 'Mars/Olympus'" in us.problems[0]
    assert "is not among the profiles listed" in gb.problems[1]
    assert "Amazon lists no profile in DE; using Europe/Paris and EUR." in de.problems
    assert ("UTC", "XXX") == (unknown.time_zone, unknown.currency_code)
    assert "UNKNOWN" == unknown.status
    assert "since the country is unknown" in unknown.problems[0]
    assert ("Acme in MX: Marketplace not registered.",) == found.problems


@pytest.mark.parametrize("wrapped", [False, True])
def test_both_shapes_of_a_page_are_read(amazon: FakeAmazon, *, wrapped: bool) -> None:
    """An object with a list, or a bare list of wrapped ads accounts."""
    body = [{"adsAccount": ACME}] if wrapped else {"adsAccounts": [ACME]}
    found = listing(amazon, httpx.Response(200, json=body))
    assert {"GB", "US"} == by_country(found).keys()


def test_all_pages_are_read(amazon: FakeAmazon) -> None:
    """By a hundred."""
    second = ACME | {"adsAccountId": "amzn1.second", "countryCodes": ["CA"], "alternateIds": None}
    amazon.plays(page(ACME, nextToken="more"), page(second), *EMPTY[1:], *EMPTY * 2)
    found = list_accounts(amazon.connect())
    assert {"GB", "US", "CA"} == by_country(found).keys()
    assert [{"maxResults": 100}, {"maxResults": 100, "nextToken": "more"}] == amazon.bodies()[:2]


def test_broken_account_or_profile_loses_no_other(amazon: FakeAmazon) -> None:
    """Each makes a sentence; a region with a broken profile is not trusted."""
    broken = page({"accountName": "x"}, ACME)
    found = listing(amazon, broken, profiles({"profileId": 1.5}, UK_PROFILE))
    assert {"GB", "US"} == by_country(found).keys()
    account = (
        "Region NA, account No. 1 differs from its documentation: adsAccountId: Field required."
    )
    assert account in found.problems
    assert any(problem.startswith("Region NA, profile No. 1") for problem in found.problems)
    assert ("EU", "FE") == found.answered_regions


ODD = httpx.Response(200, json={})


@pytest.mark.parametrize("refusal", [DOWN, httpx.Response(403), ODD])
def test_region_that_fails_keeps_the_others(amazon: FakeAmazon, refusal: httpx.Response) -> None:
    """Its error is returned, and what was read before it is kept."""
    amazon.plays(page(ACME), refusal, *EMPTY * 2)
    found = list_accounts(amazon.connect(attempts=1))
    assert (["NA"], ("EU", "FE")) == (list(found.errors), found.answered_regions)
    assert {"GB", "US"} == by_country(found).keys()


@pytest.mark.parametrize("refusal", [DOWN, httpx.Response(429), ODD])
def test_region_fails_with_its_second_profiles(amazon: FakeAmazon, refusal: httpx.Response) -> None:
    """It is not trusted, but what was read of its profiles is used."""
    amazon.plays(page(ACME), profiles(UK_PROFILE), refusal, *EMPTY * 2)
    found = list_accounts(amazon.connect(attempts=1))
    assert (["NA"], ("EU", "FE")) == (list(found.errors), found.answered_regions)
    assert "vendor" == by_country(found)["GB"].account_type


@pytest.mark.parametrize("status", [400, 403])
def test_region_that_refuses_the_second_profiles_stays(amazon: FakeAmazon, status: int) -> None:
    """It is a problem of the sync, also where every region refuses them."""
    refusal = httpx.Response(status, json={"message": "accessLevel not allowed"})
    amazon.plays(page(ACME), profiles(UK_PROFILE), refusal, *[page(), profiles(), refusal] * 2)
    found = list_accounts(amazon.connect(attempts=1))
    assert ({}, ("NA", "EU", "FE")) == (found.errors, found.answered_regions)
    assert "vendor" == by_country(found)["GB"].account_type
    said = "profiles with view-only access could not be listed: accessLevel not allowed."
    expected = [f"Region {region}: {said}" for region in ("NA", "EU", "FE")]
    assert expected == [one for one in found.problems if one.startswith("Region")]


@pytest.mark.parametrize(
    "answers",
    [
        [DOWN],
        *([page(ACME), profiles(UK_PROFILE), outage] for outage in (DOWN, httpx.Response(429))),
    ],
    ids=["nothing answers", "no second profiles", "throttled second profiles"],
)
def test_what_fails_in_all_regions_is_an_error(amazon: FakeAmazon, answers: Any) -> None:
    """The first one's; an outage is no refusal."""
    amazon.plays(*answers * 3)
    with pytest.raises((Unavailable, Throttled)):
        list_accounts(amazon.connect(attempts=1))


def test_profile_that_may_only_be_viewed_is_one(amazon: FakeAmazon) -> None:
    """It comes with `accessLevel=view`; of two with one id, that which may be edited counts."""
    other = UK_PROFILE | {"timezone": "Europe/Paris", "currencyCode": "EUR"}
    viewed = {"profileId": "77", "timezone": "America/Denver", "currencyCode": "USD"}
    found = listing(amazon, page(ACME), profiles(UK_PROFILE), profiles(other, viewed))
    zones = {code: account.time_zone for code, account in by_country(found).items()}
    assert {"GB": "Europe/London", "US": "America/Denver"} == zones
    assert () == by_country(found)["US"].problems
    asked = [str(call.url.query, "ascii") for call in amazon.calls if call.method == "GET"]
    assert ["", "accessLevel=view"] * 3 == asked


def test_refused_credential_ends_the_listing(amazon: FakeAmazon) -> None:
    """No other region would answer."""
    amazon.token_script.append(httpx.Response(400, json={"error": "invalid_grant"}))
    with pytest.raises(CredentialRefused):
        list_accounts(amazon.connect())
    assert [] == amazon.calls


def test_ads_account_without_a_country_is_a_problem(amazon: FakeAmazon) -> None:
    """Amazon's document requires nothing of an ads account but its id."""
    found = listing(amazon, page({"adsAccountId": "amzn1.none", "status": "PENDING"}))
    assert () == found.accounts
    assert ("amzn1.none (amzn1.none, PENDING) has no country.",) == found.problems


def test_broken_alternate_id_loses_no_account(amazon: FakeAmazon) -> None:
    """It is a problem, and makes its own account unsure, not its region; an empty id is none."""
    ids = [
        {"profileId": 77},
        {"countryCode": "DE", "profileId": 5.5},
        {"countryCode": "CA", "profileId": 0, "entityId": ""},
    ]
    found = listing(amazon, page(ACME | {"alternateIds": ids, "errors": {}}))
    accounts = by_country(found)
    assert {"GB", "US", "CA"} == accounts.keys()
    assert (None, None) == (accounts["CA"].profile_id, accounts["CA"].entity_id)
    of = "Region NA, account amzn1.acme, alternate id No."
    missing, not_exact = found.problems
    assert f"{of} 1 differs from its documentation: countryCode: Field required." == missing
    assert not_exact.startswith(
        f"{of} 2 differs from its documentation: profileId: expected an id as text"
    )
    assert ("NA", "EU", "FE") == found.answered_regions
    assert {"amzn1.acme"} == found.unsure_accounts


def test_broken_id_makes_an_account_of_another_region_unsure(amazon: FakeAmazon) -> None:
    """Its region and currency may be the country's defaults, though its region answered."""
    ids = [{"countryCode": "DE", "profileId": 5.5}]
    acme = {"adsAccountId": "amzn1.acme", "countryCodes": ["DE"], "alternateIds": ids}
    other = {"adsAccountId": "amzn1.other", "countryCodes": ["DE"]}
    found = listing(amazon, page(acme, other))
    assert ["EU", "EU"] == [account.region for account in found.accounts]
    assert {"amzn1.acme"} == found.unsure_accounts


DENVER, USUAL = "America/Denver", "America/Los_Angeles"
NOT_LISTED = f"Profile 77 is not among the profiles listed; using {USUAL} and USD."


@pytest.mark.parametrize(
    ("ids", "listed", "ignored", "zone", "others"),
    [
        pytest.param((77, 78, 77), "77", "78", DENVER, (), id="listed and the first"),
        pytest.param((76, 77, 78), "77", "76, 78", DENVER, (), id="the only one that is listed"),
        pytest.param((77, 78), "79", "78", USUAL, (NOT_LISTED,), id="none is listed: the first"),
    ],
)
def test_one_of_several_profiles_of_a_country_is_used(
    amazon: FakeAmazon,
    ids: tuple[int, ...],
    listed: str,
    ignored: str,
    zone: str,
    others: tuple[str, ...],
) -> None:
    """Its entity is used with it, and the others are named as ignored."""
    several = [{"countryCode": "US", "profileId": id_, "entityId": f"E{id_}"} for id_ in ids]
    profile = {"profileId": listed, "timezone": DENVER}
    found = listing(amazon, page(ACME | {"alternateIds": several}), profiles(profile))
    account = by_country(found)["US"]
    assert ("77", "E77", zone) == (account.profile_id, account.entity_id, account.time_zone)
    entities = ", ".join(f"E{id_}" for id_ in ignored.split(", "))
    assert account.problems == (
        *others,
        f"Amazon lists several profiles for this country. Using 77; ignored: {ignored}.",
        f"Amazon lists several entities for this country. Using E77; ignored: {entities}.",
    )


@pytest.mark.parametrize(("first", "name"), [("Acme", "Acme"), (None, "Acme EU")])
def test_ads_account_has_what_each_region_says_of_it(
    amazon: FakeAmazon, first: str | None, name: str
) -> None:
    """Its countries, ids and errors; the first region's name and status count, where it has one."""
    acme = {"adsAccountId": "amzn1.acme", "accountName": first, "countryCodes": ["US", "DE"]}
    in_eu = {
        "accountName": "Acme EU",
        "status": "DISABLED",
        "alternateIds": [{"countryCode": "DE", "profileId": 5}],
        "errors": {"DE": [{"errorMessage": "Suspended"}]},
    }
    german = {"profileId": 5, "timezone": "Europe/Paris"}
    no_profiles = (profiles(), profiles())
    found = listing(amazon, page(acme), *no_profiles, page(acme | in_eu), profiles(german))
    account = by_country(found)["DE"]
    assert (name, "DISABLED") == (account.name, account.status)
    assert ("5", "EU", ("Suspended.",)) == (account.profile_id, account.region, account.problems)


def test_profiles_of_no_ads_account_are_a_problem(amazon: FakeAmazon) -> None:
    """One of the region, unless a region could not be listed, whose ads accounts may have them."""
    lonely = [{"profileId": id_, "accountInfo": {"name": "Acme"}} for id_ in range(11)]
    named = ", ".join([*(f"{id_} (Acme)" for id_ in range(10)), "…"])
    found = listing(amazon, page(), profiles(*lonely), profiles(*lonely))
    told = f"Region NA: 11 profiles belong to no listed ads account: {named}."
    assert (told,) == found.problems
    amazon.script.clear()
    assert () == listing(amazon, page(), profiles(*lonely), profiles(), DOWN).problems
    amazon.script.clear()
    one = listing(amazon, page(), profiles(lonely[7]))
    assert ("Region NA: 1 profile belongs to no listed ads account: 7 (Acme).",) == one.problems


@pytest.mark.parametrize(
    "unreadable",
    [{"accountName": "x"}, ACME | {"alternateIds": [{"profileId": 7}], "errors": {}}],
)
def test_profiles_are_no_problem_while_an_account_or_id_is_unreadable(
    amazon: FakeAmazon, unreadable: dict[str, Any]
) -> None:
    """It may have them, in any region; the unreadable one is the only problem."""
    lonely = profiles({"profileId": 7})
    found = listing(amazon, page(), lonely, profiles(), page(unreadable), profiles())
    [problem] = found.problems
    assert problem.startswith("Region EU, account")


@pytest.mark.parametrize(
    ("errors", "of_all", "of_gb"),
    [
        ({"": [{"errorMessage": "Suspended"}]}, ("Acme: Suspended.",), ()),
        ({"UK": [{"errorCode": "X"}], "GB": [{"errorCode": "Y"}]}, (), ("X.", "Y.")),
    ],
    ids=["of no country", "of both names of a country"],
)
def test_errors_of_an_ads_account_are_problems(
    amazon: FakeAmazon, errors: Any, of_all: tuple[str, ...], of_gb: tuple[str, ...]
) -> None:
    """Of the listing, or of the country's account."""
    both = profiles(UK_PROFILE, US_PROFILE)
    found = listing(amazon, page(ACME | {"errors": errors}), both)
    assert of_all == found.problems
    assert of_gb == by_country(found)["GB"].problems


def test_broken_accounts_are_numbered_through_all_pages(amazon: FakeAmazon) -> None:
    """So that each has its own sentence."""
    amazon.plays(page({}, nextToken="more"), page({}), *EMPTY[1:], *EMPTY * 2)
    found = list_accounts(amazon.connect())
    assert ["Region NA, account No. 1", "Region NA, account No. 2"] == [
        problem.partition(" differs ")[0] for problem in found.problems
    ]


def test_names_can_be_stored(amazon: FakeAmazon) -> None:
    """Postgres takes neither NUL nor half a character."""
    body = r'{"adsAccounts": [{"adsAccountId": "amzn1.odd", "accountName": "a\u0000\ud800", "countryCodes": ["US"]}]}'
    found = listing(amazon, httpx.Response(200, content=body))
    assert "a␀�" == by_country(found)["US"].name
