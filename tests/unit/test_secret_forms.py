"""What `docs/security.md` promises of masking: the forms in which a secret is found, the texts that stay, and the time it takes."""

import json
import subprocess
import time
import timeit
from base64 import b64encode
from decimal import Decimal
from typing import Any
from urllib.parse import quote, urlencode

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from bidbeacon_sessions.errors import masked
from bidbeacon_sessions.redaction import MASK, redact, redact_text

CANARY = "CANARY0123456789"


class Grant(BaseModel):
    """A model that quotes what it was given when it refuses it."""

    client_secret: int


class Tokens(BaseModel):
    """A model with a grant inside."""

    grants: list[Grant]


def pydantic_error(model: type[BaseModel], value: Any) -> str:
    """Return what pydantic says of a value that a model refuses."""
    with pytest.raises(ValidationError) as caught:
        model.model_validate(value)
    return str(caught.value)


def nested_json(depth: int) -> str:
    """Return an object with a secret as JSON, as a string in JSON, and so on."""
    text = json.dumps({"client_secret": CANARY, "expires_in": 3600})
    for _ in range(depth):
        text = json.dumps({"body": text})
    return text


BASIC = b64encode(f"bob:{CANARY}".encode()).decode()
FAILED = subprocess.CalledProcessError(1, ["fetch", "--token", CANARY, "--verbose"])
FAILED_IN_SHELL = subprocess.CalledProcessError(1, f"fetch --token {CANARY} --verbose")

