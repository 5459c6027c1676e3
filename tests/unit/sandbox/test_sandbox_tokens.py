"""Tokens and the headers every call needs."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest


def profiles(caller: Any, headers: dict[str, str] | None = None) -> httpx.Response:
    """Make a call with these headers, or with good ones."""
    answer: httpx.Response = caller.http.get(
        f"{caller.url}/na/v2/profiles", headers=caller.headers if headers is None else headers
    )
    return answer


def test_token_answer(start: Callable[..., Any]) -> None:
    """The token endpoint gives a bearer token with its life time."""
    answer = start(token_seconds=3600).ask_token()
    body = answer.json()
    assert answer.status_code == 200
    assert body["access_token"].startswith("Atza|")
    assert ("bearer", 3600, "Atzr|sandbox") == (
        body["token_type"],
        body["expires_in"],
        body["refresh_token"],
    )


@pytest.mark.parametrize(
    ("form", "status", "error"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"client_id": "wrong"}, 401, "invalid_client"),
        ({"refresh_token": "Atzr|gone"}, 400, "invalid_grant"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"refresh_token": ""}, 400, "invalid_request"),
    ],
)
def test_token_refusals(caller: Any, form: dict[str, str], status: int, error: str) -> None:
    """Each wrong field of the token form has its own error."""
    answer = caller.ask_token(**form)
    assert (status, error) == (answer.status_code, answer.json()["error"])


def test_token_needs_a_form(caller: Any) -> None:
    """The token endpoint takes forms only."""
    answer = caller.http.post(
        f"{caller.url}/eu/auth/o2/token", json={"grant_type": "refresh_token"}
    )
    assert answer.status_code == 415


def test_revoked_refresh_token(caller: Any) -> None:
    """With invalid_grant the right refresh token is refused like a wrong one."""
    caller.fault("invalid_grant")
    answer = caller.ask_token()
    assert (400, "invalid_grant") == (answer.status_code, answer.json()["error"])


def test_token_dies_after_its_time(start: Callable[..., Any]) -> None:
    """A token is good until its last second, and then a 401; a fresh one cures it."""
    caller = start(token_seconds=100)
    caller.state.clock.advance(99.5)
    assert profiles(caller).status_code == 200
    caller.state.clock.advance(1)
    assert profiles(caller).status_code == 401
    caller.token = caller.new_token()
    assert profiles(caller).status_code == 200


def test_missing_and_wrong_headers(caller: Any) -> None:
    """Without a token, a known token or the client id a call is a 401; another client id is a 403."""
    token, client = ({key: value} for key, value in caller.headers.items())
    answers = [
        profiles(caller, client),
        profiles(caller, client | {"Authorization": "Bearer Atza|made-up"}),
        profiles(caller, client | {"Authorization": f"Basic {caller.token}"}),
        profiles(caller, token),
        profiles(caller, token | {"Amazon-Advertising-API-ClientId": "other"}),
    ]
    assert [401, 401, 401, 401, 403] == [answer.status_code for answer in answers]
    assert len({tuple(answer.json()) for answer in answers}) > 1


def test_client_id_in_either_header(caller: Any) -> None:
    """The client id may come as Amazon-Ads-ClientId."""
    headers = {"Authorization": f"Bearer {caller.token}", "Amazon-Ads-ClientId": "sandbox-client"}
    assert profiles(caller, headers).status_code == 200


def test_every_answer_has_a_request_id(caller: Any) -> None:
    """Good answers and refusals carry x-amz-rid, each its own."""
    answers = [profiles(caller), profiles(caller, {}), caller.http.get(f"{caller.url}/na/nothing")]
    assert len({answer.headers["x-amz-rid"] for answer in answers}) == 3


def test_unauthorized_once(caller: Any) -> None:
    """The unauthorized fault refuses a good token once; the same token works again."""
    caller.fault("unauthorized", times=1)
    assert [401, 200] == [profiles(caller).status_code for _ in range(2)]


def test_token_expiry_needs_a_fresh_token(caller: Any) -> None:
    """The token_expiry fault ends the token itself, so that only a fresh one helps."""
    caller.fault("token_expiry", times=1)
    assert [401, 401] == [profiles(caller).status_code for _ in range(2)]
    caller.token = caller.new_token()
    assert profiles(caller).status_code == 200
