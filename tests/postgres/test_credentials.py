"""What happens to accounts when Amazon refuses our credentials, or one account, and how they get out of it."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Engine

from bidbeacon_pipelines.accounts.credential_queries import replace_listings
from bidbeacon_pipelines.accounts.queries import set_needs_attention, set_resumed
from bidbeacon_pipelines.accounts.rules import AccountStoppedError
from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.amazon_ads.errors import AuthError, NotAuthorized
from bidbeacon_pipelines.states.window_states import WindowState
from tests.postgres.explaining import explained
from tests.support.jobs import due_ads_accounts, due_syncs, load_by_hand
from tests.support.reading import value
from tests.support.waiting import wait_until
from tests.support.world import World

DAY = date(2026, 1, 12)


@pytest.fixture
def refused(world: World) -> Iterator[World]:
    """Yield the world to a process that starts after Amazon has revoked our refresh token."""
    world.break_with("token", what="revoked")
    with world.in_new_process() as started:
        yield started


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        pytest.param({"kind": "token", "what": "revoked"}, "token-revoked", id="revoked"),
        pytest.param(
            {"kind": "answer", "call": "token", "status": 401}, "credentials-refused", id="no code"
        ),
    ],
)
def test_refused_credentials_stop_all_accounts_at_once(
    world: World, fault: dict[str, Any], code: str
) -> None:
    """The first report request that meets it marks them all, with one action, and the second adds none."""
    world.break_with(**fault)
    with world.in_new_process() as started:
        started.ask(world.account(), DAY)
        started.ask(world.account("DE"), DAY)
    assert ["credentials"] == marks(world)
    [refused] = world.actions("credentials-refused")
    accounts = world.query("SELECT account_key FROM advertiser_accounts ORDER BY 1")
    assert [row["account_key"] for row in accounts] == refused["keys"]
    assert (len(accounts), code) == (refused["accounts"], refused["cause"]["code"])
    assert world.actions("account-needs-attention") == []


def marks(world: World) -> list[str | None]:
    """Return for whom the ads accounts need attention."""
    rows = world.query("SELECT DISTINCT needs_attention_for AS mark FROM ads_accounts ORDER BY 1")
    return [row["mark"] for row in rows]


def test_a_load_by_hand_ends_when_credentials_are_refused(refused: World) -> None:
    """It doesn't wait for hours: the person is told at once why nothing comes."""
    before = refused.context.now()
    with pytest.raises(AccountStoppedError, match="revoked"):
        load_by_hand(refused, refused.account(), DAY, minutes=0)
    assert timedelta(seconds=10) > refused.context.now() - before


def test_a_window_that_rests_says_that_credentials_are_refused(refused: World) -> None:
    """Not that its request is sent within a minute, which isn't so."""
    refused.ask(refused.account(), DAY)
    told = explained(refused, refused.account(), DAY)
    assert told.state == WindowState.NEEDS_ATTENTION
    assert "Amazon refused our refresh token" in told.sentence


def test_nothing_is_started_while_credentials_are_refused(refused: World) -> None:
    """The sensors' questions find no account, though windows are due and entities missing."""
    refused.ask(refused.account(), DAY)
    assert ([], []) == (due_ads_accounts(refused), due_syncs(refused))


def test_an_account_sync_that_works_is_the_way_back(world: World, refused: World) -> None:
    """Accounts that waited for credentials go on, with what they were asked for due at once; others still need their person."""
    own = world.account("JP")
    need_attention(world, own)
    refused.ask(world.account(), DAY)
    with pytest.raises(AuthError):
        refused.sync_accounts()
    world.sandbox.state.rules.clear()
    with world.in_new_process() as later:
        later.sync_accounts()
    assert ["account", None] == marks(world)
    assert {"code": "account-refused"} == world.account("JP").needs_attention
    [accepted] = world.actions("credentials-accepted")
    assert own.account_key not in accepted["keys"]
    assert accepted["accounts"] == len(accepted["keys"])
    request = world.request(world.window(world.account(), DAY).request_id or 0)
    assert (request.status, request.attempts) == ("planned", 0)
    world.advance(seconds=1)
    world.step()
    assert world.request(request.id).status == "in_flight"


def test_exports_that_are_refused_concern_their_country_alone(world: World) -> None:
    """After the third 403 in a row no sync of this country is started for hours; its ads account's reports and the other country go on."""
    refused, other = world.account(), world.account("CA")
    world.break_with("answer", "create_export", times=3, status=403)
    for _ in range(3):
        assert refused.account_key in due_syncs(world)
        with pytest.raises(NotAuthorized):
            world.sync_entities(refused)
    assert {other.account_key} == {*due_syncs(world)} & {refused.account_key, other.account_key}
    stopped = "SELECT FROM ads_accounts WHERE needs_attention IS NOT NULL OR refusals > 0"
    assert [] == world.query(stopped)
    world.load(refused, DAY)
    assert "loaded" == world.window(refused, DAY).status
    world.advance(hours=6)
    assert refused.account_key in due_syncs(world)