TEXTS = {
    # Tokens by their look
    "access token": f"Atza|{CANARY}",
    "refresh token": f"Atzr|{CANARY}-x",
    "token after other characters": f"xAtzr|{CANARY}",
    "token in a URL": f"Atzr%7C{CANARY}",
    "token in a URL, small letters": f"Atza%7c{CANARY}",
    "token in a URL in a URL": f"Atzr%257C{CANARY}",
    "token in escaped JSON": rf"Atzr\u007c{CANARY}",
    "JSON Web Token": f"eyJhbGciOiJI.eyJzdWIiOiIx.{CANARY}",
    "AWS access key": f"AKIA{CANARY}",
    "Amazon client secret": f"amzn1.oa2-cs.v1.{'c0ffee' * 4}{CANARY}".replace(CANARY, "")
    + f" token={CANARY}",
    "private key": f"-----BEGIN RSA PRIVATE KEY-----\n{CANARY}\n-----END RSA PRIVATE KEY-----",
    "private key, cut": f"-----BEGIN PRIVATE KEY-----\n{CANARY}",
    "bearer": f"Bearer {CANARY}",
    "bearer in a URL": f"Bearer%20{CANARY}",
    "basic": f"Basic {BASIC}",
    "basic, not to be decoded": f"basic {CANARY}=",
    # Headers
    "Authorization": f"Authorization: Bearer {CANARY}",
    "Authorization of any scheme": f"Authorization: {CANARY}",
    "Authorization in two words": f"authorization: Token {CANARY}",
    "Authorization of AWS": f"Authorization: AWS4-HMAC-SHA256 Credential=x/y, Signature={CANARY}",
    "Authorization by digest": f'Authorization: Digest username="bob", response="{CANARY}"',
    "Proxy-Authorization": f"Proxy-Authorization: {CANARY}",
    "Cookie": f"Cookie: theme=dark; session={CANARY}",
    "Set-Cookie": f"Set-Cookie: session={CANARY}; HttpOnly",
    "X-Api-Key": f"X-Api-Key: {CANARY}",
    "header in an argument": f"['curl', '-H', 'Authorization: {CANARY}', 'https://h/x']",
    "repr of headers": repr({"authorization": f"Bearer {CANARY}"}),
    "raw headers": repr([(b"Authorization", f"Bearer {CANARY}".encode())]),
    "httpx headers": repr(httpx.Headers({"x-amz-security-token": CANARY}).raw),
    "illegal header": "Illegal header value " + repr(f"Bearer {CANARY}\n".encode()),
    "invalid header": f"Invalid character(s) in header value: ' {CANARY}'",
    # URLs
    "presigned URL": f"https://h/report?X-Amz-Signature={CANARY}&a=1",
    "presigned URL, security token": f"https://h/report?a=1&X-Amz-Security-Token={CANARY}",
    "presigned URL, credential": f"https://h/report?X-Amz-Credential={CANARY}%2F20261123",
    "shared access signature": f"https://h/x?sv=1&sig={CANARY}",
    "password in a URL": f"https://user:{CANARY}@h/x",
    "password with a slash in a URL": f"postgresql://bob:aa/{CANARY}@h/x",
    "password with an @ in a URL": f"postgresql://bob:aa@{CANARY}@h/x",
    "password in a URL without a user": f"postgresql+psycopg://:{CANARY}@h/x",
    "password in an encoded URL": quote(f"postgresql://bob:{CANARY}@h/x", safe=""),
    # Name and value
    "form": f"client_secret={CANARY}&grant_type=refresh_token",
    "encoded form": urlencode({"body": f"client_secret={CANARY}&a=1"}),
    "encoded JSON": quote(json.dumps({"client_secret": CANARY})),
    "PGPASSWORD": f"PGPASSWORD={CANARY}",
    "variable": f"AWS_SECRET_ACCESS_KEY={CANARY}",
    "AWS access key id": f"AWSAccessKeyId={CANARY}",
    "variable with a suffix": f"DB_PASSWORD_2={CANARY}",
    "short name": f"db_pass={CANARY}",
    "value with an ampersand": f"PGPASSWORD=a&b;c,d){CANARY}",
    "connection string": f"host=h password='a\\'b {CANARY}' user=bob",
    "password:": f"password: {CANARY}",
    "password: of letters only": "password: CANARY",
    "secret:": f"secret: {CANARY}",
    "token in YAML": f"refresh_token: '{CANARY}'",
    "name of two words": f"API key: {CANARY}",
    "=>": f'"api_key" => "{CANARY}"',
    "item assignment": f'os.environ["API_TOKEN"] = "{CANARY}"',
    "XML": f"<Credentials><SecretAccessKey>{CANARY}</SecretAccessKey></Credentials>",
    "HTML": f"&quot;client_secret&quot;:&quot;{CANARY}&quot;",
    "environment in a manifest": f"- name: CLIENT_SECRET\n  value: {CANARY}",
    # JSON and Python
    "JSON": f'{{"access_token": "{CANARY}", "expires_in": 3600}}',
    "JSON without spaces": f'{{"access_token":"{CANARY}","expires_in":3600}}',
    "JSON, camel case": f'{{"refreshToken": "{CANARY}"}}',
    "JSON, key with a suffix": f'{{"secret_value": "{CANARY}"}}',
    "JSON, cut": f'{{"api_key": "{CANARY}',
    "quoted, cut": f'api_key="{CANARY}',
    "JSON, a quotation mark in the value": json.dumps({"password": f'a"b{CANARY}'}),
    "JSON, list": json.dumps({"tokens": ["a", CANARY]}),
    "JSON, object": json.dumps({"credentials": {"a": "]}", "b": CANARY}}),
    "JSON, name and value": json.dumps({"name": "client_secret", "value": CANARY}),
    "JSON, key and more between": json.dumps({"Key": "apiToken", "type": "text", "Value": CANARY}),
    "JSON, pair": json.dumps([("client_secret", CANARY)]),
    "JSON in JSON": nested_json(1),
    "JSON in JSON in JSON": nested_json(2),
    "JSON at depth five": nested_json(5),
    "JSON in repr": repr(nested_json(1)),
    "JSON with escaped quotes": nested_json(0).replace('"', r"\u0022"),
    "repr of a dictionary": f"{{'refreshToken': '{CANARY}'}}",
    "repr in repr": repr(f"{{'refreshToken': '{CANARY}'}}"),
    "repr of bytes": repr({"password": CANARY.encode()}),
    "repr of an object": f"Config(password='{CANARY}')",
    "repr of an object in an object": f"Config(password=Plain('{CANARY}'), user='bob')",
    "tuple": repr(("client_secret", CANARY)),
    "tuples": repr([("client_id", "x"), ("client_secret", CANARY)]),
    "tuple of one word": repr(("password", CANARY)),
    # Errors
    "pydantic": pydantic_error(Grant, {"client_secret": CANARY}),
    "pydantic, inside a list": pydantic_error(Tokens, {"grants": [{"client_secret": CANARY}]}),
    "pydantic, the whole object": pydantic_error(Tokens, {"grants": {"client_secret": CANARY}}),
    "pydantic, as repr": repr(pydantic_error(Grant, {"client_secret": CANARY})),
    "pydantic, as list": repr([{"loc": ("client_secret",), "msg": "no number", "input": CANARY}]),
    "command that failed": str(FAILED),
    "command line that failed": str(FAILED_IN_SHELL),
    "PostgreSQL": f"DETAIL:  Key (account, token)=(US.a, {CANARY}) already exists.",
    "option with =": f"fetch --api-key={CANARY}",
    "option with one dash": f"fetch -password {CANARY}",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_a_secret_in_a_text_is_masked(text: str) -> None:
    """Each form, alone and in a longer text; masking twice is masking once."""
    for whole in (text, f"before {text} after", f"before\n{text}\nafter"):
        clean = redact_text(whole)
        assert "CANARY" not in clean
        assert MASK in clean
        assert clean.startswith("before") == whole.startswith("before")
        assert redact_text(clean) == clean


VALUES: dict[str, Any] = {
    "key": {"refresh_token": CANARY},
    "key with a suffix": {"secret_value": CANARY, "passwordNew": CANARY, "token-2": CANARY},
    "key in one word": {"PGPASSWORD": CANARY, "clientsecret": CANARY},
    "key with a space": {"Client secret": CANARY},
    "key of a number": {"apiKey": 7123},
    "deep": {"a": [{"b": ({"clientSecret": {"deep": CANARY}},)}]},
    "secret as key": {f"token={CANARY}": 1},
    "name and value": {"name": "client_secret", "value": CANARY},
    "value and name": [{"Value": CANARY, "Name": "X-Api-Key"}],
    "pydantic": {"type": "int_parsing", "loc": ("grant", "client_secret"), "input": CANARY},
    "pair": ("client_secret", CANARY),
    "pair of one word": [("token", CANARY)],
    "pair in JSON": [["x-api-key", CANARY]],
    "raw headers": [(b"authorization", CANARY.encode())],
    "arguments": ["fetch", "--token", CANARY, "--verbose"],
    "URL object": httpx.URL(f"https://h/x?X-Amz-Signature={CANARY}"),
    "exception": ValueError(f"Bearer {CANARY}"),
    "bytes": f'{{"access_token": "{CANARY}"}}'.encode(),
    "set": {f"Atza|{CANARY}"},
}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES.keys())
def test_a_secret_in_a_value_is_masked(value: Any) -> None:
    """By the key it stands under, by the name beside it, and inside texts; as a value and as the text of it."""
    clean = redact(value)
    assert "CANARY" not in str(clean)
    assert "7123" not in str(clean)
    assert redact(clean) == clean


