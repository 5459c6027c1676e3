"""Two credentials of two clients at one sandbox, which list overlapping accounts: whose each is, and what a refusal stops."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import date
from pathlib import Path

import pytest
from sqlalchemy import Engine

from bidbeacon_pipelines.amazon_ads.client import AdsApiClient
from bidbeacon_pipelines.amazon_ads.endpoints import Endpoints
from bidbeacon_pipelines.amazon_ads.rate_limits import RateLimiter
from bidbeacon_pipelines.job_context import JobContext
from bidbeacon_pipelines.settings import Settings, get_settings
from bidbeacon_sandbox.server import SandboxHandle
from tests.postgres.explaining import findings
from tests.support.checking import assert_has
from tests.support.commands import json_of, run_command
from tests.support.reading import column, tuples
from tests.support.rows import change_ads_accounts
from tests.support.world import IMPATIENT, World

DAY = date(2026, 1, 12)
PLAYED = [
    {"client_id": "one", "client_secret": "1", "refresh_token": "Atzr|1", "accounts": [0, 1]},
    {"client_id": "two", "client_secret": "2", "refresh_token": "Atzr|2", "accounts": [1, 2]},
]
"""The sandbox's first account is in the US and Canada, the second, which both list, in Germany and the UK, the third in Japan."""
FILE = """
    sandbox = true
    clients.one = {client_id = "one", client_secret = "1"}
    clients.two = {client_id = "two", client_secret = "2"}
    credentials.agency = {client = "one", refresh_token = "Atzr|1"}
    credentials.brand = {client = "two", refresh_token = "Atzr|2"}
"""
pytestmark = pytest.mark.parametrize("sandbox", [{"credentials": PLAYED}], indirect=True)


