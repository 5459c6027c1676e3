"""Readers of a running stream, in threads: they load the list, follow, resume from their cursor when they are cut off, and reload on `reset`."""

import random
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import httpx

from tests.stream.reading import (
    BROKEN,
    NO_HEADERS,
    READ_SECONDS,
    Reader,
    SseConnection,
    WebSocketConnection,
)
from tests.stream.view import Json

AGAIN_SECONDS = 0.1


class LastingReader(Reader):
    """One reader that comes back until it is closed.

    Args:
        base_urls: the servers; each connection goes to one of them by chance.
        transport: `sse` or `websocket`.
        cut_seconds: connections are cut after a time between these two.
        bytes_per_second: how slowly it reads; 0: as fast as it can. Over `sse` only.
        headers: what it sends, such as a token. Over `sse` only.
        filters: which sessions it asks for.
    """

    def __init__(
        self,
        base_urls: Sequence[str],
        transport: str = "sse",
        *,
        cut_seconds: tuple[float, float] | None = None,
        bytes_per_second: float = 0,
        headers: Mapping[str, str] = NO_HEADERS,
        **filters: str,
    ) -> None:
        self.counts: Counter[str] = Counter()
        self.visits: Counter[str] = Counter(dict.fromkeys(base_urls, 0))
        self.filters = filters
        self.awake = threading.Event()
        self.awake.set()
        self._base_urls = base_urls
        self._cut_seconds = cut_seconds
        self._bytes_per_second = bytes_per_second
        self._headers = headers
        self._chance = random.Random(transport)
        super().__init__("", httpx.QueryParams(filters), transport=transport)

    def __repr__(self) -> str:
        """Say what it is, and what happened to it."""
        return f"{self._transport} {self._bytes_per_second:g} {self.filters} {dict(self.counts)}"

    def close(self) -> None:
        """Leave, also while asleep."""
        self.ended.set()
        self.awake.set()
        super().close()

    def hurry(self) -> None:
        """Read as fast as it can from now on, on a new connection: the buffer of the old one stays as tiny as it was."""
        self._bytes_per_second = 0
        self.cut()

    def take(self, event: str, identity: str | None, data: Json) -> None:
        """Take in one message, of which there are too many to keep them."""
        if event == "reset":
            self.counts[f"reset {data['reason']}"] += 1
            self.view.cursor = None
        else:
            self.view.take(event, identity, data)

    def _listen(self, base_url: str, query: httpx.QueryParams) -> None:
        while not self.ended.is_set():
            self.awake.wait()
            try:
                self._visit(self._chance.choice(self._base_urls), query)
            except (*BROKEN, httpx.HTTPError) as error:
                self.counts[type(error).__name__] += 1
            self.ended.wait(AGAIN_SECONDS)

    def _visit(self, base_url: str, query: httpx.QueryParams) -> None:
        if self.view.cursor is None:
            self._load(base_url)
        pace, asked = self._bytes_per_second, str(query.set("cursor", self.view.cursor))
        if self._transport == "sse":
            self._connection = SseConnection(base_url, asked, pace, self._headers)
        else:
            self._connection = WebSocketConnection(base_url, asked)
        if pace != self._bytes_per_second:  # told to hurry meanwhile
            self._connection.cut()
        self.counts["connections"] += 1
        self.visits[base_url] += 1
        self.view.begin()
        if self._cut_seconds is not None:
            threading.Timer(self._chance.uniform(*self._cut_seconds), self._connection.cut).start()
        for message in self._connection.messages():
            self.awake.wait()
            if self.ended.is_set():
                return
            self.take(*message)

    def _load(self, base_url: str) -> None:
        with httpx.Client(
            base_url=base_url, timeout=READ_SECONDS, headers=self._headers, trust_env=False
        ) as client:
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
