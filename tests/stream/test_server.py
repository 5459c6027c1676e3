"""The process and its readers: stopping, slow ones, too many."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.change_log import Cursor
from bidbeacon_sessions.search import SessionFilter
from bidbeacon_sessions.server import client as client_module
from bidbeacon_sessions.server import connections, hub
from bidbeacon_sessions.server.batch import Batch
from bidbeacon_sessions.server.client import Client
from bidbeacon_sessions.server.messages import Message
from bidbeacon_sessions.server.metrics import metrics_text
from bidbeacon_sessions.server.rendering import RenderedSession
from tests.stream.growing_log import GrowingLog

EPOCH = uuid4()
SERVE = """
import sys
from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.server import StreamServer
server = StreamServer(SessionStore.connect(sys.argv[1]), host="127.0.0.1", port=0)
print(server.port, flush=True)
server.run()
print("stopped", flush=True)
"""


def rendered(session_id: UUID, revision: int, *ords: int, status: str = "running") -> RenderedSession:
    """A changed session, ready to be sent."""
    header = json.dumps({"id": str(session_id), "revision": revision})
    return RenderedSession(session_id, header, status, {ord_: json.dumps({"ord": ord_}) for ord_ in ords})


def batch(after: int, upto: int, *sessions: RenderedSession, **matches: Any) -> Batch:
    """What a tailer read in some positions."""
    return Batch(Cursor(EPOCH, after), Cursor(EPOCH, upto), sessions, **matches)


class StuckWire:
    """A connection whose reader does not read."""

    def __init__(self) -> None:
        self.never = asyncio.Event()
        self.is_broken_off = False

    async def write(self, _: bytes) -> None:
        """Wait for room."""
        await self.never.wait()

    async def abort(self) -> None:
        """Keep that it was broken off."""
        self.is_broken_off = True


async def drained(client: Client) -> list[Message]:
    """Close a reader and take all that it is still sent."""
    client.close()
    return [message async for bundle in client.bundles() for message in bundle.messages]


def hear(*offers: Batch, wanted: SessionFilter | None = None, start: int = 0) -> list[Message]:
    """Give what a reader that was away during all offers is sent."""

    async def run() -> list[Message]:
        client = Client(wanted or SessionFilter(), Cursor(EPOCH, start), "sse")
        for offer in offers:
            client.offer(offer)
        return await drained(client)

    return asyncio.run(run())


def test_a_slow_reader_is_sent_the_newest_state_with_all_actions() -> None:
    """What was superseded is left out, no action is."""
    session = uuid4()
    [message] = hear(batch(0, 2, rendered(session, 1, 1)), batch(2, 5, rendered(session, 4, 2, 3)))

    data = json.loads(message.data)
    assert (4, [1, 2, 3]) == (data["session"]["revision"], [action["ord"] for action in data["actions"]])
    assert (1, 5, f"{EPOCH}.5") == (data["from"], data["to"], message.id)


def test_only_the_last_of_several_messages_moves_the_cursor() -> None:
    """A connection that breaks in between repeats and never skips."""
    messages = hear(batch(7, 9, rendered(uuid4(), 1), rendered(uuid4(), 1)), start=7)

    assert [f"{EPOCH}.7", f"{EPOCH}.9"] == [message.id for message in messages]


def test_a_deleted_session_is_told_as_gone() -> None:
    """A session without a header is no more."""
    session = uuid4()
    [message] = hear(batch(0, 1, RenderedSession(session, None, None, {})))

    assert ("job-sessions:gone", str(session)) == (message.event, json.loads(message.data)["session_id"])


def test_a_reader_over_its_bound_is_reset(
    session_store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Too much that waits is dropped loudly: `reset` is the only and last word, and is counted."""
    monkeypatch.setattr(client_module, "MAX_PENDING_CHARACTERS", 100)
    crowd, log = hub.Hub(session_store), GrowingLog(30, 10)
    crowd.tailer = log  # type: ignore[assignment] # in its place

    async def run() -> list[Message]:
        client = crowd.join(SessionFilter(), log.behind(10), "sse")
        for _ in range(2):
            await crowd._turn()
        return await drained(client)

    [message] = asyncio.run(run())
    told = {"reason": "overflow", "cursor": str(log.cursor)}
    assert ("reset", told) == (message.event, json.loads(message.data))
    assert 'bidbeacon_stream_resets_total{reason="overflow"} 1' in metrics_text(crowd)