@pytest.mark.parametrize("error", [FAILED, FAILED_IN_SHELL], ids=["list", "text"])
def test_a_command_that_failed_is_masked_in_place(error: subprocess.CalledProcessError) -> None:
    """Text, `cmd` and arguments of the error hold no secret, and its type stays."""
    given_up = subprocess.CalledProcessError(error.returncode, error.cmd, output=f"token={CANARY}")
    clean = masked(given_up)
    assert clean is given_up
    assert "CANARY" not in f"{clean} {vars(clean)} {clean.args}"


HARMLESS = [
    "Secret Santa",
    "Secret Santa 2026 | SP | Exact",
    "keyword: password manager",
    'keyword "password book with tabs" (exact)',
    "Password Book, Large Print",
    "Cookie: Chocolate Chip | SP",
    "Cookies - Assorted 12 Pack",
    "Signature: Premium Towels",
    "Basic T-shirts",
    "Basic Essentials 2026",
    "Ring Bearer Pillow",
    "ring bearer accessories",
    "Token Board Game: 2 to 4 players",
    "Author: Jane Doe, key: value",
    "Passport holder: leather",
    "Compass = north; bypass: 3; passed: 7",
    "Secretary Desk: Oak",
    "Signal: strong",
    "keyword (password): 12 clicks",
    "2026-11-23T10:04:00+00:00",
    "US.acme-merch.1kc1bk21 daily_targets 2026-11-23",
    "rpt-5d0c1a4e-77aa-4a7b-b7d7-1f0e2d3c4b5a",
    "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "request dedupe_key=9f86d081884c7d65 row_key=0a1b account_key=US.a partition_key=2026-11-23",
    "https://advertising-api.amazon.com/reporting/reports/rpt-1?x=1",
    "http://127.0.0.1:3000/runs/5d0c1a4e?logs=query:step",
    "x-amz-request-id: 4442587FB7D0A2F9",
    "clicks=12, cost=3.40, sales14d=99.00",
    "design=1, author='me'",
    "the token expired",
    "token: expired, ask for a new one",
    "The request has an invalid grant parameter : refresh_token. User may have revoked it",
    "BIDBEACON_STREAM_TOKEN: expected at least 16 characters, got: 3",
    "BIDBEACON_ADS_API_CLIENT_SECRET is missing: set all three, or none.",
    "Option '--token' requires an argument.",
    "--token is required",
    "expected 'access_token', 'expires_in', got: []",
    "token_type=bearer&expires_in=3600&next_token=page-2",
    '{"token_type": "bearer", "secret_name": "ads/main", "password": null, "token": ""}',
    '{"keyword": "password", "value": 3}',
    '["password", "password book"]',
    "Config(password=None, client_secret=SecretStr('**********'))",
    "<p>Enter your password</p>\nReport loaded",
    "Enter the password:\nReport loaded",
    "1 validation error for Row\nclicks\n  Input should be a valid integer [type=int_parsing, input_value='x', input_type=str]",
]


