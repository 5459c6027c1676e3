"""Each fault of the sandbox, alone: an account's day is refreshed over HTTP, and what comes of it is exactly what is written down."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, get_args

import pytest

from bidbeacon_pipelines.causes import Cause
from bidbeacon_sandbox.rules import KINDS, Operation, RowChange, Rows
from tests.faults.ads.simulated_office import Office
from tests.postgres.lone_fault_cases import REPORT_CASES
from tests.postgres.lone_fault_consequences import Case
from tests.postgres.lone_fault_world import LoneFaultWorld, code_and_text, fresh_world
from tests.postgres.lone_sync_cases import ACCOUNT_CASES, ENTITY_CASES, SyncCase


@pytest.fixture
def world(office: Office) -> Iterator[LoneFaultWorld]:
    """Yield the place as if no case had been played in it."""
    with fresh_world(office) as world:
        yield world


@pytest.mark.parametrize(
    "case", [pytest.param(case, id=name) for name, case in REPORT_CASES.items()]
)
def test_a_lone_fault_has_exactly_its_consequences(world: LoneFaultWorld, case: Case) -> None:
    """Calls, reports, actions, time, rows, reasons are as written down; where the day isn't true then, it is once the fault is gone."""
    world = world.with_day(case.age)
    set_scene(world, case)
    rows_before, told_before = world.lying_rows(), world.count_actions()
    world.strike(case.faults)
    seconds = world.pass_time(case.pause)

    assert list(case.strikes) == world.strikes()
    assert case.told == world.told_since(told_before)
    assert (case.creates, case.retrieves, case.downloads, case.reports) == count_asked(world)
    assert case.tokens in {None, world.count_calls("token")}
    assert case.seconds == pytest.approx(seconds, abs=case.within)
    assert_window(world, case)
    assert_rows(world, case, rows_before)
    assert world.value("SELECT count(*) FROM job_sessions WHERE status = 'running'") == 0
    if (case.ends, case.rows) != ("loaded", "true"):
        world.mend()
        assert world.the_window().status == "loaded"
        assert world.differences("true") == []


def set_scene(world: LoneFaultWorld, case: Case) -> None:
    """Bring about what a case meets."""
    if case.loaded_before:
        world.pass_time()
        world.wait_until_due()
    if case.twin:
        world.let_another_ask()


def count_asked(world: LoneFaultWorld) -> tuple[int, ...]:
    """Count the creates, looks and downloads that Amazon saw, and the reports that it made."""
    operations: tuple[Operation, ...] = ("create_report", "retrieve_report", "download")
    return (*map(world.count_calls, operations), world.reports_made())


def assert_window(world: LoneFaultWorld, case: Case) -> None:
    """Check how the window ended, and that a person can read why."""
    window, account = world.the_window(), world.account()
    assert (case.ends, case.rests) == (window.status, window.request_id is not None)
    assert_says(case.why, window.cause)
    assert_says(case.person, account.needs_attention)
    open_requests = "SELECT count(*) FROM report_requests WHERE status NOT IN ('loaded', 'failed')"
    assert int(case.rests) == world.value(open_requests)


def assert_says(pattern: str | None, told: Cause | str | None) -> None:
    """Check that a cause or error is what it has to be, or that there is none."""
    if pattern is None:
        assert told is None
    else:
        text = code_and_text(told) if isinstance(told, dict) else str(told)
        assert re.search(pattern, text), text


def assert_rows(world: LoneFaultWorld, case: Case, before: list[Mapping[str, Any]]) -> None:
    """Check the day's rows, one by one and to the last decimal, and those that were put aside."""
    rows = world.lying_rows()
    match case.rows:
        case "none":
            assert rows == []
        case "as before":
            assert rows == before != []
        case "true":
            assert (world.differences("true"), world.differences("as delivered")) == ([], [])
            assert rows
        case "as delivered":
            assert world.differences("as delivered") == []
            assert world.differences("true")
    said = world.quarantine()
    assert bool(said) == (case.quarantined is not None)
    assert [one for one in said if not re.match(case.quarantined or "", one)] == []


@pytest.mark.parametrize(
    "case", [pytest.param(case, id=name) for name, case in ENTITY_CASES.items()]
)
def test_a_lone_fault_of_an_entity_sync_has_exactly_its_consequences(
    world: LoneFaultWorld, case: SyncCase
) -> None:
    """Calls, waits, error, actions are as written down; the next sync asks for no more than is missing, and brings all."""
    world.forget_entities()
    assert_sync(world, case, lambda: world.sync_entities(world.account()))
    assert_says(case.found, world.left_out())
    world.sandbox.state.ledger.clear()
    world.mend_with(lambda mended: mended.sync_entities(mended.account()))
    assert_says(None, world.left_out())
    assert case.creates_next == world.count_calls("create_export")
    assert world.true_entities() == world.stored_entities()


@pytest.mark.parametrize(
    "case", [pytest.param(case, id=name) for name, case in ACCOUNT_CASES.items()]
)
def test_a_lone_fault_of_an_account_sync_has_exactly_its_consequences(
    world: LoneFaultWorld, case: SyncCase
) -> None:
    """Calls, waits, error, actions and problems are as written down; no account is lost, and the next sync has no such problem."""
    before = world.stored_accounts()
    assert_sync(world, case, world.sync_accounts)
    unlisted = [
        (action["region"], code_and_text(action["cause"]))
        for action in world.actions("region-not-listed")
    ]
    assert (["NA"] if case.unlisted else []) == [region for region, _ in unlisted]
    assert all(re.search(case.unlisted or "$^", said) for _, said in unlisted)
    assert before == world.stored_accounts()
    world.mend_with(lambda mended: mended.sync_accounts())
    assert [None] * len(world.office.accounts()) == [
        each.needs_attention for each in world.office.accounts()
    ]


def assert_sync(world: LoneFaultWorld, case: SyncCase, sync: Callable[[], object]) -> None:
    """Run a sync with its fault, and check what came of it."""
    told_before, began = world.count_actions(), world.context.now()
    world.strike(case.faults)
    error = None
    try:
        sync()
    except Exception as raised:  # noqa: BLE001 - whatever it is, it is compared
        error = raised
    assert (case.error, case.told) == (
        type(error) if error else None,
        world.told_since(told_before),
    )
    assert_says(case.says, str(error) if error else None)
    assert_says(case.person, world.account().needs_attention)
    assert case.calls == world.calls()
    assert case.seconds == (world.context.now() - began).total_seconds()
    assert list(case.strikes) == world.strikes()
    assert world.value("SELECT count(*) FROM job_sessions WHERE status = 'running'") == 0


def test_every_kind_of_rule_and_every_change_of_rows_has_its_cases() -> None:
    """A kind of rule that the sandbox learns, and that nobody has said the consequences of, fails here."""
    rules = [
        rule
        for cases in (REPORT_CASES, ENTITY_CASES, ACCOUNT_CASES)
        for case in cases.values()
        for rule in case.faults
    ]
    assert set(KINDS.values()) == {type(one) for one in rules}
    changes = {change for one in rules if isinstance(one, Rows) for change in one.change}
    assert set(get_args(RowChange)) == changes
