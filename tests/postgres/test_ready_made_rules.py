"""The sandbox's ready-made rules: each shows in BidBeacon where its links lead; and accounts have BidBeacon's names there."""

from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from bidbeacon_pipelines.accounts.names import get_named_account
from bidbeacon_pipelines.problems.home import read_home
from bidbeacon_pipelines.requests.outlook import QueueState
from bidbeacon_pipelines.requests.queue import read_queue
from bidbeacon_pipelines.states.window_states import WindowState
from bidbeacon_sandbox.names import find_account
from bidbeacon_sandbox.ready_made import READY_MADE, ReadyMade
from tests.postgres.lone_day import LoneDay, fresh_day, open_lone_world
from tests.support.world import World

STEP = timedelta(minutes=8)
STEPS = 6
"""After half an hour a report is late; one that is empty is judged when it is loaded."""


@pytest.fixture(scope="module")
def place(shared_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Yield the world of all rules: one day is due."""
    with open_lone_world(shared_database_url, tmp_path_factory.mktemp("home")) as place:
        yield place


@pytest.fixture
def lone(place: World) -> Iterator[LoneDay]:
    """Yield the day as if no rule had been on, with an access token that is cached."""
    with fresh_day(place) as lone:
        lone.world.sync_accounts()
        yield lone


def click(world: World, **form: str) -> None:
    """Press a button of the sandbox's page."""
    answer = httpx.post(f"{world.sandbox.url}/sandbox/ready-made", data=form)
    assert 303 == answer.status_code


@pytest.mark.parametrize("one", READY_MADE, ids=lambda one: one.name)
def test_a_ready_made_rule_shows_where_its_links_lead(lone: LoneDay, one: ReadyMade) -> None:
    """One click, and Home, its cause, and the page of what it affects show it; another click, and only its count stays."""
    world = lone.world
    account = find_account("Acme Merch", world.sandbox.state.world.accounts.accounts)
    click(world, on=one.name, account="Acme Merch")
    links = [link.path_for(account) for link in one.links]
    for _ in range(STEPS):
        lone.do_what_is_due()
        if shows(lone, links):
            break
        world.advance(seconds=STEP.total_seconds())
    else:
        raise AssertionError(f"{links} show nothing")
    click(world, off=one.name)
    [armed] = world.sandbox.state.rules.overview()
    assert not armed["on"]
    assert armed["struck"] > 0


def shows(lone: LoneDay, links: list[str]) -> bool:
    """Return whether Home has a finding of one of the causes, and each other page has what its link selects."""
    world = lone.world
    home = read_home(world.sessions, world.context.settings, world.context.now())
    parts = [urlsplit(link) for link in links]
    causes = {part.fragment for part in parts if part.path == "/causes"}
    if causes.isdisjoint(finding["code"] for finding in home["findings"]):
        return False
    queries = [(part.path, dict(parse_qs(part.query))) for part in parts if part.query]
    return all(
        _is_queued(world, query) if path == "/queue" else _is_covered(lone, query)
        for path, query in queries
    )


def _is_queued(world: World, query: dict[str, list[str]]) -> bool:
    state = QueueState(query["state"][0]) if "state" in query else None
    cause = query.get("cause", [None])[0]
    with world.engine.connect() as connection:
        account_id = get_named_account(connection, query["account"][0]).account_id
        found = read_queue(
            connection,
            loads_at_once=2,
            now=world.context.now(),
            account_id=account_id,
            state=state,
            cause=cause,
        )
    return bool(found["matching"] == 1)


def _is_covered(lone: LoneDay, query: dict[str, list[str]]) -> bool:
    account = lone.world.account()
    assert query["dataset"] == [lone.window.dataset]
    assert query["accounts"] == [account.label]
    return "state" not in query or query["state"] == [WindowState.FAILED] == [lone.window.status]


def test_a_cached_token_is_refused_after_a_revocation(lone: LoneDay) -> None:
    """The next call gets a 401, and no new token, though the token would have lived for an hour; off again, a sync resumes all accounts."""
    world = lone.world
    world.sandbox.state.ledger.clear()
    click(world, on="revoked token")
    lone.do_what_is_due()
    calls = [(call.operation, call.status) for call in world.sandbox.state.ledger.calls()]
    assert [("create_report", 401), ("token", 400)] == calls
    assert "token-revoked" == (world.account().needs_attention or {})["code"]
    click(world, off="revoked token")
    with world.in_new_process() as later:
        later.sync_accounts()
    assert world.account().needs_attention is None


@pytest.mark.parametrize("sandbox", [{"accounts": 30}], indirect=True)
def test_the_sandbox_knows_the_keys_and_names_of_bidbeacon(world: World) -> None:
    """Of every account, in any alphabet."""
    accounts = world.accounts()
    assert len(accounts) > 30
    for one in accounts:
        for name in (one.account_key, one.label, one.ads_account_key):
            found = find_account(name, world.sandbox.state.world.accounts.accounts)
            assert found is not None, name
            assert one.account_id == found.account_id
