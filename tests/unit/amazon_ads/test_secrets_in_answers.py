"""No secret of ours leaves the client with an answer, wherever and however Amazon echoes it."""

import html
import json
import re
from collections.abc import Callable, Iterator
from datetime import date
from functools import reduce
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, quote_plus

import httpx
import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from bidbeacon_pipelines.amazon_ads.accounts import list_accounts
from bidbeacon_pipelines.amazon_ads.client import AdsApiClient, Owner
from bidbeacon_pipelines.amazon_ads.downloads import download
from bidbeacon_pipelines.amazon_ads.entities import create_export, get_export, list_portfolios
from bidbeacon_pipelines.amazon_ads.errors import AdsApiError
from bidbeacon_pipelines.amazon_ads.reports import create_report, retrieve_report
from bidbeacon_pipelines.probe.answers import Listener
from bidbeacon_sessions.masking import remember_secret
from tests.unit.amazon_ads.fakes import FakeAmazon, token_answer
from tests.unit.amazon_ads.test_accounts import ACME, UK_PROFILE, US_PROFILE

ACCESS_TOKEN: Final = "Atza|IwEBIKq3vXw7n-b2LmT4cR_8dHsJ6gF0pQ1"
SECRETS: Final = (
    "Atzr|IwEBIKq3vXw7n9yZb2LmT4cR8dHsJ6gF0pQ1",
    "4b3f86c0a1984c7d65e2fea8055ad01b",
    ACCESS_TOKEN,
    'pa55"<w0rd>\\of/Zk8vTq2m+uR & sQ7uT5Lw4x%\N{POUND SIGN}',
)
"""A refresh token, a client secret, an access token and the value of a setting."""
_RUNS: Final = [run for secret in SECRETS for run in re.findall("[A-Za-z0-9]{6,}", secret)]
PIECES: Final = {run[at : at + 6] for run in _RUNS for at in range(len(run) - 5)}
"""Pieces of the secrets that no encoding changes."""

DAY: Final = date(2025, 12, 29)
OWNER: Final = Owner("NA", "amzn1.one", "US", "77")
URL: Final = "https://bucket.s3.amazonaws.com/1?X-Amz-Signature=s"
REPORT: Final = {
    "reportId": "r-1",
    "status": "FAILED",
    "failureCode": "X",
    "failureReason": "Y",
    "query": {"fields": ["metric.clicks"]},
    "linkedAccounts": [{"advertiserAccountId": "amzn1.one"}],
}
REFUSED: Final = [{"index": 0, "errors": [{"code": "X", "message": "Y", "fieldLocation": "Z"}]}]
ERROR: Final = {"errorCode": "X", "message": "Y"}
EXPORT: Final = {"exportId": "e-1", "status": "FAILED", "error": ERROR}
PORTFOLIO: Final = {"portfolioId": "1", "name": "One", "state": "enabled"}
USUAL: Final[dict[str, Any]] = {
    "/auth/o2/token": {"token_type": "bearer", "expires_in": "3600"},
    "/adsAccounts/list": {"adsAccounts": [ACME]},
    "/v2/profiles": [UK_PROFILE, US_PROFILE],
    "/create/reports": {"success": [{"index": 0, "report": REPORT}]},
    "/retrieve/reports": {"success": [{"index": 0, "report": REPORT}], "error": REFUSED},
    "/campaigns/export": EXPORT,
    "/exports/e-1": EXPORT,
    "/portfolios/list": {"portfolios": [PORTFOLIO]},
    "/1": {},
}
"""By the end of its path, an answer of each kind of call, with all texts that are read of it."""
CALLS: Final[dict[str, Callable[[AdsApiClient], object]]] = {
    "/auth/o2/token": lambda client: list_portfolios(client, OWNER),
    "/adsAccounts/list": list_accounts,
    "/v2/profiles": list_accounts,
    "/create/reports": lambda client: create_report(
        client, "NA", "amzn1.one", fields=["x"], start=DAY, end=DAY
    ),
    "/retrieve/reports": lambda client: retrieve_report(client, "NA", "r-1"),
    "/campaigns/export": lambda client: create_export(client, OWNER, "campaigns"),
    "/exports/e-1": lambda client: get_export(client, OWNER, "campaigns", "e-1"),
    "/portfolios/list": lambda client: list_portfolios(client, OWNER),
    "/1": lambda client: download(client, SecretStr(URL), Path("/dev/null"), OWNER),
}
ENCODINGS: Final[tuple[Callable[[str], str], ...]] = (
    lambda text: json.dumps(text)[1:-1],
    lambda text: text.replace("\\", "\\\\").replace("/", "\\/").replace("|", "\\u007C"),
    lambda text: quote(text, safe=""),
    lambda text: re.sub("%..", lambda each: each[0].lower(), quote(text)),
    quote_plus,
)
FAILURES: Final[tuple[Callable[[str], Any], ...]] = (
    str,
    html.escape,
    lambda text: f"<html><title>503</title><p>{text}</p></html>",
    lambda text: f"<html><style>{html.escape(text)}</style><p>{html.escape(text)}</p></html>",
    lambda text: f"<Error><Code>{html.escape(text)}</Code><Message>No</Message></Error>",
    lambda text: f"<Error><Code>X</Code><Message>{html.escape(text)}</Message></Error>",
    lambda text: {"code": text, "message": "No"},
    lambda text: {"error": text, "error_description": text},
    lambda text: {"code": "400000", "message": text, "fieldLocation": text},
    lambda text: {"errors": [{"code": "X", "details": {"was": [text]}}] * 3},
    lambda text: {"message": f"The request is a duplicate of: {text}"},
    lambda text: {text: text},
)
"""Bodies of answers without success."""


