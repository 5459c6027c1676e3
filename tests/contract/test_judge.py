"""The judge finds what differs from Amazon's documents, and names the call and the place."""

import json
from typing import Any

import httpx
import pytest

from bidbeacon_pipelines.amazon_ads.client import Owner
from bidbeacon_pipelines.amazon_ads.entities import get_export
from bidbeacon_pipelines.settings import PROJECT_ROOT
from tests.contract import exchanges
from tests.contract.catalogue import needs_documents
from tests.contract.judge import answer_differences, request_differences
from tests.unit.amazon_ads.fakes import FakeAmazon
from tools.amazon_documents import OPERATIONS

EXAMPLES = PROJECT_ROOT / "tests/unit/sandbox/contract_examples"
HEADERS = (
    "Authorization",
    "Amazon-Ads-ClientId",
    "Amazon-Advertising-API-ClientId",
    "Amazon-Advertising-API-Scope",
)
JSON = "application/json"
LIST_MEDIA = "application/vnd.listaccountsresource.v1+json"
EXPORT_MEDIA = "application/vnd.adsexport.v1+json"
PORTFOLIO_MEDIA = "application/vnd.spPortfolio.v3+json"
REFUSAL = {"code": "BAD_REQUEST", "message": "400005: unknown field: metric.color"}

pytestmark = needs_documents


def example(name: str) -> Any:
    """Return one of the contract's bodies."""
    return json.loads((EXAMPLES / f"{name}.json").read_text())


def request(call: str, body: Any = None, media: str = JSON, without: str = "") -> httpx.Request:
    """Return a request of a call to the sandbox, with all headers but one."""
    operation = OPERATIONS[call]
    url = f"http://127.0.0.1:3040/na{operation.path.replace('{exportId}', 'exp-1')}"
    headers = {name: "1" for name in HEADERS if name != without} | {"Content-Type": media}
    content = None if body is None else json.dumps(body)
    return httpx.Request(operation.method.upper(), url, headers=headers, content=content)


def answer(call: str, status: int, body: Any, media: str = JSON) -> httpx.Response:
    """Return an answer to a call."""
    headers, content = {"Content-Type": media}, json.dumps(body)
    return httpx.Response(status, headers=headers, content=content, request=request(call))


@pytest.mark.parametrize(
    ("call", "body", "media"),
    [
        ("create_report", example("create_req"), JSON),
        ("retrieve_report", example("retrieve_req"), JSON),
        ("list_accounts", example("list_req"), LIST_MEDIA),
        ("export_ads", example("export_req"), EXPORT_MEDIA),
        ("get_export", None, EXPORT_MEDIA),
        ("list_portfolios", {}, PORTFOLIO_MEDIA),
        ("list_profiles", None, JSON),
    ],
)
def test_example_of_a_request_conforms(call: str, body: Any, media: str) -> None:
    """Of each call that the contract has an example of, and of those without a body."""
    assert [] == request_differences(request(call, body, media))


@pytest.mark.parametrize(
    ("differing", "sentence"),
    [
        (
            request("create_report", example("create_req"), without="Amazon-Ads-ClientId"),
            "create_report: request: header Amazon-Ads-ClientId is missing",
        ),
        (
            request("get_export", without="Amazon-Advertising-API-Scope"),
            "get_export: request: header Amazon-Advertising-API-Scope is missing",
        ),
        (
            request("create_report", example("create_req") | {"name": "x"}),
            "create_report: request: body: Additional properties are not allowed ('name' was unexpected)",
        ),
        (
            request("retrieve_report", {"reportIds": "r-1"}),
            "retrieve_report: request: reportIds: 'r-1' is not of type 'array'",
        ),
        (
            request("list_accounts", {}),
            f"list_accounts: request: content type is {JSON}, not {LIST_MEDIA}",
        ),
    ],
    ids=["header", "scope", "unknown field", "type", "content type"],
)
def test_difference_of_a_request_is_named(differing: httpx.Request, sentence: str) -> None:
    """With its call and its place."""
    assert [sentence] == request_differences(differing)


@pytest.mark.parametrize(
    ("call", "status", "body", "media", "place"),
    [
        ("create_report", 207, {"error": None}, JSON, "answer 207: error: None "),
        ("get_export", 200, {"exportId": "1"}, EXPORT_MEDIA, "answer 200: body: 'status' is a req"),
        ("list_accounts", 200, {}, JSON, f"answer 200: content type is {JSON}, not {LIST_MEDIA}"),
        ("retrieve_report", 400, {"message": "No"}, JSON, "answer 400: body: 'code' is a req"),
        ("retrieve_report", 418, {}, JSON, "answer 418: Unknown response http status: 418"),
        (
            "list_portfolios",
            200,
            {"portfolios": [{"portfolioId": "1", "name": "x", "state": "PAUSED"}]},
            PORTFOLIO_MEDIA,
            "answer 200: portfolios[0].state: 'PAUSED' is not one of",
        ),
    ],
    ids=["null", "missing", "content type", "error", "status", "word"],
)
def test_difference_of_an_answer_is_named(
    call: str, status: int, body: Any, media: str, place: str
) -> None:
    """With its call, status and place."""
    [sentence] = answer_differences(answer(call, status, body, media))
    assert sentence.startswith(f"{call}: {place}")


def test_answers_that_conform() -> None:
    """Errors as well, and refusals that a document doesn't list for its call."""
    conforming = [
        answer("get_export", 200, example("export_status_failed"), EXPORT_MEDIA),
        answer("list_accounts", 200, example("list_res"), LIST_MEDIA),
        answer("create_report", 400, REFUSAL),
        answer("list_profiles", 401, {"message": "Unauthorized"}),
    ]
    assert [] == [one for each in conforming for one in answer_differences(each)]


def test_tokens_and_downloads_are_not_described() -> None:
    """So nothing differs."""
    for path in ("/na/auth/o2/token", "/downloads/exp-1/0.json.gz"):
        assert [] == request_differences(httpx.Request("POST", f"http://127.0.0.1{path}"))


def test_answers_of_the_sandbox_are_judged_unless_a_rule_bends_them() -> None:
    """Answers that a test has scripted have no such header, and may be anything."""
    judged = answer("create_report", 207, {"error": None})
    exchanges.judge_answer(judged)
    judged.headers[exchanges.BENT_BY] = "answer"
    exchanges.judge_answer(judged)
    assert [] == exchanges.found
    judged.headers[exchanges.BENT_BY] = ""
    exchanges.judge_answer(judged)
    assert 1 == len(exchanges.found)
    exchanges.found.clear()


@pytest.mark.parametrize("played", [httpx.ReadError("broken"), httpx.Response(200, json={})])
def test_each_request_of_the_client_is_judged(
    amazon: FakeAmazon, monkeypatch: pytest.MonkeyPatch, played: Any
) -> None:
    """Whatever comes back: the header is missing from both."""
    names = "bidbeacon_pipelines.amazon_ads.client._CLIENT_ID_HEADERS"
    monkeypatch.setattr(names, ("Amazon-Ads-ClientId",))
    amazon.plays(played)
    with pytest.raises(Exception, match="export"), amazon.connect(attempts=1) as client:
        get_export(client, Owner("EU", "amzn1.one", "DE", "123"), "ads", "exp-1")
    missing = "get_export: request: header Amazon-Advertising-API-ClientId is missing"
    assert [missing] == exchanges.found
    exchanges.found.clear()
