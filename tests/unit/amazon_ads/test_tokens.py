"""When access tokens are renewed, and what their refusal means."""

import httpx
import pytest

from bidbeacon_pipelines.amazon_ads.accounts import list_profiles
from bidbeacon_pipelines.amazon_ads.errors import (
    CredentialRefused,
    MalformedAnswer,
    NotAuthorized,
    Unavailable,
)
from tests.unit.amazon_ads.fakes import FakeAmazon, token_answer

OK, UNAUTHORIZED = httpx.Response(200, json=[]), httpx.Response(401)
DOWN = httpx.Response(503)


def test_token_serves_until_nine_tenths_of_its_life_are_over(amazon: FakeAmazon) -> None:
    """Then a new one is asked for, by the form that Amazon documents."""
    amazon.plays(OK, OK, OK)
    client = amazon.connect()
    for wait in (0, 3000, 300):
        amazon.clock.sleep(wait)
        list_profiles(client, "NA")
    assert ["Atza|1", "Atza|1", "Atza|2"] == amazon.tokens
    form = httpx.QueryParams(amazon.token_calls[0].content.decode())
    assert {
        "grant_type": "refresh_token",
        "client_id": "client-1",
        "client_secret": "secret-1",
        "refresh_token": "Atzr|refresh-1",
    } == dict(form)
    assert "https://api.amazon.com/auth/o2/token" == str(amazon.token_calls[0].url)


def test_token_that_dies_early_is_renewed_once(amazon: FakeAmazon) -> None:
    """A call that is answered with 401 is sent again with a fresh token; a second 401 is a refusal."""
    amazon.plays(UNAUTHORIZED, OK, UNAUTHORIZED, UNAUTHORIZED)
    client = amazon.connect()
    list_profiles(client, "NA")
    assert ["Atza|1", "Atza|2"] == amazon.tokens
    with pytest.raises(NotAuthorized):
        list_profiles(client, "NA")
    assert 4 == len(amazon.calls)


@pytest.mark.parametrize(
    ("status", "error", "cause_code"),
    [
        (400, "invalid_grant", "token-revoked"),
        (401, "invalid_client", "client-refused"),
        (400, "unauthorized_client", "client-refused"),
        (400, "something_else", "credentials-refused"),
    ],
)
def test_refusal_is_final(amazon: FakeAmazon, status: int, error: str, cause_code: str) -> None:
    """It names what was refused, and the endpoint is not asked again."""
    body = {"error": error, "error_description": "No."}
    amazon.token_script.append(httpx.Response(status, json=body))
    client = amazon.connect()
    for _ in range(2):
        with pytest.raises(CredentialRefused) as caught:
            list_profiles(client, "NA")
        assert (cause_code, "No.") == (caught.value.cause_code, caught.value.reason)
    assert (1, 0) == (len(amazon.token_calls), len(amazon.calls))


def test_old_token_serves_while_the_endpoint_is_down(amazon: FakeAmazon) -> None:
    """To its end, and the endpoint is asked only twice a minute."""
    amazon.plays(*[OK] * 4)
    client = amazon.connect(attempts=1)
    list_profiles(client, "NA")
    amazon.clock.sleep(3300)
    amazon.token_script.extend([DOWN, DOWN, DOWN])
    for wait in (0, 10, 30):
        amazon.clock.sleep(wait)
        list_profiles(client, "NA")
    assert (["Atza|1"] * 4, 3) == (amazon.tokens, len(amazon.token_calls))
    amazon.clock.sleep(300)
    with pytest.raises(Unavailable):
        list_profiles(client, "NA")


def test_endpoint_that_is_down_is_asked_again(amazon: FakeAmazon) -> None:
    """As other calls are."""
    amazon.token_script.extend([DOWN, httpx.ConnectError("no"), token_answer("Atza|late")])
    amazon.plays(OK)
    list_profiles(amazon.connect(), "NA")
    assert (["Atza|late"], [1, 2]) == (amazon.tokens, amazon.clock.slept)


def test_answer_without_a_token_is_malformed(amazon: FakeAmazon) -> None:
    """The error names the field and shows no value."""
    amazon.token_script.append(httpx.Response(200, json={"expires_in": "secret-value"}))
    with pytest.raises(MalformedAnswer, match="access_token: ") as caught:
        list_profiles(amazon.connect(), "NA")
    assert "secret-value" not in str(caught.value)
