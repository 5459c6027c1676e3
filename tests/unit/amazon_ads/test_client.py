"""How calls are retried, what a create leaves open, and how pages are followed."""

import logging
from datetime import date

import httpx
import pytest

from bidbeacon_pipelines.amazon_ads import errors
from bidbeacon_pipelines.amazon_ads.accounts import list_profiles
from bidbeacon_pipelines.amazon_ads.client import AdsApiClient, Owner, connect
from bidbeacon_pipelines.amazon_ads.entities import list_portfolios
from bidbeacon_pipelines.amazon_ads.reports import Report, create_report
from bidbeacon_pipelines.settings import Settings
from tests.unit.amazon_ads.fakes import HTML, FakeAmazon, throttled

OK = httpx.Response(200, json=[])
ONE = Owner("NA", "one")


def create(client: AdsApiClient) -> Report:
    """Ask for a report."""
    day = date(2025, 12, 29)
    return create_report(client, "EU", "amzn1.one", fields=["metric.clicks"], start=day, end=day)


@pytest.mark.parametrize(
    ("failure", "slept"),
    [
        (throttled("7"), [7]),
        (throttled("Tue, 30 Dec 2025 08:00:09 GMT"), [9]),
        (throttled(), [1]),
        (throttled("soon"), [1]),
        (httpx.Response(503, text=HTML), [1]),
        (httpx.Response(200, text=HTML), [1]),
        (httpx.ConnectError("refused"), [1]),
        (httpx.ReadTimeout("silent"), [1]),
    ],
)
def test_read_is_repeated(
    amazon: FakeAmazon, failure: httpx.Response | Exception, slept: list[float]
) -> None:
    """After exactly the time that Amazon asks for, else after a growing pause."""
    if isinstance(failure, httpx.Response):
        failure.headers["Date"] = "Tue, 30 Dec 2025 08:00:00 GMT"
    amazon.plays(failure, OK)
    assert () == list_profiles(amazon.connect(), "NA")
    assert slept == pytest.approx([wait for wait in amazon.clock.slept if wait], abs=0.01)


def test_last_error_is_raised_after_all_attempts(amazon: FakeAmazon) -> None:
    """With Amazon's words, status and id, and what was tried."""
    headers = {"x-amzn-RequestId": "r-1"}
    amazon.plays(*[httpx.Response(500, headers=headers, json={"message": "oops"})] * 3)
    with pytest.raises(errors.Unavailable) as caught, amazon.connect(attempts=3) as client:
        list_profiles(client, "FE")
    error = caught.value
    assert ("oops", 500, "r-1") == (error.reason, error.status, error.request_id)
    assert "Could not list the profiles (region FE; status 500, request r-1)" in str(caught.value)
    assert [1, 2] == amazon.clock.slept


def test_wait_beyond_the_patience_is_raised_with_its_length(amazon: FakeAmazon) -> None:
    """It is not shortened; the caller stores when to go on."""
    amazon.plays(throttled("40"))
    with pytest.raises(errors.Throttled) as caught:
        list_profiles(amazon.connect(patience=5), "NA")
    assert (40, []) == (caught.value.retry_after, amazon.clock.slept)


def test_patience_is_that_of_all_calls_together(amazon: FakeAmazon) -> None:
    """A run waits for Amazon for so long in all, however short each wait is."""
    amazon.plays(throttled("3"), OK, throttled("3"))
    client = amazon.connect(patience=5)
    list_profiles(client, "NA")
    with pytest.raises(errors.Throttled):
        list_profiles(client, "EU")


@pytest.mark.parametrize(
    "answer",
    [
        throttled("3"),
        httpx.Response(502, text=HTML),
        httpx.ReadTimeout("silent"),
        httpx.Response(207, text=HTML),
        httpx.Response(207, json={"success": []}),
        httpx.Response(207, json={"error": [{"errors": [{"code": "TOO_MANY_REQUESTS"}]}]}),
    ],
)
def test_outcome_of_a_create_can_be_unknown(
    amazon: FakeAmazon, answer: httpx.Response | Exception
) -> None:
    """Whatever Amazon may have accepted is not sent again; the caller finds out."""
    amazon.plays(answer)
    with pytest.raises(errors.OutcomeUnknown) as caught:
        create(amazon.connect())
    assert caught.value.failure_cause == caught.value.cause.failure_cause
    assert "account amzn1.one, 2025-12-29 to 2025-12-29" in str(caught.value)
    assert 1 == len(amazon.calls)


