"""One call to the Ads API: its account, access checks, the rules for it, and its answer."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bidbeacon_sandbox.accounts import REGIONS, AdsAccount
from bidbeacon_sandbox.answers import BODIES, Refusal, answer_error, error_body, refusal_of, refuse
from bidbeacon_sandbox.fields import RequestError
from bidbeacon_sandbox.rows import to_json
from bidbeacon_sandbox.rulebook import CallFacts
from bidbeacon_sandbox.rules import Answer, Cut, File, Limits, Operation, Refuse, Slow, Token, Urls
from bidbeacon_sandbox.state import AnsweredCall, Issued, SandboxState

_Rule = TypeVar("_Rule", bound=Limits)
URLS_LIVE = timedelta(hours=1)
CLIENT_HEADERS = ("amazon-advertising-api-clientid", "amazon-ads-clientid")
SCOPE_HEADER = "amazon-advertising-api-scope"


class Call:
    """A call that is being answered: its request, known facts and applied rules."""

    def __init__(self, request: Request, operation: Operation) -> None:
        self.request = request
        self.sandbox: SandboxState = request.app.state.sandbox
        self.is_cut = False
        self.bent_by: set[str] = set()
        """The kinds of applied rules that can cause an answer that Amazon does not document."""
        first, headers = request.url.path.split("/")[1].upper(), request.headers
        self.facts = CallFacts(
            operation,
            client=next((headers[name] for name in CLIENT_HEADERS if name in headers), None),
            region=next((region for region in REGIONS if region == first), None),
        )

    @property
    def now(self) -> datetime:
        """The current time of the sandbox's clock, in UTC."""
        return self.sandbox.clock.now()

    def concerns(
        self, account: AdsAccount | None, country: str | None = None, datasets: tuple[str, ...] = ()
    ) -> None:
        """Set the account, country and datasets of the call; do nothing if `account` is None."""
        if account is not None:
            self.facts = replace(
                self.facts,
                region=self.facts.region or account.region,
                ads_account=account,
                countries=account.country_codes if country is None else (country,),
                datasets=datasets,
            )

    def strike(
        self, kind: type[_Rule], when: Callable[[_Rule], object] = lambda _: True
    ) -> _Rule | None:
        """Return the first rule of a kind that fulfils `when` and applies to this call, or None."""
        rule = next(self.sandbox.rules.struck(kind, self.facts, when), None)
        self.obeys(rule)
        return rule

    def strikes(
        self, kind: type[_Rule], when: Callable[[_Rule], object] = lambda _: True
    ) -> tuple[_Rule, ...]:
        """Return all rules of a kind that fulfil `when` and apply to this call."""
        rules = tuple(self.sandbox.rules.struck(kind, self.facts, when))
        self.obeys(*rules)
        return rules

    def obeys(self, *rules: Limits | None) -> None:
        """Add to `bent_by` the kind of each rule that can cause an undocumented answer."""
        self.bent_by.update(
            getattr(rule, "rule", "") for rule in rules if rule and rule.bends_answers
        )

    def accounts(self) -> Sequence[AdsAccount]:
        """Return the ads accounts that the call's credential has access to."""
        every, issued = self.sandbox.world.accounts.accounts, self._issued
        numbers = issued.credential.accounts if issued else ()
        return every if numbers is None else [every[number] for number in numbers]

    def may_edit(self, account: AdsAccount) -> bool:
        """Return whether the call's credential may edit an ads account, not only view it."""
        every, issued = self.sandbox.world.accounts.accounts, self._issued
        numbers = issued.credential.view_only if issued else ()
        return account not in [every[number] for number in numbers if number < len(every)]

    def accounts_in_region(self) -> list[AdsAccount]:
        """Return the ads accounts of the call's region that the credential has access to."""
        return [account for account in self.accounts() if account.region == self.facts.region]

    async def apply_rules(self) -> None:
        """Apply rules that delay or cut the answer; raise a refusal if a rule demands one."""
        for slow in self.strikes(Slow):
            await asyncio.sleep(slow.seconds)
        self.is_cut = self.strike(Cut) is not None
        if answer := self.strike(Answer, lambda rule: rule.ends_the_call):
            raise refusal_of(answer)
        if self.strike(Token, self._ends_access):
            self.sandbox.tokens.expire(self._bearer[1], self.now)
            raise refuse(401, BODIES[401])
        if self.strike(Refuse, lambda rule: rule.reason == "wrong_region"):
            if self.facts.operation.endswith("_report"):
                text = "The account is not in this region"
                raise refuse(400, {"code": "400000", "message": text})
            raise refuse(404, {"code": "404", "details": "Profile not found in this region"})

    def _ends_access(self, rule: Token) -> bool:
        if rule.what == "dies":
            return True
        issued = self._issued
        return (
            rule.ends_cached
            and issued is not None
            and rule.revokes(issued.credential.refresh_token.get_secret_value())
        )

    async def admit(self) -> None:
        """Call `apply_rules`, then raise a refusal if the token or client id is invalid."""
        await self.apply_rules()
        if self.facts.client is None:
            text = "Amazon-Advertising-API-ClientId is missing"
            raise refuse(401, {"code": "UNAUTHORIZED", "details": text})
        scheme, token = self._bearer
        if scheme != "bearer" or not token:
            raise refuse(401, {"message": "Missing Authentication Token"})
        issued = self._issued
        if issued is None:
            raise refuse(401, {"code": "401", "message": "Not authorized to access this resource"})
        if self.now >= issued.expires_at:
            raise refuse(401, {"code": "UNAUTHORIZED", "details": "Access token expired"})
        if issued.credential.client_id != self.facts.client:
            raise refuse(403, {"message": "Forbidden"})

    def announced_size(self, size: int) -> int:
        """Return the file size in bytes to put in the answer; a rule may make it wrong."""
        rule = self.strike(File, lambda rule: rule.size_factor is not None)
        if rule is None or rule.size_factor is None:
            return size
        wrong = round(size * rule.size_factor)
        return wrong if wrong != size else size + 1

    def signed(self, paths: Sequence[str]) -> list[tuple[str, datetime]]:
        """Return a signed URL and its expiry for each path. Rules can repeat or expire URLs."""
        urls, base = self.sandbox.urls, str(self.request.base_url).rstrip("/")
        if self.strike(Urls, lambda rule: rule.same) and paths[0] in urls.first:
            signed = [urls.first[path] for path in paths]
        else:
            is_expired = self.strike(Urls, lambda rule: rule.expired)
            expires_at = self.now if is_expired else self.now + URLS_LIVE
            signed = [urls.sign(path, expires_at) for path in paths]
        return [(base + url, expires_at) for url, expires_at in signed]

    def require_media(self, *media: str) -> None:
        """Refuse (415) a content type other than `media`, or a body without content type."""
        headers = self.request.headers
        given = headers.get("content-type", "").partition(";")[0].strip().lower()
        is_empty = not given and headers.get("content-length", "0") == "0"
        is_empty = is_empty and "transfer-encoding" not in headers
        if given not in media and not is_empty:
            raise refuse(415, {"code": "415", "details": f"Content-Type must be {media[0]}"})

    def require_accept(self, media: str) -> None:
        """Refuse the call (406) unless its Accept header is `media`."""
        if self.request.headers.get("accept", "").strip().lower() != media:
            raise refuse(406, {"code": "NOT_ACCEPTABLE", "details": f"Accept must be {media}"})

    async def json(self, *, required: bool = False) -> Any:
        """Return the parsed JSON body, or None if it is invalid.

        An empty body counts as `{}`, or as invalid if `required`.
        """
        try:
            return json.loads(await self.request.body() or (b"" if required else b"{}"))
        except (ValueError, RecursionError):
            return None

    @property
    def _bearer(self) -> tuple[str, str]:
        scheme, _, token = self.request.headers.get("authorization", "").partition(" ")
        return scheme.lower(), token

    @property
    def _issued(self) -> Issued | None:
        return self.sandbox.tokens.find(self._bearer[1])

    def finished(self, response: Response) -> Response:
        """Add a request id to the response, apply rules that edit it, and record the call."""
        response.headers["x-amz-rid"] = uuid4().hex.upper()
        for rule in self.strikes(Answer, lambda one: not one.ends_the_call):
            if response.media_type and response.media_type.endswith("json"):
                _write(response, rule.edited(json.loads(bytes(response.body))))
        response.headers["x-sandbox-bent-by"] = ", ".join(sorted(self.bent_by))
        facts, path = self.facts, self.request.url.path
        record = (self.now, facts.operation, path, facts.account, response.status_code)
        self.sandbox.ledger.append(AnsweredCall(*record))
        return response


