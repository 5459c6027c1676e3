"""What readers are sent, as bytes and texts: which message moves the cursor, and how frames are compressed and cut."""

import json
import zlib
from uuid import UUID, uuid4

import httpx
import pytest
from httpx_sse import connect_sse
from starlette.requests import Request
from websockets.sync.client import connect

from bidbeacon_sessions import SessionStore, with_job_session
from bidbeacon_sessions.change_log import Cursor
from bidbeacon_sessions.server.messages import (
    GZIP_HEAD,
    PIECE_CHARACTERS,
    ChangedSession,
    Frame,
    Message,
    describe_changes,
)
from bidbeacon_sessions.server.transports import accepts_gzip

EPOCH = uuid4()


def changed(*actions: str, status: str | None = "running") -> ChangedSession:
    """A changed session."""
    return ChangedSession(uuid4(), status, '{"id":"x"}', actions)


def described(*sessions: ChangedSession, status: str | None = None) -> list[Message]:
    """What a reader at position 7 is told of them, as of position 9."""
    kept = {each.id for each in sessions if status in {None, each.status}}
    return describe_changes(sessions, kept, Cursor(EPOCH, 7), Cursor(EPOCH, 9))


def test_a_message_has_header_new_actions_and_the_positions_it_covers() -> None:
    """The first position is the one after the last that the reader was told of."""
    [message] = described(changed('{"ord":1}', '{"ord":2}'))

    expected = {"session": {"id": "x"}, "actions": [{"ord": 1}, {"ord": 2}], "from": 8, "to": 9}
    assert ("job-sessions:updated", expected) == (message.event, json.loads(message.data))


def test_only_the_last_of_several_messages_moves_the_cursor() -> None:
    """A connection that breaks in between repeats and never skips."""
    messages = described(changed(), changed(), changed())

    assert [f"{EPOCH}.7", f"{EPOCH}.7", f"{EPOCH}.9"] == [message.id for message in messages]


@pytest.mark.parametrize(
    ("session", "asked"), [(changed(status=None), None), (changed(status="failed"), "running")]
)
def test_a_session_that_was_deleted_or_left_the_status_is_gone(
    session: ChangedSession, asked: str | None
) -> None:
    """A reader that is not told shows a ghost."""
    [message] = described(session, status=asked)

    expected = {"session_id": str(session.id), "from": 8, "to": 9}
    assert ("job-sessions:gone", expected) == (message.event, json.loads(message.data))


def test_long_frames_are_cut_into_pieces() -> None:
    """A slow reader has time for each."""
    message = Message("sync", None, json.dumps(["x" * 1_000] * 30))
    frame = Frame([message] * 20)

    for pieces in (frame.sse, frame.websocket_lines):
        assert len(pieces) > 1
        assert max(map(len, pieces)) <= PIECE_CHARACTERS
    assert 20 == len(frame.websocket) == sum(text.count("\n") for text in frame.websocket_lines)


def test_compressed_pieces_fit_behind_each_other_in_any_order() -> None:
    """None refers to an earlier one: each reader's own sequence is one valid gzip stream."""
    first, second = (Frame([Message("sync", None, f'"{name}"')]) for name in ("first", "second"))
    content = b"".join(frame.sse_gzip[0] for frame in (second, first, second))
    inflated = zlib.decompressobj(31).decompress(GZIP_HEAD + content)

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
        with with_job_session("job", store=session_store) as session:
            pass
        heard = next(event for event in events if event.event == "job-sessions:updated")

    assert session.session_id == UUID(json.loads(heard.data)["session"]["id"])
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
    request = Request({"type": "http", "headers": [(b"accept-encoding", accepted.encode())]})

    assert is_compressed == accepts_gzip(request)


@pytest.mark.parametrize("compression", [None, "deflate"])
@pytest.mark.parametrize("query", ["", "?batch=1"])
def test_a_websocket_frame_holds_a_message_or_a_line_for_each(
    session_store: SessionStore, base_url: str, compression: str | None, query: str
) -> None:
    """With `batch` many messages share a frame, a line each."""
    address = f"{base_url.replace('http', 'ws', 1)}/api/job-sessions/ws{query}"
    with connect(address, compression=compression) as websocket:
        assert "sync" == json.loads(websocket.recv(timeout=10))["event"]
        with with_job_session("job", store=session_store) as session:
            pass
        heard: list[dict[str, object]] = []
        while not any(message["event"] == "job-sessions:updated" for message in heard):
            lines = str(websocket.recv(timeout=10)).splitlines()
            assert query or 1 == len(lines)
            heard += map(json.loads, lines)

    assert str(session.session_id) in str(heard)


def test_asking_for_the_head_of_a_stream_ends_at_once(http: httpx.Client) -> None:
    """There is nothing to wait for."""
    assert 200 == http.head("/api/job-sessions/stream").status_code
