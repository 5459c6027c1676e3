"""One call to the Ads API: who it concerns, whether it may pass, and which faults strike it first."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from bidbeacon_pipelines.sandbox.accounts import Account, AccountCountry
from bidbeacon_pipelines.sandbox.call_faults import refusal_of, with_unknown_fields
from bidbeacon_pipelines.sandbox.fault_rules import CALL_FAULTS, CallFault, FaultRule, Operation
from bidbeacon_pipelines.sandbox.faults import Subject
from bidbeacon_pipelines.sandbox.ledger import SCOPE_KEY, Exchange
from bidbeacon_pipelines.sandbox.markets import REGIONS, Region
from bidbeacon_pipelines.sandbox.refusals import Refusal, refuse, throttled
from bidbeacon_pipelines.sandbox.signing import SignedUrl
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
                raise self._struck(rule, fault)

    async def admit(self) -> None:
        """Check the rate of calls, let faults strike, then check token and client id.

        Raises:
            Refusal: there are too many calls, a fault ends this one, or it isn't authorized.
        """
        if not self.sandbox.rates.lets_in(self.region, self.subject.operation, self.now):
            raise throttled({"retry-after": "1"})
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

    def announced_size(self, size: int) -> int:
        """Give the size of a file in bytes as the answer says it: the true one, but for wrong_size."""
        rule = self.sandbox.faults.find_strike("wrong_size", self.subject)
        if rule is None:
            return size
        wrong = round(size * rule.options.factor)
        return wrong if wrong != size else size + 1

    def signed(self, paths: Sequence[str], seconds: float) -> list[SignedUrl]:
        """Sign the paths of a report's or an export's files anew, for so many seconds.

        With expired_url they are dead already; with no_resign those urls come again that were given first.
        """
        sandbox = self.sandbox
        if sandbox.faults.find_strike("no_resign", self.subject):
            first = [url for path in paths if (url := sandbox.signer.find_first(path))]
            if len(first) == len(paths):
                return first
        if sandbox.faults.find_strike("expired_url", self.subject):
            seconds = 0.0
        return [sandbox.signer.sign(self.base_url, path, self.now, seconds) for path in paths]

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

    def _struck(self, rule: FaultRule, fault: CallFault) -> Refusal:
        if fault == "token_expiry":
            token = self.request.headers.get("authorization", "").partition(" ")[2]
            self.sandbox.tokens.expire(token, self.now)
        return refusal_of(fault, rule.options, self.subject.operation, len(self.sandbox.ledger))


Handler = Callable[[Call], Awaitable[Response]]


def endpoint(operation: Operation, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    """Make a route's endpoint of a handler: it gets the call, and may raise its refusal."""

    async def answer(request: Request) -> Response:
        call = Call(request, operation)
        try:
            response = await handler(call)
        except Refusal as refusal:
            return refusal.response
        if call.sandbox.faults.find_strike("unknown_field", call.subject):
            return with_unknown_fields(response)
        return response

    return answer
