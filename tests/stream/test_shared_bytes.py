"""Readers that are told the same share the bytes, and whoever can't keep up goes on alone until it is in step again."""

import asyncio
import json
import socket
import zlib
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from httpx_sse import connect_sse
from websockets.sync.client import connect

from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.change_log import Cursor
from bidbeacon_sessions.search import SessionFilter
from bidbeacon_sessions.server.batch import Batch
from bidbeacon_sessions.server.bundles import GZIP_HEAD, PIECE_BYTES, Bundle, Framing
from bidbeacon_sessions.server.client import MAX_SHARED, Client
from bidbeacon_sessions.server.connections import accepts_gzip
from bidbeacon_sessions.server.hub import BUSY_SECONDS, MOST_PAUSE, pause_after
from bidbeacon_sessions.server.messages import Message
from bidbeacon_sessions.server.protocols import wire_of
from bidbeacon_sessions.server.rendering import RenderedSession
from bidbeacon_sessions.writes import NewSession, insert_session

EPOCH = uuid4()
UPGRADE = (
    "GET /api/job-sessions/ws HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{asked}\r\n"
)
PLAIN_TEXT, DEFLATED_TEXT = 0x81, 0xC1
JOB = SessionFilter(job="load")


def rendered(session_id: UUID, *ords: int) -> RenderedSession:
    """A changed session."""
    header = json.dumps({"id": str(session_id)})
    return RenderedSession(session_id, header, "running", {ord_: json.dumps({"ord": ord_}) for ord_ in ords})


def batch(after: int, *sessions: RenderedSession, **matches: Any) -> Batch:
    """What was read at one position."""
    return Batch(Cursor(EPOCH, after), Cursor(EPOCH, after + 1), sessions, **matches)


def client(wanted: SessionFilter | None = None, start: int = 0) -> Client:
    """A reader that stands at a position."""
    return Client(wanted or SessionFilter(), Cursor(EPOCH, start), "sse")


def told(*readers: Client) -> list[list[Bundle]]:
    """Give what each reader is still sent."""

    async def run(reader: Client) -> list[Bundle]:
        reader.close()
        return [bundle async for bundle in reader.bundles()]

    return [asyncio.run(run(reader)) for reader in readers]


def ords(bundle: Bundle) -> list[list[int]]:
    """Give the places of the actions in each message."""
    return [[action["ord"] for action in json.loads(message.data)["actions"]] for message in bundle.messages]


def test_readers_of_one_filter_at_one_place_share_what_they_are_sent() -> None:
    """It is the very same bundle, also where they took it one batch later."""
    readers = [client(), client()]
    session = uuid4()
    for position in range(2):
        for reader in readers:
            reader.offer(Batch(Cursor(EPOCH, position), Cursor(EPOCH, position + 1), ()))
    offered = batch(2, rendered(session, 1))
    for reader in readers:
        reader.offer(offered)
    [[one], [other]] = told(*readers)

    assert one is other


def test_batches_that_wait_together_are_sent_as_one_newest_state() -> None:
    """A session that changed twice is told once, with both actions."""
    readers = [client(), client()]
    session = uuid4()
    for offered in (batch(0, rendered(session, 1)), batch(1, rendered(session, 2))):
        for reader in readers:
            reader.offer(offered)
    [[one], [other]] = told(*readers)

    assert [[1, 2]] == ords(one)
    assert one is other


def test_readers_at_different_places_are_told_their_own_ranges() -> None:
    """Who heard of an earlier position last hears of a longer range."""
    ahead, behind = client(JOB, start=5), client(JOB, start=3)
    offered = batch(5, rendered(uuid4(), 1))
    offered = Batch(offered.after, offered.upto, offered.sessions, {JOB: {offered.sessions[0].session_id}})
    ahead.offer(offered)
    behind.offer(offered)
    [[one], [other]] = told(ahead, behind)

    assert [6, 4] == [json.loads(bundle.messages[0].data)["from"] for bundle in (one, other)]


def test_a_reader_that_falls_out_of_step_holds_one_state_per_session() -> None:
    """However many batches it leaves waiting, it is sent one message a session with every action, as of the newest position."""
    reader = client()
    session = uuid4()
    for position in range(MAX_SHARED * 3):
        reader.offer(batch(position, rendered(session, position + 1)))
    [[bundle]] = told(reader)

    assert [list(range(1, MAX_SHARED * 3 + 1))] == ords(bundle)
    assert f"{EPOCH}.{MAX_SHARED * 3}" == bundle.messages[0].id


def test_a_reader_that_has_caught_up_is_in_step_again() -> None:
    """After its own messages it shares with the others."""
    slow, fast = client(), client(start=MAX_SHARED * 2)

    async def run() -> tuple[Bundle, Bundle]:
        for position in range(MAX_SHARED * 2):
            slow.offer(batch(position, rendered(uuid4(), 1)))
        sent = slow.bundles()
        await anext(sent)
        offered = batch(MAX_SHARED * 2, rendered(uuid4(), 1))
        slow.offer(offered)
        fast.offer(offered)
        return await anext(sent), await anext(fast.bundles())

    one, other = asyncio.run(run())
    assert one is other


