"""`follow` without a network: what its readers share, in which order they are told, and where they come into step."""

import asyncio
import json
import threading
import weakref
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any
from uuid import uuid4

import pytest

from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.change_log import Cursor, Position
from bidbeacon_sessions.filters import SessionFilter
from bidbeacon_sessions.following import Follower
from bidbeacon_sessions.log_reader import MOST_CHANGES, LogReader
from bidbeacon_sessions.messages import PIECE_CHARACTERS, Frame, Message
from tests.stream.writing import commit_end, commit_session, commit_sessions, write_action

pytestmark = pytest.mark.anyio

EVERYTHING = SessionFilter()
Frames = AsyncGenerator[Frame, None]


async def next_frame(frames: Frames) -> Frame:
    """Wait for what comes next."""
    async with asyncio.timeout(15):
        return await anext(frames)


async def joined(follower: Follower, wanted: SessionFilter = EVERYTHING) -> Frames:
    """Follow from now on, and take the `sync` that says that the reader is in step."""
    frames = follower.follow(None, wanted)
    assert ["sync"] == [message.event for message in (await next_frame(frames)).messages]
    return frames


@pytest.fixture
def anyio_backend() -> str:
    """Run coroutines by asyncio only."""
    return "asyncio"


@pytest.fixture
async def follower(session_store: SessionStore) -> AsyncIterator[Follower]:
    """A follower of the store's log."""
    async with Follower(session_store) as made:
        yield made


async def test_readers_of_one_filter_share_what_they_are_told(
    follower: Follower, session_store: SessionStore
) -> None:
    """It is the very same frame, so its bytes are made once; a reader of another filter gets its own."""
    by_job = SessionFilter(job="job")
    readers = [await joined(follower, wanted) for wanted in (EVERYTHING, EVERYTHING, by_job)]
    await asyncio.to_thread(commit_session, session_store)
    one, other, filtered = [await next_frame(frames) for frames in readers]
    assert one is other
    assert one.sse is other.sse
    assert one.messages == filtered.messages


async def test_readers_who_come_back_together_are_read_for_once(
    follower: Follower, session_store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a restart of the server: a hundred with the same cursor cost a query, not a hundred."""
    reads: list[Cursor] = []
    read = LogReader.read

    def counted(log: LogReader, after: Cursor, *given: Any) -> Frame:
        reads.append(after)
        return read(log, after, *given)

    monkeypatch.setattr(LogReader, "read", counted)
    start = (await next_frame(follower.follow(None, EVERYTHING))).upto
    await asyncio.to_thread(commit_sessions, session_store, 3)
    back = [follower.follow(start, EVERYTHING) for _ in range(100)]
    told = await asyncio.gather(*map(next_frame, back))
    assert {3} == {len(frame.messages) for frame in told}
    assert len(reads) <= 3


async def next_revision(frames: Frames) -> int:
    """Wait for a session, and return its revision."""
    while True:
        for message in (await next_frame(frames)).messages:
            if message.event == "job-sessions:updated":
                return int(json.loads(message.data)["session"]["revision"])


async def test_no_revision_falls_where_a_read_takes_longer_than_a_look(
    follower: Follower, session_store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A frame that another reader got in the meantime is older than what this reader knows, and is not sent to it."""
    read, advance = LogReader.read, LogReader.advance
    is_reading, goes_on, is_waiting, may_look = (threading.Event() for _ in range(4))
    may_look.set()

    def read_slowly(log: LogReader, after: Cursor, *given: Any) -> Frame:
        if after == start:
            is_reading.set()
            goes_on.wait(5)
        return read(log, after, *given)

    def advance_late(log: LogReader) -> tuple[Position, bool]:
        if not may_look.is_set():
            is_waiting.set()
            may_look.wait(5)
        return advance(log)

    def append(ord_: int) -> None:
        with session_store.begin() as connection:
            write_action(connection, session_id, ord_)

    start = (await next_frame(follower.follow(None, EVERYTHING))).upto
    quick = await joined(follower)
    session_id = await asyncio.to_thread(commit_session, session_store)
    assert 1 == await next_revision(quick)
    monkeypatch.setattr(LogReader, "read", read_slowly)
    monkeypatch.setattr(LogReader, "advance", advance_late)
    slow = follower.follow(start, EVERYTHING)
    told = asyncio.create_task(next_revision(slow))
    await asyncio.to_thread(is_reading.wait, 5)
    await asyncio.to_thread(append, 1)
    assert 2 == await next_revision(quick)
    may_look.clear()
    await asyncio.to_thread(is_waiting.wait, 5)
    await asyncio.to_thread(append, 2)
    goes_on.set()
    assert 3 == await told
    may_look.set()
    assert 3 == await next_revision(slow)


async def test_a_filtered_reader_is_told_of_a_range_from_where_it_stood(
    follower: Follower, session_store: SessionStore
) -> None:
    """Changes of other sessions are not told, and are within the range of the next message."""
    frames, other = await joined(follower, SessionFilter(job="mine")), await joined(follower)
    told = asyncio.create_task(next_frame(frames))
    for job in ("other", "mine"):
        await asyncio.to_thread(commit_session, session_store, job=job)
        await next_frame(other)
    [message] = (await told).messages
    data = json.loads(message.data)
    assert ("mine", 1, 2) == (data["session"]["job_name"], data["from"], data["to"])


async def test_a_reader_far_behind_gets_all_in_parts_and_comes_into_step(
    follower: Follower, session_store: SessionStore
) -> None:
    """Though changes go on; each session once, as it is then."""
    start = (await next_frame(follower.follow(None, EVERYTHING))).upto
    ids = await asyncio.to_thread(commit_sessions, session_store, MOST_CHANGES + 10)
    frames, seen, parts = follower.follow(start, EVERYTHING), list[str](), 0
    await asyncio.to_thread(commit_end, session_store, next(iter(ids)))
    while (frame := await next_frame(frames)).messages[0].event != "sync":
        parts += 1
        seen += [json.loads(each.data)["session"]["id"] for each in frame.messages]
    assert {str(id_) for id_ in ids} == set(seen)
    assert parts >= 2
    assert frame.upto is not None
    # The end is a change of its own unless it was published together with the session's beginning.
    assert frame.upto.position - (MOST_CHANGES + 10) in {0, 1}


async def test_a_reader_in_step_keeps_nothing_that_it_was_told(
    follower: Follower, session_store: SessionStore
) -> None:
    """What it missed may be megabytes."""
    start = (await next_frame(follower.follow(None, EVERYTHING))).upto
    await asyncio.to_thread(commit_session, session_store)
    frames = follower.follow(start, EVERYTHING)
    missed = weakref.ref(await next_frame(frames))
    await next_frame(frames)
    waiting = asyncio.create_task(next_frame(frames))
    await asyncio.to_thread(commit_session, session_store)
    await waiting
    async with asyncio.timeout(15):
        while missed() is not None:  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0.01)


def test_long_frames_are_cut_into_pieces() -> None:
    """A slow reader has time for each."""
    message = Message("sync", f"{uuid4()}.1", json.dumps(["x" * 1_000] * 30))
    frame = Frame([message] * 20, None)

    for pieces in (frame.sse, frame.websocket):
        assert len(pieces) > 1
        assert max(map(len, pieces)) <= PIECE_CHARACTERS
    lines = "".join(frame.websocket).splitlines()
    assert [json.loads(message.data)] * 20 == [json.loads(line)["data"] for line in lines]
