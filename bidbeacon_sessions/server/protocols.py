"""Our uvicorn's two protocols: they let a stream write bytes that were framed once for many readers."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, cast

from starlette.types import Scope
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.extensions.permessage_deflate import PerMessageDeflate, ServerPerMessageDeflateFactory

from bidbeacon_sessions.server.bounded_http import BoundedHttp
from bidbeacon_sessions.server.bundles import PIECE_BYTES, WINDOW_BITS

_KEY = "bidbeacon.wire"
_BAD_HANDSHAKE = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class Wire:
    """A connection below its protocol. What is written must be framed as the protocol would.

    Args:
        transport: of the connection.
        drained: waits until nearly all that was written has gone.
        deflates: whether its frames may be compressed with a window of `WINDOW_BITS`, each by itself.
    """

    def __init__(
        self,
        transport: asyncio.Transport,
        drained: Callable[[], Coroutine[Any, Any, Any]],
        *,
        deflates: bool = False,
    ) -> None:
        self.deflates = deflates
        self._transport = transport
        self._drained = drained
        transport.set_write_buffer_limits(high=2 * PIECE_BYTES)

    async def write(self, piece: bytes) -> None:
        """Write, and wait until there is room for the next piece.

        Raises:
            ConnectionResetError: the reader is gone.
        """
        if self._transport.is_closing():
            raise ConnectionResetError
        self._transport.write(piece)
        await self._drained()

    async def abort(self) -> None:
        """Break the connection off, whatever still waits in it: closing it would wait for a reader that does not read."""
        self._transport.abort()
        await asyncio.sleep(
            0
        )  # the protocol hears of it at the loop's next turn, and then expects no more of us


def wire_of(scope: Scope) -> Wire:
    """Give the connection below a request, which only our protocols tell.

    Raises:
        RuntimeError: the app is not run by `StreamServer`.
    """
    if _KEY not in scope:
        raise RuntimeError(
            "Expected the stream to be run by StreamServer: other servers cannot share its bytes."
        )
    return cast("Wire", scope[_KEY]())


class StreamHttp(BoundedHttp):
    """HTTP/1.1 whose requests are bounded and know their connection."""

    def on_headers_complete(self) -> None:
        """Go on with the request."""
        self.scope[_KEY] = partial(Wire, self.transport, self.flow.drain)  # type: ignore[literal-required] # servers may add keys of their own
        super().on_headers_complete()


class StreamWebSocket(WebSocketsSansIOProtocol):
    """WebSocket whose connection is known to the app; frames are compressed without context takeover, or not at all."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.conn.available_extensions = [
            ServerPerMessageDeflateFactory(server_no_context_takeover=True, client_no_context_takeover=True)
        ]

    def data_received(self, data: bytes) -> None:
        """Take what came. A handshake that can't be parsed is refused here, since uvicorn neither answers nor closes."""
        super().data_received(data)
        if self.conn.handshake_exc is not None and not self.handshake_initiated:
            self.transport.write(_BAD_HANDSHAKE)
            self.transport.close()

    async def run_asgi(self) -> None:
        """Run the app."""
        deflates = any(
            isinstance(each, PerMessageDeflate) and each.local_max_window_bits >= WINDOW_BITS
            for each in self.conn.extensions
        )
        self.scope[_KEY] = partial(Wire, self.transport, self.writable.wait, deflates=deflates)  # type: ignore[literal-required] # servers may add keys of their own
        await super().run_asgi()
