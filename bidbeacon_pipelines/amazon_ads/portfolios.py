"""The portfolios of a profile: every page of Amazon's list."""

from typing import Any

from bidbeacon_pipelines.amazon_ads.client import AdsApiClient, AdsRequest, Owner
from bidbeacon_pipelines.amazon_ads.wire import Unread, WireModel

_MEDIA_TYPE = "application/vnd.spPortfolio.v3+json"


class _Page(WireModel):
    portfolios: tuple[Unread, ...] = ()
    next_token: str | None = None


def list_portfolios(client: AdsApiClient, owner: Owner) -> list[Any]:
    """Return a profile's portfolios in all states as Amazon sends them, with `Decimal`s.

    Raises:
        NotAuthorized: The user has no rights in this profile, or it belongs to another region.
    """
    request = AdsRequest(
        name="list_portfolios",
        operation="list portfolios",
        method="POST",
        owner=owner,
        path="/portfolios/list",
        json={},
        headers={"Accept": _MEDIA_TYPE, "Content-Type": _MEDIA_TYPE},
    )
    return [one for page in client.call_pages(request, _Page) for one in page.portfolios]
