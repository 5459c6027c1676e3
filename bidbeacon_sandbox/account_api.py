"""The API calls for access tokens, ads accounts and profiles."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar
from urllib.parse import parse_qs

from starlette.responses import Response

from bidbeacon_sandbox.accounts import AccountCountry, AdsAccount
from bidbeacon_sandbox.answers import Refusal, json_response, refuse
from bidbeacon_sandbox.call import Call
from bidbeacon_sandbox.list_filters import AccountQuery, read_body
from bidbeacon_sandbox.rules import Token
from bidbeacon_sandbox.settings import Credential

_Item = TypeVar("_Item")
_FORM = "application/x-www-form-urlencoded"
_ACCOUNTS_MEDIA = "application/vnd.listaccountsresource.v1+json"
_NEEDED = ("grant_type", "client_id", "client_secret", "refresh_token")
_LONGEST_PAGE = 100
_FIRST_PAGE = "from-0"
_PROGRAMS = ("billing", "campaign", "paymentMethod", "store", "report", "account", "posts")
_PROFILE_FILTERS = {
    "apiProgram": _PROGRAMS,
    "accessLevel": ("edit", "view"),
    "profileTypeFilter": ("seller", "vendor", "agency"),
    "validPaymentMethodFilter": ("true", "false"),
}
"""The allowed values of each query parameter of `list_profiles`."""


async def issue_token(call: Call) -> Response:
    """Return an access token for a refresh token; `POST /{region}/auth/o2/token`."""
    body = parse_qs((await call.request.body()).decode(errors="replace"))
    form = {key: values[0] for key, values in body.items()}
    call.facts = replace(call.facts, client=form.get("client_id"))
    await call.apply_rules()
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
    missing = [key for key in _NEEDED if key not in form]
    if missing:
        text = f"The request is missing a required parameter : {missing[0]}"
        raise _refused(400, "invalid_request", text)
    if form["grant_type"] != "refresh_token":
        text = "The authorization grant type is not supported by the authorization server"
        raise _refused(400, "unsupported_grant_type", text)
    of_client = [
        one
        for one in call.sandbox.config.credentials
        if one.client_id == form["client_id"]
        and one.client_secret.get_secret_value() == form["client_secret"]
    ]
    if not of_client:
        raise _refused(401, "invalid_client", "Client authentication failed")
    token = form["refresh_token"]
    found = [one for one in of_client if one.refresh_token.get_secret_value() == token]
    is_revoked = call.strike(Token, lambda rule: rule.revokes(token))
    if not found or is_revoked:
        text = (
            "The request has an invalid grant parameter : refresh_token. "
            "User may have revoked or didn't grant the permission."
        )
        raise _refused(400, "invalid_grant", text)
    return found[0]


def _refused(status: int, error: str, text: str) -> Refusal:
    return refuse(status, {"error": error, "error_description": text})


async def list_accounts(call: Call) -> Response:
    """Return a page of the region's ads accounts; `POST /{region}/adsAccounts/list`."""
    await call.admit()
    page, following = read_page(await call.json(), call.accounts_in_region())
    body = {"adsAccounts": list(map(_account, page)), **following}
    return json_response(body, media=_ACCOUNTS_MEDIA)


async def list_profiles(call: Call) -> Response:
    """Return the region's profiles that the credential may edit; `GET /{region}/v2/profiles`.

    `accessLevel=view` adds the profiles that the credential may only view.
    """
    await call.admit()
    query = _read_profile_filters(call)
    only_view, kind = query.get("accessLevel") == "view", query.get("profileTypeFilter")
    accounts = call.accounts_in_region() if query.get("validPaymentMethodFilter") != "false" else []
    return json_response(
        [
            _profile(account, country)
            for account in accounts
            if (only_view or call.may_edit(account)) and kind in {None, account.kind}
            for country in account.countries
        ]
    )


def _read_profile_filters(call: Call) -> dict[str, str]:
    query = call.request.query_params.multi_items()
    for name, value in query:
        words = _PROFILE_FILTERS.get(name, (value,))
        if value not in words:
            text = f"{name} must be one of {', '.join(words)}"
            raise refuse(400, {"code": "INVALID_ARGUMENT", "details": text})
    return dict(query)


async def query_accounts(call: Call) -> Response:
    """Return a page of ads accounts; `POST /{region}/adsApi/v1/query/advertiserAccounts`."""
    await call.admit()
    body = await call.json()
    query = read_body(AccountQuery, body)
    passing = [one for one in call.accounts_in_region() if query.passes(one.account_id)]
    page, following = read_page(body, passing)
    return json_response({"advertiserAccounts": list(map(_advertiser_account, page)), **following})


def read_page(body: Any, items: Sequence[_Item]) -> tuple[Sequence[_Item], dict[str, str]]:
    """Return one page of `items`, and `nextToken` if more follow; refuse an invalid body."""
    if not isinstance(body, dict):
        raise refuse(400, {"code": "INVALID_ARGUMENT", "details": "The body is not a JSON object"})
    size, token = body.get("maxResults", _LONGEST_PAGE), body.get("nextToken", _FIRST_PAGE)
    if size not in range(1, _LONGEST_PAGE + 1) or isinstance(size, bool):
        raise refuse(400, {"code": "INVALID_ARGUMENT", "details": "maxResults must be 1 to 100"})
    found = re.fullmatch(r"from-(\d{1,9})", token) if isinstance(token, str) else None
    if found is None:
        raise refuse(400, {"code": "INVALID_ARGUMENT", "details": "nextToken is not valid"})
    start = int(found[1])
    end = start + int(size)
    following = {"nextToken": f"from-{end}"} if end < len(items) else {}
    return items[start:end], following


def _account(account: AdsAccount) -> dict[str, Any]:
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
        "countryCodes": account.country_codes,
        "alternateIds": ids,
        "errors": {account.refused_country: [refused]} if account.refused_country else {},
    }


def _profile(account: AdsAccount, country: AccountCountry) -> dict[str, Any]:
    market = country.market
    return {
        "profileId": country.profile_id,
        "countryCode": "UK" if market.country == "GB" else market.country,
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


def _advertiser_account(account: AdsAccount) -> dict[str, Any]:
    first = account.countries[0].market
    status = _STATUSES.get(account.status, "APPROVED")
    return {
        "advertiserAccountId": account.account_id,
        "displayName": account.name,
        "isGlobalAccount": True,
        "isTestAccount": False,
        "currencyCode": first.currency,
        "timeZoneIana": first.time_zone,
        "status": {"statusCode": status, "statusMessage": status.replace("_", " ").capitalize()},
        "businessDetails": [{"website": "https://shop.example"}],
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