@pytest.mark.parametrize("framing", ["sse", "sse-gzip", "websocket", "websocket-deflate"])
def test_a_piece_is_never_much_longer_than_its_bound(framing: Framing) -> None:
    """A long bundle is written piece by piece, so that a slow reader has time for each."""
    message = Message("sync", None, json.dumps([str(uuid4()) for _ in range(1_000)]))
    pieces = Bundle([message] * 40).pieces(framing)

    assert len(pieces) > 1
    assert max(map(len, pieces)) <= PIECE_BYTES * 2.5


def test_compressed_pieces_fit_behind_each_other_in_any_order() -> None:
    """None refers to an earlier one: each reader's own sequence is one valid gzip stream."""
    first, second = (Bundle([Message("sync", None, f'"{name}"')]) for name in ("first", "second"))
    content = [bundle.pieces("sse-gzip")[0].split(b"\r\n", 1)[1][:-2] for bundle in (second, first, second)]
    inflated = zlib.decompressobj(31).decompress(GZIP_HEAD + b"".join(content))

    assert ['"second"', '"first"', '"second"'] == [
        line.removeprefix("data: ") for line in inflated.decode().splitlines() if line.startswith("data")
    ]


@pytest.mark.parametrize("accepted", ["identity", "gzip", "gzip;q=0, identity"])
def test_an_event_stream_is_compressed_where_the_reader_asks_for_it(
    session_store: SessionStore, http: httpx.Client, accepted: str
) -> None:
    """And says the same without."""
    with connect_sse(
        http, "GET", "/api/job-sessions/stream", headers={"Accept-Encoding": accepted}
    ) as source:
        events = source.iter_sse()
        assert "sync" == next(events).event
        session_id = _commit_session(session_store)
        heard = next(event for event in events if event.event == "job-sessions:updated")

    assert session_id == UUID(json.loads(heard.data)["session"]["id"])
    assert ("gzip" if accepted == "gzip" else None) == source.response.headers.get("Content-Encoding")


@pytest.mark.parametrize(
    ("accepted", "is_compressed"),
    [
        ("", False),
        ("br, gzip", True),
        ("GZIP ; q=0.5", True),
        ("gzip;q=0.001", True),
        ("gzip;q=0", False),
        ("deflate, gzip; q=0.000", False),
        ("x-gzipped", False),
    ],
)
def test_gzip_is_used_where_it_is_named_and_not_refused(accepted: str, *, is_compressed: bool) -> None:
    """`q=0` says that a coding is not wanted."""
    assert is_compressed == accepts_gzip(accepted)


@pytest.mark.parametrize("compression", [None, "deflate"])
def test_a_websocket_says_the_same_compressed_or_not(
    session_store: SessionStore, base_url: str, compression: str | None
) -> None:
    """As other people's clients would ask for it."""
    address = f"{base_url.replace('http', 'ws', 1)}/api/job-sessions/ws"
    with connect(address, compression=compression) as websocket:
        assert "sync" == json.loads(websocket.recv(timeout=10))["event"]
        session_id = _commit_session(session_store)
        message = json.loads(websocket.recv(timeout=10))
        while message["event"] == "sync":
            message = json.loads(websocket.recv(timeout=10))

    assert session_id == UUID(message["data"]["session"]["id"])


@pytest.mark.parametrize(
    ("asked", "first"),
    [
        ("", PLAIN_TEXT),
        ("Sec-WebSocket-Extensions: permessage-deflate\r\n", DEFLATED_TEXT),
        ("Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=9\r\n", PLAIN_TEXT),
    ],
    ids=["not asked for", "asked for", "with less memory than shared frames need"],
)
def test_a_websocket_is_compressed_where_the_reader_has_room_for_it(
    base_url: str, asked: str, first: int
) -> None:
    """Frames are compressed once for all, so with one window for all."""
    port = int(base_url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=10) as raw:
        raw.sendall(UPGRADE.format(port=port, asked=asked).encode())
        heard = b""
        while b"\r\n\r\n" not in heard[:-4]:
            heard += raw.recv(1_000)

    assert first == heard.partition(b"\r\n\r\n")[2][0]


def test_asking_for_the_head_of_a_stream_ends_at_once(http: httpx.Client) -> None:
    """There is nothing to wait for."""
    assert 200 == http.head("/api/job-sessions/stream").status_code


def test_another_server_than_ours_is_told_what_is_missing() -> None:
    """Bytes can be shared only below its protocol."""
    with pytest.raises(RuntimeError, match="Expected the stream to be run by StreamServer"):
        wire_of({"type": "http"})


@pytest.mark.parametrize(
    ("took", "pause"),
    [(0.002, BUSY_SECONDS), (0.12, 0.06), (3.0, MOST_PAUSE)],
    ids=["few readers", "many", "far too many"],
)
def test_the_more_a_look_costs_the_longer_is_the_pause(took: float, pause: float) -> None:
    """Up to a bound: what waits is put together meanwhile."""
    assert pause == pause_after(took)


def _commit_session(store: SessionStore) -> UUID:
    session = NewSession(id=uuid4(), job_name="job", started_at=datetime.now(UTC))
    with store.begin() as connection:
        insert_session(connection, session)
    return session.id
