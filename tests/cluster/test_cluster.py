"""A cluster on three hosts keeps all data complete and exact, whatever of it is broken.

The tests follow each other on one cluster: each is a simulated day of a week, and a reader follows
the stream all the while.
"""

import signal
from collections.abc import Collection, Mapping
from uuid import UUID

import pytest

from bidbeacon_pipelines.datasets.registry import DATASETS
from tests.cluster.hosts import PATIENCE, Host, wait_patiently
from tests.cluster.world import TOKEN, World
from tests.stream.reading import SseConnection

pytestmark = pytest.mark.timeout(3000)

GO_ON_SECONDS = 105
"""Until others load, and the sessions and runs of a lost worker are closed: a lease, three looks, and time to start and load."""
FILL_SECONDS = 480
REACHED_SECONDS = 240
MOST_DAYS = 3
"""Until a day's reports are requested, and a worker that is to be struck is in the middle of a load."""
RECORDED_SECONDS = 180
DAYS = 7
LOADED_SECONDS = 300
READY, SPREAD = 40, 1.6
"""So many ready reports two workers load at least so many times as fast as one."""
SLOW = {"rule": "slow", "call": "download", "seconds": 3}
HALTED = {"rule": "slow", "call": "download", "times": 12, "seconds": 20}
HARMLESS = (
    {"rule": "token", "probability": 0.05},
    {"rule": "file", "keep": 0.5, "probability": 0.05},
    *(
        {**broken, "call": call, "probability": 0.05}
        for broken in (
            {"rule": "answer", "status": 503},
            {"rule": "cut"},
            {"rule": "answer", "status": 429, "retry_after": 1},
        )
        for call in ("retrieve_report", "download")
    ),
)
"""Faults that change how often something is asked for, and not what it says; after some others Amazon is left alone for minutes."""


def test_the_first_fill_is_loaded(world: World) -> None:
    """Sensors of one host start runs, and workers of all hosts load all datasets of all accounts."""
    wait_patiently(lambda: world.loaded_datasets() > 0, "the first load", REACHED_SECONDS)
    wait_patiently(lambda: not world.open_work()["accounts"], "all entities", REACHED_SECONDS)
    world.break_amazon(*HARMLESS)
    world.settle(FILL_SECONDS)
    assert world.loaded_datasets() == len(world.stored.accounts()) * len(DATASETS)
    check_orderly(world)


def test_others_go_on_while_workers_are_lost(world: World) -> None:
    """One is killed, one frozen, one cut off from Redis: the sessions of two are closed, that of the third ends by itself."""
    cluster = world.cluster
    since = world.database_time()
    start_loads(world, cluster.alpha)
    world.programs.pop("worker alpha").kill()
    lost = world.sessions_on(cluster.alpha)
    await_load(world, cluster.beta)
    world.programs["worker beta"].send(signal.SIGSTOP)
    lost |= world.sessions_on(cluster.beta)
    await_load(world, cluster.gamma)
    living = world.sessions_on(cluster.gamma)
    cluster.gamma.cut_from(cluster.redis)
    world.start("worker", cluster.alpha)  # as whatever keeps services running does
    check_others_go_on(world, lost)
    world.programs["worker beta"].send(signal.SIGCONT)
    cluster.gamma.join_with(cluster.redis)
    world.break_amazon()
    world.settle()
    assert world.sessions_since(since, "crashed") == set(lost)
    assert set(living) <= world.sessions_since(since, "succeeded", "failed")
    check_orderly(world, lost)


def test_others_go_on_while_a_worker_is_cut_off_and_the_daemon_moves(world: World) -> None:
    """All workers that were lost before work again; one can't reach the database, and the daemon is killed."""
    cluster = world.cluster
    since = world.database_time()
    start_loads(world, cluster.gamma)
    cluster.gamma.cut_from(cluster.postgres)
    lost = world.sessions_on(cluster.gamma)
    world.programs.pop("daemon alpha").kill()
    world.start("daemon", cluster.beta)
    check_others_go_on(world, lost)
    cluster.gamma.join_with(cluster.postgres)
    world.break_amazon()
    world.settle()
    assert world.sessions_since(since, "crashed") == set(lost)
    check_orderly(world, lost)


def test_work_goes_on_after_redis_and_postgres_restart(world: World) -> None:
    """Nobody's session is closed by others, and no service ends for it."""
    cluster = world.cluster
    since = world.database_time()
    start_loads(world)
    cluster.broker.stop()
    cluster.start_broker()
    check_others_go_on(world, {})
    cluster.stop_database()
    cluster.start_database()
    check_others_go_on(world, {})
    world.break_amazon()
    world.settle()
    assert world.sessions_since(since, "crashed") == set()
    assert world.ended() == []
    check_orderly(world)


def test_a_new_version_rolls_over_while_loads_run(world: World) -> None:
    """Its schema comes first; then each process is replaced, and nothing fails for it."""
    cluster = world.cluster
    since = world.database_time()
    start_loads(world, halted=False)
    cluster.migrate(cluster.alpha, version=2)
    for host in cluster.members:
        world.replace("worker", host, version=2)
    world.replace("code-location", cluster.alpha, version=2)
    world.replace("webserver", cluster.alpha, version=2)
    world.replace("daemon", cluster.beta, version=2)
    for host in (cluster.beta, cluster.gamma):
        world.replace("stream", host, version=2)
    world.settle()
    assert world.sessions_since(since, "crashed", "failed", "cancelled") == set()
    assert world.runs_failed_since(since) == []
    check_orderly(world)


