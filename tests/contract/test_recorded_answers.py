"""Answers of real accounts that Amazon's documents don't allow: a rule plays each, and the client accepts it."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from bidbeacon_pipelines.amazon_ads.client import AdsApiClient, Owner, RetryPolicy
from bidbeacon_pipelines.amazon_ads.endpoints import Endpoints
from bidbeacon_pipelines.amazon_ads.entities import list_portfolios
from bidbeacon_pipelines.amazon_ads.errors import Rejected, Throttled
from bidbeacon_pipelines.amazon_ads.reports import (
    Report,
    ad_product_filter,
    create_report,
    retrieve_report,
)
from bidbeacon_pipelines.credentials import SANDBOX_CREDENTIAL
from bidbeacon_sandbox import SandboxConfig
from bidbeacon_sandbox.server import SandboxHandle, running_sandbox
from tests.support.rules import rule

NULLS = dict.fromkeys(
    (
        *("completedDateTime", "currencyOfView", "failureCode", "failureReason"),
        *("formatOptions", "locale", "timeZoneMode", "url"),
    )
)
FIELDS = ["date.value", "campaign.id", "metric.clicks"]


@pytest.fixture
def sandbox() -> Iterator[SandboxHandle]:
    """Yield a sandbox whose reports are ready at once."""
    with running_sandbox(SandboxConfig(report_seconds=0, rows_per_day=12)) as handle:
        yield handle


@pytest.fixture
def client(sandbox: SandboxHandle) -> Iterator[AdsApiClient]:
    """Yield a session with it that never tries twice."""
    endpoints, retry = Endpoints.sandbox(sandbox.url), RetryPolicy(attempts=1)
    with AdsApiClient(SANDBOX_CREDENTIAL, endpoints, retry=retry) as made:
        yield made


def create(client: AdsApiClient, sandbox: SandboxHandle) -> Report:
    """Ask for a report of the day before yesterday."""
    account = sandbox.state.world.accounts.accounts[0]
    day = sandbox.state.clock.now().date() - timedelta(days=2)
    row_filter = ad_product_filter(["SPONSORED_PRODUCTS"])
    asked: dict[str, Any] = {"fields": FIELDS, "start": day, "end": day, "row_filter": row_filter}
    return create_report(client, "NA", account.account_id, **asked)


def test_nulls_of_a_report(client: AdsApiClient, sandbox: SandboxHandle) -> None:
    """Recorded from a created report: each field that has no value is null, `error` as well."""
    sandbox.state.rules.add(
        rule("answer", write={"error": "null", "filter": "null"}),
        rule("answer", add=NULLS, where={"status": ["PENDING"]}),
        rule("answer", add={"url": None}, where={"status": ["COMPLETED"]}),
    )
    made = retrieve_report(client, "NA", create(client, sandbox).report_id)
    assert (None, None, True) == (made.failure_code, made.row_filter, made.is_terminal)
    assert made.parts


def test_number_as_the_code_of_a_refusal(client: AdsApiClient, sandbox: SandboxHandle) -> None:
    """Recorded: it stands in the code, where the document has words, and in the message."""
    text = "400006: field metric.totalCost cannot be used without also including fields: (budgetCurrency.value)"
    sandbox.state.rules.add(rule("refuse", "create_report", code="400006", message=text))
    with pytest.raises(Rejected) as refused:
        create(client, sandbox)
    assert ("400006", "fields-refused-together") == (refused.value.code, refused.value.cause_code)


def test_429_of_the_gateway(client: AdsApiClient, sandbox: SandboxHandle) -> None:
    """It has a message alone, where the documents of reports and portfolios want a code."""
    sandbox.state.rules.add(rule("answer", "list_portfolios", status=429))
    with pytest.raises(Throttled, match="Too Many Requests"):
        list_portfolios(client, profile_of(sandbox))


def test_paused_portfolios(client: AdsApiClient, sandbox: SandboxHandle) -> None:
    """The document knows the state ENABLED alone."""
    paused = {"state": {"ENABLED": "PAUSED"}}
    sandbox.state.rules.add(rule("answer", "list_portfolios", words=paused))
    assert {"PAUSED"} == {one["state"] for one in list_portfolios(client, profile_of(sandbox))}


def profile_of(sandbox: SandboxHandle) -> Owner:
    """Return the first profile."""
    account = sandbox.state.world.accounts.accounts[0]
    country = account.countries[0]
    return Owner("NA", account.account_id, country.country, str(country.profile_id))
