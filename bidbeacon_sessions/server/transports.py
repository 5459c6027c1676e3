"""The two ways a stream reaches a reader: Server-Sent Events and WebSocket. Both send the same frames."""

import asyncio
import logging
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterable
from contextlib import aclosing, suppress
from typing import Any

from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from bidbeacon_sessions.errors import CursorError
from bidbeacon_sessions.server.messages import GZIP_HEAD, Frame, deflate
from bidbeacon_sessions.server.parameters import read_cursor, read_filter
from bidbeacon_sessions.server.problems import BadRequestError, problem, refuse_websocket
from bidbeacon_sessions.server.stream import Stream, TooManyReadersError

logger = logging.getLogger(__name__)

SEND_SECONDS = 10.0
MAX_RECEIVED = 64 * 1024
"""Characters of a message from a reader, whose messages are ignored."""
_LEFT, _GOING_AWAY, _TOO_BIG, _TRY_AGAIN = 1000, 1001, 1009, 1013
"""Why a stream ended, as close codes of a WebSocket (RFC 6455)."""
_REFUSES = re.compile(r"q=0(\.0*)?")
Frames = AsyncGenerator[Frame, None]


async def server_sent_events(request: Request) -> Response:
    """Answer with an event stream."""
    stream: Stream = request.app.state.stream
    frames = _frames(stream, request)
    try:
        stream.check_room()
    except TooManyReadersError:
        return _too_many()
    return EventStream(stream, frames, is_compressed=accepts_gzip(request))


async def websocket(socket: WebSocket) -> None:
    """Accept a WebSocket and send the stream over it; what the reader says is ignored."""
    stream: Stream = socket.app.state.stream
    try:
        frames = _frames(stream, socket)
        with stream.counted("websocket"):
            await _serve(socket, frames)
    except BadRequestError as error:
        await refuse_websocket(socket, problem(400, error.error, error.what_to_do))
    except TooManyReadersError:
        await refuse_websocket(socket, _too_many())


class EventStream(Response):
    """Server-Sent Events until the reader leaves or does not read, or the frames end.

    A compressed stream ends without gzip's checksum: all readers share its pieces.
    """

    media_type = "text/event-stream"

    def __init__(self, stream: Stream, frames: Frames, *, is_compressed: bool) -> None:
        super().__init__(
            headers={"Cache-Control": "no-store", "Vary": "Accept-Encoding", "X-Accel-Buffering": "no"}
        )
        del self.headers["content-length"]
        self._stream = stream
        self._frames = frames
        self._is_compressed = is_compressed
        if is_compressed:
            self.headers["Content-Encoding"] = "gzip"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the stream."""
        with self._stream.counted("sse"):
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            if scope["method"] == "HEAD" or await self._send_frames(receive, send):
                await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send_frames(self, receive: Receive, send: Send) -> bool:
        async def send_piece(piece: bytes) -> None:
            await send({"type": "http.response.body", "body": piece, "more_body": True})

        async def send_frame(frame: Frame) -> None:
            for piece in frame.sse_gzip if self._is_compressed else frame.sse:
                await _in_time(send_piece(piece))

        first = b": stream\n\n"
        await send_piece(GZIP_HEAD + deflate(first) if self._is_compressed else first)
        return await _deliver(self._frames, send_frame, _until_http_gone(receive)) == _GOING_AWAY


async def _serve(socket: WebSocket, frames: Frames) -> None:
    are_batched = "batch" in socket.query_params

    async def send_frame(frame: Frame) -> None:
        for text in frame.websocket_lines if are_batched else frame.websocket:
            await _in_time(socket.send({"type": "websocket.send", "text": text}))

    await socket.accept()
    code = await _deliver(frames, send_frame, _until_websocket_gone(socket))
    with suppress(OSError, RuntimeError, WebSocketDisconnect):  # the reader has left, or does not read
        await _in_time(socket.close(code))


def _frames(stream: Stream, connection: HTTPConnection) -> Frames:
    """Return what a connection asks for."""
    wanted = read_filter(connection.query_params, also=frozenset({"cursor", "batch"}))
    try:
        cursor = read_cursor(connection.query_params, connection.headers.get("last-event-id"))
    except CursorError:
        return _refusal(stream)
    return stream.frames(wanted, cursor)


async def _refusal(stream: Stream) -> Frames:
    yield stream.refuse("epoch")


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
        results = await asyncio.gather(sending, leaving, return_exceptions=True)
        _log_unforeseen(results)


async def _send_all(frames: Frames, send_frame: Callable[[Frame], Awaitable[None]]) -> None:
    async with aclosing(frames):
        async for frame in frames:
            await send_frame(frame)


async def _in_time(sending: Awaitable[None]) -> None:
    """Wait for a send.

    Raises:
        TimeoutError: the reader did not take it in time.
    """
    async with asyncio.timeout(SEND_SECONDS):
        await sending


def _log_unforeseen(results: Iterable[BaseException | int | None]) -> None:
    for result in results:
        if isinstance(result, Exception) and not isinstance(result, OSError | WebSocketDisconnect):
            logger.error("A stream broke off", exc_info=result)


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
