"""What readers are sent, as bytes and texts: which message moves the cursor, and how frames are compressed and cut."""

import json
import zlib
from uuid import uuid4

import httpx
import pytest

from bidbeacon_sessions.change_log import Cursor
from bidbeacon_sessions.server.messages import (
    GZIP_HEAD,
    PIECE_CHARACTERS,
    ChangedSession,
    Frame,
    Message,
    describe_changes,
)

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
    frames = [Frame([Message("sync", None, f'"{name}"')]) for name in ("first", "second")]
    [first], [second] = (frame.sse_gzip for frame in frames)
    inflated = zlib.decompressobj(31).decompress(GZIP_HEAD + second + first + second)

    assert ['"second"', '"first"', '"second"'] == [
        line.removeprefix("data: ")
        for line in inflated.decode().splitlines()
        if line.startswith("data")
    ]


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("", None),
        ("gzip", "gzip"),
        ("br, gzip", "gzip"),
        ("GZIP ; q=0.5", "gzip"),
        ("gzip;q=0.001", "gzip"),
        ("gzip;q=0", None),
        ("deflate, gzip; q=0.000", None),
        ("x-gzipped", None),
    ],
)
def test_gzip_is_used_where_it_is_named_and_not_refused(
    http: httpx.Client, accepted: str, coding: str | None
) -> None:
    """`q=0` says that a coding is not wanted. Asking for the head of a stream ends at once."""
    response = http.head("/api/job-sessions/stream", headers={"Accept-Encoding": accepted})

    assert (200, coding) == (response.status_code, response.headers.get("content-encoding"))
