"""Each fault of the sandbox, alone: an account's day is refreshed over HTTP, and what comes of it is exactly what is written down."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from itertools import groupby
from typing import Any, get_args

import pytest

from bidbeacon_pipelines.amazon_ads.reports import ad_product_filter, create_report
from bidbeacon_pipelines.causes import Cause, explain
from bidbeacon_pipelines.problems.data_findings import left_out_campaigns
from bidbeacon_sandbox.rules import KINDS, RowChange, Rows
from tests.faults.ads.oracle import Oracle
from tests.postgres.lone_day import LoneDay, fresh_day, open_lone_world
from tests.postgres.lone_fault_cases import REPORT_CASES
from tests.postgres.lone_fault_consequences import Case, RowsAre
from tests.postgres.lone_sync_cases import ACCOUNT_CASES, ENTITY_CASES, SyncCase
from tests.support.reading import tuples
from tests.support.world import DATASET, World

ACTIONS = "SELECT count(*) FROM session_actions"
RUNNING = "SELECT count(*) FROM job_sessions WHERE status = 'running'"


@pytest.fixture(scope="module")
def place(shared_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Yield the world of all cases: accounts and entities are known, and one day is due."""
    with open_lone_world(shared_database_url, tmp_path_factory.mktemp("home")) as place:
        yield place


@pytest.fixture
def lone(place: World) -> Iterator[LoneDay]:
    """Yield the day as if no case had been played in it."""
    with fresh_day(place) as lone:
        yield lone


@pytest.mark.parametrize("case", REPORT_CASES.values(), ids=REPORT_CASES)
def test_a_lone_fault_has_exactly_its_consequences(lone: LoneDay, case: Case) -> None:
    """Calls, reports, actions, time, rows, reasons are as written down; where the day isn't true then, it is once the fault is gone."""
    lone = lone.with_age(case.age)
    if case.loaded_before:
        lone.pass_time()
        lone.wait_until_due()
    made_before = lone.world.reports_made()
    if case.twin:
        let_another_ask(lone)
    rows_before, told_before = lying_rows(lone.world), lone.world.value(ACTIONS)
    assert bool(rows_before) == case.loaded_before
    lone.strike(case.faults)
    seconds = lone.pass_time(case.pause)

    assert list(case.strikes) == strikes(lone.world)
    assert case.told == told_since(lone.world, told_before)
    assert (case.creates, case.retrieves, case.downloads) == count_asked(lone.world)
    assert case.reports == lone.world.reports_made() - made_before
    assert case.tokens in {None, calls(lone.world)["token"]}
    assert case.seconds == pytest.approx(seconds, abs=0.001)
    assert_window(lone, case)
    assert_rows(lone, case, rows_before)
    assert lone.world.value(RUNNING) == 0
    if (case.ends, case.rows) != ("loaded", "true"):
        lone.mend()
        assert lone.window.status == "loaded"
        assert differences(lone.world, "true") == []


def count_asked(world: World) -> tuple[int, ...]:
    """Count the creates, polls and downloads that Amazon saw."""
    seen = calls(world)
    return tuple(seen[name] for name in ("create_report", "retrieve_report", "download"))


def assert_window(lone: LoneDay, case: Case) -> None:
    """Check how the window ended, and that a person can read why."""
    window, account = lone.window, lone.world.account()
    assert (case.ends, case.rests) == (window.status, window.request_id is not None)
    assert_says(case.why, window.cause)
    assert_says(case.person, account.needs_attention)
    open_requests = "SELECT count(*) FROM report_requests WHERE status NOT IN ('loaded', 'failed')"
    assert int(case.rests) == lone.world.value(open_requests)


def assert_says(pattern: str | None, told: Cause | str | None) -> None:
    """Check that a cause or error is what it has to be, or that there is none."""
    if pattern is None:
        assert told is None
    else:
        text = code_and_text(told) if isinstance(told, dict) else str(told)
        assert re.search(pattern, text), text


def assert_rows(lone: LoneDay, case: Case, before: list[Mapping[str, Any]]) -> None:
    """Check the day's rows, one by one and to the last decimal, and those that were put aside."""
    rows = lying_rows(lone.world)
    match case.rows:
        case "unchanged":
            assert rows == before
        case "true":
            assert (differences(lone.world, "true"), differences(lone.world, "as delivered")) == (
                [],
                [],
            )
            assert rows
        case "as delivered":
            assert differences(lone.world, "as delivered") == []
            assert differences(lone.world, "true")
    said = quarantine(lone.world)
    assert bool(said) == (case.quarantined is not None)
    assert [one for one in said if not re.match(case.quarantined or "", one)] == []


@pytest.mark.parametrize("case", ENTITY_CASES.values(), ids=ENTITY_CASES)
def test_a_lone_fault_of_an_entity_sync_has_exactly_its_consequences(
    lone: LoneDay, case: SyncCase
) -> None:
    """Calls, waits, error, actions are as written down; the next sync asks for no more than is missing, and brings all."""
    lone.forget_entities()
    assert_sync(lone, case, lambda: lone.world.sync_entities(lone.world.account()))
    assert_says(case.found, left_out(lone.world))
    lone.world.sandbox.state.ledger.clear()
    with lone.mended() as mended:
        mended.world.sync_entities(mended.world.account())
    assert_says(None, left_out(lone.world))
    assert case.creates_next == calls(lone.world)["create_export"]
    account = lone.world.account()
    assert lone.world.true_entities(account) == lone.world.stored_entities(account)


