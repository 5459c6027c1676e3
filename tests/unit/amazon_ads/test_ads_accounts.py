from typing import Any

import httpx
import pytest

from bidbeacon_pipelines.amazon_ads import AccountListing, AdsAccount, list_accounts
from bidbeacon_pipelines.amazon_ads.countries import COUNTRIES
from bidbeacon_pipelines.amazon_ads.errors import InvalidGrant, MalformedAnswer, NotAuthorized
from tests.unit.amazon_ads.fakes import Bench, open_bench

ACME = {
    "accountName": "Acme Merch",
    "adsAccountId": "amzn1.ads-account.g.acme",
    "status": "CREATED",
    "countryCodes": ["US", "GB"],
    "alternateIds": [
        {"countryCode": "US", "profileId": 1111222233334444},
        {"countryCode": "US", "entityId": "ENTITYUS1"},
        {"countryCode": "GB", "profileId": 9223372036854775807},
    ],
    "errors": {
        "MX": [
            {
                "errorCode": "NOT_REGISTERED",
                "errorId": 404,
                "errorMessage": "Marketplace not registered",
            }
        ]
    },
}
US_PROFILE = {
    "profileId": 1111222233334444,
    "countryCode": "US",
    "currencyCode": "USD",
    "timezone": "America/New_York",
    "accountInfo": {
        "marketplaceStringId": "ATVPDKIKX0DER",
        "id": "ENTITYUS1",
        "type": "seller",
        "name": "Acme",
    },
}
UK_PROFILE = {
    "profileId": 9223372036854775807,
    "countryCode": "UK",
    "currencyCode": "GBP",
    "timezone": "Europe/London",
}
NOTHING: dict[str, list[Any]] = {"adsAccounts": []}


def answer(body: Any) -> httpx.Response:
    """Return a body with 200."""
    return httpx.Response(200, json=body)


def listing(bench: Bench, *bodies: Any) -> AccountListing:
    """List with these bodies, in the order they are asked for: pages and profiles of NA, then of EU, then of FE."""
    bench.amazon.plays(*map(answer, bodies))
    return list_accounts(bench.client)


def only(bench: Bench, account: dict[str, Any], *profiles: dict[str, Any]) -> AdsAccount:
    """Return the only pair that this account in NA makes."""
    (pair,) = listing(
        bench, {"adsAccounts": [account]}, profiles, NOTHING, [], NOTHING, []
    ).accounts
    return pair


def us_account(**changes: Any) -> dict[str, Any]:
    """Return an account with one country, changed as told."""
    ids = [{"countryCode": "US", "profileId": 1111222233334444, "entityId": "ENTITYUS1"}]
    return ACME | {"countryCodes": ["US"], "alternateIds": ids, "errors": None} | changes


def test_accounts_are_joined_with_profiles_of_their_region(bench: Bench) -> None:
    """Each country of an account becomes a pair with its own profile, region, currency and time zone."""
    result = listing(
        bench, {"adsAccounts": [ACME]}, [US_PROFILE], NOTHING, [UK_PROFILE], NOTHING, []
    )
    assert result.accounts == (
        AdsAccount(
            account_id="amzn1.ads-account.g.acme",
            country_code="US",
            name="Acme Merch",
            status="CREATED",
            profile_id="1111222233334444",
            entity_id="ENTITYUS1",
            region="NA",
            currency_code="USD",
            time_zone="America/New_York",
            marketplace_id="ATVPDKIKX0DER",
            account_type="seller",
        ),
        AdsAccount(
            account_id="amzn1.ads-account.g.acme",
            country_code="GB",
            name="Acme Merch",
            status="CREATED",
            profile_id="9223372036854775807",
            entity_id=None,
            region="EU",
            currency_code="GBP",
            time_zone="Europe/London",
            marketplace_id="A1F83G8C2ARO7P",
        ),
    )
    assert result.answered_regions == ("NA", "EU", "FE")


def test_countries_that_only_have_an_error_are_problems(bench: Bench) -> None:
    """A country in which an account isn't registered makes a sentence and no pair."""
    result = listing(bench, {"adsAccounts": [ACME]}, [], NOTHING, [], NOTHING, [])
    assert result.problems == ("Acme Merch in MX: Marketplace not registered.",)
    assert "MX" not in {account.country_code for account in result.accounts}