def _write(response: Response, body: Any) -> None:
    response.body = to_json(body).encode()
    response.headers["content-length"] = str(len(response.body))


def _broken_off(whole: Response) -> ASGIApp:
    """Return a response that sends half of each body chunk and never completes."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_half(message: Message) -> None:
            if message["type"] == "http.response.body":
                body = message.get("body", b"")
                message = {**message, "body": body[: len(body) // 2], "more_body": True}
            await send(message)

        await whole(scope, receive, send_half)

    return answer


def _refused_request(call: Call, error: RequestError) -> Refusal:
    if call.strike(Refuse, lambda rule: rule.as_207 and not rule.code):
        return Refusal(answer_error(error))
    status = {"FORBIDDEN": 403, "CONTENT_TOO_LARGE": 413}.get(error.code, 400)
    return refuse(status, {"code": error.code, "message": error.message})


def _refused(call: Call, refusal: Refusal) -> Response:
    """Return the response of a refusal.

    The body gets the form that Amazon documents, unless an applied rule allows other forms.
    """
    response = refusal.response
    if refusal.details is not None and not call.bent_by:
        status = response.status_code
        body = error_body(call.facts.operation, status, refusal.details)
        _write(response, body)
    return response


Handler = Callable[[Call], Awaitable[Response]]


def endpoint(operation: Operation, handler: Handler) -> Callable[[Request], Awaitable[ASGIApp]]:
    """Return a route endpoint that passes each call to `handler`, which may refuse the call."""

    async def answer(request: Request) -> ASGIApp:
        call = Call(request, operation)
        try:
            response = await handler(call)
        except Refusal as refusal:
            response = _refused(call, refusal)
        except RequestError as error:
            response = _refused(call, _refused_request(call, error))
        response = call.finished(response)
        return _broken_off(response) if call.is_cut else response

    return answer
