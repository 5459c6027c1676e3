"""The portfolios of a profile: every page of Amazon's list."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from bidbeacon_pipelines.amazon_ads.client import AdsApiClient
from bidbeacon_pipelines.amazon_ads.errors import MalformedAnswer
from bidbeacon_pipelines.amazon_ads.models import WirePortfolioPage, read_as
from bidbeacon_pipelines.amazon_ads.rate_limits import CallClass
from bidbeacon_pipelines.amazon_ads.transport import ApiCall
from bidbeacon_pipelines.settings import Region

_MAX_PAGES = 1000
_MEDIA_TYPE = "application/vnd.spPortfolio.v3+json"


def list_portfolios(
    client: AdsApiClient,
    region: Region,
    profile_id: str,
    *,
    account_id: str | None = None,
    country_code: str | None = None,
) -> list[Any]:
    """Return the portfolios of a profile as Amazon sends them, of every state; numbers with a point are `Decimal`.

    Args:
        client: The session.
        region: Where the profile lives.
        profile_id: Whose portfolios are listed.
        account_id: The profile's account.
        country_code: The profile's country.

    Raises:
        NotAuthorized: The user has no rights in this profile, or it belongs to another region.
    """
    about = f"profile {profile_id}" + (
        f" of account {account_id} in {country_code}" if account_id else ""
    )
    call = ApiCall(
        name="list_portfolios",
        operation="list portfolios",
        method="POST",
        region=region,
        path="/portfolios/list",
        call_class=CallClass.OTHER,
        headers={
            "Accept": _MEDIA_TYPE,
            "Content-Type": _MEDIA_TYPE,
            "Amazon-Advertising-API-Scope": profile_id,
        },
        account_id=account_id,
        country_code=country_code,
        about=about,
    )
    return [portfolio for page in _pages(client, call) for portfolio in page.portfolios]


def _pages(client: AdsApiClient, call: ApiCall) -> Iterator[WirePortfolioPage]:
    """Follow `nextToken` to the end; stop at a repeated token, which would loop."""
    tokens: set[str | None] = set()
    token: str | None = None
    while token not in tokens and len(tokens) < _MAX_PAGES:
        tokens.add(token)
        asked = replace(call, json={"nextToken": token} if token else {})
        page = client.call(asked, lambda answer: read_as(WirePortfolioPage, answer))
        yield page
        if not page.next_token:
            return
        token = page.next_token
    raise MalformedAnswer(
        f"expected the last page, got the same nextToken twice or more than {_MAX_PAGES} pages",
        operation=call.operation,
        about=call.about,
    )