@pytest.fixture(scope="module", autouse=True)
def _secrets_are_known() -> None:
    for number, secret in enumerate(SECRETS):
        remember_secret(f"test {number}", secret)


@st.composite
def echoes(draw: st.DrawFn) -> str:
    """Draw a text with a secret: encoded up to three times, and often across a place where texts are cut."""
    steps = draw(st.lists(st.sampled_from(ENCODINGS), max_size=3))
    echo = reduce(lambda text, step: step(text), steps, draw(st.sampled_from(SECRETS)))
    cut = draw(st.sampled_from((0, 40, 80, 200, 500, 1_000, 4_000, 8_000)))
    offset = max(0, cut - draw(st.integers(0, len(echo))))
    return draw(st.sampled_from(("- ", "\N{BULLET}"))) * offset + echo


@st.composite
def answers(draw: st.DrawFn) -> tuple[str, httpx.Response]:
    """Draw a call and an answer to it that has an echo in a text, a header or a body without success."""
    path, echo = draw(st.sampled_from(sorted(USUAL))), draw(echoes())
    status = draw(st.sampled_from((400, 401, 403, 404, 425, 429, 500, 207)))
    if draw(st.booleans()):
        body = draw(st.sampled_from(FAILURES))(echo)
    elif texts := list(_texts(USUAL[path])):
        body, status = _with_text(USUAL[path], draw(st.sampled_from(texts)), echo), 200
    else:
        body = {"code": "X"}
    headers = {b"x-amzn-RequestId": echo.encode()} if draw(st.booleans()) else {}
    content = {"text": body} if isinstance(body, str) else {"json": body}
    return path, httpx.Response(status, headers=headers, **content)


def _texts(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, str):
        yield path
    elif isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _texts(item, (*path, key))


def _with_text(value: Any, path: tuple[Any, ...], text: str) -> Any:
    if not path:
        return text
    copy = value.copy()
    copy[path[0]] = _with_text(value[path[0]], path[1:], text)
    return copy


def told(path: str, answer: httpx.Response) -> str:
    """Return all that the client, its errors and the probe's listener say where one call is answered so."""

    def play(request: httpx.Request) -> httpx.Response:
        end = next(end for end in USUAL if request.url.path.endswith(end))
        return answer if end == path else httpx.Response(200, json=USUAL[end])

    amazon, listener, said = FakeAmazon(), Listener(), []
    amazon.plays(*[play] * 20)
    is_token = path == "/auth/o2/token"
    amazon.token_script.append(answer if is_token else token_answer(ACCESS_TOKEN))
    client = amazon.connect(attempts=1)
    listener.listen(client)
    try:
        said.append(repr(CALLS[path](client)))
    except AdsApiError as error:
        said += str(error), repr(vars(error)), repr(error.failure_cause)
    seen = [(one.shape, one.differences) for one in listener.answers.values()]
    return " ".join([*said, str(seen)])


@settings(max_examples=400, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(case=answers())
def test_no_piece_of_a_secret_leaves_the_client(case: tuple[str, httpx.Response]) -> None:
    """Each text of an answer is decoded, masked and then cut: codes, ids, headers and names as well."""
    found = told(*case)
    note(found)
    assert not [piece for piece in PIECES if piece in found]