def test_create_that_was_not_sent_is_repeated(amazon: FakeAmazon) -> None:
    """Amazon never saw it."""
    amazon.plays(httpx.ConnectTimeout("no answer"), httpx.Response(400, json={"code": "400000"}))
    with pytest.raises(errors.Rejected):
        create(amazon.connect())


@pytest.mark.parametrize(
    ("answer", "expected"),
    [(throttled("40"), errors.Throttled), (httpx.ReadError("cut"), errors.Unavailable)],
)
def test_create_without_a_token_was_not_sent(
    amazon: FakeAmazon, answer: httpx.Response | Exception, expected: type[errors.AdsApiError]
) -> None:
    """Its outcome is known, and the account is not paused for it."""
    amazon.token_script.append(answer)
    with pytest.raises(expected):
        create(amazon.connect(attempts=1))
    amazon.plays(httpx.Response(403))
    amazon.clock.sleep(40)
    with pytest.raises(errors.NotAuthorized):
        create(amazon.connect(attempts=1))


def test_pages_are_followed_to_the_end(amazon: FakeAmazon) -> None:
    """A token that comes twice would loop for ever."""
    pages = [{"portfolios": [1], "nextToken": "a"}, {"portfolios": [2], "nextToken": "b"}]
    amazon.plays(*(httpx.Response(200, json=page) for page in [*pages, {"portfolios": [3]}]))
    assert [1, 2, 3] == list_portfolios(amazon.connect(), ONE)
    assert [{}, {"nextToken": "a"}, {"nextToken": "b"}] == amazon.bodies()
    amazon.plays(*[httpx.Response(200, json=pages[0])] * 2)
    with pytest.raises(errors.MalformedAnswer, match="expected a new nextToken"):
        list_portfolios(amazon.connect(), ONE)


def test_headers_name_client_and_profile(amazon: FakeAmazon) -> None:
    """Under both names that Amazon's documents have for the client."""
    amazon.plays(httpx.Response(200, json={"portfolios": []}))
    list_portfolios(amazon.connect(), Owner("EU", "one", "DE", "123"))
    [call] = amazon.calls
    assert "https://advertising-api-eu.amazon.com/portfolios/list" == str(call.url)
    names = ("Amazon-Ads-ClientId", "Amazon-Advertising-API-ClientId")
    assert ["client-1", "client-1"] == [call.headers[name] for name in names]
    assert "123" == call.headers["Amazon-Advertising-API-Scope"]


def test_no_secret_in_errors_and_logs(amazon: FakeAmazon, caplog: pytest.LogCaptureFixture) -> None:
    """A token in Amazon's own words is masked, and httpx logs no URL."""
    amazon.plays(httpx.Response(400, json={"message": "bad token Atza|abcdefghijklmnop"}))
    with caplog.at_level(logging.INFO), pytest.raises(errors.Rejected) as caught:
        list_profiles(amazon.connect(), "NA")
    assert "Atza|abc" not in str(caught.value)
    assert "Atza|abc" not in str(caught.value.failure_cause)
    assert "https://" not in caplog.text


def test_incomplete_or_missing_credential_is_refused_at_once() -> None:
    """A client id alone asks neither Amazon nor the sandbox, nor does a name that is not in the file any more."""
    with pytest.raises(errors.CredentialRefused) as caught:
        connect(Settings(ads_api_client_id="client-1"), "default")
    assert "credentials-incomplete" == caught.value.failure_cause["code"]
    with pytest.raises(errors.CredentialRefused) as caught:
        connect(Settings(), "acme")
    told = caught.value.failure_cause
    assert ("credential-not-set", "acme") == (told["code"], told["credential_name"])
