"""One call to the Ads API: its subject, whether it is admitted, the faults that strike it, and how it is refused."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any
from xml.sax.saxutils import escape

from starlette.requests import Request
from starlette.responses import Response

from bidbeacon_sandbox.accounts import REGIONS, Account, AccountCountry, Region
from bidbeacon_sandbox.faults import (
    CALL_FAULTS,
    CallFault,
    FaultOptions,
    FaultRule,
    Operation,
    Subject,
)
from bidbeacon_sandbox.files import SignedUrl
from bidbeacon_sandbox.ledger import SCOPE_KEY, Exchange
from bidbeacon_sandbox.state import SandboxState
from bidbeacon_sandbox.variants import varied


class Refusal(Exception):  # noqa: N818 - an answer, and no failure of ours
    """A call ends here with this answer."""

    def __init__(self, response: Response) -> None:
        super().__init__(f"refused with status {response.status_code}")
        self.response = response


def json_response(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Answer with JSON, ids as the integers they are and text in its own alphabet."""
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return Response(text, status, headers, media_type="application/json")


def refuse(status: int, body: dict[str, Any], headers: dict[str, str] | None = None) -> Refusal:
    """Make a refusal with a JSON body of any shape."""
    return Refusal(json_response(body, status, headers))


def refuse_xml(status: int, code: str, message: str) -> Refusal:
    """Make a refusal as the file store gives it: XML."""
    text = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{escape(code)}</Code><Message>{escape(message)}</Message></Error>"
    )
    return Refusal(Response(text, status, media_type="application/xml"))


def refuse_html(status: int) -> Refusal:
    """Make a refusal as a gateway gives it when nothing behind it answers: HTML."""
    text = f"<html><head><title>{status}</title></head><body><h1>{status} Service Unavailable</h1></body></html>"
    return Refusal(Response(text, status, media_type="text/html"))


def throttled(headers: dict[str, str] | None = None) -> Refusal:
    """Make the gateway's 429, with whatever Retry-After the headers hold."""
    return refuse(429, {"message": "Too Many Requests"}, headers)


_SERVER_ERRORS = (500, 502, 503)
_MAPS = frozenset(("errors",))
"""Objects whose keys are data (an account's `errors` by country), not fields."""


def refusal_of(fault: CallFault, options: FaultOptions, operation: Operation, turn: int) -> Refusal:
    """Return the answer of a fault that ends a call; `turn` counts the calls, and chooses among server errors."""
    if fault == "server_error":
        status = options.status or _SERVER_ERRORS[turn % len(_SERVER_ERRORS)]
        return refuse(
            status, {"code": "INTERNAL_ERROR", "details": "An internal error has occurred"}
        )
    if fault == "wrong_region":
        return _wrong_region(operation)
    return _REFUSALS[fault](options)


def with_unknown_fields(response: Response) -> Response:
    """Return the same answer with a field more in each of its objects; what isn't JSON stays as it is."""
    if response.media_type != "application/json":
        return response
    return json_response(_with_unknown(json.loads(bytes(response.body))), response.status_code)


def _with_unknown(value: Any, *, is_map: bool = False) -> Any:
    if isinstance(value, list):
        return [_with_unknown(item) for item in value]
    if not isinstance(value, dict):
        return value
    known = {
        key: _with_unknown(item, is_map=key in _MAPS and isinstance(item, dict))
        for key, item in value.items()
    }
    return known if is_map else known | {"newField": {"value": 1}}


def _wrong_region(operation: Operation) -> Refusal:
    if operation in {"create_report", "retrieve_report"}:
        return refuse(400, {"code": "400000", "message": "The account is not in this region"})
    return refuse(404, {"code": "404", "details": "Profile not found in this region"})


def _forbidden(_: FaultOptions) -> Refusal:
    return refuse(403, {"code": "403", "details": "Profile has no rights for this resource"})


def _unauthorized(_: FaultOptions) -> Refusal:
    return refuse(401, {"code": "UNAUTHORIZED", "details": "Access token is not valid"})


_REFUSALS: dict[CallFault, Callable[[FaultOptions], Refusal]] = {
    "throttle": lambda options: throttled(options.retry_after_header()),
    "html_body": lambda options: refuse_html(options.status or 503),
    "forbidden": _forbidden,
    "unauthorized": _unauthorized,
    "token_expiry": _unauthorized,
}


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
        """Apply the faults that concern any call.

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
                401,
                {"code": "UNAUTHORIZED", "details": "Amazon-Advertising-API-ClientId is missing"},
            )
        if client_id != self.sandbox.config.client_id:
            raise refuse(403, {"message": "Forbidden"})
        self._check_token()

    def announced_size(self, size: int) -> int:
        """Return the size of a file in bytes as the answer says it: the true one, but for wrong_size."""
        rule = self.sandbox.faults.find_strike("wrong_size", self.subject)
        if rule is None:
            return size
        wrong = round(size * rule.options.factor)
        return wrong if wrong != size else size + 1

    def signed(self, paths: Sequence[str], seconds: float) -> list[SignedUrl]:
        """Sign the paths of a report's or an export's files anew, for so many seconds.

        With expired_url they are dead already; with no_resign those urls come again that were given
        first.
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
        """Return the account and country of the scope header; None where it is missing or names none."""
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
        """Return the body as JSON; None where it isn't JSON."""
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
            return varied(refusal.response, call.sandbox.config.variants, operation)
        if call.sandbox.faults.find_strike("unknown_field", call.subject):
            response = with_unknown_fields(response)
        return varied(response, call.sandbox.config.variants, operation)

    return answer
