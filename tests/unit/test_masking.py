"""Secrets are masked as the tables of `docs/explanation/security.md` say, and other texts stay."""

import json
import re
import time
import traceback
from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidbeacon_pipelines.settings import PROJECT_ROOT
from bidbeacon_sessions import masking
from bidbeacon_sessions.errors import MaskedError, mask_error
from bidbeacon_sessions.masking import MASK, mask, mask_text, remember_secret
from bidbeacon_sessions.session import describe_error
from bidbeacon_sessions.settings import get_session_settings

SECRET = "pa55/w0rd+0f-0urs"
PAGE = (PROJECT_ROOT / "docs" / "explanation" / "security.md").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def _nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test starts without known secrets, and its own end with it."""
    monkeypatch.setattr(masking, "_remembered", {})
    monkeypatch.setattr(masking, "_known", [])
    masking._mask_short.cache_clear()
    yield
    masking._mask_short.cache_clear()


def rows(heading: str) -> list[list[str]]:
    """Return the cells of the table below a heading, without its head; code without its marks."""
    table = PAGE.partition(f"### {heading}\n")[2].partition("\n\n- ")[0]
    lines = [re.split(r"(?<!\\)\|", line)[1:-1] for line in table.strip().splitlines()[2:]]
    return [[cell.strip().strip("`").replace(r"\|", "|") for cell in line] for line in lines]


@pytest.mark.parametrize(("found_by", "text", "stored"), rows("What is masked"))
def test_a_text_of_the_table_is_masked(found_by: str, text: str, stored: str) -> None:
    """Alone and in a longer text; masking twice is masking once."""
    if found_by.startswith("value"):
        remember_secret("test", SECRET)
    for before, after in (("", ""), ("before ", "\nafter"), ("before\n", "\nafter")):
        assert before + stored + after == mask_text(before + text + after)
    assert stored == mask_text(stored)


@pytest.mark.parametrize(("text", "stored", "why"), rows("What masking can't do"))
def test_what_cannot_be_masked_is_as_the_table_says(text: str, stored: str, why: str) -> None:
    """So that a reader of the table can rely on its other half, too."""
    assert (stored, True) == (mask_text(text), bool(why))


@given(before=st.text(), after=st.text())
def test_a_known_secret_is_masked_in_any_text(before: str, after: str) -> None:
    """Whatever stands beside it, as it is, URL-encoded and in JSON."""
    secret = 'q"uo/te-£-of-ours'
    remember_secret("test", secret)
    for form in (secret, quote(secret, safe=""), json.dumps(secret)):
        assert secret not in mask_text(f"{before}{form}{after}")
        assert form.strip('"') not in mask_text(f"{before}{form}{after}")


def test_the_secrets_of_settings_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tokens as a whole, of an address the password."""
    monkeypatch.setenv("BIDBEACON_STREAM_TOKEN", "t0ken-of-the-stream")
    monkeypatch.setenv("BIDBEACON_DATABASE_URL", "postgresql://bob:pa55%2Fw0rd+0f-0urs@h/x")
    get_session_settings.cache_clear()
    get_session_settings()
    assert "•••, ••• and bob" == mask_text(f"t0ken-of-the-stream, {SECRET} and bob")


def test_a_renewed_secret_takes_the_place_of_the_old_one() -> None:
    """So that a process that runs for months doesn't look for thousands of them."""
    remember_secret("test", SECRET)
    remember_secret("test", "a-new-one-of-ours")
    assert f"{SECRET} {MASK}" == mask_text(f"{SECRET} a-new-one-of-ours")


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        ({"refresh_token": SECRET, "apiKey": 7123}, {"refresh_token": MASK, "apiKey": MASK}),
        ({"tokens": ["a", {"b": SECRET}]}, {"tokens": MASK}),
        ({"a": [{"b": ({"clientSecret": SECRET},)}]}, {"a": [{"b": [{"clientSecret": MASK}]}]}),
        ({f"q?sig={SECRET}": None}, {f"q?sig={MASK}": None}),
        ([(b"authorization", SECRET.encode())], [["authorization", MASK]]),
        (f'{{"access_token": "{SECRET}"}}'.encode(), f'{{"access_token": "{MASK}"}}'),
        (httpx.URL(f"https://h/x?sig={SECRET}"), f"https://h/x?sig={MASK}"),
        (ValueError(f"Bearer {SECRET}"), f"Bearer {MASK}"),
    ],
)
def test_a_secret_in_a_value_is_masked(value: Any, stored: Any) -> None:
    """By the key it stands under at any depth, by the name before it in a tuple, and inside texts."""
    assert stored == mask(value)


@pytest.mark.parametrize("opened", ["[", '{"a":'])
def test_what_is_nested_too_deeply_is_masked(opened: str) -> None:
    """As far as Python reads JSON, nothing is too deep to be masked; a hundred levels stay."""
    deep = json.loads(f'{opened * 900}"x"{("]" if opened == "[" else "}") * 900}')
    masked = json.dumps(mask(deep), ensure_ascii=False)
    assert masked.startswith(opened.replace(":", ": ") * 100)
    assert (MASK in masked, "x" in masked) == (True, False)


