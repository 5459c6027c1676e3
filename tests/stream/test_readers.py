"""Readers of one process without a network: what they share, and what becomes of those who can't keep up."""

import asyncio
import json
import weakref
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import replace
from types import SimpleNamespace

import pytest
from starlette.types import Message as AsgiMessage
from starlette.websockets import WebSocket

from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.change_log import Cursor
from bidbeacon_sessions.filters import SessionFilter
from bidbeacon_sessions.server import feeds
from bidbeacon_sessions.server import stream as stream_module
from bidbeacon_sessions.server.messages import Frame
from bidbeacon_sessions.server.metrics import StreamMetrics
from bidbeacon_sessions.server.stream import Stream
from bidbeacon_sessions.server.transports import serve_websocket
from tests.stream.writing import commit_session, commit_sessions

EVERYTHING = SessionFilter()
Frames = AsyncGenerator[Frame, None]


async def next_frame(frames: Frames) -> Frame:
    """Wait for what comes next."""
    async with asyncio.timeout(15):
        return await anext(frames)


async def joined(stream: Stream, wanted: SessionFilter = EVERYTHING) -> Frames:
    """Open a stream, and take the `sync` that says that it is in step."""
    frames = stream.frames(wanted, None)
    assert ["sync"] == [message.event for message in (await next_frame(frames)).messages]
    return frames


async def until(holds: Callable[[], bool]) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(15):
        while not holds():  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0.01)


async def behind(stream: Stream, store: SessionStore, changes: int = 1) -> Cursor:
    """Return the cursor of a reader that has missed so many changes."""
    await until(lambda: stream.cursor is not None)
    start = stream.cursor
    assert start is not None
    await asyncio.to_thread(commit_sessions, store, changes)
    await until(lambda: stream.cursor == replace(start, position=changes))
    return start


def run(store: SessionStore, test: Callable[[Stream], Awaitable[None]]) -> None:
    """Run a test beside a stream that follows the log of a store."""

    async def all_of_it() -> None:
        stream = Stream(store, StreamMetrics(store))
        stream.start()
        await test(stream)
        await stream.stop()

    asyncio.run(all_of_it())


def test_readers_of_one_filter_share_what_they_are_sent(session_store: SessionStore) -> None:
    """It is the very same frame, so its bytes are made once; a reader of another filter gets its own."""

    async def test(stream: Stream) -> None:
        readers = [
            await joined(stream),
            await joined(stream),
            await joined(stream, SessionFilter(job="job")),
        ]
        await asyncio.to_thread(commit_session, session_store)
        one, other, filtered = [await next_frame(frames) for frames in readers]
        assert one is other
        assert one.sse is other.sse
        assert one is not filtered
        assert one.messages == filtered.messages

    run(session_store, test)


def test_a_filtered_reader_is_told_of_a_range_from_where_it_stood(
    session_store: SessionStore,
) -> None:
    """What did not match is covered by the next message that does: no position is left out."""

    async def test(stream: Stream) -> None:
        everything, filtered = (
            await joined(stream),
            await joined(stream, SessionFilter(job="wanted")),
        )
        for job in ("another", "another", "wanted"):
            await asyncio.to_thread(commit_session, session_store, job=job)
            await next_frame(everything)
        [message] = (await next_frame(filtered)).messages
        data = json.loads(message.data)
        assert (1, 3) == (data["from"], data["to"])

    run(session_store, test)


def test_a_reader_that_is_too_far_behind_is_reset(
    session_store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`reset` is the only and last word, and is counted; those who keep up go on."""
    monkeypatch.setattr(feeds, "MAX_BEHIND", 100)

    async def test(stream: Stream) -> None:
        slow, fast = await joined(stream), await joined(stream)
        for _ in range(3):
            await asyncio.to_thread(commit_session, session_store)
            await next_frame(fast)
        [message] = (await next_frame(slow)).messages
        assert ("reset", "overflow") == (message.event, json.loads(message.data)["reason"])
        with pytest.raises(StopAsyncIteration):
            await next_frame(slow)
        assert b'bidbeacon_stream_resets_total{reason="overflow"} 1.0' in stream._metrics.text()

    run(session_store, test)


def test_one_frame_is_never_too_much(
    session_store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long it is: all readers share it."""
    monkeypatch.setattr(feeds, "MAX_BEHIND", 1)

    async def test(stream: Stream) -> None:
        reader = await joined(stream)
        await asyncio.to_thread(commit_session, session_store)
        [message] = (await next_frame(reader)).messages
        assert "job-sessions:updated" == message.event

    run(session_store, test)


def test_a_reader_gets_in_step_though_changes_go_on(
    session_store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It gets what it missed in parts, each of which goes on where the one before ended, and no revision falls."""
    monkeypatch.setattr(stream_module, "MISSED_AT_ONCE", 5)

    async def test(stream: Stream) -> None:
        start = await behind(stream, session_store, 40)
        frames = stream.frames(EVERYTHING, start)
        expected, parts = 1, 0
        while (message := (first := await next_frame(frames)).messages[0]).event != "sync":
            data = json.loads(message.data)
            assert expected == data["from"]
            expected, parts = data["to"] + 1, parts + 1
            await asyncio.to_thread(commit_session, session_store)
            assert first.messages
        assert expected > 40
        assert parts >= 4

    run(session_store, test)


def test_readers_who_come_back_together_are_read_for_once(
    session_store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As all do after a restart: one look at the log serves all that stand at the same place."""

    async def test(stream: Stream) -> None:
        start = await behind(stream, session_store)
        async with stream._turn:
            readers = [stream.frames(EVERYTHING, start) for _ in range(3)]
            coming = [asyncio.create_task(next_frame(frames)) for frames in readers]
            await until(lambda: 1 == len(stream._missed))
        one, *others = await asyncio.gather(*coming)
        assert all(one is other for other in others)

    run(session_store, test)


def test_a_reader_in_step_keeps_nothing_that_only_it_was_sent(session_store: SessionStore) -> None:
    """Neither what it missed, which may be megabytes, nor its own `sync`."""

    async def test(stream: Stream) -> None:
        start = await behind(stream, session_store)
        frames = stream.frames(EVERYTHING, start)
        missed, in_step = [weakref.ref(await next_frame(frames)) for _ in range(2)]
        waiting = asyncio.create_task(next_frame(frames))
        await until(lambda: missed() is None and in_step() is None)
        waiting.cancel()

    run(session_store, test)


def test_nothing_is_sent_beside_the_close_of_a_websocket(session_store: SessionStore) -> None:
    """A reader that says too much is told so, though there is more to send while the close is on its way."""
    sent: list[AsgiMessage] = []

    async def test(stream: Stream) -> None:
        other = await joined(stream)
        said = [{"type": "websocket.receive", "text": "x" * 65_537}, {"type": "websocket.connect"}]

        async def receive() -> AsgiMessage:
            await until(lambda: len(said) == 2 or len(sent) > 1)
            return said.pop()

        async def send(message: AsgiMessage) -> None:
            if message["type"] == "websocket.close":
                await asyncio.to_thread(commit_session, session_store)
                await next_frame(other)
                await asyncio.sleep(0)
            sent.append(message)

        app = SimpleNamespace(state=SimpleNamespace(stream=stream))
        scope = {"type": "websocket", "path": "/", "query_string": b"", "headers": [], "app": app}
        await serve_websocket(WebSocket(scope, receive, send))

    run(session_store, test)
    assert ["websocket.accept", "websocket.send", "websocket.close"] == [
        each["type"] for each in sent
    ]
    assert 1009 == sent[-1]["code"]