def test_a_person_or_an_accepted_export_makes_refusals_of_exports_forgotten(
    world: World,
) -> None:
    """Two refusals, an export that is accepted, and two more are no reason to wait; nor are three before a person enables the account."""
    account = world.account()
    for refusals in (2, 2, 3):
        world.break_with("answer", "create_export", times=refusals, status=403)
        for _ in range(refusals):
            with pytest.raises(NotAuthorized):
                world.sync_entities(account)
        assert (account.account_key in due_syncs(world)) == (refusals < 3)
        if refusals < 3:
            world.sync_entities(account)
            world.advance(days=2)
    with world.engine.begin() as connection:
        set_resumed(connection, account)
    assert account.account_key in due_syncs(world)


def need_attention(world: World, account: Account) -> None:
    """Have an account need attention."""
    with world.engine.begin() as connection:
        set_needs_attention(connection, account.account_id, {"code": "account-refused"})


STOPS = [
    (need_attention, "not_authorized", WindowState.NEEDS_ATTENTION),
    (World.pause, "account_disabled", WindowState.PAUSED),
    (World.disable_at_amazon, "account_disabled", WindowState.DISABLED),
]


@pytest.mark.parametrize(("stop", "kind", "expected"), STOPS)
@pytest.mark.parametrize("state", ["in_flight", "planned", "completed"])
def test_a_request_of_an_account_that_was_stopped_leaves_its_slot(
    world: World,
    stop: Callable[[World, Account], None],
    kind: str,
    expected: WindowState,
    state: str,
) -> None:
    """It is given up without a call, wherever it is, so that other countries have its slot; `explain` says why at once."""
    account = world.account()
    if state == "planned":
        world.break_with("report_ends", times=1)
    if state == "completed":
        world.break_with("file", keep=0.5)
    request_id = world.ask(account, DAY)
    if state != "in_flight":
        world.advance(minutes=5)
        world.step()
    assert state == world.request(request_id).status
    stop(world, account)
    assert expected == explained(world, account, DAY).state
    calls = len(world.sandbox.state.ledger.calls())
    world.advance(hours=1)
    world.step()
    assert calls == len(world.sandbox.state.ledger.calls())
    ended = world.request(request_id)
    assert ("failed", kind) == (ended.status, ended.failure_kind)
    assert expected == explained(world, account, DAY).state


def test_an_account_that_is_enabled_again_goes_on_at_once(world: World) -> None:
    """Windows whose report was under way when it was paused are due at once, and loaded when it is resumed."""
    account = world.account()
    world.ask(account, DAY)
    world.pause(account)
    stopped_at = world.advance(hours=1)
    world.step()
    due_at = world.window(account, DAY).next_refresh_at
    assert due_at is not None
    assert timedelta(minutes=1) > due_at - stopped_at
    with world.engine.begin() as connection:
        set_resumed(connection, account)
    world.load(account, DAY)
    assert world.window(account, DAY).status == "loaded"


def test_a_report_in_flight_outlives_refused_credentials(world: World) -> None:
    """It is not looked at while they are refused, and loaded without a second report once a person has renewed them."""
    account = world.account()
    request_id = world.ask(account, DAY)
    world.break_with("token", what="revoked")
    world.advance(hours=1)
    with world.in_new_process() as started:
        started.step()
        calls = len(world.sandbox.state.ledger.calls())
        started.step()
    assert calls == len(world.sandbox.state.ledger.calls())
    assert "in_flight" == world.request(request_id).status
    world.sandbox.state.rules.clear()
    with world.in_new_process() as later:
        later.sync_accounts()
        later.advance(minutes=5)
        later.step()
    request = world.request(request_id)
    assert ("loaded", 1) == (request.status, request.attempts)


def test_answers_of_two_syncs_at_once_are_stored_once(engine: Engine) -> None:
    """The second one waits for the first, and replaces what it stored."""
    now = datetime.now(UTC)

    def store() -> None:
        with engine.begin() as connection:
            replace_listings(connection, [("default", None, None)], uuid4(), now)

    with ThreadPoolExecutor(1) as pool:
        with engine.begin() as connection:
            replace_listings(connection, [("default", None, None)], uuid4(), now)
            second = pool.submit(store)
            waits = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"
            wait_until(lambda: second.done() or value(engine, waits))
        second.result(30)
    assert 1 == value(engine, "SELECT count(*) FROM credential_listings")