HARMLESS = [
    "Secret Santa 2026 | SP | Exact",
    "keyword: password manager",
    "Cookie: Chocolate Chip | SP",
    "Signature: Premium Towels",
    "Ring Bearer Pillow",
    "Compass = north; bypass: 3; passed: 7",
    "US.acme-merch.1kc1bk21 daily_targets 2026-11-23T10:04:00+00:00",
    "request dedupe_key=9f86d081884c7d65 row_key=0a1b account_key=US.a",
    "https://advertising-api.amazon.com/reporting/reports/rpt-1?x=1",
    "http://127.0.0.1:3000/runs/5d0c1a4e?logs=query:step@2",
    "token: expired, ask for a new one",
    "BIDBEACON_STREAM_TOKEN: expected at least 16 characters, got: 3",
    "expected 'access_token', 'expires_in', got: []",
    "token_type=bearer&expires_in=3600&next_token=page-2",
    '{"token_type": "bearer", "secret_name": "ads/main", "password": null, "token": ""}',
    "Config(password=None, client_secret=SecretStr('**********'))",
    "Enter the password:\nReport loaded",
    {"next_token": "page-2", "token_type": "bearer", "account_key": "US.a", "keys": ["US.a"]},
    {"secret": None, "token": True, "spend": Decimal("1.23"), "credential": "main"},
    {"secret santa 2026": 12, "password book": 3, "compass": "north"},
    ["password", "password book"],
]


@pytest.mark.parametrize("value", HARMLESS)
def test_what_holds_no_secret_stays(value: Any) -> None:
    """Names of campaigns and products, ids, addresses, sentences about tokens, page markers, that there is no secret."""
    assert value == mask(value)


# Pieces that a hard text repeats; ␣ stands for a blank, ⏎ for a line break.
HARD = r"""
    a a- https://a: ://a:b@ a:b@ %3A%3D Atza| amzn1.oa2-cs.v1. bearer␣ bearer␣aaaa token token= token:␣
    token⏎ token%3D token=" token='" token=\" "token":" \ \" a\ token=) token=) authorization:
    cookie: cookie:a= authorization="" token=token: ␣ token␣␣␣␣␣ = =' •
"""
HARD_PIECES = [piece.replace("␣", " ").replace("⏎", "\n") for piece in HARD.split()]


def test_hostile_text_is_masked_in_bounded_time() -> None:
    """Each of these texts of 80,000 characters takes at most some 50 ms; with a quadratic pattern, one takes five seconds or more."""
    remember_secret("test", SECRET)
    for piece in HARD_PIECES:
        began = time.process_time()
        mask_text("%" + piece * (80_000 // len(piece)))  # the hint that a secret may follow
        assert time.process_time() - began < 1, f"{piece!r} makes a pattern of masking.py slow"


def test_an_error_is_masked_before_it_is_cut() -> None:
    """A secret that the bound cuts in two is no longer there to be half kept."""
    for length in range(7_900, 8_010, 10):
        described = describe_error(ValueError("x" * length + f" token={SECRET}"))
        assert "pa55" not in str(described)
        assert len(described["message"]) <= 8_000


@pytest.mark.parametrize("context", ["no such key", f"token={SECRET}"])
def test_an_error_is_raised_as_it_is_but_for_a_secret_in_what_led_to_it(context: str) -> None:
    """Its type stays, which Dagster goes by, and all that led to it, unless that holds a secret."""
    error = _raised("no rights", context)
    assert mask_error(error) is error
    said = "".join(traceback.format_exception(error))
    assert SECRET not in said
    assert ("no such key" in said) == (context == "no such key")


@pytest.mark.parametrize("holds", ["text", "note", "member"])
def test_an_error_with_a_secret_of_its_own_is_replaced_by_one_like_it(holds: str) -> None:
    """Its type's name, its text and its traceback stay."""
    error: Exception = _raised(f"token={SECRET}" if holds == "text" else "no rights", "x")
    if holds == "note":
        error.add_note(f"token={SECRET}")
    if holds == "member":
        error = ExceptionGroup("no rights", [ValueError(f"token={SECRET}")])
    masked = mask_error(error)
    assert isinstance(masked, MaskedError)
    assert str(masked).startswith(type(error).__name__)
    assert masked.__traceback__ is error.__traceback__
    assert SECRET not in "".join(traceback.format_exception(masked))


def _raised(message: str, context: str) -> LookupError:
    try:
        try:
            raise KeyError(context)  # noqa: TRY301 - the context that it leaves is what is tested
        except KeyError:
            raise LookupError(message)  # noqa: B904 - the same
    except LookupError as raised:
        return raised
