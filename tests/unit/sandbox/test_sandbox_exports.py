"""Exports over the wire, and that the targets they give are those of the reports' rows."""

import json
from collections import Counter
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

KINDS = ["campaigns", "adGroups", "ads", "targets"]
IDS = {"campaigns": "campaignId", "adGroups": "adGroupId", "ads": "adId", "targets": "targetId"}
PRODUCTS = ["SPONSORED_PRODUCTS", "SPONSORED_BRANDS", "SPONSORED_DISPLAY"]
AUTO = {
    "close-match": "SEARCH_CLOSE_MATCH",
    "loose-match": "SEARCH_LOOSE_MATCH",
    "substitutes": "PRODUCT_SUBSTITUTES",
    "complements": "PRODUCT_COMPLEMENTS",
}


def post(caller: Any, kind: str = "ads", **changes: Any) -> Any:
    """Ask for an export."""
    return caller.export(kind, "POST", f"/{kind}/export", **changes)


@pytest.mark.parametrize("kind", KINDS)
def test_life_of_an_export(caller: Any, kind: str) -> None:
    """An export is a 202, then PROCESSING, then COMPLETED with a file of distinct entities."""
    created = post(caller, kind)
    path = f"/exports/{created.json()['exportId']}"
    assert (202, "PROCESSING") == (created.status_code, created.json()["status"])
    assert caller.export(kind, "GET", path).json()["status"] == "PROCESSING"
    caller.state.clock.advance(2)
    done = caller.export(kind, "GET", path).json()
    assert (done["status"], done["generatedAt"]) == ("COMPLETED", "2026-01-15T12:00:01Z")
    ids = Counter(entity[IDS[kind]] for entity in caller.exported(kind))
    assert ids.most_common(1)[0][1] == 1


def test_media_types(caller: Any) -> None:
    """Another content type is a 415, another Accept a 406, on POST and on GET."""
    other = "application/vnd.targetsexport.v1+json"
    path = f"/exports/{post(caller).json()['exportId']}"
    assert [415, 406, 406, 406] == [
        post(caller, headers={"Content-Type": "application/json"}).status_code,
        post(caller, headers={"Accept": "*/*"}).status_code,
        caller.export("ads", "GET", path, headers={"Accept": other}).status_code,
        caller.export("ads", "GET", path, headers={"Accept": "application/json"}).status_code,
    ]


def test_scope_header(caller: Any) -> None:
    """Without a profile it is a 400, an unknown or disabled one a 403, one of another region a 404."""
    foreign, disabled = (str(caller.account(index).countries[0].profile_id) for index in (1, 3))
    answers = [post(caller, profile=profile) for profile in ("", "12345", disabled, foreign)]
    assert [403, 403, 403, 404] == [answer.status_code for answer in answers]
    headers = caller.headers | {"Content-Type": "application/vnd.adsexport.v1+json"}
    assert (
        caller.http.post(f"{caller.url}/na/ads/export", headers=headers, json={}).status_code == 400
    )


def test_export_of_another_profile(caller: Any) -> None:
    """An export is found under its own profile only."""
    path = f"/exports/{post(caller).json()['exportId']}"
    other = str(caller.account().countries[1].profile_id)
    assert [200, 404] == [
        caller.export("ads", "GET", path).status_code,
        caller.export("ads", "GET", path, profile=other).status_code,
    ]


@pytest.mark.parametrize(
    "body",
    [
        *(
            {"adProductFilter": []},
            {"adProductFilter": ["AMAZON_DSP"]},
            {"stateFilter": ["X"]},
            [1],
        ),
        *({"negativeFilter": [False]}, {"targetLevelFilter": ["CAMPAIGN"]}, {"anything": 1}),
    ],
)
def test_bad_export_bodies(caller: Any, body: Any) -> None:
    """A body with an unknown filter or value is a 400, and so is a filter of targets for ads."""
    assert post(caller, body=body).status_code == 400