def test_calls_are_made_as_described(bench: Bench) -> None:
    """Accounts are asked for with their media type and page size, profiles without a scope."""
    listing(bench, NOTHING, [], NOTHING, [], NOTHING, [])
    accounts, profiles = bench.amazon.calls[:2]
    assert (accounts.method, accounts.url.path) == ("POST", "/adsAccounts/list")
    assert accounts.headers["Content-Type"] == "application/vnd.listaccountsresource.v1+json"
    assert accounts.content == b'{"maxResults":100}'
    assert (profiles.method, profiles.url.path) == ("GET", "/v2/profiles")
    assert "Amazon-Advertising-API-Scope" not in profiles.headers
    assert [call.url.host for call in bench.amazon.calls[::2]] == [
        "advertising-api.amazon.com",
        "advertising-api-eu.amazon.com",
        "advertising-api-fe.amazon.com",
    ]


def test_pages_are_followed_to_the_end(bench: Bench) -> None:
    """Every page's token is sent for the next one, and all accounts are given."""
    first, second = us_account(), us_account(adsAccountId="amzn1.ads-account.g.second")
    pages = (
        {"adsAccounts": [first], "nextToken": "t1"},
        {"adsAccounts": [second], "nextToken": ""},
    )
    result = listing(bench, *pages, [US_PROFILE], NOTHING, [], NOTHING, [])
    assert [account.account_id[-6:] for account in result.accounts] == ["g.acme", "second"]
    assert bench.amazon.calls[1].content == b'{"maxResults":100,"nextToken":"t1"}'


def test_circle_of_pages_is_found() -> None:
    """A token that comes twice ends the listing of the region instead of looping for ever."""
    bench = open_bench()
    page = {"adsAccounts": [us_account()], "nextToken": "t1"}
    result = listing(bench, page, page, NOTHING, [], NOTHING, [])
    assert result.answered_regions == ("EU", "FE")
    assert "nextToken" in str(result.errors["NA"])


@pytest.mark.parametrize(
    "page",
    [
        {"adsAccounts": [us_account()]},
        [{"adsAccount": us_account()}],
        {"adsAccounts": [{"adsAccount": us_account()}]},
    ],
)
def test_every_shape_of_a_page_is_read(bench: Bench, page: Any) -> None:
    """Accounts come in an object or bare, wrapped or not."""
    result = listing(bench, page, [US_PROFILE], NOTHING, [], NOTHING, [])
    assert [account.profile_id for account in result.accounts] == ["1111222233334444"]


def test_uk_is_gb(bench: Bench) -> None:
    """UK and GB are one country, whichever word comes where."""
    ids = [{"countryCode": "UK", "profileId": "7"}, {"countryCode": "GB", "entityId": "E"}]
    pair = only(
        bench,
        us_account(countryCodes=["GB", "UK"], alternateIds=ids),
        UK_PROFILE | {"profileId": "7"},
    )
    assert (pair.country_code, pair.profile_id, pair.entity_id) == ("GB", "7", "E")


def test_country_without_profile_is_kept(bench: Bench) -> None:
    """A country for which Amazon names no profile has the country's defaults and a sentence."""
    pair = only(bench, us_account(countryCodes=["JP"], alternateIds=[]))
    assert (pair.profile_id, pair.region, pair.currency_code, pair.time_zone) == (
        None,
        "FE",
        "JPY",
        "Asia/Tokyo",
    )
    assert pair.problems == ("Amazon names no profile in JP; using Asia/Tokyo and JPY.",)


def test_profile_that_is_not_listed_is_told(bench: Bench) -> None:
    """A profile that no region lists keeps its id and makes a sentence."""
    pair = only(bench, us_account())
    assert pair.profile_id == "1111222233334444"
    assert pair.problems == (
        "Profile 1111222233334444 is not among the profiles listed; using America/Los_Angeles and USD.",
    )


def test_region_is_the_one_that_lists_the_profile(bench: Bench) -> None:
    """A pair is served where its profile is listed, whatever the table of countries says."""
    page = {"adsAccounts": [us_account()]}
    (pair,) = listing(bench, page, [], NOTHING, [US_PROFILE], NOTHING, []).accounts
    assert pair.region == "EU"


def test_error_of_a_country_is_a_problem_of_its_pair(bench: Bench) -> None:
    """What Amazon says is wrong in a country stands with its pair."""
    pair = only(
        bench,
        us_account(errors={"US": [{"errorCode": "X", "errorMessage": "Payment failed"}]}),
        US_PROFILE,
    )
    assert pair.problems == ("Payment failed.",)


