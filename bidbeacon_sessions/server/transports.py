"""The two transports of the stream: Server-Sent Events and WebSocket."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import aclosing, suppress
from typing import Any, TypeVar

from starlette.requests import HTTPConnection
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from bidbeacon_sessions.change_log import parse_cursor
from bidbeacon_sessions.filters import SessionFilter
from bidbeacon_sessions.following import Follower
from bidbeacon_sessions.messages import Frame
from bidbeacon_sessions.server.answers import RefusedError, read_query

logger = logging.getLogger(__name__)
T = TypeVar("T")

MOST_READERS = 2_000
SEND_SECONDS = 10.0
_GOING_AWAY = 1001
"""The close code of a WebSocket (RFC 6455); its client reconnects with its cursor."""
_HEADERS = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
)
_TOO_MANY = ("Too many streams are open.", "Close some pages, or try again in a moment.")
_READER_LEFT = (OSError, RuntimeError, WebSocketDisconnect)
"""Errors of a send to a closed connection or a stalled reader; uvloop raises RuntimeError."""
Frames = AsyncGenerator[Frame, None]


class EventStream:
    """The ASGI endpoint of Server-Sent Events."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the stream to one reader until it leaves or stops reading, or the stream ends."""
        frames = _frames(scope["app"].state.follower, HTTPConnection(scope), "sse")
        await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        await send(_body(b": stream\n\n"))
        if scope["method"] == "HEAD" or await _deliver(
            frames, lambda frame: _send(map(_body, frame.sse), send), receive
        ):
            await send(_body(b"", more=False))


async def serve_websocket(socket: WebSocket) -> None:
    """Accept a WebSocket and send the stream; messages of the reader are ignored."""
    frames = _frames(socket.app.state.follower, socket, "websocket")
    await socket.accept()
    await _deliver(frames, lambda frame: _send(frame.websocket, socket.send_text), socket.receive)
    with suppress(*_READER_LEFT):
        await _send([_GOING_AWAY], socket.close)


def _frames(follower: Follower, connection: HTTPConnection, transport: str) -> Frames:
    """Return the frames for a connection; `Last-Event-ID` overrides the cursor in its address.

    Raises:
        RefusedError: the filter is invalid, or there are too many readers.
    """
    wanted = read_query(SessionFilter, connection.query_params, ignored="cursor")
    given = connection.headers.get("last-event-id") or connection.query_params.get("cursor")
    if follower.readers.total() >= MOST_READERS:
        raise RefusedError(503, *_TOO_MANY)
    after = parse_cursor(given) if given else None
    return follower.follow(after, wanted, transport=transport)


async def _deliver(
    frames: Frames, send_frame: Callable[[Frame], Awaitable[None]], receive: Receive
) -> bool:
    """Send frames until they end (return True), or until the reader leaves or is too slow."""
    sending = asyncio.create_task(_send_all(frames, send_frame))
    leaving = asyncio.create_task(_until_left(receive))
    try:
        await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
        return sending.done() and sending.exception() is None
    finally:
        sending.cancel()
        leaving.cancel()
        for result in await asyncio.gather(sending, leaving, return_exceptions=True):
            if isinstance(result, Exception) and not isinstance(result, _READER_LEFT):
                logger.error("A stream ended with an error", exc_info=result)


async def _send_all(frames: Frames, send_frame: Callable[[Frame], Awaitable[None]]) -> None:
    async with aclosing(frames):
        async for frame in frames:
            await send_frame(frame)
            del frame  # an idle reader would keep it


async def _until_left(receive: Receive) -> None:
    while not (await receive())["type"].endswith(".disconnect"):
        continue


async def _send(pieces: Iterable[T], send: Callable[[T], Awaitable[None]]) -> None:
    for piece in pieces:
        async with asyncio.timeout(SEND_SECONDS):
            await send(piece)


def _body(piece: bytes, *, more: bool = True) -> dict[str, Any]:
    return {"type": "http.response.body", "body": piece, "more_body": more}
