"""Who asked what: a record of each call, written before its answer goes out; also marks answers with a request id."""

from collections import Counter, defaultdict, deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any
from uuid import uuid4

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bidbeacon_sandbox.faults import Operation

SCOPE_KEY = "bidbeacon.exchange"
_OWN_PATHS = ("/sandbox/", "/healthz")


@dataclass(slots=True)
class Exchange:
    """What is known about the call in hand; the handler fills it in, the ledger reads it."""

    request_id: str
    operation: Operation | None = None
    account: str | None = None
    country: str | None = None
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """One call that was answered; `time` is the sandbox's clock, UTC."""

    time: datetime
    method: str
    path: str
    operation: Operation | None
    account: str | None
    country: str | None
    status: int
    request_id: str

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {**asdict(self), "time": self.time.isoformat()}


class Ledger:
    """The latest 100,000 calls, oldest first."""

    def __init__(self) -> None:
        self._calls: deque[Call] = deque(maxlen=100_000)
        self._peaks: dict[str, int] = {}

    def __len__(self) -> int:
        """Count the calls."""
        return len(self._calls)

    def add(self, call: Call) -> None:
        """Write a call down."""
        self._calls.append(call)

    def clear(self) -> None:
        """Remove every recorded call, and how many reports were in flight at most."""
        self._calls.clear()
        self._peaks.clear()

    def note_in_flight(self, account: str, count: int) -> None:
        """Note how many reports an account has in flight now that one more was accepted."""
        self._peaks[account] = max(count, self._peaks.get(account, 0))

    def calls(self, operation: str | None = None, account: str | None = None) -> list[Call]:
        """Return the calls, of one operation or account where that is asked for."""
        return [
            call
            for call in list(self._calls)
            if operation in {None, call.operation} and account in {None, call.account}
        ]

    def summary(self, operation: str | None = None, account: str | None = None) -> dict[str, Any]:
        """Count the calls by operation and status, those throttled (429), and each account's peak in flight.

        A call of no operation (an unknown path) is counted under `other`.
        """
        calls = self.calls(operation, account)
        by_operation: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for call in calls:
            by_operation[call.operation or "other"][str(call.status)] += 1
        return {
            "calls": {name: dict(counts) for name, counts in sorted(by_operation.items())},
            "throttled": sum(call.status == HTTPStatus.TOO_MANY_REQUESTS for call in calls),
            "peak_in_flight": {
                name: peak for name, peak in sorted(self._peaks.items()) if account in {None, name}
            },
        }


class LedgerMiddleware:
    """Records each call, adds `x-amz-rid`, and breaks off answers whose exchange says so."""

    def __init__(self, app: ASGIApp, ledger: Ledger, now: Callable[[], datetime]) -> None:
        self._app = app
        self._ledger = ledger
        self._now = now

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a call on, and its answer back."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = scope[SCOPE_KEY] = Exchange(request_id=uuid4().hex.upper())
        await self._app(scope, receive, _Sender(self, scope, exchange, send))

    def record(self, scope: Scope, exchange: Exchange, status: int) -> None:
        """Write down a call whose answer is about to go out; the sandbox's own pages are not written down."""
        if scope["path"].startswith(_OWN_PATHS):
            return
        self._ledger.add(
            Call(
                time=self._now(),
                method=scope["method"],
                path=scope["path"],
                operation=exchange.operation,
                account=exchange.account,
                country=exchange.country,
                status=status,
                request_id=exchange.request_id,
            )
        )


class _Sender:
    """Sends one answer: records it first; of one to be cut, the head and half of the first piece go out."""

    def __init__(
        self, middleware: LedgerMiddleware, scope: Scope, exchange: Exchange, send: Send
    ) -> None:
        self._middleware = middleware
        self._scope = scope
        self._exchange = exchange
        self._send = send
        self._is_cut = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._middleware.record(self._scope, self._exchange, message["status"])
            message["headers"] = [
                *message["headers"],
                (b"x-amz-rid", self._exchange.request_id.encode()),
            ]
        elif self._exchange.cut:
            await self._send_half(message)
            return
        await self._send(message)

    async def _send_half(self, message: Message) -> None:
        """Send half of the first piece of a body and no more: the server then closes the connection."""
        if self._is_cut:
            return
        self._is_cut = True
        body = message.get("body", b"")
        await self._send(
            {"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True}
        )