@pytest.mark.parametrize("case", ACCOUNT_CASES.values(), ids=ACCOUNT_CASES)
def test_a_lone_fault_of_an_account_sync_has_exactly_its_consequences(
    lone: LoneDay, case: SyncCase
) -> None:
    """Calls, waits, error, actions and problems are as written down; no account is lost, and the next sync has no such problem."""
    before = stored_accounts(lone.world)
    assert_sync(lone, case, lone.world.sync_accounts)
    unlisted = lone.world.actions("region-not-listed")
    assert (["NA"] if case.unlisted else []) == [action["region"] for action in unlisted]
    for action in unlisted:
        assert_says(case.unlisted, action["cause"])
    stored = "SELECT region, cause FROM credential_listings WHERE region IS NOT NULL"
    assert [(one["region"], one["cause"]) for one in unlisted] == tuples(lone.world.engine, stored)
    assert before == stored_accounts(lone.world)
    with lone.mended() as mended:
        mended.world.sync_accounts()
    assert [] == [each for each in lone.world.accounts() if each.needs_attention]


def assert_sync(lone: LoneDay, case: SyncCase, sync: Callable[[], object]) -> None:
    """Run a sync with its fault, and check what came of it."""
    told_before, began = lone.world.value(ACTIONS), lone.world.context.now()
    lone.strike(case.faults)
    error = None
    try:
        sync()
    except Exception as raised:  # noqa: BLE001 - whatever it is, it is compared
        error = raised
    told = told_since(lone.world, told_before)
    assert (case.error, case.told) == (error and type(error), told)
    assert_says(case.says, str(error) if error else None)
    assert_says(case.person, lone.world.account().needs_attention)
    assert case.calls == calls(lone.world)
    assert case.seconds == (lone.world.context.now() - began).total_seconds()
    assert list(case.strikes) == strikes(lone.world)
    assert lone.world.value(RUNNING) == 0


def let_another_ask(lone: LoneDay) -> None:
    """Have somebody else ask Amazon for the very report that is due."""
    account, client = lone.world.account(), lone.world.context.client_for("default")
    create_report(
        client,
        account.region,
        account.account_id,
        fields=DATASET.fields,
        start=lone.day,
        end=lone.day,
        row_filter=ad_product_filter(DATASET.reports[0].ad_products),
    )


def calls(world: World) -> Counter[str]:
    """Count all that Amazon was asked since the fault, by operation."""
    return Counter(call.operation or "other" for call in world.sandbox.state.ledger.calls())


def strikes(world: World) -> list[object]:
    """Return how often each rule struck."""
    return [rule["struck"] for rule in world.sandbox.state.rules.overview()]


def told_since(world: World, count: int) -> tuple[str, ...]:
    """Return the types of all actions after the first so many, but for plans, in order; the very same in a row once."""
    rows = world.query(
        "SELECT type FROM session_actions ORDER BY at, ord OFFSET :count", count=count
    )
    types = [str(row["type"]) for row in rows if row["type"] != "reports-planned"]
    return tuple(kind for kind, _ in groupby(types))


def lying_rows(world: World) -> list[Mapping[str, Any]]:
    """Return the day's rows as they lie in the table, with where and by which transaction they were written."""
    return world.query("SELECT *, xmin, ctid FROM daily_targets ORDER BY row_key")


def differences(world: World, rows: RowsAre) -> list[str]:
    """Return in what the day's rows differ from the truth of when their report was made, or from what was delivered."""
    oracle = Oracle(world, world.account())
    if rows == "true":
        return [*oracle.compare_with_truth(), *oracle.false_zeros()]
    return list(oracle.compare_with_delivered())


def quarantine(world: World) -> list[str]:
    """Return why each quarantined row was put aside."""
    kept = world.query("SELECT cause FROM quarantined_rows")
    return [explain(row["cause"]).sentence for row in kept]


def stored_accounts(world: World) -> list[Mapping[str, Any]]:
    """Return what Amazon has told of the accounts."""
    return world.query(
        """SELECT account_id, country_code, name, amazon_status, profile_id, region, currency_code, time_zone
             FROM advertiser_accounts ORDER BY account_key"""
    )


def left_out(world: World) -> str | None:
    """Return the code and text of the finding on campaigns that reports leave out, or None."""
    with world.engine.begin() as connection:
        found = left_out_campaigns(connection, world.context.settings, world.context.now())
    return next((f"{one.code}: {one.sentence} {one.advice}" for one in found), None)


def code_and_text(cause: Cause) -> str:
    """Return a cause's code, and how it is told."""
    return f"{cause['code']}: {explain(cause).text}"


def test_every_kind_of_rule_and_every_change_of_rows_has_its_cases() -> None:
    """A kind of rule that the sandbox learns, and that nobody has said the consequences of, fails here."""
    cases: tuple[Case | SyncCase, ...]
    cases = *REPORT_CASES.values(), *ENTITY_CASES.values(), *ACCOUNT_CASES.values()
    rules = [rule for case in cases for rule in case.faults]
    assert set(KINDS.values()) == {type(one) for one in rules}
    changes = {change for one in rules if isinstance(one, Rows) for change in one.change}
    assert set(get_args(RowChange)) == changes