def test_an_export_without_filters(caller: Any) -> None:
    """Without a filter all three ad products come, and archived entities don't."""
    campaigns = caller.exported("campaigns", body={})
    assert {campaign["adProduct"] for campaign in campaigns} == set(PRODUCTS)
    assert "ARCHIVED" not in {campaign["state"] for campaign in campaigns}


@pytest.mark.parametrize(
    ("body", "key", "values"),
    [
        ({"adProductFilter": ["SPONSORED_DISPLAY"]}, "adProduct", {"SPONSORED_DISPLAY"}),
        ({"negativeFilter": [True]}, "negative", {True}),
        ({"targetLevelFilter": ["CAMPAIGN"]}, "targetLevel", {"CAMPAIGN"}),
        ({"targetTypeFilter": ["THEME", "AUDIENCE"]}, "targetType", {"THEME", "AUDIENCE"}),
    ],
)
def test_filters_of_targets(
    start: Callable[..., Any], body: dict[str, Any], key: str, values: set[Any]
) -> None:
    """Targets come of the ad product, sign, level and types that are asked for."""
    targets = start(rows_per_day=1000).exported("targets", body=body)
    assert {target[key] for target in targets} == values


def test_five_in_progress(caller: Any) -> None:
    """A sixth export in progress of one endpoint is a 429; another endpoint is free, and later this one too."""
    assert [202] * 5 + [429] == [post(caller).status_code for _ in range(6)]
    assert post(caller, "targets").status_code == 202
    caller.state.clock.advance(2)
    assert post(caller).status_code == 202


def test_url_lives_an_hour_and_a_day(caller: Any) -> None:
    """An export's url dies after an hour, is signed anew for a day, and then the export is gone."""
    path = f"/exports/{post(caller).json()['exportId']}"
    caller.state.clock.advance(2)
    url = caller.export("ads", "GET", path).json()["url"]
    caller.state.clock.advance(3601)
    fresh = caller.export("ads", "GET", path).json()["url"]
    assert [403, 200] == [caller.http.get(url).status_code, caller.http.get(fresh).status_code]
    caller.state.clock.advance(86_400)
    assert caller.export("ads", "GET", path).status_code == 404


def test_expired_url_of_an_export(caller: Any) -> None:
    """With expired_url a look at an export gives a url that is a 403; the next look cures it."""
    caller.fault("expired_url", times=1)
    path = f"/exports/{post(caller).json()['exportId']}"
    caller.state.clock.advance(2)
    dead, fresh = (caller.export("ads", "GET", path).json()["url"] for _ in range(2))
    assert [403, 200] == [caller.http.get(url).status_code for url in (dead, fresh)]


def test_an_export_that_is_not_signed_anew(caller: Any) -> None:
    """With no_resign a look at an export gives the url that was given first, dead or not."""
    caller.fault("no_resign")
    path = f"/exports/{post(caller).json()['exportId']}"
    caller.state.clock.advance(2)
    first = caller.export("ads", "GET", path).json()
    caller.state.clock.advance(3601)
    again = caller.export("ads", "GET", path).json()
    assert (first["url"], first["urlExpiresAt"]) == (again["url"], again["urlExpiresAt"])
    assert caller.http.get(again["url"]).status_code == 403


def test_throttled_but_accepted_export(caller: Any) -> None:
    """With throttle_accepted the create is a 429 with its Retry-After, and the export is there and takes its place all the same."""
    caller.fault("throttle_accepted", times=1, options={"seconds": 7})
    answer = post(caller)
    assert (429, "7") == (answer.status_code, answer.headers["retry-after"])
    assert caller.state.exports.in_progress("ads", caller.state.clock.now()) == 1


def test_state_filter(start: Callable[..., Any]) -> None:
    """Only the states asked for come; without a filter archived entities don't."""
    caller = start(rows_per_day=400)
    body = {"adProductFilter": ["SPONSORED_PRODUCTS"]}
    archived = caller.exported("targets", body=body | {"stateFilter": ["ARCHIVED"]})
    assert {"ARCHIVED"} == {target["state"] for target in archived}
    assert {"ENABLED", "PAUSED"} == {
        target["state"] for target in caller.exported("targets", body=body)
    }


