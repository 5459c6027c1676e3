"""The two ways a stream reaches a reader: Server-Sent Events and WebSocket, with the same messages."""

import asyncio
import logging
import re
from collections.abc import Awaitable, Coroutine, Iterable
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from bidbeacon_sessions.server.bundles import GZIP_HEAD, deflated
from bidbeacon_sessions.server.client import Client
from bidbeacon_sessions.server.hub import Hub
from bidbeacon_sessions.server.protocols import Wire, wire_of

logger = logging.getLogger(__name__)

SEND_SECONDS = 10.0
_GOING_AWAY = 1001
_REFUSES = re.compile(r"q=0(\.0*)?")


class EventStreamResponse(Response):
    """Server-Sent Events until the reader leaves, is cut off because it does not read, or the client is closed.

    A stream that is compressed ends without gzip's checksum: there is none that many readers could share.
    """

    media_type = "text/event-stream"

    def __init__(self, hub: Hub, client: Client, *, compressed: bool) -> None:
        super().__init__(
            headers={"Cache-Control": "no-store", "Vary": "Accept-Encoding", "X-Accel-Buffering": "no"}
        )
        del self.headers["content-length"]
        self._hub = hub
        self._client = client
        self._first = b": stream\n\n"
        if compressed:
            self.headers["Content-Encoding"] = "gzip"
            self._first = GZIP_HEAD + deflated(self._first)
            client.framing = "sse-gzip"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the stream."""
        try:
            wire = wire_of(scope)
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            if scope["method"] != "HEAD":
                await send({"type": "http.response.body", "body": self._first, "more_body": True})
                await pump(self._hub, self._client, wire, _until_http_gone(receive))
            await _in_time(wire, send({"type": "http.response.body", "body": b"", "more_body": False}))
        except OSError:  # the reader is gone
            return
        finally:
            self._hub.leave(self._client)


def accepts_gzip(accepted: str) -> bool:
    """Whether an `Accept-Encoding` names gzip without refusing it by `q=0` (RFC 9110, section 12.5.3)."""
    for each in accepted.lower().replace(" ", "").split(","):
        coding, *parameters = each.split(";")
        if coding == "gzip":
            return not any(_REFUSES.fullmatch(parameter) for parameter in parameters)
    return False


async def stream_to_websocket(hub: Hub, client: Client, websocket: WebSocket) -> None:
    """Accept a WebSocket and send the stream over it; what the reader says is ignored."""
    try:
        wire = wire_of(websocket.scope)
        if wire.deflates:
            client.framing = "websocket-deflate"
        await websocket.accept()
        await pump(hub, client, wire, _until_websocket_gone(websocket))
        await _in_time(wire, websocket.close(_GOING_AWAY))
    except (RuntimeError, WebSocketDisconnect, OSError):  # the reader is gone
        return
    finally:
        hub.leave(client)


async def pump(hub: Hub, client: Client, wire: Wire, gone: Coroutine[Any, Any, None]) -> None:
    """Write what a client is to be sent until it is closed or its reader is gone; who takes longer than ten seconds for a piece is cut off."""
    tasks = {asyncio.create_task(_write(client, wire)), asyncio.create_task(gone)}
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        hub.leave(client)
        for task in tasks:
            task.cancel()
        _log_unforeseen(await asyncio.gather(*tasks, return_exceptions=True))


async def _write(client: Client, wire: Wire) -> None:
    async for bundle in client.bundles():
        for piece in bundle.pieces(client.framing):
            await _in_time(wire, wire.write(piece))


async def _in_time(wire: Wire, sending: Awaitable[None]) -> None:
    """Send, and break the connection off where its reader does not take it in time.

    Raises:
        ConnectionResetError: it did not.
    """
    try:
        async with asyncio.timeout(SEND_SECONDS):
            await sending
    except TimeoutError as error:
        await wire.abort()
        raise ConnectionResetError from error


def _log_unforeseen(results: Iterable[BaseException | None]) -> None:
    for result in results:
        if isinstance(result, Exception) and not isinstance(result, OSError | WebSocketDisconnect):
            logger.error("A stream broke off", exc_info=result)


async def _until_http_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue


async def _until_websocket_gone(websocket: WebSocket) -> None:
    while (await websocket.receive())["type"] != "websocket.disconnect":
        continue
