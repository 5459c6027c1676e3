"""Readers of a running stream, in threads: they load the list, follow, resume from their cursor when they are cut off, and reload on `reset`."""

import random
import threading
from collections import Counter
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

import httpx

from tests.stream.reading import (
    BROKEN,
    READ_SECONDS,
    Connection,
    SseConnection,
    WebSocketConnection,
)
from tests.stream.view import Json, View

AGAIN_SECONDS = 0.1


class Reader:
    """One reader with its view.

    Args:
        base_urls: the servers; each connection goes to one of them by chance.
        transport: `sse` or `websocket`.
        cut_seconds: connections are cut after a time between these two.
        bytes_per_second: how slowly it reads; 0: as fast as it can. Over `sse` only.
        filters: which sessions it asks for.
    """

    def __init__(
        self,
        base_urls: Sequence[str],
        transport: str = "sse",
        *,
        cut_seconds: tuple[float, float] | None = None,
        bytes_per_second: float = 0,
        **filters: str,
    ) -> None:
        self.view = View(whole=not filters)
        self.counts: Counter[str] = Counter()
        self.filters = filters
        self.awake = threading.Event()
        self.awake.set()
        self._base_urls = base_urls
        self._transport = transport
        self._cut_seconds = cut_seconds
        self._bytes_per_second = bytes_per_second
        self._chance = random.Random(transport)
        self._connection: Connection | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def __repr__(self) -> str:
        """Say what it is, and what happened to it."""
        return f"{self._transport} {self._bytes_per_second:g} {self.filters} {dict(self.counts)}"

    def stop(self) -> None:
        """Leave."""
        self._stopping.set()
        self.awake.set()
        if self._connection is not None:
            self._connection.cut()
        self._thread.join(timeout=READ_SECONDS)
        assert not self._thread.is_alive()

    def cut(self) -> None:
        """Break the connection."""
        assert self._connection is not None
        self._connection.cut()

    def hurry(self) -> None:
        """Read as fast as it can from now on, on a new connection: the buffer of the old one stays as tiny as it was."""
        self._bytes_per_second = 0
        if isinstance(self._connection, SseConnection):
            self._connection.seconds_per_byte = 0
            self._connection.cut()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.awake.wait()
            try:
                self._follow(self._chance.choice(self._base_urls))
            except (*BROKEN, httpx.HTTPError) as error:
                self.counts[type(error).__name__] += 1
            self._stopping.wait(AGAIN_SECONDS)

    def _follow(self, base_url: str) -> None:
        if self.view.cursor is None:
            self._load(base_url)
        pace = self._bytes_per_second
        query = urlencode({**self.filters, "cursor": self.view.cursor})
        if self._transport == "websocket":
            self._connection = WebSocketConnection(base_url, query)
        else:
            self._connection = SseConnection(base_url, query, pace)
        if pace != self._bytes_per_second:  # told to hurry meanwhile
            self._connection.cut()
        self.counts["connections"] += 1
        self.view.begin()
        if self._cut_seconds is not None:
            threading.Timer(self._chance.uniform(*self._cut_seconds), self._connection.cut).start()
        for event, identity, data in self._connection.messages():
            self.awake.wait()
            if self._stopping.is_set():
                return
            self._take(event, identity, data)

    def _take(self, event: str, identity: str | None, data: Json) -> None:
        if event == "reset":
            self.counts[f"reset {data['reason']}"] += 1
            self.view.cursor = None
        else:
            self.view.take(event, identity, data)

    def _load(self, base_url: str) -> None:
        with httpx.Client(base_url=base_url, timeout=READ_SECONDS) as client:
            listing = _get(client, "/api/job-sessions", limit=200, **self.filters)
            cut_short = [
                one for one in listing["sessions"] if one["action_count"] > len(one["actions"])
            ]
            details = [_whole(client, f"/api/job-sessions/{one['id']}") for one in cut_short]
        self.counts["loads"] += 1
        self.view.load(listing, details)


def _whole(client: httpx.Client, path: str) -> Json:
    """Return a session with all of its actions, of which an answer holds a thousand: header and cursor are of the first."""
    whole = answer = _get(client, path)
    while answer["more_after"] is not None:
        answer = _get(client, path, after=answer["more_after"])
        whole["session"]["actions"] += answer["session"]["actions"]
    return whole


def _get(client: httpx.Client, path: str, **query: Any) -> Json:
    response = client.get(path, params=query)
    response.raise_for_status()
    answer: Json = response.json()
    return answer