def test_entities_belong_together(start: Callable[..., Any]) -> None:
    """Every ad group, ad and target names a campaign and ad group that are in their own exports."""
    caller = start(rows_per_day=400)
    campaigns, groups, ads, targets = (caller.exported(kind) for kind in KINDS)
    campaign_ids = {campaign["campaignId"] for campaign in campaigns}
    parents = {group["adGroupId"]: group["campaignId"] for group in groups}
    assert set(parents.values()) == campaign_ids
    children = [*ads, *(target for target in targets if "adGroupId" in target)]
    assert all(parents[child["adGroupId"]] == child["campaignId"] for child in children)


def test_kinds_of_targets(start: Callable[..., Any]) -> None:
    """All kinds of targets are there, bids in both forms, and campaign-level negatives without an ad group."""
    targets = start(rows_per_day=400).exported("targets")
    kinds = {target["targetDetails"].get("matchType", target["targetType"]) for target in targets}
    assert kinds == {
        "EXACT",
        "PHRASE",
        "BROAD",
        "PRODUCT_EXACT",
        "PRODUCT_SIMILAR",
        "PRODUCT_CATEGORY",
        *AUTO.values(),
    }
    assert any(isinstance(target.get("bid"), dict) for target in targets)
    assert any(target.get("bid") and not isinstance(target["bid"], dict) for target in targets)
    levels = {
        (target["targetLevel"], target["negative"], "adGroupId" in target) for target in targets
    }
    assert levels == {
        ("AD_GROUP", False, True),
        ("AD_GROUP", True, True),
        ("CAMPAIGN", True, False),
    }


def resolved(row: dict[str, Any], targets: list[dict[str, Any]]) -> list[str]:
    """Return the ids of the targets that a row may belong to, by the rules of the reports' documentation."""
    return [
        target["targetId"]
        for target in targets
        if target.get("adGroupId") == row["adGroupId"]
        and not target["negative"]
        and written(target) == (row["targetMatchType"], row["targetValue"])
    ]


def written(target: dict[str, Any]) -> tuple[str, str]:
    """Write a target as a report row names it: match type and value."""
    details = target["targetDetails"]
    match_type = details.get("matchType", "")
    if target["targetType"] == "KEYWORD":
        return match_type, details["keyword"]
    if target["targetType"] == "AUTO":
        return "TARGETING_EXPRESSION_PREDEFINED", {kind: word for word, kind in AUTO.items()}[
            match_type
        ]
    if target["targetType"] == "PRODUCT":
        word = "asin" if match_type == "PRODUCT_EXACT" else "asin-expanded"
        return "TARGETING_EXPRESSION", f'{word}="{details["asin"]}"'
    brand = details.get("productBrandResolved")
    category = f'category="{details["productCategoryResolved"]}"'
    return "TARGETING_EXPRESSION", category + (f' brand="{brand}"' if brand else "")


def test_rows_find_their_targets(start: Callable[..., Any]) -> None:
    """Every row that the truth calls resolvable finds exactly its own target in the export, the others none."""
    caller = start(rows_per_day=600)
    targets = caller.exported("targets")
    asked = {
        "account": caller.account().account_id,
        "country": "US",
        "date": date(2026, 1, 14).isoformat(),
    }
    rows = caller.http.get(f"{caller.url}/sandbox/truth", params=asked).json()["rows"]
    found = [resolved(row, targets) for row in rows]
    assert found == [[] if row["unresolvable"] else [row["targetId"]] for row in rows]
    assert len(rows) > 500


