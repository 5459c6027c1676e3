"""Cancels downloads of other threads."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import httpx

from bidbeacon_pipelines.amazon_ads.download_rules import OPERATION, DownloadCancelled


class Cancellation:
    """A cancellation, requested from any thread.

    Downloads stop at the next chunk, and a connection that stalls inside a file is closed. A
    request without a response yet ends with the response or its timeout.
    """

    def __init__(self) -> None:
        self._asked = threading.Event()
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()

    def ask(self) -> None:
        """Cancel all downloads."""
        with self._lock:
            self._asked.set()
            for connection in self._sockets:
                with suppress(OSError):  # it is closed already
                    # Not the TLS socket's own shutdown, which takes its state away from the thread
                    # that reads.
                    socket.socket.shutdown(connection, socket.SHUT_RDWR)

    def check(self) -> None:
        """Raise if cancelled.

        Raises:
            DownloadCancelled: It was cancelled.
        """
        if self._asked.is_set():
            raise DownloadCancelled("another file of the report failed", operation=OPERATION)

    @contextmanager
    def heeded_by(self, response: httpx.Response) -> Iterator[None]:
        """Close a response's connection on cancellation, inside the block.

        Raises:
            DownloadCancelled: It was cancelled before.
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
