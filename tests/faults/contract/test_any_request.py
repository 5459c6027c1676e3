"""Whatever Amazon's document allows is accepted or refused for a reason, and nothing else is accepted."""

import os
import re
from collections import Counter
from collections.abc import Iterator
from http.client import BAD_REQUEST, INTERNAL_SERVER_ERROR, MULTI_STATUS
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from schemathesis import Case, Response

from bidbeacon_sandbox.server import running_sandbox
from tests.faults.contract.amazon_world import CONFIG, World
from tests.faults.contract.any_request import broken_requests, conforming_requests
from tests.faults.contract.described_call import DescribedCall
from tests.faults.contract.justified import is_accepted_anyway, justified_refusals
from tools.amazon_documents import NOT_CHECKED, OPERATIONS, Documents, find_documents

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1_800)]
any_request = settings(
    max_examples=int(os.environ.get("CONTRACT_EXAMPLES", "200")),
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
"""Failures are not made smaller: that would take longer than all tests."""
LEAST_ACCEPTED = 0.01
WITHOUT_MISTAKES = {"get_export"}
"""Any text is an export's id."""


@pytest.fixture(scope="module")
def documents() -> Documents:
    """Return Amazon's documents; fail without them, or a night would pass unchecked."""
    return find_documents() or pytest.fail(NOT_CHECKED)


@pytest.fixture(scope="module")
def world(documents: Documents) -> Iterator[World]:
    """Run a sandbox with a report and an export."""
    with running_sandbox(CONFIG) as sandbox:
        yield World(sandbox, documents.fields())


@pytest.mark.parametrize("name", OPERATIONS)
def test_conforming_request_is_accepted(name: str, documents: Documents, world: World) -> None:
    """It is refused for a listed reason only, and often accepted."""
    call, accepted = DescribedCall(name, documents), Counter[bool]()

    def send(case: Case[Any]) -> None:
        assume(call.allows(case))
        reasons = justified_refusals(call, case, world)
        answer = world.send(case)
        code = _refusal(answer)
        accepted[code is None] += 1
        assert answer.status_code < INTERNAL_SERVER_ERROR, _told(case, answer)
        assert code is None or code in reasons, _told(case, answer)

    any_request(given(conforming_requests(call, world))(send))()
    assert accepted[True] >= LEAST_ACCEPTED * accepted.total(), accepted


@pytest.mark.parametrize("name", sorted(OPERATIONS.keys() - WITHOUT_MISTAKES))
def test_broken_request_is_refused(name: str, documents: Documents, world: World) -> None:
    """Its mistake is neither ignored nor an error of the server."""
    call, sent = DescribedCall(name, documents), Counter[str]()

    def send(case: Case[Any]) -> None:
        assume(not call.allows(case) and not is_accepted_anyway(call, case))
        answer = world.send(case)
        code = _refusal(answer)
        sent[str(code)] += 1
        assert answer.status_code < INTERNAL_SERVER_ERROR, _told(case, answer)
        assert code is not None, _told(case, answer)

    any_request(given(broken_requests(call, world))(send))()
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
