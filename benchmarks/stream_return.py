"""Readers of the stream who come back after a while, beside a load: as fast as they can, and how soon they are in step."""

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any, Self

from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.change_log import head

LATE_SECONDS = 60.0


def cursor_behind(store: SessionStore, missed: int) -> str:
    """Return the cursor of a reader who missed so many changes."""
    with store.begin() as connection:
        newest = head(connection).cursor
    return str(replace(newest, position=newest.position - missed))


def seconds_until_in_step(port: int, cursor: str) -> float:
    """Come back once; return how long it takes until nothing that was read from the log is still to be told.

    Returns:
        `LATE_SECONDS` where it is told to load again, or hears no more.
    """
    began = time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LATE_SECONDS)
    connection.request("GET", f"/api/job-sessions/stream?cursor={cursor}")
    in_step = any(_is_in_step(*message) for message in _messages(connection.getresponse()))
    took = time.monotonic() - began
    connection.close()
    return took if in_step else LATE_SECONDS


def _is_in_step(event: str, identity: str, data: dict[str, Any]) -> bool:
    return event == "sync" and _position(identity) >= _position(data["cursor"])


def _position(cursor: str) -> int:
    return int(cursor.partition(".")[2])


def _messages(response: http.client.HTTPResponse) -> Iterator[tuple[str, str, dict[str, Any]]]:
    fields: dict[str, str] = {}
    for line in response:
        name, _, value = line.decode().rstrip("\n").partition(": ")
        if name:
            fields[name] = value
        elif "event" in fields:
            yield fields["event"], fields.get("id", ".0"), json.loads(fields["data"])
            fields = {}


class GettingInStep(ExitStack):
    """Has readers come back while it is entered.

    Args:
        port: of the server.
        store: whose log it is.
        missed: from how many changes before.
        every: so many seconds apart.

    Attributes:
        took: how many seconds each of them was not in step.
    """

    def __init__(self, port: int, store: SessionStore, missed: int, every: float) -> None:
        super().__init__()
        self.took: list[float] = []
        self._port, self._store, self._missed, self._every = port, store, missed, every

    def __enter__(self) -> Self:
        """Begin."""
        self.enter_context(meanwhile(self._come_back))
        return self

    def _come_back(self, stop: threading.Event) -> None:
        while not stop.wait(self._every):
            self.took.append(
                seconds_until_in_step(self._port, cursor_behind(self._store, self._missed))
            )


@contextmanager
def meanwhile(work: Callable[[threading.Event], None]) -> Iterator[None]:
    """Work in a thread until the block ends; then the event is set."""
    stop = threading.Event()
    thread = threading.Thread(target=work, args=[stop], daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