def test_one_batch_is_never_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long it is, it is held once for all readers: nobody is told to load again for it."""
    monkeypatch.setattr(client_module, "MAX_PENDING_CHARACTERS", 100)
    client = Client(SessionFilter(), Cursor(EPOCH, 0), "sse")

    assert client.offer(batch(0, 9, rendered(uuid4(), 1, *range(1, 50))))
    assert not client.offer(batch(9, 10, rendered(uuid4(), 1)))


def test_a_sync_comes_after_what_waits_and_names_its_cursor() -> None:
    """`sync` never runs ahead of a change that was not sent."""

    async def run() -> list[Message]:
        client = Client(SessionFilter(), Cursor(EPOCH, 0), "sse")
        client.offer(batch(0, 3, rendered(uuid4(), 1)))
        client.sync("{}")
        return await drained(client)

    assert [("job-sessions:updated", f"{EPOCH}.3"), ("sync", f"{EPOCH}.3")] == [
        (message.event, message.id) for message in asyncio.run(run())
    ]


def test_a_reader_that_takes_too_long_for_one_message_is_cut_off(
    session_store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A send over the bound breaks the connection off, and the hub forgets it."""
    monkeypatch.setattr(connections, "SEND_SECONDS", 0.05)
    stuck = StuckWire()

    async def run() -> hub.Hub:
        crowd = hub.Hub(session_store)
        client = crowd.join(SessionFilter(), Cursor(EPOCH, 0), "sse")
        client.offer(batch(0, 1, rendered(uuid4(), 1)))
        await asyncio.wait_for(connections.pump(crowd, client, stuck, stuck.never.wait()), 5)  # type: ignore[arg-type]
        assert stuck.is_broken_off
        return crowd

    assert 0 == asyncio.run(run()).clients.total()


def test_too_many_streams_are_refused(http: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bound answers with 503 and what to do."""
    monkeypatch.setattr(hub, "MAX_CLIENTS", 0)
    response = http.get("/api/job-sessions/stream")

    assert (503, "Too many streams are open.") == (response.status_code, response.json()["error"])


def test_a_closed_connection_is_forgotten_at_once(
    http: httpx.Client, wait_until: Callable[..., None]
) -> None:
    """A reader that leaves is not counted any more."""
    with http.stream("GET", "/api/job-sessions/stream"):
        wait_until(lambda: 'clients{transport="sse"} 1' in http.get("/metrics").text)
    wait_until(lambda: 'clients{transport="sse"} 0' in http.get("/metrics").text, seconds=5)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_process_soon_with_streams_open(database_url: str, number: signal.Signals) -> None:
    """Open streams are ended, `run` returns, and the process exits with 0: two seconds on an idle machine."""
    command = [sys.executable, "-c", SERVE, database_url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ.copy()) as process:
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        with (
            httpx.stream("GET", f"http://127.0.0.1:{port}/api/job-sessions/stream", timeout=15) as sse,
            connect(f"ws://127.0.0.1:{port}/api/job-sessions/ws") as websocket,
        ):
            assert "sync" in str(websocket.recv(timeout=10))
            started = time.monotonic()
            process.send_signal(number)
            assert "sync" in "".join(sse.iter_text())
            with pytest.raises(ConnectionClosed):
                while True:
                    websocket.recv(timeout=15)
            assert 0 == process.wait(timeout=15)
            took = time.monotonic() - started
        assert "stopped\n" == process.stdout.read()
    assert took < 10


def test_port_0_is_any_free_port_and_is_printed(database_url: str) -> None:
    """`bidbeacon stream --port 0` says where it listens, and ends with 0 after Ctrl-C."""
    command = [sys.executable, "-m", "bidbeacon_pipelines", "stream", "--port", "0"]
    environment = os.environ | {"BIDBEACON_DATABASE_URL": database_url}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        name, _, url = process.stdout.readline().strip().partition(": ")
        assert ("Event Stream", 200) == (name, httpx.get(f"{url}/healthz", timeout=15).status_code)
        process.send_signal(signal.SIGINT)
        assert 0 == process.wait(timeout=15)