def test_time_zone_that_is_none_is_replaced(bench: Bench) -> None:
    """A time zone unknown to IANA gives way to the country's, with a sentence."""
    pair = only(bench, us_account(), US_PROFILE | {"timezone": "../Mars/Olympus"})
    assert pair.time_zone == "America/Los_Angeles"
    assert "Mars" in pair.problems[0]


def test_unknown_country_with_profile_works(bench: Bench) -> None:
    """A new country is fine where its profile says the rest."""
    ids = [{"countryCode": "CO", "profileId": 5}]
    profile = {
        "profileId": 5,
        "countryCode": "CO",
        "currencyCode": "COP",
        "timezone": "America/Bogota",
    }
    pair = only(bench, us_account(countryCodes=["CO"], alternateIds=ids), profile)
    assert (
        pair.region,
        pair.currency_code,
        pair.time_zone,
        pair.marketplace_id,
        pair.problems,
    ) == (
        "NA",
        "COP",
        "America/Bogota",
        None,
        (),
    )


def test_unknown_country_without_profile_is_told(bench: Bench) -> None:
    """A new country without a profile has no currency, and says so."""
    pair = only(bench, us_account(countryCodes=["CO"], alternateIds=[]))
    assert (pair.currency_code, pair.time_zone) == ("XXX", "UTC")
    assert "the country is unknown" in pair.problems[0]


@pytest.mark.parametrize("changes", [{"status": "DISABLED"}, {"status": "disabled"}])
def test_disabled_accounts_are_listed(bench: Bench, changes: dict[str, Any]) -> None:
    """A disabled account is listed with its status: it is not gone."""
    assert only(bench, us_account(**changes), US_PROFILE).status == "DISABLED"


def test_account_in_two_regions_is_listed_once(bench: Bench) -> None:
    """A global account that two regions list makes each pair once."""
    page = {"adsAccounts": [ACME]}
    result = listing(bench, page, [US_PROFILE], page, [UK_PROFILE], NOTHING, [])
    assert [(pair.country_code, pair.region) for pair in result.accounts] == [
        ("US", "NA"),
        ("GB", "EU"),
    ]
    assert result.problems == ("Acme Merch in MX: Marketplace not registered.",)


def test_region_that_does_not_answer_is_told(bench: Bench) -> None:
    """One region's refusal leaves the others' accounts, and is named."""
    bench.amazon.plays(answer({"adsAccounts": [us_account()]}), answer([US_PROFILE]))
    bench.amazon.plays(
        httpx.Response(403, json={"message": "no rights"}), answer(NOTHING), answer([])
    )
    result = list_accounts(bench.client)
    assert len(result.accounts) == 1
    assert result.answered_regions == ("NA", "FE")
    assert ["EU"] == list(result.errors)
    assert "no rights" in str(result.errors["EU"])


def test_accounts_are_kept_when_profiles_fail(bench: Bench) -> None:
    """Accounts whose profiles couldn't be read are listed, but their region hasn't answered."""
    bench.amazon.plays(answer({"adsAccounts": [us_account()]}), httpx.Response(403))
    bench.amazon.plays(*map(answer, (NOTHING, [], NOTHING, [])))
    result = list_accounts(bench.client)
    assert [account.profile_id for account in result.accounts] == ["1111222233334444"]
    assert result.answered_regions == ("EU", "FE")


def test_no_region_is_an_error(bench: Bench) -> None:
    """Where no region answers, nothing is listed: an empty list would look like no accounts."""
    bench.amazon.plays(*(httpx.Response(403, json={"message": "no rights"}) for _ in range(3)))
    with pytest.raises(NotAuthorized):
        list_accounts(bench.client)


def test_revoked_token_ends_the_listing(bench: Bench) -> None:
    """A revoked refresh token isn't tried in every region."""
    bench.amazon.plays_token(httpx.Response(400, json={"error": "invalid_grant"}))
    with pytest.raises(InvalidGrant):
        list_accounts(bench.client)
    assert len(bench.amazon.token_calls) == 1


