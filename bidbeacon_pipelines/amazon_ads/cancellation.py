"""Ends downloads that other threads have under way."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import httpx

from bidbeacon_pipelines.amazon_ads.download_rules import OPERATION, DownloadCancelled


class Cancellation:
    """Asked for once, from any thread; heeded at the next chunk, and a connection that falls silent in a file is cut.

    One whose answer has not begun is not: it ends with the answer, or by its time-out.
    """

    def __init__(self) -> None:
        self._asked = threading.Event()
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()

    def ask(self) -> None:
        """End every download that heeds this."""
        with self._lock:
            self._asked.set()
            for connection in self._sockets:
                with suppress(OSError):  # it is closed already
                    # Not the TLS socket's own shutdown, which takes its state away from the thread that reads.
                    socket.socket.shutdown(connection, socket.SHUT_RDWR)

    def check(self) -> None:
        """Raise where it was asked for.

        Raises:
            DownloadCancelled: It was.
        """
        if self._asked.is_set():
            raise DownloadCancelled("another file of the report failed", operation=OPERATION)

    @contextmanager
    def heeded_by(self, response: httpx.Response) -> Iterator[None]:
        """Have a response's connection cut, inside the block, when it is asked for.

        Raises:
            DownloadCancelled: It was asked for before.
        """
        stream = response.extensions.get("network_stream")  # a fake's response has none
        connection = stream.get_extra_info("socket") if stream is not None else None
        if not isinstance(connection, socket.socket):
            yield
            return
        with self._lock:
            self._sockets.add(connection)
        try:
            self.check()
            yield
        finally:
            with self._lock:
                self._sockets.discard(connection)
