"""Whoever comes back gets in step, however much comes meanwhile and however many come back, and is given no more than it can take."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.search import SessionFilter
from bidbeacon_sessions.server import client as client_module
from bidbeacon_sessions.server import hub
from bidbeacon_sessions.server.client import Client
from bidbeacon_sessions.server.messages import Message
from tests.stream.growing_log import GrowingLog

EVERYTHING = SessionFilter()
MORE_THAN_A_PART = hub.CATCH_UP_BESIDE + 50


@pytest.fixture
def crowd_of(session_store: SessionStore) -> Callable[[GrowingLog], hub.Hub]:
    """Makes the hub of a log."""

    def make(log: GrowingLog) -> hub.Hub:
        made = hub.Hub(session_store)
        made.tailer = log  # type: ignore[assignment] # in its place
        return made

    return make


def join(crowd: hub.Hub, log: GrowingLog, missed: int) -> Client:
    """Come back after so many changes."""
    return crowd.join(EVERYTHING, log.behind(missed), "sse")


def in_step(crowd: hub.Hub) -> set[Client]:
    """Give those who are fed like all others."""
    return set(crowd._live)


async def looks(crowd: hub.Hub, count: int) -> None:
    """Have the hub look at the log so often."""
    for _ in range(count):
        await crowd._turn()


def take(client: Client) -> list[Message]:
    """Take what waits, as a connection does; the client stays open."""
    taken = []
    while (bundle := client._next()) is not None:
        taken += bundle.messages
    return taken


def test_a_reader_gets_in_step_though_more_comes_than_a_part_holds(
    crowd_of: Callable[..., Any],
) -> None:
    """It is given twice of what came since the last look, so what it misses shrinks at every look."""
    log = GrowingLog(10_000, MORE_THAN_A_PART)
    crowd = crowd_of(log)

    async def run() -> tuple[Client, Client, set[Client]]:
        there = join(crowd, log, 0)
        await looks(crowd, 1)
        back = join(crowd, log, 10 * MORE_THAN_A_PART)
        await looks(crowd, 12)
        return there, back, in_step(crowd)

    there, back, live = asyncio.run(run())
    assert {there, back} == live


def test_readers_from_many_places_get_in_step_one_after_the_other(
    crowd_of: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there is time for one at each look, who misses least is served until it is in step: nobody waits for one who was long away."""
    monkeypatch.setattr(hub, "CATCH_UP_SECONDS", 0)
    log = GrowingLog(10_000, MORE_THAN_A_PART)
    crowd = crowd_of(log)

    async def run() -> list[int]:
        join(crowd, log, 0)
        await looks(crowd, 1)
        back = [join(crowd, log, missed * MORE_THAN_A_PART) for missed in (12, 3, 6)]
        arrived: list[Client] = []
        for _ in range(60):
            await looks(crowd, 1)
            arrived += [one for one in back if one in in_step(crowd) and one not in arrived]
        return [back.index(one) for one in arrived]

    assert [1, 2, 0] == asyncio.run(run())


@pytest.mark.parametrize(
    ("come", "part"),
    [(0, hub.CATCH_UP_BESIDE), (MORE_THAN_A_PART, 2 * MORE_THAN_A_PART), (900, hub.CATCH_UP_ALONE)],
    ids=["nothing comes", "much comes", "very much comes"],
)
def test_a_part_is_no_longer_than_it_must_be(come: int, part: int) -> None:
    """Those in step wait while it is read."""
    assert part == hub.part_of(come, alone=False)


def test_a_reader_that_comes_back_is_given_more_when_it_has_taken_enough(
    crowd_of: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However much it missed, no more of it waits than its bound and one part; nothing is left out, and nobody is told to load again."""
    monkeypatch.setattr(client_module, "ROOM_CHARACTERS", 1)
    log = GrowingLog(10_000, 0)
    crowd = crowd_of(log)

    async def run() -> tuple[int, list[Message]]:
        back = join(crowd, log, 5_000)
        await looks(crowd, 20)
        given, heard = len(log.parts), list[Message]()
        for _ in range(10):
            heard += take(back)
            await looks(crowd, 1)
        assert {back} == in_step(crowd)
        return given, heard

    given, heard = asyncio.run(run())
    assert 1 == given
    assert 5_000 == sum(message.event == "job-sessions:updated" for message in heard)
    assert not crowd.resets
