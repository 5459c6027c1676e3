"""A host that can't write downloads pauses its loads: Amazon's finished reports and exports stay, and are loaded once there is room."""

import os
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import date, timedelta
from pathlib import Path

import pytest

from bidbeacon_pipelines.amazon_ads.errors import NotWritten
from bidbeacon_pipelines.problems.findings import Finding
from bidbeacon_pipelines.requests.load_days import WindowNotLoadedError
from tests.postgres.explaining import findings
from tests.support.jobs import load_by_hand
from tests.support.world import World

TODAY = date(2026, 1, 15)
DAY = TODAY - timedelta(days=3)
OF_THE_MACHINE = {"disk-nearly-full", "logs-not-written"}
NOBODY = 65_534
Unwritable = Callable[[Path], AbstractContextManager[None]]


@contextmanager
def taken_by_a_file(folder: Path) -> Iterator[None]:
    """Put a file where the folder should be."""
    folder.write_text("")
    yield
    folder.unlink()


@contextmanager
def not_permitted(folder: Path) -> Iterator[None]:
    """Take the right to write to the folder, and act as an ordinary user where root runs the tests."""
    folder.mkdir(mode=0o500)
    own = os.getuid()
    os.setresuid(own or NOBODY, own or NOBODY, own)
    try:
        yield
    finally:
        os.setresuid(own, own, own)
        folder.chmod(0o700)


@pytest.fixture(params=[taken_by_a_file, not_permitted])
def unwritable(request: pytest.FixtureRequest) -> Unwritable:
    """Return what makes a folder one that can't be written."""
    made: Unwritable = request.param
    return made


def found(world: World) -> list[Finding]:
    """Return what is wrong now, apart from what is found of the machine that runs the tests."""
    return [one for one in findings(world) if one.code not in OF_THE_MACHINE]


def test_finished_report_stays_while_its_file_cannot_be_written(
    world: World, unwritable: Unwritable
) -> None:
    """For a day: no attempt is counted and nothing is requested again; then the same report is loaded."""
    account = world.account()
    request_id = world.ask(account, DAY)
    with unwritable(world.context.downloads):
        for _ in range(24):
            world.advance(hours=1)
            world.step()
        stored = world.request(request_id)
    assert ("completed", 0, 1) == (stored.status, stored.loads, stored.attempts)
    world.advance(minutes=5)
    world.step()
    assert "loaded" == world.window(account, DAY).status
    assert (1, []) == (world.reports_made(), list(world.context.downloads.iterdir()))


def test_a_report_that_amazon_no_longer_has_is_requested_again_once_there_is_room(
    world: World,
) -> None:
    """Amazon is not called for it before."""
    account = world.account()
    request_id = world.ask(account, DAY)
    with taken_by_a_file(world.context.downloads):
        world.advance(minutes=2)
        world.step()
        world.break_with("answer", "retrieve_report", status=404, times=1)
        calls = len(world.sandbox.state.ledger.calls())
        for _ in range(3):
            world.advance(minutes=6)
            world.step()
        assert calls == len(world.sandbox.state.ledger.calls())
    world.advance(minutes=6)
    world.step()
    request = world.request(request_id)
    assert ("planned", 1) == (request.status, request.attempts)


def test_host_and_folder_are_told_at_once_until_a_load_works(
    world: World, unwritable: Unwritable
) -> None:
    """With what is wrong, the free space and what to do; reports that wait longer are its consequence."""
    world.ask(world.account(), DAY)
    folder, began = world.context.downloads, world.advance(minutes=2)
    with unwritable(folder):
        world.step()
        [finding] = found(world)
        world.advance(hours=3)
        world.step()
        [later] = found(world)
    failed = rf"{socket.gethostname()} can't write downloads to {folder}"
    sentence = rf"^{failed}: .*, [\d,]+ MiB are free\.$"
    assert pytest.approx(0) == finding.alert_after.total_seconds()
    assert ("file-not-written", began, began) == (finding.code, finding.since, later.since)
    assert re.search(sentence, finding.sentence), finding.sentence
    assert "Free space on the folder's disk" in finding.advice
    world.advance(minutes=6)
    world.step()
    assert [] == found(world)


def test_reports_are_polled_and_created_while_loads_pause(world: World) -> None:
    """Reports are polled and created meanwhile; one load is tried every five minutes."""
    account = world.account()
    for ago in (3, 30):
        world.ask(account, TODAY - timedelta(days=ago))
    world.ask(account, TODAY - timedelta(days=60))
    world.advance(minutes=2)
    with taken_by_a_file(world.context.downloads):
        for _ in range(5):
            world.step()
            world.advance(minutes=1)
        statuses = world.query("SELECT status FROM report_requests ORDER BY id")
    assert ["completed"] * 3 == [row["status"] for row in statuses]
    assert 1 == len(world.actions("request-retried"))


def test_another_host_loads_meanwhile(world: World) -> None:
    """The pause is that of one host and folder."""
    account = world.account()
    world.ask(account, DAY)
    world.advance(minutes=2)
    with taken_by_a_file(world.context.downloads):
        world.step()
    world.execute("UPDATE unwritable_folders SET host = 'another'")
    world.advance(minutes=5)
    world.step()
    assert "loaded" == world.window(account, DAY).status
    assert ["file-not-written"] == [one.code for one in found(world)]


def test_who_loads_by_hand_is_told_what_the_load_waits_for(world: World) -> None:
    """While it waits, and where the time is over."""
    with (
        taken_by_a_file(world.context.downloads),
        pytest.raises(WindowNotLoadedError, match="can't write downloads to"),
    ):
        load_by_hand(world, world.account(), DAY, minutes=10)
    assert ["file-not-written"] == [one["cause"]["code"] for one in world.actions("wait-given-up")]


def test_exports_stay_while_their_files_cannot_be_written(
    world: World, unwritable: Unwritable
) -> None:
    """The sync is put off, and for a day none is requested again; then the same exports are loaded."""
    account = world.account()
    with unwritable(world.context.downloads):
        for _ in range(5):
            with pytest.raises(NotWritten):
                world.sync_entities(account)
            world.advance(hours=5)
    assert 4 == len(world.accepted("create_export"))
    world.advance(minutes=6)
    counts = world.sync_entities(account)
    assert 5 == len(counts)
    assert [] == found(world)
