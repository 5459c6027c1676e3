"""Whatever Amazon's document allows is accepted or refused for a reason, and nothing else is accepted."""

import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from http.client import BAD_REQUEST, INTERNAL_SERVER_ERROR, MULTI_STATUS
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from requests import Session
from schemathesis import Case, Response

from bidbeacon_sandbox.server import running_sandbox
from tests.faults.contract.any_request import broken_requests, conforming_requests
from tests.faults.contract.described_call import DescribedCall
from tests.faults.contract.justified import is_accepted_anyway, justified_refusals
from tests.faults.contract.real_values import CONFIG, Known, make_known
from tests.unit.sandbox.conftest import Caller
from tools.amazon_documents import NOT_CHECKED, OPERATIONS, Documents, find_documents

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1_800)]
Send = Callable[[Case[Any]], Response]
EXAMPLES = int(os.environ.get("CONTRACT_EXAMPLES", "200"))
MANY_PLACES = {"create_report": 8}
"""How many times as many broken requests a call needs whose body has many places for a mistake."""
any_request = settings(
    max_examples=EXAMPLES,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
"""Failures are not made smaller: that would take longer than all tests."""
LEAST_ACCEPTED = 0.01
CAMPAIGNS = "application/vnd.campaignsexport.v1+json"
WITHOUT_MISTAKES = {"get_export"}
"""Any text is an export's id."""


@pytest.fixture(scope="module")
def documents() -> Documents:
    """Return Amazon's documents; fail without them, or a night would pass unchecked."""
    return find_documents() or pytest.fail(NOT_CHECKED)


@pytest.fixture(scope="module")
def caller() -> Iterator[Caller]:
    """Run a sandbox."""
    with running_sandbox(CONFIG) as sandbox, httpx.Client() as http:
        yield Caller(sandbox, http)


@pytest.fixture(scope="module")
def known(documents: Documents, caller: Caller) -> Known:
    """Return what the sandbox knows: an export and reports."""
    return make_known(caller)


@pytest.fixture(scope="module")
def send(caller: Caller) -> Send:
    """Return the function that sends a request for the first profile, with our headers alone."""
    profile = str(caller.account().countries[0].profile_id)
    ours = caller.headers | {"Amazon-Advertising-API-Scope": profile}
    session = Session()

    def send_one(case: Case[Any]) -> Response:
        case.headers.clear()
        headers = ours | {"Accept": case.media_type or CAMPAIGNS}
        return case.call(base_url=f"{caller.url}/na", session=session, headers=headers)

    return send_one


@pytest.mark.parametrize("name", OPERATIONS)
def test_conforming_request_is_accepted(
    name: str, documents: Documents, known: Known, send: Send
) -> None:
    """It is refused for a listed reason only, and often accepted."""
    call, accepted = DescribedCall(name, documents), Counter[bool]()

    def check(case: Case[Any]) -> None:
        assume(call.allows(case))
        reasons = justified_refusals(call, case, known)
        answer = send(case)
        code = _refusal(answer)
        accepted[code is None] += 1
        assert answer.status_code < INTERNAL_SERVER_ERROR, _told(case, answer)
        assert code is None or code in reasons, _told(case, answer)

    any_request(given(conforming_requests(call, known))(check))()
    assert accepted[True] >= LEAST_ACCEPTED * accepted.total(), accepted


@pytest.mark.parametrize("name", sorted(OPERATIONS.keys() - WITHOUT_MISTAKES))
def test_broken_request_is_refused(
    name: str, documents: Documents, known: Known, send: Send
) -> None:
    """Its mistake is neither ignored nor an error of the server."""
    call, sent = DescribedCall(name, documents), Counter[str]()

    def check(case: Case[Any]) -> None:
        assume(not call.allows(case) and not is_accepted_anyway(call, case))
        answer = send(case)
        code = _refusal(answer)
        sent[str(code)] += 1
        assert answer.status_code < INTERNAL_SERVER_ERROR, _told(case, answer)
        assert code is not None, _told(case, answer)

    examples = settings(any_request, max_examples=EXAMPLES * MANY_PLACES.get(name, 1))
    examples(given(broken_requests(call, known))(check))()
    assert sent.total()


def _refusal(answer: Response) -> str | None:
    """Return the code of a refusal, else its status; None if the request was accepted."""
    if answer.status_code == MULTI_STATUS:
        errors = answer.json()["error"] or ()
        return next((str(one["errors"][0]["code"]) for one in errors), None)
    if answer.status_code < BAD_REQUEST:
        return None
    code = re.search(r"\b4000\d\d\b", answer.text)
    return code[0] if code else str(answer.status_code)


def _told(case: Case[Any], answer: Response) -> str:
    asked = f"{case.method} {case.formatted_path} {case.query or ''} {case.body!r}"
    return f"{asked}\nwas answered by {answer.status_code}: {answer.text}"