@pytest.fixture
def settings(
    sandbox: SandboxHandle,
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Settings:
    """Return the settings of a process with both credentials; commands read the same."""
    file = tmp_path / "credentials.toml"
    file.write_text(FILE)
    file.chmod(0o600)
    monkeypatch.setenv("BIDBEACON_HOME", str(tmp_path))
    monkeypatch.setenv("BIDBEACON_CREDENTIALS_FILE", str(file))
    monkeypatch.setenv("BIDBEACON_DATABASE_URL", database_url)
    monkeypatch.setenv("BIDBEACON_SANDBOX_URL", sandbox.url)
    return get_settings()


@pytest.fixture
def world(engine: Engine, sandbox: SandboxHandle, settings: Settings) -> Iterator[World]:
    """Yield a world whose accounts are stored."""
    with process(engine, sandbox, settings) as made:
        made.sync_accounts()
        yield made


@pytest.fixture
def anew(
    world: World, engine: Engine, sandbox: SandboxHandle, settings: Settings
) -> Iterator[World]:
    """Yield the same world to a process that starts now, with no token and no memory of refusals."""
    with process(engine, sandbox, settings) as made:
        yield made


@contextmanager
def process(engine: Engine, sandbox: SandboxHandle, settings: Settings) -> Iterator[World]:
    """Open the world with the tools of a new process, on the sandbox's clock."""
    clock, endpoints = sandbox.state.clock, Endpoints.sandbox(sandbox.url)
    limiter = RateLimiter(engine, 0, clock.now)
    with ExitStack() as opened:
        clients = {
            name: opened.enter_context(
                AdsApiClient(one, endpoints, retry=IMPATIENT, limiter=limiter)
            )
            for name, one in settings.credentials.items()
        }
        context = JobContext(engine, clients.__getitem__, settings, clock.now, clock.advance)
        yield World(engine, sandbox, context)


def owners(world: World) -> dict[str, str]:
    """Return the credential of each country's ads account that is not disabled."""
    return {c: world.account(c).ads_account.credential for c in ("US", "CA", "DE", "GB", "JP")}


def stopped(world: World) -> set[str]:
    """Return the credentials whose ads accounts need attention."""
    stored = "SELECT credential FROM ads_accounts WHERE needs_attention IS NOT NULL"
    return set(column(world.engine, stored))


def advice_of(world: World) -> dict[str, str]:
    """Return the findings on credentials as Home has them: what to do by headline."""
    found = findings(world, "listed-twice", "token-revoked")
    return {one.headline: one.advice for one in found}


def test_a_refused_credential_stops_its_own_accounts_only(world: World, anew: World) -> None:
    """The other's accounts are loaded through a gate of their own, synced, and the shared one can be given to it."""
    theirs = dict.fromkeys(("US", "CA", "DE", "GB"), "agency") | {"JP": "brand"}
    assert theirs == owners(world)
    world.break_with("token", what="revoked", client="one")
    anew.ask(anew.account("US"), DAY)
    assert {"agency"} == stopped(world)
    [refused] = world.actions("credentials-refused")
    assert ("agency", 4) == (refused["credential_name"], refused["accounts"])
    anew.load(anew.account("JP"), DAY)
    anew.sync_entities(anew.account("JP"))
    assert "loaded" == world.window(world.account("JP"), DAY).status
    anew.sync_accounts()
    assert theirs == owners(world)
    assert {"agency"} == stopped(world)
    run_command("credentials", "assign", "brand", world.account("DE").ads_account_key)
    anew.load(anew.account("DE"), DAY)
    assert "loaded" == world.window(world.account("DE"), DAY).status
    gates = tuples(world.engine, "SELECT client_id, region FROM report_gates")
    assert {("two", "EU"), ("two", "FE")} <= set(gates)
    world.sandbox.state.rules.clear()
    world.sync_accounts()
    assert set() == stopped(world)
    assert theirs | {"DE": "brand", "GB": "brand"} == owners(world)


def test_a_credential_whose_accounts_cannot_be_listed_is_one_finding(
    world: World, anew: World
) -> None:
    """With its name, the accounts that it stops, and what to do."""
    world.break_with("token", what="revoked", client="one")
    anew.sync_accounts()
    named = [headline for headline in advice_of(world) if "credential agency" in headline]
    assert 1 == len(named)
    world.sandbox.state.rules.clear()


def test_an_account_that_two_credentials_list_is_said_until_a_person_decides(
    world: World,
) -> None:
    """With the command that decides; deciding for the present owner is enough, and another sync changes nothing."""
    name = world.account("DE").ads_account.label
    key = world.account("DE").ads_account_key
    said = f"{name}: The credentials agency and brand list the same account; it belongs to agency."
    advice = f"Choose the credential that the account belongs to: `bidbeacon credentials assign NAME {key}`."
    assert {said: advice} == advice_of(world)
    run_command("credentials", "assign", "agency")
    assert {} == advice_of(world)
    world.sync_accounts()
    assert {} == advice_of(world)
    assert "agency" == owners(world)["DE"]
    [assigned] = world.actions("account-assigned")
    given = {name: value for name, value in assigned.items() if value is not None}
    assert {"account": key, "credential_name": "agency", "by": "command line"} == given


def test_a_credential_that_does_not_answer_still_lists_what_it_listed(
    world: World, anew: World
) -> None:
    """Whether it is refused or one region fails: the finding stays, and its account can be given to it."""
    said = advice_of(world)
    assert 1 == len(said)
    world.break_with("answer", "list_accounts", status=500, client="two", region="EU")
    world.sync_accounts()
    assert said == advice_of(world)
    world.sandbox.state.rules.clear()
    world.break_with("token", what="revoked", client="two")
    anew.sync_accounts()
    assert said.items() <= advice_of(world).items()
    run_command("credentials", "assign", "brand", world.account("DE").ads_account_key)
    assert "brand" == owners(world)["DE"]


def test_accounts_of_a_credential_that_is_gone_belong_to_the_one_that_lists_them(
    world: World,
) -> None:
    """As those of the three variables do, once a file takes their place; what stopped them is over."""
    change_ads_accounts(
        world.engine,
        credential="default",
        client_id="zero",
        needs_attention_for="credentials",
        needs_attention={"code": "credential-not-set", "credential_name": "default"},
    )
    world.sync_accounts()
    assert_has(owners(world), DE="agency", JP="brand")
    assert set() == stopped(world)
    stored = "SELECT DISTINCT credential, client_id FROM ads_accounts ORDER BY 1"
    assert [("agency", "one"), ("brand", "two")] == tuples(world.engine, stored)[:2]


def test_commands_say_how_each_credential_is(world: World, anew: World) -> None:
    """`list` what is stored, `check` what Amazon answers now, which fails if one is refused."""
    world.break_with("token", what="revoked", client="one")
    anew.ask(anew.account("US"), DAY)
    listed = json_of("credentials", "list")
    shown = {one["credential"]: (one["ads_accounts"], one["listed_twice"]) for one in listed}
    assert {"agency": (2, 1), "brand": (1, 0)} == shown
    assert ["token-revoked", None] == [one["refused"] and one["refused"]["code"] for one in listed]
    checked = json_of("credentials", "check", code=1)
    assert [(0, 1), (2, 0)] == [(one["ads_accounts"], len(one["errors"])) for one in checked]
    assert "agency" in run_command("credentials", "list").stdout
    world.sandbox.state.rules.clear()
    accepted = run_command("credentials", "check").stdout
    assert "agency: accepted; lists 2 ads accounts" in accepted
    run_command("credentials", "check", "nobody", code=2)
    run_command("credentials", "assign", "brand", world.account("US").ads_account_key, code=2)
