"""The token endpoint of Login with Amazon."""

from urllib.parse import parse_qs

from starlette.responses import Response

from bidbeacon_pipelines.sandbox.call import Call
from bidbeacon_pipelines.sandbox.refusals import json_response, refuse

_FORM = "application/x-www-form-urlencoded"


async def issue_token(call: Call) -> Response:
    """Give an access token for the refresh token; `POST /{region}/auth/o2/token`."""
    await call.suffer_faults()
    call.require_media(_FORM)
    form = {key: values[0] for key, values in parse_qs((await call.request.body()).decode()).items()}
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
        key for key in ("grant_type", "client_id", "client_secret", "refresh_token") if key not in form
    ]
    if missing:
        text = f"The request is missing a required parameter : {missing[0]}"
        raise refuse(400, {"error": "invalid_request", "error_description": text})
    if form["grant_type"] != "refresh_token":
        text = "The authorization grant type is not supported by the authorization server"
        raise refuse(400, {"error": "unsupported_grant_type", "error_description": text})
    if (form["client_id"], form["client_secret"]) != (config.client_id, config.client_secret):
        raise refuse(401, {"error": "invalid_client", "error_description": "Client authentication failed"})
    if form["refresh_token"] != config.refresh_token or call.sandbox.faults.find_strike(
        "invalid_grant", call.subject
    ):
        text = "The request has an invalid grant parameter : refresh_token. User may have revoked or didn't grant the permission."
        raise refuse(400, {"error": "invalid_grant", "error_description": text})
