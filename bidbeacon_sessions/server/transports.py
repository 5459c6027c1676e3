"""The two ways a stream reaches a reader: Server-Sent Events and WebSocket.

Both send the same frames.
"""

import asyncio
import logging
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import aclosing, suppress
from typing import Any

from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from bidbeacon_sessions.change_log import NOWHERE, parse_cursor
from bidbeacon_sessions.server.messages import GZIP_HEAD, Frame, deflate
from bidbeacon_sessions.server.parameters import read_filter
from bidbeacon_sessions.server.problems import BadRequestError, problem, refuse_websocket
from bidbeacon_sessions.server.stream import Stream, TooManyReadersError

logger = logging.getLogger(__name__)

SEND_SECONDS = 10.0
MAX_RECEIVED = 64 * 1024
"""Characters of a message from a reader, whose messages are ignored."""
_LEFT, _GOING_AWAY, _TOO_BIG, _TRY_AGAIN = 1000, 1001, 1009, 1013
"""Why a stream ended, as close codes of a WebSocket (RFC 6455)."""
_REFUSES = re.compile(r"q=0(\.0*)?")
_PLAIN = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"vary", b"Accept-Encoding"),
    (b"x-accel-buffering", b"no"),
)
_HEADERS = {False: _PLAIN, True: (*_PLAIN, (b"content-encoding", b"gzip"))}
"""The headers of an event stream, by whether it is compressed."""
Frames = AsyncGenerator[Frame, None]


class EventStream:
    """The ASGI endpoint of Server-Sent Events: until the reader leaves or does not read, or the frames end.

    A compressed stream ends without gzip's checksum: all readers share its pieces.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one reader."""
        stream: Stream = scope["app"].state.stream
        frames = _frames(stream, HTTPConnection(scope))
        is_compressed = accepts_gzip(HTTPConnection(scope))
        try:
            with stream.counted("sse"):
                await send(
                    {
                        "type": "http.response.start",
                        "status": 200,
                        "headers": _HEADERS[is_compressed],
                    }
                )
                is_over = scope["method"] == "HEAD" or await _send_events(
                    frames, receive, send, is_compressed
                )
                if is_over:
                    await send({"type": "http.response.body", "body": b"", "more_body": False})
        except TooManyReadersError:
            await _too_many()(scope, receive, send)


async def _send_events(frames: Frames, receive: Receive, send: Send, is_compressed: bool) -> bool:  # noqa: FBT001
    """Send frames as events; return whether the stream has come to its end."""

    async def send_piece(piece: bytes) -> None:
        await send({"type": "http.response.body", "body": piece, "more_body": True})

    async def send_frame(frame: Frame) -> None:
        for piece in frame.sse_gzip if is_compressed else frame.sse:
            await _in_time(send_piece(piece))

    first = b": stream\n\n"
    await send_piece(GZIP_HEAD + deflate(first) if is_compressed else first)
    return await _deliver(frames, send_frame, _until_http_gone(receive)) == _GOING_AWAY


async def serve_websocket(socket: WebSocket) -> None:
    """Accept a WebSocket and send the stream; what the reader says is ignored."""
    stream: Stream = socket.app.state.stream
    try:
        frames = _frames(stream, socket)
        with stream.counted("websocket"):
            await _send_messages(socket, frames)
    except BadRequestError as error:
        await refuse_websocket(socket, problem(400, error.error, error.what_to_do))
    except TooManyReadersError:
        await refuse_websocket(socket, _too_many())


async def _send_messages(socket: WebSocket, frames: Frames) -> None:
    are_batched = "batch" in socket.query_params

    async def send_frame(frame: Frame) -> None:
        for text in frame.websocket_lines if are_batched else frame.websocket:
            await _in_time(socket.send({"type": "websocket.send", "text": text}))

    await socket.accept()
    code = await _deliver(frames, send_frame, _until_websocket_gone(socket))
    with suppress(
        OSError, RuntimeError, WebSocketDisconnect
    ):  # the reader has left, or does not read
        await _in_time(socket.close(code))


def _frames(stream: Stream, connection: HTTPConnection) -> Frames:
    """Return what a connection asks for."""
    wanted = read_filter(connection.query_params, also=frozenset({"cursor", "batch"}))
    # What a reconnecting browser says counts more than what its address says.
    given = connection.headers.get("last-event-id") or connection.query_params.get("cursor")
    cursor = parse_cursor(given) or NOWHERE if given else None
    return stream.frames(wanted, cursor)


async def _deliver(
    frames: Frames, send_frame: Callable[[Frame], Awaitable[None]], gone: Coroutine[Any, Any, int]
) -> int:
    """Send frames; return why it ended.

    Nothing is sent any more by then, so the caller can close the connection.
    """
    sending, leaving = asyncio.create_task(_send_all(frames, send_frame)), asyncio.create_task(gone)
    try:
        await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if sending.done():
            return _GOING_AWAY if sending.exception() is None else _TRY_AGAIN
        return leaving.result() if leaving.exception() is None else _TRY_AGAIN
    finally:
        sending.cancel()
        leaving.cancel()
        for result in await asyncio.gather(sending, leaving, return_exceptions=True):
            if isinstance(result, Exception) and not isinstance(
                result, OSError | WebSocketDisconnect
            ):
                logger.error("A stream broke off", exc_info=result)


async def _send_all(frames: Frames, send_frame: Callable[[Frame], Awaitable[None]]) -> None:
    async with aclosing(frames):
        async for frame in frames:
            await send_frame(frame)
            del frame  # an idle reader would keep it


async def _in_time(sending: Awaitable[None]) -> None:
    """Wait for a send.

    Raises:
        TimeoutError: the reader did not take it in time.
    """
    async with asyncio.timeout(SEND_SECONDS):
        await sending


async def _until_http_gone(receive: Receive) -> int:
    """Wait until the reader leaves."""
    while (await receive())["type"] != "http.disconnect":
        continue
    return _LEFT


async def _until_websocket_gone(socket: WebSocket) -> int:
    """Wait until the reader leaves, or says far more than anybody needs to; return which."""
    while (message := await socket.receive())["type"] != "websocket.disconnect":
        if len(message.get("text") or message.get("bytes") or "") > MAX_RECEIVED:
            return _TOO_BIG
    return _LEFT


def accepts_gzip(connection: HTTPConnection) -> bool:
    """Return whether `Accept-Encoding` names gzip without refusing it by `q=0` (RFC 9110, section 12.5.3)."""
    accepted = ",".join(connection.headers.getlist("accept-encoding"))
    for each in accepted.lower().replace(" ", "").split(","):
        coding, *parameters = each.split(";")
        if coding == "gzip":
            return not any(_REFUSES.fullmatch(parameter) for parameter in parameters)
    return False


def _too_many() -> Response:
    return problem(503, "Too many streams are open.", "Close some pages, or try again in a moment.")
