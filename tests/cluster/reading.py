"""Two stream servers behind one address, and a reader that moves between them."""

import asyncio
import json
import threading
import time
from collections.abc import Generator, Sequence
from contextlib import closing, suppress
from itertools import count

import httpx
from httpx_sse import ServerSentEvent, SSEError, connect_sse

from tests.cluster.cluster import VARIABLES
from tests.stream.reading import Reader, position_of

MOVE_SECONDS = 5.0
"""How long the reader stays at a server at most."""
SILENCE_SECONDS = 20.0


class Balancer:
    """Passes each connection on to the next of several servers, or to another one where that can't be reached.

    Attributes:
        passed: How many connections each server got.
    """

    def __init__(self, servers: Sequence[tuple[str, int]]) -> None:
        self.passed = [0 for _ in servers]
        self._servers = servers
        self._turns = count()
        self._loop = asyncio.new_event_loop()
        listening = asyncio.start_server(self._serve, "127.0.0.1", 0)
        self._server = self._loop.run_until_complete(listening)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        threading.Thread(target=self._loop.run_forever, daemon=True).start()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        turn = next(self._turns)
        for number in range(len(self._servers)):
            place = (turn + number) % len(self._servers)
            with suppress(OSError, TimeoutError):
                opening = asyncio.open_connection(*self._servers[place])
                theirs, to_them = await asyncio.wait_for(opening, 2)
                self.passed[place] += 1
                await asyncio.gather(_pipe(reader, to_them), _pipe(theirs, writer))
                return
        writer.close()


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


def read_events(base_url: str, cursor: str) -> Generator[ServerSentEvent]:
    """Yield the events that follow a cursor, until the connection ends or is silent for too long."""
    headers = {"Authorization": f"Bearer {VARIABLES['STREAM_TOKEN']}", "Last-Event-ID": cursor}
    url = f"{base_url}/api/job-sessions/stream"
    with (
        httpx.Client(timeout=SILENCE_SECONDS, trust_env=False) as client,
        connect_sse(client, "GET", url, headers=headers) as source,
    ):
        yield from source.iter_sse()


class MovingReader(Reader):
    """Follows the stream, and comes back every few seconds, to whichever server the balancer chooses."""

    def _listen(self, base_url: str, query: httpx.QueryParams) -> None:
        self.last = str(query["cursor"])
        while not self.ended.is_set():
            with suppress(httpx.HTTPError, SSEError):
                self._visit(base_url)
            self.ended.wait(0.2)

    def _visit(self, base_url: str) -> None:
        self.view.begin()
        leaves_at = time.monotonic() + MOVE_SECONDS
        with closing(read_events(base_url, self.last)) as events:
            for event in events:
                self.take(event.event, event.id or None, json.loads(event.data))
                self.last = event.id or self.last
                if self.ended.is_set() or time.monotonic() > leaves_at:
                    return

    @property
    def position(self) -> int:
        """The position up to which it knows everything."""
        return position_of(self.last)
