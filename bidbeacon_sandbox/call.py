"""One call to the Ads API: its subject, whether it is admitted, the rules that strike it, and how it is refused."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from xml.sax.saxutils import escape

from starlette.requests import Request
from starlette.responses import Response

from bidbeacon_sandbox import ledger
from bidbeacon_sandbox.accounts import REGIONS, Account, AccountCountry
from bidbeacon_sandbox.credentials import listed
from bidbeacon_sandbox.files import SignedUrl
from bidbeacon_sandbox.rows import from_json, to_json
from bidbeacon_sandbox.rulebook import Subject
from bidbeacon_sandbox.rules import Answer, Cut, File, Operation, Refuse, Slow, Token, Urls
from bidbeacon_sandbox.settings import Credential
from bidbeacon_sandbox.state import SandboxState


class Refusal(Exception):  # noqa: N818 - an answer, and no failure of ours
    """A call ends here with this answer."""

    def __init__(self, response: Response) -> None:
        super().__init__(f"refused with status {response.status_code}")
        self.response = response


def json_response(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Answer with JSON, ids as the integers they are and text in its own alphabet."""
    return Response(to_json(body), status, headers, media_type="application/json")


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


def throttled(headers: dict[str, str] | None = None) -> Refusal:
    """Make the gateway's 429, with whatever Retry-After the headers hold."""
    return refuse(429, {"message": "Too Many Requests"}, headers)


_BODIES: dict[int, dict[str, Any]] = {
    401: {"code": "UNAUTHORIZED", "details": "Access token is not valid"},
    403: {"code": "403", "details": "Profile has no rights for this resource"},
    429: {"message": "Too Many Requests"},
}
_SERVER_ERROR = {"code": "INTERNAL_ERROR", "details": "An internal error has occurred"}


def refusal_of(rule: Answer) -> Refusal:
    """Return the answer of a rule that ends a call."""
    status = rule.status or 503
    if rule.html:
        text = f"<html><head><title>{status}</title></head><body><h1>{status} Service Unavailable</h1></body></html>"
        return Refusal(Response(text, status, rule.headers(), media_type="text/html"))
    return refuse(status, _BODIES.get(status, _SERVER_ERROR), rule.headers())


CLIENT_HEADERS = ("amazon-advertising-api-clientid", "amazon-ads-clientid")
SCOPE_HEADER = "amazon-advertising-api-scope"


