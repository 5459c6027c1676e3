"""The calls that list who there is: access tokens, ads accounts and profiles of a region."""

import base64
import binascii
import json
from typing import Any
from urllib.parse import parse_qs

from starlette.responses import Response

from bidbeacon_sandbox.accounts import Account, AccountCountry
from bidbeacon_sandbox.call import Call, json_response, refuse

_FORM = "application/x-www-form-urlencoded"


async def issue_token(call: Call) -> Response:
    """Return an access token for the refresh token; `POST /{region}/auth/o2/token`."""
    await call.suffer_faults()
    call.require_media(_FORM)
    form = {
        key: values[0] for key, values in parse_qs((await call.request.body()).decode()).items()
    }
    _check(call, form)
    return json_response(
        {
            "access_token": call.sandbox.tokens.issue(call.now),
            "refresh_token": call.sandbox.config.refresh_token,
            "token_type": "bearer",
            "expires_in": call.sandbox.tokens.seconds,
        }
    )


def _check(call: Call, form: dict[str, str]) -> None:
    config = call.sandbox.config
    missing = [
        key
        for key in ("grant_type", "client_id", "client_secret", "refresh_token")
        if key not in form
    ]
    if missing:
        text = f"The request is missing a required parameter : {missing[0]}"
        raise refuse(400, {"error": "invalid_request", "error_description": text})
    if form["grant_type"] != "refresh_token":
        text = "The authorization grant type is not supported by the authorization server"
        raise refuse(400, {"error": "unsupported_grant_type", "error_description": text})
    if (form["client_id"], form["client_secret"]) != (config.client_id, config.client_secret):
        raise refuse(
            401, {"error": "invalid_client", "error_description": "Client authentication failed"}
        )
    if form["refresh_token"] != config.refresh_token or call.sandbox.faults.find_strike(
        "invalid_grant", call.subject
    ):
        text = "The request has an invalid grant parameter : refresh_token. User may have revoked or didn't grant the permission."
        raise refuse(400, {"error": "invalid_grant", "error_description": text})


LIST_MEDIA = "application/vnd.listaccountsresource.v1+json"
_LONGEST_PAGE = 100


async def list_accounts(call: Call) -> Response:
    """Return a page of the region's ads accounts; `POST /{region}/adsAccounts/list`."""
    await call.admit()
    call.require_media(LIST_MEDIA)
    body = await call.json()
    if not isinstance(body, dict):
        raise refuse(400, {"code": "INVALID_ARGUMENT", "details": "The body is not a JSON object"})
    size, offset = read_page(body)
    accounts = call.sandbox.world.accounts.in_region(call.region)
    page = [_account(account) for account in accounts[offset : offset + size]]
    following = page_token(offset + size) if offset + size < len(accounts) else None
    if call.sandbox.config.accounts_shape == "array":
        return json_response([{"adsAccount": account} for account in page])
    return json_response({"adsAccounts": page} | ({"nextToken": following} if following else {}))


async def list_profiles(call: Call) -> Response:
    """Return the region's profiles; `GET /{region}/v2/profiles`."""
    await call.admit()
    accounts = call.sandbox.world.accounts.in_region(call.region)
    return json_response(
        [_profile(account, country) for account in accounts for country in account.countries]
    )


def read_page(body: dict[str, Any]) -> tuple[int, int]:
    """Return the size of the page asked for, and the offset of its first item.

    Raises:
        Refusal: 400, one of them is invalid.
    """
    return _page_size(body), _offset(body)


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
        raise refuse(
            400, {"code": "INVALID_ARGUMENT", "details": "nextToken is not valid"}
        ) from error


def page_token(offset: int) -> str:
    """Return the token of the page that begins at an offset."""
    return base64.b64encode(json.dumps({"offset": offset}, separators=(",", ":")).encode()).decode()


def _account(account: Account) -> dict[str, Any]:
    refused = {
        "errorCode": "NOT_REGISTERED",
        "errorId": 404,
        "errorMessage": "Marketplace not registered",
    }
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
            "type": account.kind,
            "name": account.name,
            "validPaymentMethod": True,
        },
    }
