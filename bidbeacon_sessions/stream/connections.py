"""The two ways a stream reaches a reader: Server-Sent Events and WebSocket, with the same messages."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from bidbeacon_sessions.stream.client import Client
from bidbeacon_sessions.stream.hub import Hub
from bidbeacon_sessions.stream.messages import Message

logger = logging.getLogger(__name__)

SEND_SECONDS = 10.0
_GOING_AWAY = 1001


class EventStreamResponse(Response):
    """Server-Sent Events until the reader leaves, is too slow, or the client is closed."""

    media_type = "text/event-stream"

    def __init__(self, hub: Hub, client: Client) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._hub = hub
        self._client = client

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Send the stream."""

        async def send_bytes(body: bytes, *, more: bool = True) -> None:
            await send({"type": "http.response.body", "body": body, "more_body": more})

        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            await send_bytes(b": stream\n\n")
            gone = _until_http_gone(receive)
            await pump(self._hub, self._client, lambda message: send_bytes(message.as_sse()), gone)
            async with asyncio.timeout(SEND_SECONDS):
                await send_bytes(b"", more=False)
        except OSError:  # the reader is gone or does not read; TimeoutError is one of them
            return
        finally:
            self._hub.leave(self._client)


async def stream_to_websocket(hub: Hub, client: Client, websocket: WebSocket) -> None:
    """Accept a WebSocket and send the stream over it; what the reader says is ignored."""

    async def send(message: Message) -> None:
        await websocket.send_text(message.as_websocket())

    try:
        await websocket.accept()
        await pump(hub, client, send, _until_websocket_gone(websocket))
        async with asyncio.timeout(SEND_SECONDS):
            await websocket.close(_GOING_AWAY)
    except (RuntimeError, WebSocketDisconnect, OSError):  # the reader is gone
        return
    finally:
        hub.leave(client)


async def pump(
    hub: Hub, client: Client, send: Callable[[Message], Awaitable[None]], gone: Coroutine[Any, Any, None]
) -> None:
    """Send a client's messages until it is closed, its reader is gone, or one message takes longer than ten seconds."""
    tasks = {asyncio.create_task(_write(client, send)), asyncio.create_task(gone)}
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        hub.leave(client)
        for task in tasks:
            task.cancel()
        _log_unforeseen(await asyncio.gather(*tasks, return_exceptions=True))


async def _write(client: Client, send: Callable[[Message], Awaitable[None]]) -> None:
    async for message in client.messages():
        async with asyncio.timeout(SEND_SECONDS):
            await send(message)


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
