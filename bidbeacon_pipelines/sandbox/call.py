"""One call to the Ads API: who it concerns, whether it may pass, and which faults strike it first."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from bidbeacon_pipelines.sandbox.accounts import Account, AccountCountry
from bidbeacon_pipelines.sandbox.faults import CALL_FAULTS, FaultRule, Operation, Subject
from bidbeacon_pipelines.sandbox.ledger import SCOPE_KEY, Exchange
from bidbeacon_pipelines.sandbox.markets import REGIONS, Region
from bidbeacon_pipelines.sandbox.refusals import Refusal, refuse, refuse_html, throttled
from bidbeacon_pipelines.sandbox.state import SandboxState

CLIENT_HEADERS = ("amazon-advertising-api-clientid", "amazon-ads-clientid")
SCOPE_HEADER = "amazon-advertising-api-scope"


class Call:
    """One call in hand."""

    def __init__(self, request: Request, operation: Operation) -> None:
        self.request = request
        self.sandbox: SandboxState = request.app.state.sandbox
        self.subject = Subject(operation)
        self._exchange: Exchange = request.scope[SCOPE_KEY]
        self._exchange.operation = operation

    @property
    def now(self) -> datetime:
        """The sandbox's present instant, UTC."""
        return self.sandbox.clock.now()

    @property
    def region(self) -> Region:
        """The region whose host was called."""
        name = self.request.url.path.split("/")[1].upper()
        return next(region for region in REGIONS if region == name)

    @property
    def base_url(self) -> str:
        """The address that the caller used for this server."""
        return f"{self.request.url.scheme}://{self.request.headers.get('host', self.request.url.netloc)}"

    def concerns(self, account: Account | None, country: str | None = None) -> None:
        """Note which account (and country) the call is about, for the ledger and the faults."""
        if account is None:
            return
        countries = account.country_codes if country is None else (country,)
        self.subject = Subject(self.subject.operation, account.account_id, countries)
        self._exchange.account, self._exchange.country = account.account_id, country

    async def suffer_faults(self) -> None:
        """Let the faults strike that concern any call.

        Raises:
            Refusal: one of them ends the call.
        """
        for fault in CALL_FAULTS:
            rule = self.sandbox.faults.find_strike(fault, self.subject)
            if rule is None:
                continue
            if fault == "slow":
                await asyncio.sleep(0.5 if rule.options.seconds is None else rule.options.seconds)
            elif fault == "connection_cut":
                self._exchange.cut = True
            else:
                raise self._struck(rule)

    async def admit(self) -> None:
        """Let faults strike, then check token and client id.

        Raises:
            Refusal: a fault ends the call, or it isn't authorized.
        """
        await self.suffer_faults()
        headers = self.request.headers
        client_id = next((headers[name] for name in CLIENT_HEADERS if name in headers), None)
        if client_id is None:
            raise refuse(
                401, {"code": "UNAUTHORIZED", "details": "Amazon-Advertising-API-ClientId is missing"}
            )
        if client_id != self.sandbox.config.client_id:
            raise refuse(403, {"message": "Forbidden"})
        self._check_token()

    def profile(self) -> tuple[Account, AccountCountry] | None:
        """Give the account and country of the scope header; None where it is missing or names none."""
        return self.sandbox.world.accounts.find_profile(self.request.headers.get(SCOPE_HEADER))

    def require_media(self, media: str, *, accept: bool = False) -> None:
        """Check the content type and, where asked for, that Accept is the same.

        Raises:
            Refusal: 415 for another content type, 406 for another Accept.
        """
        if self.request.headers.get("content-type", "").partition(";")[0].strip().lower() != media:
            raise refuse(415, {"code": "415", "details": f"Content-Type must be {media}"})
        if accept:
            self.require_accept(media)

    def require_accept(self, media: str) -> None:
        """Check that Accept is exactly this media type.

        Raises:
            Refusal: 406, it is another or missing.
        """
        if self.request.headers.get("accept", "").strip().lower() != media:
            raise refuse(406, {"code": "NOT_ACCEPTABLE", "details": f"Accept must be {media}"})

    async def json(self) -> Any:
        """Give the body as JSON; None where it isn't JSON."""
        try:
            return json.loads(await self.request.body())
        except ValueError:
            return None

    def _check_token(self) -> None:
        scheme, _, token = self.request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise refuse(401, {"message": "Missing Authentication Token"})
        state = self.sandbox.tokens.state(token, self.now)
        if state == "expired":
            raise refuse(401, {"code": "UNAUTHORIZED", "details": "Access token expired"})
        if state == "unknown":
            raise refuse(401, {"code": "401", "message": "Not authorized to access this resource"})

    def _struck(self, rule: FaultRule) -> Refusal:
        if rule.fault == "throttle":
            return throttled(rule.options.retry_after_header())
        if rule.fault == "forbidden":
            return refuse(403, {"code": "403", "details": "Profile has no rights for this resource"})
        if rule.fault == "server_error":
            status = rule.options.status or (500, 502, 503)[len(self.sandbox.ledger.calls()) % 3]
            return refuse(status, {"code": "INTERNAL_ERROR", "details": "An internal error has occurred"})
        if rule.fault == "html_body":
            return refuse_html(rule.options.status or 503)
        if rule.fault == "token_expiry":
            token = self.request.headers.get("authorization", "").partition(" ")[2]
            self.sandbox.tokens.expire(token, self.now)
        return refuse(401, {"code": "UNAUTHORIZED", "details": "Access token is not valid"})


Handler = Callable[[Call], Awaitable[Response]]


def endpoint(operation: Operation, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    """Make a route's endpoint of a handler: it gets the call, and may raise its refusal."""

    async def answer(request: Request) -> Response:
        try:
            return await handler(Call(request, operation))
        except Refusal as refusal:
            return refusal.response

    return answer