@pytest.mark.parametrize(
    ("broken", "problem"),
    [
        (
            {"accountName": "Nameless"},
            "Region NA, account No. 1 (Nameless) is not as described: adsAccountId: Field required.",
        ),
        (
            us_account(adsAccountId=None),
            "Region NA, account No. 1 (Acme Merch) is not as described: adsAccountId: Input should be a valid string.",
        ),
        (
            us_account(alternateIds=[{"countryCode": "US", "profileId": 1.2e18}]),
            (
                "Region NA, account No. 1 (Acme Merch, amzn1.ads-account.g.acme) is not as described: "
                "alternateIds.0.profileId: an id is to be text or a whole number, got a number with a point or an exponent."
            ),
        ),
        (
            us_account(alternateIds=[{"profileId": 7}]),
            (
                "Region NA, account No. 1 (Acme Merch, amzn1.ads-account.g.acme) is not as described: "
                "alternateIds.0.countryCode: Field required."
            ),
        ),
        (
            ["x"],
            "Region NA, account No. 1 is not as described: it was to be a JSON object.",
        ),
    ],
)
def test_broken_account_leaves_the_others(bench: Bench, broken: Any, problem: str) -> None:
    """An account that can't be read is named with what it lacks, and the others of its page are listed."""
    page = {"adsAccounts": [broken, us_account(adsAccountId="amzn1.ads-account.g.good")]}
    result = listing(bench, page, [US_PROFILE], NOTHING, [], NOTHING, [])
    assert [account.account_id for account in result.accounts] == ["amzn1.ads-account.g.good"]
    assert result.problems == (problem,)
    assert result.answered_regions == ("NA", "EU", "FE")


@pytest.mark.parametrize(
    "broken", [{"countryCode": "CA"}, {"profileId": 1.5}, {"profileId": None}, "x", None]
)
def test_broken_profile_leaves_the_others(bench: Bench, broken: Any) -> None:
    """A profile that can't be read is a sentence; its region's defaults aren't to be trusted then."""
    result = listing(
        bench, {"adsAccounts": [us_account()]}, [broken, US_PROFILE], NOTHING, [], NOTHING, []
    )
    assert [account.time_zone for account in result.accounts] == ["America/New_York"]
    assert result.problems[0].startswith("Region NA, profile No. 1")
    assert "is not as described" in result.problems[0]
    assert result.answered_regions == ("EU", "FE")


def test_odd_fields_of_a_profile_leave_the_rest(bench: Bench) -> None:
    """A profile whose time zone is no text keeps its currency, and says which time zone is used."""
    pair = only(bench, us_account(), US_PROFILE | {"timezone": {"name": "x"}, "accountInfo": 7})
    assert (pair.currency_code, pair.time_zone) == ("USD", "America/Los_Angeles")
    assert pair.problems == ("The profile's time zone is None; using America/Los_Angeles.",)


def test_large_ids_are_exact(bench: Bench) -> None:
    """Profile ids beyond 2^53 stay what they are, as a number and as text."""
    large = 2**63 - 1
    for sent in (large, str(large)):
        account = us_account(alternateIds=[{"countryCode": "US", "profileId": sent}])
        assert (
            only(bench, account, US_PROFILE | {"profileId": sent}).profile_id
            == "9223372036854775807"
        )


def test_no_secret_of_a_broken_account_is_told(bench: Bench) -> None:
    """A sentence about a broken account masks what looks like a token."""
    page = {"adsAccounts": [{"accountName": "Atza|SECRET"}]}
    result = listing(bench, page, [], NOTHING, [], NOTHING, [])
    assert "SECRET" not in result.problems[0]


def test_page_that_is_none_is_malformed(bench: Bench) -> None:
    """A page without its list of accounts is never taken for "no accounts"."""
    bench.amazon.plays(*(answer({"accounts": []}) for _ in range(3)))
    with pytest.raises(MalformedAnswer, match="adsAccounts: Field required"):
        list_accounts(bench.client)


def test_profiles_must_be_a_list(bench: Bench) -> None:
    """Profiles that are something else are never taken for "no profiles"."""
    for _ in range(3):
        bench.amazon.plays(answer(NOTHING), answer({"profiles": []}))
    with pytest.raises(MalformedAnswer, match="JSON array"):
        list_accounts(bench.client)


def test_table_of_countries_is_sound() -> None:
    """Every country has its ISO code as key and a currency of three letters."""
    assert len(COUNTRIES) == 23
    assert all(
        code == country.code and len(country.currency_code) == 3
        for code, country in COUNTRIES.items()
    )
