"""Run the app: one process on uvicorn, with limits on clients and their requests."""

import asyncio
import errno
import gc
import logging
import signal
import socket
import sys
from asyncio import TimerHandle, Transport
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from bidbeacon_sessions.connections import SessionStore
from bidbeacon_sessions.errors import SessionsError
from bidbeacon_sessions.server.app import create_app
from bidbeacon_sessions.server.auth import Access
from bidbeacon_sessions.server.pages import Extension
from bidbeacon_sessions.server.transports import MOST_READERS

HEAD_SECONDS = 5.0
"""The timeout for the headers of a request, and for an idle connection."""
MAX_MESSAGE_BYTES = 64 * 1024
"""The largest WebSocket message that a reader may send."""
MOST_CONNECTIONS = MOST_READERS + 500
"""Requests on further connections are refused with 503."""
_GRACE_SECONDS = 1
_GOODBYE_SECONDS = 0.1
_COLLECT_AFTER = 20_000


class StreamServer(uvicorn.Server):
    """A uvicorn server for the stream at one address.

    `extension` and `access` are those of `create_app`; port 0 means any free port. Raises
    SessionsError if the address is in use, or does not belong to this machine.
    """

    def __init__(
        self,
        store: SessionStore,
        *,
        host: str,
        port: int,
        extension: Extension | None = None,
        access: Access | None = None,
    ) -> None:
        self.app = create_app(store, access or Access.for_host(host), extension=extension)
        self._socket = _listen(host, port)
        self.port = int(self._socket.getsockname()[1])
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{self.port}"
        super().__init__(_config(self.app))

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until SIGINT or SIGTERM, or until `should_exit` is set."""
        super().run([self._socket, *(sockets or ())])

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Shut down, but end open streams first, since uvicorn would wait for them."""
        self.app.state.follower.close()
        await asyncio.sleep(_GOODBYE_SECONDS)  # streams send their own close code
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop at SIGINT or SIGTERM, but don't raise the signal again, as uvicorn would."""
        loop = asyncio.get_running_loop()
        with suppress(ValueError, RuntimeError, NotImplementedError):  # not in the main thread
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, self.handle_exit, number, None)
        yield


def serve(store: SessionStore, *, host: str, port: int, extension: Extension | None = None) -> None:
    """Print the address, and run a `StreamServer` until SIGINT or SIGTERM."""
    server = StreamServer(store, host=host, port=port, extension=extension)
    skip_imported_objects()
    gc.set_threshold(_COLLECT_AFTER)
    # Connections wait from here on until they are accepted.
    sys.stdout.write(f"Event Stream: {server.url}\nCtrl-C stops it.\n")
    sys.stdout.flush()
    server.run()


def skip_imported_objects() -> None:
    """Exclude existing objects from garbage collection, which delayed responses by 50 ms."""
    gc.collect()
    gc.freeze()


class _ImpatientHttp(HttpToolsProtocol):
    """uvicorn's HTTP protocol, with a timeout for the first line and headers of a request."""

    _timer: TimerHandle

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override] # TCP only
        super().connection_made(transport)
        self._timer = self._close_later()

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._timer.cancel()
        self._timer = self._close_later()

    def on_headers_complete(self) -> None:
        self._timer.cancel()
        super().on_headers_complete()

    def handle_websocket_upgrade(self) -> None:
        """Refuse an invalid WebSocket request, which uvicorn leaves unanswered and open."""
        super().handle_websocket_upgrade()
        if not self.transport.get_protocol().handshake_initiated:  # type: ignore[attr-defined] # WSProtocol
            self.send_400_response("Invalid WebSocket request")

    def _close_later(self) -> TimerHandle:
        return self.loop.call_later(HEAD_SECONDS, self.transport.close)


def _config(app: object) -> uvicorn.Config:
    logging.getLogger("uvicorn.error").addFilter(_is_error)
    return uvicorn.Config(
        app,  # type: ignore[arg-type] # any ASGI app
        http=_ImpatientHttp,
        lifespan="on",
        ws_max_size=MAX_MESSAGE_BYTES,
        ws_per_message_deflate=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_keep_alive=int(HEAD_SECONDS),
        timeout_graceful_shutdown=_GRACE_SECONDS,
        proxy_headers=False,  # headers of proxies are not trusted
        server_header=False,
        access_log=False,
        log_config=None,
        log_level="error",  # requests that are not HTTP are not logged
    )


def _is_error(record: logging.LogRecord) -> bool:
    """Return False for refused WebSockets and cut-off streams, which uvicorn logs as errors."""
    return "without completing" not in record.getMessage()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        reason = "the port is in use" if error.errno == errno.EADDRINUSE else str(error.strerror)
        raise SessionsError(
            f"The stream can't listen on {host}:{port}: {reason}. "
            "Stop the program that uses that port, or set BIDBEACON_STREAM_PORT."
        ) from error
