"""The newer call that lists accounts: global ones, or those that are not where the filter asks for them."""

from typing import Any

from starlette.responses import Response

from bidbeacon_sandbox.accounts import Account
from bidbeacon_sandbox.call import Call, json_response

_STATUSES = {"PENDING": "REGISTRATION_IN_PROGRESS", "DISABLED": "ARCHIVED"}


async def query_accounts(call: Call) -> Response:
    """List the region's accounts; `POST /{region}/adsApi/v1/query/advertiserAccounts`."""
    await call.admit()
    call.require_media("application/json")
    body = await call.json()
    asked = body.get("isGlobalAccountFilter") if isinstance(body, dict) else None
    wants_global = not asked or True in asked.get("include", [])
    accounts = call.sandbox.world.accounts.in_region(call.region) if wants_global else []
    return json_response({"advertiserAccounts": [_account(account) for account in accounts]})


def _account(account: Account) -> dict[str, Any]:
    first = account.countries[0].market
    return {
        "advertiserAccountId": account.account_id,
        "displayName": account.name,
        "isGlobalAccount": True,
        "isTestAccount": False,
        "managerAccountId": None,
        "currencyCode": first.currency,
        "timeZoneIana": first.time_zone,
        "status": {"statusCode": _STATUSES.get(account.status, "APPROVED")},
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