@pytest.mark.parametrize("text", HARMLESS)
def test_a_text_without_secrets_stays(text: str) -> None:
    """Names of campaigns and products, keywords, ids, hashes, addresses, metrics, sentences about tokens."""
    assert redact_text(text) == text


@pytest.mark.parametrize(
    "value",
    [
        {"next_token": "page-2", "token_type": "bearer", "account_key": "US.a", "keys": ["US.a"]},
        {"token_expires_at": "2026-11-23", "secret_name": "ads/main", "credential_region": "EU"},
        {"secret": None, "token": True, "spend": Decimal("1.23")},
        {
            "secret santa 2026": 12,
            "password book": 3,
            "author": "Jane",
            "compass": "north",
            "secretary": "Bob",
        },
        {"name": "clicks", "value": 12},
        {"keyword": "password", "value": 12},
        ["password", "password book"],
        ["--verbose", "US.a"],
    ],
)
def test_a_value_without_secrets_stays(value: Any) -> None:
    """Page markers, names and times of secrets, that there is none, keys that are keywords."""
    assert redact(value) == value


# Pieces that a hard text repeats; ␣ stands for a blank, ⏎ for a line break.
HARD = r"""
    a a_ https:// https://a: ://a:b@ a:b@ x? %3A%2F%2Fa%3A Atza| -eyJ eyJaaaaaaaa. token token=
    token:␣ token␣ token, token⏎ token_ password= password=, ' " \ \" \\' token\ token" token"\
    token=" token="' token=([ ("token", {"name":"token"," name="token"␣ "token":[ <token> --token␣
    &quot;token authorization:␣ authorization:␣a authorization:␣is␣ authorization::'
    --authorization: xcookie:// cookie:␣a␣ cookie:␣a= bearer␣ basic␣ basic␣aaaaaa bearer␣aaaa
    -----BEGIN␣ -----BEGIN␣PRIVATE␣KEY----- amzn1.oa2-cs.v1. a⏎␣␣input_value= token⏎␣␣input_value=
    \na\n␣␣input_value= input_value= %25 & token=& header␣value␣ [ token=[ }token=( İtoken= token=•
    x-amz- token%25
"""
HARD_PIECES = [piece.replace("␣", " ").replace("⏎", "\n") for piece in HARD.split()]


def assert_time_grows_with_length(piece: str) -> None:
    """Compare the time for a text with the time for one of four times the length; below a millisecond the clock is too coarse."""
    for tail in ("", "='"):
        short, long = (piece * (length // len(piece)) + tail for length in (15_000, 60_000))
        assert _seconds(long) < 9 * max(_seconds(short), 0.001)


@pytest.mark.parametrize("piece", HARD_PIECES)
def test_the_time_grows_with_the_length(piece: str) -> None:
    """Four times the text takes some four times as long, however odd it is; a quadratic pattern would take sixteen times."""
    assert_time_grows_with_length(piece)


def test_a_large_text_is_masked_at_once() -> None:
    """1.6 MB of addresses, on which a masker of the first edition did not end."""
    assert _seconds("https://" * 200_000) < 2


WORDS = "token password secret_value name value input_value= Authorization bearer eyJ -- :// %7C %22 ••• \\n"
PIECES = st.sampled_from([*"=:,'\"\\([{}])\n&<>@1aİ ", *WORDS.split()])


@settings(max_examples=100, deadline=None)
@given(st.lists(PIECES, min_size=1, max_size=5).map("".join))
def test_the_time_grows_with_the_length_of_any_repetition(piece: str) -> None:
    """As with the known hard ones."""
    assert_time_grows_with_length(piece)


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES, max_size=25).map("".join), st.lists(PIECES, max_size=10).map("".join))
def test_any_text_can_be_masked_and_a_secret_after_it_too(before: str, after: str) -> None:
    """Nothing raises, what is masked stays masked, and a token is found whatever stands around it."""
    clean = redact_text(f"{before} Atza|{CANARY} {after}")
    assert "CANARY" not in clean
    assert "CANARY" not in redact_text(clean)


def _seconds(text: str) -> float:
    """Return the processor time that masking a text takes, the shorter of two."""
    return min(
        timeit.repeat(lambda: redact_text(text), timer=time.process_time, number=1, repeat=2)
    )
