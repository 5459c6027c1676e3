"""The calls that say who there is: ads accounts and profiles, each region's own."""

import base64
import binascii
import json
from typing import Any

from starlette.responses import Response

from bidbeacon_pipelines.sandbox.accounts import Account, AccountCountry
from bidbeacon_pipelines.sandbox.call import Call
from bidbeacon_pipelines.sandbox.refusals import json_response, refuse

LIST_MEDIA = "application/vnd.listaccountsresource.v1+json"
_LONGEST_PAGE = 100


async def list_accounts(call: Call) -> Response:
    """Give a page of the region's ads accounts; `POST /{region}/adsAccounts/list`."""
    await call.admit()
    call.require_media(LIST_MEDIA)
    body = await call.json()
    if not isinstance(body, dict):
        raise refuse(400, {"code": "INVALID_ARGUMENT", "details": "The body is not a JSON object"})
    size, offset = _page_size(body), _offset(body)
    accounts = call.sandbox.world.accounts.in_region(call.region)
    page = [_account(account) for account in accounts[offset : offset + size]]
    following = _token(offset + size) if offset + size < len(accounts) else None
    if call.sandbox.config.accounts_shape == "array":
        return json_response([{"adsAccount": account} for account in page])
    return json_response({"adsAccounts": page} | ({"nextToken": following} if following else {}))


async def list_profiles(call: Call) -> Response:
    """Give the region's profiles; `GET /{region}/v2/profiles`."""
    await call.admit()
    accounts = call.sandbox.world.accounts.in_region(call.region)
    return json_response(
        [_profile(account, country) for account in accounts for country in account.countries]
    )


def _page_size(body: dict[str, Any]) -> int:
    size = body.get("maxResults", _LONGEST_PAGE)
    if not isinstance(size, int) or not 1 <= size <= _LONGEST_PAGE:
        raise refuse(400, {"code": "INVALID_ARGUMENT", "details": "maxResults must be 1 to 100"})
    return size


def _offset(body: dict[str, Any]) -> int:
    token = body.get("nextToken")
    if token is None:
        return 0
    try:
        return int(json.loads(base64.b64decode(token, validate=True))["offset"])
    except (binascii.Error, ValueError, KeyError, TypeError) as error:
        raise refuse(400, {"code": "INVALID_ARGUMENT", "details": "nextToken is not valid"}) from error


def _token(offset: int) -> str:
    return base64.b64encode(json.dumps({"offset": offset}, separators=(",", ":")).encode()).decode()


def _account(account: Account) -> dict[str, Any]:
    refused = {"errorCode": "NOT_REGISTERED", "errorId": 404, "errorMessage": "Marketplace not registered"}
    ids = [
        {"countryCode": country.country, key: value}
        for country in account.countries
        for key, value in (("profileId", country.profile_id), ("entityId", country.entity_id))
    ]
    return {
        "accountName": account.name,
        "adsAccountId": account.account_id,
        "status": account.status,
        "countryCodes": list(account.country_codes),
        "alternateIds": ids,
        "errors": {account.refused_country: [refused]} if account.refused_country else {},
    }


def _profile(account: Account, country: AccountCountry) -> dict[str, Any]:
    market = country.market
    return {
        "profileId": country.profile_id,
        "countryCode": market.profile_country,
        "currencyCode": market.currency,
        "timezone": market.time_zone,
        "accountInfo": {
            "marketplaceStringId": market.marketplace_id,
            "id": country.entity_id,
            "type": "seller",
            "name": account.name,
            "validPaymentMethod": True,
        },
    }