def test_two_workers_load_faster_than_one(world: World) -> None:
    """Reports that are ready are shared among workers, though one run could load them all."""
    cluster = world.cluster
    took = [load_ready_reports(world, cluster.alpha)]
    took.append(load_ready_reports(world, cluster.alpha, cluster.beta))
    world.note(f"{READY} ready reports: {took[0]:.0f} s by one worker, {took[1]:.0f} s by two")
    assert took[0] / took[1] >= SPREAD


def test_the_week_ends_true(world: World) -> None:
    """Every dataset of every account equals the truth, and the reader of the stream has missed nothing."""
    last_day = max(DAYS, world.day + 1)  # loads may have needed more days before
    while world.day < last_day:
        world.break_amazon(*HARMLESS)
        if world.day == last_day - 1:
            world.cluster.dump("earlier")
        world.next_day()
        world.settle()
    world.break_amazon()
    assert world.not_true() == []
    check_orderly(world)
    wait_patiently(lambda: world.lost_by_reader() == [], "the reader knows everything", 60)
    assert world.reader.view.faults == []
    assert [name for name in world.reader.counts if name.startswith("reset")] == []
    assert min(world.reader.visits.values()) > 10
    world.stop_all()
    world.cluster.dump("later")


@pytest.mark.parametrize("dumps", [("earlier", "later"), ("later", "earlier")], ids=" ".join)
def test_record_again_brings_restored_tables_in_line(world: World, dumps: tuple[str, str]) -> None:
    """Our tables and Dagster's are restored elsewhere as of two times: readers are told to reload, and Dagster shows what we hold."""
    cluster, cursor, since = world.cluster, world.reader.view.cursor, world.database_time()
    cluster.restore(*dumps)
    cluster.migrate(cluster.alpha, version=2)
    world.keep_time()
    assert world.not_recorded() != []
    world.start_all(version=2)
    told = SseConnection(world.streams[0], f"cursor={cursor}", headers=TOKEN)
    assert next(told.messages())[0] == "reset"
    world.settle()
    run = world.launch("record_again")
    wait_patiently(lambda: world.status_of(run) == "SUCCESS", "it is recorded", RECORDED_SECONDS)
    assert world.not_recorded() == []
    assert world.not_true(since) == []
    world.stop_all()


def start_loads(world: World, *hosts: Host, halted: bool = True) -> None:
    """Begin a day, and wait until a worker of one of some hosts, or of any, is in the middle of a load; halted ones are for a while."""
    begin_day(world, halted=halted)
    await_load(world, *(hosts or world.cluster.members), halted=halted)


def begin_day(world: World, *, halted: bool) -> None:
    """Let a day pass, so that its reports are due."""
    world.break_amazon(*([HALTED] if halted else []))
    world.next_day()
    if halted:
        world.skip_entities()  # whose downloads would be halted as well


def await_load(world: World, *hosts: Host, halted: bool = True) -> None:
    """Wait until a worker of one of some hosts is in the middle of a load.

    Where others have done all of a day's loads, another day begins.
    """
    names = " or ".join(host.name for host in hosts)

    def loads() -> bool:
        return any(map(world.is_loading, hosts))

    def is_over() -> bool:
        return not any(world.open_work().values())

    for _ in range(MOST_DAYS):
        took = wait_patiently(lambda: loads() or is_over(), f"{names} loads", REACHED_SECONDS)
        if loads():
            world.note(f"day {world.day}: {names} loads after {took:.0f} s more")
            return
        begin_day(world, halted=halted)
    raise AssertionError(f"{names} loaded nothing in {MOST_DAYS} days")


def check_others_go_on(world: World, lost: Mapping[UUID, str]) -> None:
    """Others load something soon, and sessions and runs of lost workers are closed."""
    since = world.database_time()
    loads = lambda: bool(world.loads_since(since, beside=lost))
    took = wait_patiently(loads, "others load", GO_ON_SECONDS)
    left = GO_ON_SECONDS - took / PATIENCE
    closed = took + wait_patiently(lambda: world.are_over(lost), "the lost are closed", left)
    world.note(
        f"others load after {took:.0f} s, {len(lost)} lost ones are closed after {closed:.0f} s"
    )


def load_ready_reports(world: World, *hosts: Host) -> float:
    """Let all workers request a day's reports, and those of some hosts load them, with one process each; return how many seconds pass from the first load to the last one."""
    world.break_amazon(SLOW)
    world.next_day()
    world.skip_entities()
    with world.frozen_amazon():
        wait_patiently(lambda: world.in_flight() >= READY, "reports are requested", REACHED_SECONDS)
        world.start_workers(*hosts, version=2, WORKER_PROCESSES="1")
        since = world.database_time()
    wait_patiently(
        lambda: len(world.loads_since(since)) >= READY, "they are loaded", LOADED_SECONDS
    )
    loads = world.loads_since(since)
    world.break_amazon()
    world.start_workers(*world.cluster.members, version=2)
    world.settle()
    return (loads[READY - 1] - loads[0]).total_seconds()


def check_orderly(world: World, lost: Collection[UUID] = ()) -> None:
    """Nothing was loaded twice or asked for beyond the gate; only lost sessions left files, which the next cleaning removes."""
    assert world.loaded_twice() == []
    assert world.beyond_the_gate() == []
    only_lost = lambda: len(world.folders_left()) <= len(lost)
    wait_patiently(only_lost, "only lost sessions left files", 10)
    world.clean_hosts()
    assert world.folders_left() == []
