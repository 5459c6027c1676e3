"""The calls that list who there is: access tokens, ads accounts and profiles of a region."""

import base64
import binascii
import json
from dataclasses import replace
from typing import Any, TypeVar
from urllib.parse import parse_qs

from starlette.responses import Response

from bidbeacon_sandbox.accounts import Account, AccountCountry
from bidbeacon_sandbox.call import Call, json_response, refuse
from bidbeacon_sandbox.rules import Token
from bidbeacon_sandbox.settings import Credential

_Item = TypeVar("_Item")
_FORM = "application/x-www-form-urlencoded"
_NEEDED = ("grant_type", "client_id", "client_secret", "refresh_token")


async def issue_token(call: Call) -> Response:
    """Return an access token for a refresh token; `POST /{region}/auth/o2/token`."""
    body = parse_qs((await call.request.body()).decode())
    form = {key: values[0] for key, values in body.items()}
    call.subject = replace(call.subject, client=form.get("client_id"))
    await call.suffer_rules()
    call.require_media(_FORM)
    credential = _find_credential(call, form)
    return json_response(
        {
            "access_token": call.sandbox.tokens.issue(credential, call.now),
            "refresh_token": form["refresh_token"],
            "token_type": "bearer",
            "expires_in": call.sandbox.tokens.seconds,
        }
    )


def _find_credential(call: Call, form: dict[str, str]) -> Credential:
    """Return the credential that a form names.

    Raises:
        Refusal: something is missing, the client is unknown, or the refresh token isn't one of its.
    """
    missing = [key for key in _NEEDED if key not in form]
    if missing:
        text = f"The request is missing a required parameter : {missing[0]}"
        raise refuse(400, {"error": "invalid_request", "error_description": text})
    if form["grant_type"] != "refresh_token":
        text = "The authorization grant type is not supported by the authorization server"
        raise refuse(400, {"error": "unsupported_grant_type", "error_description": text})
    client = form["client_id"], form["client_secret"]
    of_client = [
        one
        for one in call.sandbox.config.credentials
        if (one.client_id, one.client_secret.get_secret_value()) == client
    ]
    if not of_client:
        text = "Client authentication failed"
        raise refuse(401, {"error": "invalid_client", "error_description": text})
    found = [
        one for one in of_client if one.refresh_token.get_secret_value() == form["refresh_token"]
    ]
    is_revoked = call.sandbox.rules.strike(Token, call.subject, lambda rule: rule.what == "revoked")
    if not found or is_revoked:
        text = "The request has an invalid grant parameter : refresh_token. User may have revoked or didn't grant the permission."
        raise refuse(400, {"error": "invalid_grant", "error_description": text})
    return found[0]


LIST_MEDIA = "application/vnd.listaccountsresource.v1+json"
_LONGEST_PAGE = 100


async def list_accounts(call: Call) -> Response:
    """Return a page of the region's ads accounts; `POST /{region}/adsAccounts/list`."""
    await call.admit()
    body = await call.json()
    page, following = read_page(body, call.accounts())
    accounts = [_account(account) for account in page]
    return json_response({"adsAccounts": accounts} | following)


async def list_profiles(call: Call) -> Response:
    """Return the region's profiles; `GET /{region}/v2/profiles`."""
    await call.admit()
    return json_response(
        [_profile(account, country) for account in call.accounts() for country in account.countries]
    )


async def query_accounts(call: Call) -> Response:
    """List global ads accounts, or others where the filter asks; `POST /{region}/adsApi/v1/query/advertiserAccounts`."""
    await call.admit()
    body = await call.json()
    asked = body.get("isGlobalAccountFilter") if isinstance(body, dict) else None
    wants_global = not asked or True in asked.get("include", [])
    page, following = read_page(body, call.accounts() if wants_global else [])
    return json_response(
        {"advertiserAccounts": [_advertiser_account(account) for account in page]} | following
    )


def read_page(body: Any, items: list[_Item]) -> tuple[list[_Item], dict[str, str]]:
    """Return the page that a body asks for, and the token of the next one if there is one.

    Raises:
        Refusal: 400, the body is invalid.
    """
    if not isinstance(body, dict):
        raise refuse(400, {"code": "INVALID_ARGUMENT", "details": "The body is not a JSON object"})
    size, offset = _page_size(body), _offset(body)
    token = json.dumps({"offset": offset + size}, separators=(",", ":")).encode()
    following = {"nextToken": base64.b64encode(token).decode()}
    return items[offset : offset + size], following if offset + size < len(items) else {}


def _page_size(body: dict[str, Any]) -> int:
    size = body.get("maxResults", _LONGEST_PAGE)
    if isinstance(size, bool) or not isinstance(size, int | float) or size != int(size):
        size = 0
    if not 1 <= size <= _LONGEST_PAGE:
        raise refuse(400, {"code": "INVALID_ARGUMENT", "details": "maxResults must be 1 to 100"})
    return int(size)


def _offset(body: dict[str, Any]) -> int:
    token = body.get("nextToken")
    if token is None:
        return 0
    try:
        return int(json.loads(base64.b64decode(token, validate=True))["offset"])
    except (binascii.Error, ValueError, KeyError, TypeError) as error:
        text = "nextToken is not valid"
        raise refuse(400, {"code": "INVALID_ARGUMENT", "details": text}) from error


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


_STATUSES = {"PENDING": "REGISTRATION_IN_PROGRESS", "DISABLED": "ARCHIVED"}


def _advertiser_account(account: Account) -> dict[str, Any]:
    first = account.countries[0].market
    status = _STATUSES.get(account.status, "APPROVED")
    return {
        "advertiserAccountId": account.account_id,
        "displayName": account.name,
        "isGlobalAccount": True,
        "isTestAccount": False,
        "managerAccountId": None,
        "currencyCode": first.currency,
        "timeZoneIana": first.time_zone,
        "status": {"statusCode": status, "statusMessage": status.replace("_", " ").capitalize()},
        "businessDetails": {"businessName": account.name, "countryCode": first.country},
        "alternateIds": [
            {
                "countryCode": country.country,
                "entityId": country.entity_id,
                "profileId": str(country.profile_id),
                "region": account.region,
            }
            for country in account.countries
        ],
    }