def test_late_targets_come_later(start: Callable[..., Any]) -> None:
    """About one row of a thousand names a target that exports have only days later, or no target at all."""
    caller = start(rows_per_day=2000)
    asked = {"account": caller.account().account_id, "country": "US"}
    days = [date(2026, 1, day).isoformat() for day in range(5, 15)]
    rows, later = [], []
    for day in days:
        rows += caller.http.get(f"{caller.url}/sandbox/truth", params=asked | {"date": day}).json()[
            "rows"
        ]
    caller.state.clock.advance(20 * 86_400)
    for day in days:
        later += caller.http.get(
            f"{caller.url}/sandbox/truth", params=asked | {"date": day}
        ).json()["rows"]
    open_now, open_later = ([row for row in some if row["unresolvable"]] for some in (rows, later))
    assert 0.0003 < len(open_now) / len(rows) < 0.003
    assert {None} == {row["targetId"] for row in open_later}
    exported = {target["targetId"] for target in caller.exported("targets")}
    assert {row["targetId"] for row in open_now if row["targetId"]} <= exported


def exported_of(caller: Any, kind: str, product: str) -> list[dict[str, Any]]:
    """Return the entities of one ad product."""
    body = {"adProductFilter": [product], "stateFilter": ["ENABLED", "PAUSED", "ARCHIVED"]}
    entities: list[dict[str, Any]] = caller.exported(kind, body=body)
    return entities


def test_campaigns_of_each_product(start: Callable[..., Any]) -> None:
    """Only Brands and Display campaigns have a cost type and a portfolio; each product has its own settings."""
    caller = start(rows_per_day=3000)
    products, brands, display = (exported_of(caller, "campaigns", product) for product in PRODUCTS)
    assert {one.get("targetingSettings") for one in products} == {"AUTO", "MANUAL"}
    assert {one.get("targetingSettings") for one in display} == {"T00020", "T00030"}
    assert all("targetingSettings" not in one and one["brandEntityId"] for one in brands)
    assert all("costType" not in one and "portfolioId" not in one for one in products)
    for some in (brands, display):
        assert {one["costType"] for one in some} == {"CPC", "VCPM"}
        assert {"portfolioId" in one for one in some} == {True, False}
    assert {one["budgetCaps"]["recurrenceTimePeriod"] for one in brands} == {"DAILY", "LIFETIME"}
    budgets = [one["budgetCaps"]["budgetValue"]["monetaryBudget"] for one in products]
    assert {"ruleAmount" in budget for budget in budgets} == {True, False}
    assert {type(one["optimization"]) for one in products} == {dict, list}
    assert {one["deliveryStatus"] for one in products} == {
        "DELIVERING",
        "NOT_DELIVERING",
        "UNAVAILABLE",
    }
    assert all(
        one["deliveryReasons"] for one in products if one["deliveryStatus"] == "NOT_DELIVERING"
    )


def test_ad_groups_of_each_product(start: Callable[..., Any]) -> None:
    """Brands ad groups have no bid; Display ad groups have a creative type and goals."""
    caller = start(rows_per_day=3000)
    products, brands, display = (exported_of(caller, "adGroups", product) for product in PRODUCTS)
    assert all("bid" in one and "creativeType" not in one for one in products)
    assert all("bid" not in one for one in brands)
    assert all("bid" in one and "creativeType" in one for one in display)
    assert {type(one["optimization"]) for one in display} == {dict, list}


def test_ads_of_each_product(start: Callable[..., Any]) -> None:
    """A Brands ad shows many products and leads to a landing page; a Display image shows none."""
    caller = start(rows_per_day=3000)
    products, brands, display = (exported_of(caller, "ads", product) for product in PRODUCTS)
    assert {one["adType"] for one in products} == {"PRODUCT_AD"}
    assert {one["adType"] for one in brands} == {"PRODUCT_COLLECTION", "VIDEO", "STORE_SPOTLIGHT"}
    assert {one["adType"] for one in display} == {"PRODUCT_AD", "VIDEO", "IMAGE"}
    assert max(len(one["creative"]["products"]) for one in brands) > 3
    assert all(one["creative"]["landingPage"]["landingPageUrl"] for one in brands)
    assert all("products" not in one["creative"] for one in display if one["adType"] == "IMAGE")


