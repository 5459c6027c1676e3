"""Secrets are masked wherever they stand, in no time, and nothing else is."""

import time
import traceback
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import httpx
import pytest
from pydantic import BaseModel, SecretStr

from bidbeacon_sessions.errors import masked
from bidbeacon_sessions.redaction import redact, redact_text
from bidbeacon_sessions.session import describe_error

CANARY = "CANARY0123456789"


@dataclass
class Grant:
    """Something that is no JSON."""

    refresh_token: str


class Credentials(BaseModel):
    """Refuses text that is no number, and quotes it."""

    client_secret: int


@pytest.mark.parametrize(
    "text",
    [
        f"Atza|{CANARY}",
        f"Atzr|{CANARY}-x",
        f"Authorization: Bearer {CANARY}",
        f"basic {CANARY}=",
        f"https://h/report?X-Amz-Signature={CANARY}&a=1",
        f"https://h/report?a=1&X-Amz-Security-Token={CANARY}",
        f"https://user:{CANARY}@h/x",
        f"postgresql+psycopg://:{CANARY}@h/x",
        f"client_secret={CANARY}&grant_type=refresh_token",
        f'{{"access_token": "{CANARY}", "expires_in": 3600}}',
        f"{{'refreshToken': '{CANARY}'}}",
        f"Config(password='{CANARY}')",
        f'api_key="{CANARY}',
        f"AWS_SECRET_ACCESS_KEY={CANARY}",
        f"eyJhbGciOiJI.eyJzdWIiOiIx.{CANARY}",
        f"amzn1.oa2-cs.v1.{'c0ffee' * 4}{CANARY}".replace(CANARY, "abcdef") + f" token='{CANARY}'",
        f"-----BEGIN RSA PRIVATE KEY-----\n{CANARY}\n-----END RSA PRIVATE KEY-----",
    ],
)
def test_a_secret_inside_a_text_is_masked(text: str) -> None:
    """Tokens, headers, signed addresses, bodies of answers, reprs of objects, keys."""
    assert CANARY not in redact_text(f"before {text} after")
    assert redact_text(f"before {text}").startswith("before ")


@pytest.mark.parametrize(
    "value",
    [
        {"refresh_token": CANARY},
        {"a": [{"b": ({"clientSecret": {"deep": CANARY}},)}]},
        {"apiKey": 7, "x": {f"token={CANARY}": 1}},
        {"url": httpx.URL(f"https://h/x?X-Amz-Signature={CANARY}")},
        {"grant": Grant(CANARY)},
        {"error": ValueError(f"Bearer {CANARY}")},
        {"body": f'{{"access_token": "{CANARY}"}}'.encode()},
        {"set": {f"Atza|{CANARY}"}},
    ],
)
def test_a_secret_is_masked_at_any_depth_and_in_any_object(value: Any) -> None:
    """What JSON has no form for is masked as the text that it would be stored as."""
    assert CANARY not in str(redact(value))


@pytest.mark.parametrize(
    "value",
    [
        "2026-11-23",
        "the token expired",
        "design=1, author='me'",
        {"next_token": "page-2", "token_type": "bearer", "account_key": "US.a", "keys": ["US.a"]},
        {"spend": Decimal("1.23"), "day": date(2026, 11, 23), "secret": None, "token": True},
    ],
)
def test_what_is_no_secret_stays(value: Any) -> None:
    """Days, words, amounts, page markers, account keys; and that there is none."""
    assert redact(value) == value


@pytest.mark.parametrize(
    "text",
    [
        "a" * 100_000 + "=",
        "a_" * 50_000 + "='",
        "x-amz-" * 20_000 + "=",
        "token" * 20_000 + "=",
        "a:b@" * 30_000,
        "https://" * 20_000 + "@",
        "eyJ" * 30_000 + ".",
    ],
)
def test_no_text_takes_long(text: str) -> None:
    """A hundred thousand characters made to be hard are looked through in a moment."""
    began = time.perf_counter()
    redact_text(text)
    assert time.perf_counter() - began < 5


def test_an_error_is_masked_before_it_is_cut() -> None:
    """A secret that the bound cuts in two is no longer there to be half kept."""
    for length in range(7_900, 8_010, 10):
        described = describe_error(ValueError("x" * length + f" Atza|{CANARY}"))
        assert "CANARY" not in str(described)
        assert len(described["message"]) <= 8_000


def test_an_error_is_masked_in_place_with_all_that_led_to_it() -> None:
    """The very same exception goes on; its text, notes, cause, context and members hold no secret."""
    error = _raised(ExceptionGroup(f"g Atza|{CANARY}", [LookupError({"token": CANARY})]), f"Bearer {CANARY}")
    clean = masked(error)
    assert clean is error
    assert CANARY not in "".join(traceback.format_exception(clean))
    assert "no such thing" in str(clean)


def test_an_error_that_cannot_be_changed_is_replaced_by_one_that_says_the_same() -> None:
    """Its type's name and its text stay, its traceback too; the secret does not."""
    try:
        Credentials.model_validate({"client_secret": f"Atza|{CANARY}"})
    except ValueError as error:
        clean = masked(error)
    assert CANARY not in "".join(traceback.format_exception(clean))
    assert str(clean).startswith("ValidationError: 1 validation error for Credentials")
    assert clean.__traceback__ is not None


def test_an_error_without_secrets_is_left_alone() -> None:
    """Its arguments are the very same objects."""
    secret = SecretStr("x")
    error = LookupError("no such window", secret, 7)
    assert masked(error) is error
    assert error.args[1] is secret


def _raised(cause: Exception, context: str) -> Exception:
    try:
        try:
            raise KeyError(context)  # noqa: TRY301 - the context that it leaves is what is tested
        except KeyError:
            error = LookupError(f"no such thing: token='{CANARY}'")
            error.add_note(f"https://h?sig={CANARY}")
            raise error from cause
    except LookupError as raised:
        return raised


def test_masking_twice_is_once() -> None:
    """What is masked already holds no secret."""
    text = f"{{'refresh_token': '{CANARY}'}} token={CANARY} https://u:{CANARY}@h Bearer {CANARY}"
    once = redact_text(text)
    assert once == redact_text(once)
    assert {"refresh_token": "•••"} == redact({"refresh_token": CANARY})
    error = KeyError({"refresh_token": CANARY})
    assert masked(error) is error
