"""Runs the app: one process on granian, which bounds headers, idle connections and their number by its settings."""

import asyncio
import errno
import gc
import os
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from granian.server.embed import Server

from bidbeacon_sessions.errors import CannotListenError
from bidbeacon_sessions.server.app import create_app
from bidbeacon_sessions.server.auth import Access
from bidbeacon_sessions.server.pages import Extension
from bidbeacon_sessions.server.stream import MAX_READERS, Stream
from bidbeacon_sessions.store import SessionStore

HEADER_SECONDS = 5
"""A request whose headers take longer ends, and so does a connection that is idle for so long."""
MAX_HEAD_BYTES = 64 * 1024
MAX_CONNECTIONS = MAX_READERS + 500
"""Further connections wait until there is room. Requests other than streams are short."""
_BACKLOG = 1_024
_GRACE_SECONDS = 1.0
_LOOK_SECONDS = 0.02
_COLLECT_AFTER = 20_000
_ALLOCATOR = "narenas:1,dirty_decay_ms:0"
"""Settings of jemalloc, which granian's native code allocates with: it returns unused memory at once, and saves 9 KB a connection."""


class StreamServer:
    """The stream on one address.

    A process that has nothing else to do after `run` ends best with `os._exit`, as `serve` does.
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
        rules = access or Access.for_host(host)
        self._address, self.port = _find_place(host, port)
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{self.port}"
        self.app = create_app(store, rules, extension=extension)
        self._stream: Stream = self.app.state.stream
        self.is_listening = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_told_to_stop = asyncio.Event()

    @property
    def is_ready(self) -> bool:
        """Whether the change log is being read."""
        return self._stream.is_ready

    def run(self, on_listening: Callable[[], None] | None = None) -> None:
        """Serve until SIGINT, SIGTERM or `stop`; call the given function as soon as connections are accepted."""
        asyncio.run(self._run(on_listening))

    def stop(self) -> None:
        """End `run`, from any thread."""
        if self._loop is None:
            self._is_told_to_stop.set()
        else:
            self._loop.call_soon_threadsafe(self._is_told_to_stop.set)

    async def _run(self, on_listening: Callable[[], None] | None) -> None:
        self._loop = asyncio.get_running_loop()
        with suppress(
            ValueError, RuntimeError, NotImplementedError
        ):  # not the main thread, or Windows
            for number in (signal.SIGINT, signal.SIGTERM):
                self._loop.add_signal_handler(number, self._is_told_to_stop.set)
        server = _granian(self.app, self._address, self.port)
        serving = asyncio.create_task(server.serve())
        stopping = asyncio.create_task(self._is_told_to_stop.wait())
        listening = asyncio.create_task(self._wait_until_listening(on_listening))
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        listening.cancel()
        self._stream.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(_GRACE_SECONDS):
                await self._stream.is_empty.wait()
        server.stop()  # type: ignore[no-untyped-call]
        stopping.cancel()
        await serving

    async def _wait_until_listening(self, on_listening: Callable[[], None] | None) -> None:
        while not self.is_listening:
            with suppress(OSError):
                _, writer = await asyncio.open_connection(self._address, self.port)
                writer.close()
                self.is_listening = True
            await asyncio.sleep(_LOOK_SECONDS)
        if on_listening is not None:
            on_listening()


def serve(store: SessionStore, *, host: str, port: int, extension: Extension | None = None) -> None:
    """Serve page and stream until SIGINT or SIGTERM, print where, and end the process.

    Takes and raises what `StreamServer` does.
    """
    server = StreamServer(store, host=host, port=port, extension=extension)
    skip_imported_objects()
    gc.set_threshold(_COLLECT_AFTER)
    server.run(lambda: _say(f"Event Stream: {server.url}\nCtrl-C stops it.\n"))
    # A thread of granian's that enters Python while the interpreter shuts down aborts the process
    # (its issue 693).
    os._exit(os.EX_OK)


def _say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def skip_imported_objects() -> None:
    """Have the collector skip all objects that exist now: looking through the modules' objects held answers up by 50 ms."""
    gc.collect()
    gc.freeze()


def _granian(app: object, address: str, port: int) -> "Server":
    os.environ.setdefault("_RJEM_MALLOC_CONF", _ALLOCATOR)  # read when granian is loaded
    from granian.constants import HTTPModes, Interfaces
    from granian.http import HTTP1Settings
    from granian.server.embed import Server

    return Server(
        app,
        address=address,
        port=port,
        interface=Interfaces.ASGI,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(
            header_read_timeout=HEADER_SECONDS * 1_000, max_buffer_size=MAX_HEAD_BYTES
        ),
        backlog=_BACKLOG,
        backpressure=MAX_CONNECTIONS,
        log_enabled=False,  # the app logs what fails in it
    )


def _find_place(host: str, port: int) -> tuple[str, int]:
    """Return the numeric address and the port to listen on, where nobody else listens."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.create_server((host, port), family=family) as free:
            address, chosen = free.getsockname()[:2]
    except OSError as error:
        reason = "the port is in use" if error.errno == errno.EADDRINUSE else str(error.strerror)
        raise CannotListenError(host, port, reason) from error
    return str(address), int(chosen)