def test_targets_of_brands_and_display(start: Callable[..., Any]) -> None:
    """Brands have themes, Display has audiences and refined categories; neither has targets of a campaign."""
    caller = start(rows_per_day=3000)
    brands, display = (exported_of(caller, "targets", product) for product in PRODUCTS[1:])
    assert {one["targetType"] for one in brands} == {
        "KEYWORD",
        "PRODUCT",
        "PRODUCT_CATEGORY",
        "THEME",
    }
    audiences = {"AUDIENCE", "PRODUCT_AUDIENCE", "PRODUCT_CATEGORY_AUDIENCE"}
    assert {one["targetType"] for one in display} == {"PRODUCT", "PRODUCT_CATEGORY", *audiences}
    assert {one["targetLevel"] for one in [*brands, *display]} == {"AD_GROUP"}
    assert {one["negative"] for one in display} == {True, False}
    details = [one["targetDetails"] for one in display]
    assert {one["event"] for one in details if "event" in one} == {"VIEW", "PURCHASE"}
    assert any("audienceId" in one for one in details)
    refined = {key for one in details for key in one if key.startswith("product")}
    assert refined >= {
        "productPriceLessThan",
        "productRatingGreaterThan",
        "productPrimeShippingEligible",
    }


def test_one_campaign_id_in_two_countries(caller: Any) -> None:
    """A campaign's id is unique in one profile only: the first of each country has the same one."""
    first, second = (
        {one["campaignId"] for one in caller.exported("campaigns", profile=str(country.profile_id))}
        for country in caller.account().countries
    )
    assert len(first & second) == 1


def portfolios(caller: Any, **changes: Any) -> Any:
    """Ask for a profile's portfolios."""
    media = "application/vnd.spPortfolio.v3+json"
    headers = caller.headers | {"Content-Type": media, "Accept": media}
    headers["Amazon-Advertising-API-Scope"] = str(caller.account().countries[0].profile_id)
    headers |= changes.get("headers", {})
    url = f"{caller.url}/na/portfolios/list"
    return caller.http.post(url, headers=headers, content=json.dumps(changes.get("body", {})))


def test_portfolios(start: Callable[..., Any]) -> None:
    """The portfolios of a profile come page by page, and they are those that its campaigns name."""
    caller = start(rows_per_day=3000)
    answer = portfolios(caller, body={"maxResults": 3}).json()
    rest = portfolios(caller, body={"maxResults": 3, "nextToken": answer["nextToken"]}).json()
    rows = [*answer["portfolios"], *rest["portfolios"]]
    assert (len(rows), "nextToken" in rest) == (4, False)
    assert {row["state"] for row in rows} == {"ENABLED", "PAUSED"}
    assert all(("amount" in row["budget"]) == (row["budget"]["policy"] != "NO_CAP") for row in rows)
    named = {one.get("portfolioId") for one in exported_of(caller, "campaigns", "SPONSORED_BRANDS")}
    assert named - {None}
    assert named <= {None, *(row["portfolioId"] for row in rows)}


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"headers": {"Accept": "application/json"}}, 406),
        ({"headers": {"Content-Type": "application/json"}}, 415),
        ({"headers": {"Amazon-Advertising-API-Scope": "12345"}}, 403),
        ({"body": []}, 400),
        ({"body": {"maxResults": 0}}, 400),
    ],
)
def test_refused_portfolios(caller: Any, changes: dict[str, Any], status: int) -> None:
    """The list of portfolios wants its media type, a profile and a valid page."""
    assert portfolios(caller, **changes).status_code == status


def test_failed_export(caller: Any) -> None:
    """With export_failed an export ends FAILED with its code and message."""
    caller.fault("export_failed", options={"code": "TIMED_OUT", "reason": "Export timed out"})
    path = f"/exports/{post(caller).json()['exportId']}"
    caller.state.clock.advance(2)
    done = caller.export("ads", "GET", path).json()
    assert done["status"] == "FAILED"
    assert done["error"] == {"errorCode": "TIMED_OUT", "message": "Export timed out"}
