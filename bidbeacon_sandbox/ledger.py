"""Who asked what: a record of each call, written before its answer goes out; also marks answers with a request id."""

from collections import Counter, defaultdict, deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any
from uuid import uuid4

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bidbeacon_sandbox.rules import Operation

SCOPE_KEY = "bidbeacon.call"
_OWN_PATHS = ("/sandbox", "/healthz")


@dataclass(slots=True)
class Call:
    """One call; `time` is the sandbox's clock, UTC. The handler fills in what it is about.

    Attributes:
        request_id: Amazon's id of the answer; None: the answer has none.
        cut: Whether the connection closes in the middle of the body.
    """

    time: datetime
    method: str
    path: str
    request_id: str | None
    operation: Operation | None = None
    account: str | None = None
    country: str | None = None
    status: int = 0
    cut: bool = False

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return asdict(self) | {"time": self.time.isoformat()}


class Ledger:
    """The latest 100,000 calls, oldest first."""

    def __init__(self) -> None:
        self._calls: deque[Call] = deque(maxlen=100_000)

    def __len__(self) -> int:
        """Count the calls."""
        return len(self._calls)

    def add(self, call: Call) -> None:
        """Write a call down."""
        self._calls.append(call)

    def clear(self) -> None:
        """Remove every recorded call."""
        self._calls.clear()

    def calls(self, operation: str | None = None, account: str | None = None) -> list[Call]:
        """Return the calls, of one operation or account where that is asked for."""
        return [
            call
            for call in list(self._calls)
            if operation in {None, call.operation} and account in {None, call.account}
        ]

    def summary(self, operation: str | None = None, account: str | None = None) -> dict[str, Any]:
        """Count the calls by operation and status, and those throttled (429); one of an unknown path is under `other`."""
        calls = self.calls(operation, account)
        by_operation: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for call in calls:
            by_operation[call.operation or "other"][str(call.status)] += 1
        return {
            "calls": {name: dict(counts) for name, counts in sorted(by_operation.items())},
            "throttled": sum(call.status == HTTPStatus.TOO_MANY_REQUESTS for call in calls),
        }


class LedgerMiddleware:
    """Records each call, adds `x-amz-rid`, and breaks off answers that are to be cut."""

    def __init__(self, app: ASGIApp, ledger: Ledger, now: Callable[[], datetime]) -> None:
        self._app = app
        self._ledger = ledger
        self._now = now

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a call on, and its answer back: of one to be cut the head and half of the first piece."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        call = Call(self._now(), scope["method"], scope["path"], uuid4().hex.upper())
        scope[SCOPE_KEY] = call
        is_cut = False

        async def answer(message: Message) -> None:
            nonlocal is_cut
            if message["type"] == "http.response.start":
                self._record(call, message)
                await send(message)
            elif not call.cut:
                await send(message)
            elif not is_cut:
                is_cut, body = True, message.get("body", b"")
                half = {"type": message["type"], "body": body[: len(body) // 2], "more_body": True}
                await send(half)

        await self._app(scope, receive, answer)

    def _record(self, call: Call, message: Message) -> None:
        """Write down a call whose answer is about to go out, but for the sandbox's own pages."""
        call.time, call.status = self._now(), message["status"]
        if not call.path.startswith(_OWN_PATHS):
            self._ledger.add(call)
        if call.request_id is not None:
            message["headers"] = [*message["headers"], (b"x-amz-rid", call.request_id.encode())]
