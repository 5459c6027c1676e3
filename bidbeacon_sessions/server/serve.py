"""Runs the app: one process on uvicorn, with bounds on what a client may send and how many there may be."""

import asyncio
import errno
import gc
import logging
import signal
import socket
import sys
from asyncio import TimerHandle, Transport
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from bidbeacon_sessions.errors import CannotListenError
from bidbeacon_sessions.following import Follower
from bidbeacon_sessions.server.app import create_app
from bidbeacon_sessions.server.auth import Access
from bidbeacon_sessions.server.pages import Extension
from bidbeacon_sessions.server.transports import MOST_READERS
from bidbeacon_sessions.store import SessionStore

HEAD_SECONDS = 5.0
"""A request whose headers take longer ends, and so does a connection that is idle for so long."""
MAX_HEAD_BYTES = 64 * 1024
MAX_WEBSOCKET_LINE = 8_000
MAX_MESSAGE_BYTES = 64 * 1024
"""The most that a reader may send over a WebSocket at once."""
MOST_CONNECTIONS = MOST_READERS + 500
"""Requests on further connections are refused with 503."""
_GRACE_SECONDS = 1
_GOODBYE_SECONDS = 0.1
_COLLECT_AFTER = 20_000


class StreamServer:
    """The stream on one address.

    Takes what `create_app` does; port 0 is any free one, and `access` is by default as the settings
    say for that address.

    Raises:
        UnsafeAddressError: other machines reach that address, and no token is set.
        CannotListenError: the address is taken, or not this machine's.
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
        self._server = _Server(self.app.state.follower, _config(self.app))

    @property
    def is_listening(self) -> bool:
        """Whether connections are accepted."""
        return self._server.started

    @property
    def is_ready(self) -> bool:
        """Whether the change log is being read."""
        follower: Follower = self.app.state.follower
        return follower.is_ready

    def run(self, on_listening: Callable[[], None] | None = None) -> None:
        """Serve until SIGINT, SIGTERM or `stop`; call the given function as soon as connections are accepted."""
        self._server.on_listening = on_listening
        self._server.run(sockets=[self._socket])

    def stop(self) -> None:
        """End `run`, from any thread."""
        self._server.should_exit = True


def serve(store: SessionStore, *, host: str, port: int, extension: Extension | None = None) -> None:
    """Serve page and stream until SIGINT or SIGTERM, and print where.

    Takes and raises what `StreamServer` does.
    """
    server = StreamServer(store, host=host, port=port, extension=extension)
    skip_imported_objects()
    gc.set_threshold(_COLLECT_AFTER)
    server.run(lambda: _print(f"Event Stream: {server.url}\nCtrl-C stops it.\n"))


def skip_imported_objects() -> None:
    """Have the collector skip all objects that exist now: looking through the modules' objects held answers up by 50 ms."""
    gc.collect()
    gc.freeze()


def _print(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


class _Server(uvicorn.Server):
    """uvicorn's server; it ends open streams when it is told to stop, since it would wait for them."""

    def __init__(self, follower: Follower, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.on_listening: Callable[[], None] | None = None
        self._follower = follower

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and self.on_listening is not None:
            self.on_listening()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._follower.close()
        await asyncio.sleep(_GOODBYE_SECONDS)  # streams say themselves why they end
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop at SIGINT and SIGTERM; uvicorn's own raises them again afterwards, so that the process fails."""
        loop = asyncio.get_running_loop()
        with suppress(ValueError, RuntimeError, NotImplementedError):  # not in the main thread
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, self.handle_exit, number, None)
        yield


class _BoundedHttp(HttpToolsProtocol):
    """uvicorn's HTTP, with bounds on the size of a request's head and on the time it may take."""

    _timer: TimerHandle | None = None
    _head_bytes = 0
    _requests: Sequence[RequestResponseCycle] = ()

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)
        for request in self._requests:
            request.disconnected = True  # uvicorn tells the last one only

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._head_bytes += len(data)
        is_incomplete = self._timer is not None and not self.transport.is_closing()
        if is_incomplete and self._head_bytes > MAX_HEAD_BYTES:
            self.send_400_response("The line and headers of this request are too long.")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._timer is None:
            self._expect_head()

    def on_headers_complete(self) -> None:
        self._stop_timer()
        super().on_headers_complete()
        if self.cycle is not None:
            asked = (*self._requests, self.cycle)
            self._requests = [request for request in asked if not request.response_complete]

    def handle_websocket_upgrade(self) -> None:
        """Refuse a line that the WebSocket's own parser does not read: its client would get no answer."""
        longest = max(len(name) + len(value) for name, value in [(self.url, b""), *self.headers])
        if longest > MAX_WEBSOCKET_LINE:
            self.send_400_response("A line of this request is too long.")
        else:
            super().handle_websocket_upgrade()

    def _expect_head(self) -> None:
        self._head_bytes = 0
        self._timer = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None


def _config(app: object) -> uvicorn.Config:
    logging.getLogger("uvicorn.error").addFilter(_is_error)
    return uvicorn.Config(
        app,  # type: ignore[arg-type]
        http=_BoundedHttp,
        lifespan="on",
        ws_max_size=MAX_MESSAGE_BYTES,
        ws_per_message_deflate=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_keep_alive=int(HEAD_SECONDS),
        timeout_graceful_shutdown=_GRACE_SECONDS,
        proxy_headers=False,  # whether there is a proxy is for `auth.py` to see
        server_header=False,
        access_log=False,
        log_config=None,
        log_level="error",  # a request that is not HTTP is no concern of ours
    )


def _is_error(record: logging.LogRecord) -> bool:
    """Return False for a WebSocket that is refused by a response, and a stream that is cut off, which uvicorn takes for errors."""
    return "without completing" not in record.getMessage()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        reason = "the port is in use" if error.errno == errno.EADDRINUSE else str(error.strerror)
        raise CannotListenError(host, port, reason) from error
