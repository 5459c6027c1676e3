"""Listing the portfolios of a profile."""

from decimal import Decimal
from typing import Any

import httpx
import pytest

from bidbeacon_pipelines.amazon_ads import list_portfolios
from bidbeacon_pipelines.amazon_ads.errors import MalformedAnswer, NotAuthorized
from tests.unit.amazon_ads.fakes import Bench

MEDIA_TYPE = "application/vnd.spPortfolio.v3+json"


def page(*portfolios: Any, token: str | None = None) -> httpx.Response:
    """Return one page of Amazon's answer."""
    body = {"portfolios": list(portfolios), "totalResults": 3} | (
        {"nextToken": token} if token else {}
    )
    return httpx.Response(200, json=body)


def listed(bench: Bench) -> list[Any]:
    """List the portfolios of one profile."""
    return list_portfolios(
        bench.client, "EU", "1111222233334444", account_id="amzn1.x", country_code="DE"
    )


def test_list_is_asked_for_in_the_profile_page_by_page(bench: Bench) -> None:
    """Every page has the same media type both ways, and the token of the page before."""
    bench.amazon.plays(page({"portfolioId": 1}, token="two"), page({"portfolioId": 2}))
    assert [{"portfolioId": 1}, {"portfolioId": 2}] == listed(bench)
    assert bench.amazon.bodies() == [{}, {"nextToken": "two"}]
    for call in bench.amazon.calls:
        assert (call.method, str(call.url)) == (
            "POST",
            "https://advertising-api-eu.amazon.com/portfolios/list",
        )
        assert MEDIA_TYPE == call.headers["Content-Type"] == call.headers["Accept"]
        assert call.headers["Amazon-Advertising-API-Scope"] == "1111222233334444"


def test_portfolios_are_as_amazon_sends_them(bench: Bench) -> None:
    """Amounts are exact, and what is no portfolio is left to who reads them."""
    text = '{"portfolios":[{"budget":{"amount":12345678901234.567891}},null],"nextToken":null}'
    bench.amazon.plays(httpx.Response(200, text=text))
    assert [{"budget": {"amount": Decimal("12345678901234.567891")}}, None] == listed(bench)


def test_profile_without_portfolios_has_none(bench: Bench) -> None:
    """Amazon may leave out the list."""
    bench.amazon.plays(httpx.Response(200, json={"totalResults": 0}))
    assert listed(bench) == []


def test_pages_that_lead_in_a_circle_are_malformed(bench: Bench) -> None:
    """The same token twice would never end."""
    bench.amazon.plays(page(token="a"), page(token="a"))
    with pytest.raises(MalformedAnswer, match="the same nextToken twice"):
        listed(bench)


def test_profile_without_rights_is_refused(bench: Bench) -> None:
    """A 403 names the account and the country."""
    bench.amazon.plays(httpx.Response(403, json={"code": "403", "details": "Not authorized"}))
    with pytest.raises(NotAuthorized, match="in DE"):
        listed(bench)
