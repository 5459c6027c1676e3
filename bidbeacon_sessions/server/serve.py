"""Runs the stream: one uvicorn process that stops promptly, whatever streams are open."""

import errno
import gc
import logging
import signal
import socket
import sys
from types import FrameType

import uvicorn

from bidbeacon_sessions.errors import CannotListenError
from bidbeacon_sessions.server.app import create_app
from bidbeacon_sessions.server.auth import Access
from bidbeacon_sessions.server.coverage import CoverageReader
from bidbeacon_sessions.server.explaining import Explainer
from bidbeacon_sessions.server.hub import SYNC_SECONDS, Hub
from bidbeacon_sessions.server.protocols import StreamHttp, StreamWebSocket
from bidbeacon_sessions.store import SessionStore

_GRACE_SECONDS = 1
_COLLECT_AFTER = 20_000


class StreamServer(uvicorn.Server):
    """The stream on one address. `run()` blocks until SIGINT, SIGTERM or `should_exit`.

    Args:
        store: whose sessions are shown; stays the caller's.
        host: the address to listen on.
        port: the port; 0 takes any free one.
        sync_seconds: how often every stream says where the log stands.
        explainer: answers `GET /api/explain`.
        coverage: answers `GET /api/coverage` and `GET /api/accounts`.

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
        sync_seconds: float = SYNC_SECONDS,
        explainer: Explainer | None = None,
        coverage: CoverageReader | None = None,
    ) -> None:
        rules = Access.for_host(host)
        self._app = create_app(
            store, rules, sync_seconds=sync_seconds, explainer=explainer, coverage=coverage
        )
        self._host = host
        self._socket = _listen(host, port)
        logging.getLogger("uvicorn.error").addFilter(_is_fault_of_ours)
        super().__init__(
            uvicorn.Config(
                self._app,
                http=StreamHttp,
                ws=StreamWebSocket,
                ws_per_message_deflate=False,  # the protocol has its own, which is done once for all
                log_level="warning",
                ws_max_size=64 * 1024,
                timeout_graceful_shutdown=_GRACE_SECONDS,
                server_header=False,
            )
        )

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return int(self._socket.getsockname()[1])

    @property
    def url(self) -> str:
        """The address that is listened on."""
        return f"http://{f'[{self._host}]' if ':' in self._host else self._host}:{self.port}"

    @property
    def is_ready(self) -> bool:
        """Whether the change log is being read."""
        hub: Hub = self._app.state.hub
        return hub.is_ready

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until told to stop."""
        super().run(sockets or [self._socket])

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the open streams first: the server would wait for them."""
        self._app.state.hub.close_clients()
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's signature
        """Stop, and then return from `run` instead of raising the signal again; a second Ctrl-C does not wait."""
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True


def serve(
    store: SessionStore,
    *,
    host: str,
    port: int,
    explainer: Explainer | None = None,
    coverage: CoverageReader | None = None,
) -> None:
    """Serve page and stream until SIGINT or SIGTERM, and print where; `explainer` and `coverage` are as those of `StreamServer`.

    Raises:
        UnsafeAddressError: other machines reach that address, and no token is set.
        CannotListenError: the address is taken, or not this machine's.
    """
    server = StreamServer(store, host=host, port=port, explainer=explainer, coverage=coverage)
    sys.stdout.write(f"Event Stream: {server.url}\nCtrl-C stops it.\n")
    sys.stdout.flush()
    spare_what_was_imported()
    gc.set_threshold(_COLLECT_AFTER)
    server.run()


def spare_what_was_imported() -> None:
    """Let the collector pass over all that is there now: looking through the modules' objects held answers up by 50 ms now and then."""
    gc.collect()
    gc.freeze()


# What uvicorn logs as an error though a client caused it: an invalid frame, a WebSocket that was refused as it should be, and a
# client that left while several of its requests were being answered.
_CAUSED_BY_CLIENTS = frozenset(
    {
        "Invalid UTF-8 sequence received from client.",
        "ASGI callable returned without completing handshake.",
        "ASGI callable returned without completing response.",
    }
)


def _is_fault_of_ours(record: logging.LogRecord) -> bool:
    return record.msg not in _CAUSED_BY_CLIENTS


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=512)
    except OSError as error:
        reason = "the port is in use" if error.errno == errno.EADDRINUSE else str(error.strerror)
        raise CannotListenError(host, port, reason) from error