class Call:
    """One call in hand."""

    def __init__(self, request: Request, operation: Operation) -> None:
        self.request = request
        self.sandbox: SandboxState = request.app.state.sandbox
        first = request.url.path.split("/")[1].upper()
        self._record: ledger.Call = request.scope[ledger.SCOPE_KEY]
        self._record.operation = operation
        self.subject = Subject(
            operation,
            client=next(
                (request.headers[name] for name in CLIENT_HEADERS if name in request.headers), None
            ),
            region=next((region for region in REGIONS if region == first), None),
        )

    @property
    def now(self) -> datetime:
        """The sandbox's present instant, UTC."""
        return self.sandbox.clock.now()

    @property
    def base_url(self) -> str:
        """The address that the caller used for this server."""
        return f"{self.request.url.scheme}://{self.request.headers.get('host', self.request.url.netloc)}"

    @property
    def credential(self) -> Credential | None:
        """The credential whose token the call shows."""
        return self.sandbox.tokens.find_credential(self._bearer[1])

    def concerns(
        self, account: Account | None, country: str | None = None, datasets: tuple[str, ...] = ()
    ) -> None:
        """Note which account, country and reports the call is about, for the ledger and the rules."""
        if account is None:
            return
        self.subject = replace(
            self.subject,
            region=self.subject.region or account.region,
            account=account.account_id,
            countries=account.country_codes if country is None else (country,),
            datasets=datasets,
        )
        self._record.account, self._record.country = account.account_id, country

    def accounts(self) -> list[Account]:
        """Return the ads accounts that the call's credential lists in its region."""
        credential = self.credential
        if credential is None:
            return []
        found = listed(credential, self.sandbox.world.accounts)
        return [account for account in found if account.region == self.subject.region]

    def may_see(self, account: Account) -> bool:
        """Return whether the call's credential lists an ads account."""
        credential = self.credential
        return credential is not None and account in listed(credential, self.sandbox.world.accounts)

    async def suffer_rules(self) -> None:
        """Apply the rules that concern any call.

        Raises:
            Refusal: one of them ends the call.
        """
        rules, subject = self.sandbox.rules, self.subject
        for slow in rules.strikes(Slow, subject):
            await asyncio.sleep(slow.seconds)
        if rules.strike(Cut, subject):
            self._record.cut = True
        if answer := rules.strike(Answer, subject, lambda rule: rule.ends_the_call):
            raise refusal_of(answer)
        if rules.strike(Token, subject, lambda rule: rule.what == "dies"):
            self.sandbox.tokens.expire(self._bearer[1], self.now)
            raise refuse(401, _BODIES[401])
        if rules.strike(Refuse, subject, lambda rule: rule.reason == "wrong_region"):
            raise self._wrong_region()

    async def admit(self) -> None:
        """Check the rate of calls, let rules strike, then check token and client id.

        Raises:
            Refusal: there are too many calls, a rule ends this one, or it isn't authorized.
        """
        subject = self.subject
        if not self.sandbox.rates.lets_in(
            subject.client, subject.region, subject.operation, self.now
        ):
            raise throttled({"retry-after": "1"})
        await self.suffer_rules()
        if subject.client is None:
            text = "Amazon-Advertising-API-ClientId is missing"
            raise refuse(401, {"code": "UNAUTHORIZED", "details": text})
        self._check_token()

    def announced_size(self, size: int) -> int:
        """Return the size of a file in bytes as the answer says it: the true one, unless a rule has another."""
        rule = self.sandbox.rules.strike(
            File, self.subject, lambda rule: rule.size_factor is not None
        )
        if rule is None or rule.size_factor is None:
            return size
        wrong = round(size * rule.size_factor)
        return wrong if wrong != size else size + 1

    def signed(self, paths: Sequence[str]) -> list[SignedUrl]:
        """Sign the paths of a report's or an export's files anew; or as first, or as expired, where a rule says so."""
        sandbox = self.sandbox
        seconds = sandbox.config.url_seconds
        if sandbox.rules.strike(Urls, self.subject, lambda rule: rule.same):
            first = [url for path in paths if (url := sandbox.signer.find_first(path))]
            if len(first) == len(paths):
                return first
        if sandbox.rules.strike(Urls, self.subject, lambda rule: rule.expired):
            seconds = 0.0
        return [sandbox.signer.sign(self.base_url, path, self.now, seconds) for path in paths]

    def profile(self) -> tuple[Account, AccountCountry] | None:
        """Return the account and country of the scope header; None where it is missing or names none."""
        return self.sandbox.world.accounts.find_profile(self.request.headers.get(SCOPE_HEADER))

    def require_media(self, *media: str, accept: bool = False) -> None:
        """Check the content type and, where asked for, that Accept is the same.

        Raises:
            Refusal: 415 for another content type, 406 for another Accept.
        """
        given = self.request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if given not in media:
            raise refuse(415, {"code": "415", "details": f"Content-Type must be {media[0]}"})
        if accept:
            self.require_accept(media[0])

    def require_accept(self, media: str) -> None:
        """Check that Accept is exactly this media type.

        Raises:
            Refusal: 406, it is another or missing.
        """
        if self.request.headers.get("accept", "").strip().lower() != media:
            raise refuse(406, {"code": "NOT_ACCEPTABLE", "details": f"Accept must be {media}"})

    async def json(self) -> Any:
        """Return the body as JSON, `{}` for an empty one; None where it isn't JSON."""
        try:
            return json.loads(await self.request.body() or b"{}")
        except ValueError:
            return None

    @property
    def _bearer(self) -> tuple[str, str]:
        scheme, _, token = self.request.headers.get("authorization", "").partition(" ")
        return scheme.lower(), token

    def _check_token(self) -> None:
        scheme, token = self._bearer
        if scheme != "bearer" or not token:
            raise refuse(401, {"message": "Missing Authentication Token"})
        state, credential = self.sandbox.tokens.state(token, self.now), self.credential
        if state == "expired":
            raise refuse(401, {"code": "UNAUTHORIZED", "details": "Access token expired"})
        if state == "unknown" or credential is None:
            raise refuse(401, {"code": "401", "message": "Not authorized to access this resource"})
        if credential.client_id != self.subject.client:
            raise refuse(403, {"message": "Forbidden"})

    def _wrong_region(self) -> Refusal:
        if self.subject.operation in {"create_report", "retrieve_report", "delete_report"}:
            return refuse(400, {"code": "400000", "message": "The account is not in this region"})
        return refuse(404, {"code": "404", "details": "Profile not found in this region"})

    def finished(self, response: Response) -> Response:
        """Return an answer as the rules that edit answers leave it."""
        for rule in self.sandbox.rules.strikes(
            Answer, self.subject, lambda one: not one.ends_the_call
        ):
            if not rule.request_id:
                self._record.request_id = None
            response = _edited(response, rule)
        return response


def _edited(response: Response, rule: Answer) -> Response:
    """Return an answer with a rule's edits; one that isn't JSON stays as it is."""
    if response.media_type != "application/json":
        return response
    body = rule.edited(from_json(bytes(response.body).decode()))
    if rule.bare_list and "adsAccounts" in body:
        body = [{"adsAccount": account} for account in body["adsAccounts"]]
    headers = {k: v for k, v in response.headers.items() if k == "retry-after"}
    return json_response(body, response.status_code, headers)


Handler = Callable[[Call], Awaitable[Response]]


def endpoint(operation: Operation, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    """Make a route's endpoint of a handler: it gets the call, and may raise its refusal."""

    async def answer(request: Request) -> Response:
        call = Call(request, operation)
        try:
            response = await handler(call)
        except Refusal as refusal:
            response = refusal.response
        return call.finished(response)

    return answer
