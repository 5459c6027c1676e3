"""What happens to accounts when Amazon refuses our credentials, or one account, and how they get out of it."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from sqlalchemy import Engine
from tenacity import wait_fixed

from bidbeacon_pipelines.accounts.queries import (
    set_needs_attention,
    set_resumed,
)
from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.amazon_ads.client import AdsApiClient, Owner, RetryPolicy
from bidbeacon_pipelines.amazon_ads.endpoints import Endpoints
from bidbeacon_pipelines.amazon_ads.errors import AuthError, NotAuthorized
from bidbeacon_pipelines.amazon_ads.exports import create_export
from bidbeacon_pipelines.amazon_ads.rate_limits import RateLimits
from bidbeacon_pipelines.credentials import SANDBOX_CREDENTIAL
from bidbeacon_pipelines.datasets.registry import DATASETS
from bidbeacon_pipelines.defs.schedules import ENTITIES_LIVE, ENTITIES_MISSED_LIVE
from bidbeacon_pipelines.entities.queries import insert_export
from bidbeacon_pipelines.entities.sync import sync_entities
from bidbeacon_pipelines.job_context import JobContext
from bidbeacon_pipelines.requests.backfill import AccountSkippedError, drive_windows
from bidbeacon_pipelines.settings import Settings
from bidbeacon_pipelines.windows.due import (
    list_ads_accounts_with_due_work,
    list_keys_without_entities,
)
from bidbeacon_pipelines.windows.states import WindowState
from bidbeacon_sandbox.server import SandboxHandle
from tests.postgres.explaining import explained
from tests.support.world import DATASET, World

IMPATIENT = RetryPolicy(attempts=2, patience=0.05, backoff=wait_fixed(0.01))
DAY = date(2026, 1, 12)
AGES = {
    "now": datetime.now(UTC),
    "synced_before": datetime.now(UTC) - timedelta(hours=24),
    "missed_before": datetime.now(UTC) - timedelta(hours=6),
}


class OvertakenTransport(httpx.HTTPTransport):
    """A network on which another sync of the account has its exports stored while ours are being accepted."""

    def __init__(self, engine: Engine, account: Account, other: AdsApiClient) -> None:
        super().__init__()
        self._engine = engine
        self._account = account
        self._other = other

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Pass a request on; after a create, the other's export is stored before its answer is read."""
        response = super().handle_request(request)
        kind = request.url.path.removesuffix("/export").rpartition("/")[2]
        if request.url.path.endswith("/export"):
            assert self._account.profile_id is not None
            owner = Owner(self._account.region, profile_id=self._account.profile_id)
            export = create_export(self._other, owner, kind)  # type: ignore[arg-type]  # one of the four
            with self._engine.begin() as connection:
                insert_export(connection, self._account, kind, export.export_id, datetime.now(UTC))
        return response


def open_client(
    sandbox: SandboxHandle, transport: httpx.BaseTransport | None = None
) -> AdsApiClient:
    """Open a session with the sandbox, which has no token yet and remembers no refusal."""
    return AdsApiClient(
        SANDBOX_CREDENTIAL,
        Endpoints.sandbox(sandbox.url),
        transport=transport,
        retry=IMPATIENT,
        limits=RateLimits(0, sandbox.state.clock.now),
    )


def open_context(
    engine: Engine, sandbox: SandboxHandle, client: AdsApiClient, home: Path
) -> JobContext:
    """Make the tools of a job on the sandbox's clock."""
    settings = Settings(home=home, report_first_poll_seconds=60, report_poll_seconds=1)
    return JobContext(
        engine, lambda _: client, settings, sandbox.state.clock.now, sandbox.state.clock.advance
    )


@pytest.fixture
def anew(world: World, sandbox: SandboxHandle, tmp_path: Path) -> Iterator[World]:
    """Yield the same world to a process that starts now: with no token, and no memory of refusals."""
    with open_client(sandbox) as client:
        yield World(world.engine, sandbox, open_context(world.engine, sandbox, client, tmp_path))


def test_refused_credentials_stop_all_accounts_at_once(world: World, anew: World) -> None:
    """The first report request that meets it marks them all, with one action, and the second adds none."""
    world.break_with("token", what="revoked")
    anew.ask(world.account(), DAY)
    anew.ask(world.account("DE"), DAY)
    marks = world.query("SELECT DISTINCT needs_attention_for FROM ads_accounts")
    assert [{"needs_attention_for": "credentials"}] == marks
    [refused] = world.actions("credentials-refused")
    keys = [
        row["account_key"] for row in world.query("SELECT account_key FROM advertiser_accounts")
    ]
    assert (len(keys), sorted(keys)) == (refused["accounts"], refused["keys"])
    assert "token-revoked" == refused["cause"]["code"]
    assert world.actions("account-needs-attention") == []


def test_any_refusal_by_the_token_endpoint_stops_all_accounts(world: World, anew: World) -> None:
    """It concerns who we are, also where its answer has no code that we know."""
    world.break_with("answer", "token", status=401)
    anew.ask(world.account(), DAY)
    marks = world.query("SELECT DISTINCT needs_attention_for FROM ads_accounts")
    assert [{"needs_attention_for": "credentials"}] == marks


def test_a_load_by_hand_ends_when_credentials_are_refused(world: World, anew: World) -> None:
    """It doesn't wait for hours: the person is told at once why nothing comes."""
    world.break_with("token", what="revoked")
    before = world.context.now()
    with (
        anew.session("load-windows") as session,
        pytest.raises(AccountSkippedError, match="revoked"),
    ):
        drive_windows(anew.context, session, world.account(), DATASET, [DAY], by="maria")
    assert timedelta(seconds=10) > world.context.now() - before


def test_a_window_that_rests_says_that_credentials_are_refused(world: World, anew: World) -> None:
    """Not that its request is sent within a minute, which isn't so."""
    account = world.account()
    world.break_with("token", what="revoked")
    anew.ask(account, DAY)
    told = explained(world, account, DAY)
    assert told.state == WindowState.NEEDS_ATTENTION
    assert "Amazon refused our refresh token" in told.sentence


def test_nothing_is_started_while_credentials_are_refused(world: World, anew: World) -> None:
    """The sensors' questions find no account, though windows are due and entities missing."""
    world.break_with("token", what="revoked")
    anew.ask(world.account(), DAY)
    with world.engine.begin() as connection:
        assert (
            list_ads_accounts_with_due_work(
                connection, now=world.context.now(), datasets=tuple(DATASETS)
            )
            == []
        )
        assert list_keys_without_entities(connection, **AGES) == []


def test_an_account_sync_that_works_is_the_way_back(
    world: World, anew: World, sandbox: SandboxHandle, tmp_path: Path
) -> None:
    """Accounts that waited for credentials go on, with what they were asked for due at once; others still need their person."""
    own = world.account("JP")
    with world.engine.begin() as connection:
        set_needs_attention(connection, own.account_id, {"code": "account-refused"})
    world.break_with("token", what="revoked")
    anew.ask(world.account(), DAY)
    with pytest.raises(AuthError):
        anew.sync_accounts()
    sandbox.state.rules.clear()
    with open_client(sandbox) as client:
        World(
            world.engine, sandbox, open_context(world.engine, sandbox, client, tmp_path)
        ).sync_accounts()
    still = world.query(
        "SELECT ads_account_key, needs_attention FROM ads_accounts WHERE needs_attention IS NOT NULL"
    )
    assert [
        {"ads_account_key": own.ads_account_key, "needs_attention": {"code": "account-refused"}}
    ] == still
    [accepted] = world.actions("credentials-accepted")
    assert own.account_key not in accepted["keys"]
    assert accepted["accounts"] == len(accepted["keys"])
    request = world.request(world.window(world.account(), DAY).request_id or 0)
    assert (request.status, request.attempts) == ("planned", 0)
    world.advance(seconds=1)
    world.step()
    assert world.request(request.id).status == "in_flight"


def test_an_account_sync_that_is_refused_marks_all_accounts(world: World, anew: World) -> None:
    """The hourly sync may be the first to find out; it costs one call to the token endpoint."""
    world.break_with("token", what="revoked")
    before = len(world.sandbox.state.ledger.calls("token"))
    with pytest.raises(AuthError):
        anew.sync_accounts()
    assert before + 1 == len(world.sandbox.state.ledger.calls("token"))
    assert len(world.actions("credentials-refused")) == 1


def test_exports_that_are_refused_concern_their_country_alone(world: World) -> None:
    """After the third 403 in a row no sync of this country is started for hours; its ads account's reports and the other country go on."""
    refused, other = world.account(), world.account("CA")
    world.break_with("answer", "create_export", times=3, status=403)
    for _ in range(3):
        assert refused.account_key in syncs_due(world)
        with pytest.raises(NotAuthorized):
            world.sync_entities(refused)
    assert {other.account_key} == syncs_due(world) & {refused.account_key, other.account_key}
    assert [] == world.query(
        "SELECT FROM ads_accounts WHERE needs_attention IS NOT NULL OR refusals > 0"
    )
    world.load(refused, DAY)
    assert "loaded" == world.window(refused, DAY).status
    world.advance(hours=6)
    assert refused.account_key in syncs_due(world)


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
        assert (account.account_key in syncs_due(world)) == (refusals < 3)
        if refusals < 3:
            world.sync_entities(account)
            world.advance(days=2)
    with world.engine.begin() as connection:
        set_resumed(connection, account.account_key)
    assert account.account_key in syncs_due(world)


def syncs_due(world: World) -> set[str]:
    """Return the accounts whose entities are to be synced now, as the sensor asks for them."""
    now = world.context.now()
    with world.engine.begin() as connection:
        return set(
            list_keys_without_entities(
                connection,
                now=now,
                synced_before=now - ENTITIES_LIVE,
                missed_before=now - ENTITIES_MISSED_LIVE,
            )
        )


def _need_attention(world: World, account: Account) -> None:
    with world.engine.begin() as connection:
        set_needs_attention(connection, account.account_id, {"code": "account-refused"})


STOPS = [
    (_need_attention, "not_authorized", WindowState.NEEDS_ATTENTION),
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
    ended = world.request(request_id)
    assert (calls, "failed", kind) == (
        len(world.sandbox.state.ledger.calls()),
        ended.status,
        ended.failure_kind,
    )
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
        set_resumed(connection, account.account_key)
    world.load(account, DAY)
    assert world.window(account, DAY).status == "loaded"


def test_a_report_in_flight_outlives_refused_credentials(
    world: World, anew: World, sandbox: SandboxHandle, tmp_path: Path
) -> None:
    """It is not looked at while they are refused, and loaded without a second report once a person has renewed them."""
    account = world.account()
    request_id = world.ask(account, DAY)
    world.break_with("token", what="revoked")
    world.advance(hours=1)
    anew.step()
    calls = len(world.sandbox.state.ledger.calls())
    anew.step()
    assert (calls, "in_flight") == (
        len(world.sandbox.state.ledger.calls()),
        world.request(request_id).status,
    )
    sandbox.state.rules.clear()
    with open_client(sandbox) as client:
        later = World(world.engine, sandbox, open_context(world.engine, sandbox, client, tmp_path))
        later.sync_accounts()
        later.advance(minutes=5)
        later.step()
    assert ("loaded", 1) == (world.request(request_id).status, world.request(request_id).attempts)


def test_an_entity_sync_that_meets_refused_credentials_marks_all(world: World, anew: World) -> None:
    """Whoever finds out first, it is the same mark."""
    world.break_with("token", what="revoked")
    with pytest.raises(AuthError):
        anew.sync_entities(world.account())
    marked = world.query("SELECT needs_attention_for, count(*) FROM ads_accounts GROUP BY 1")
    assert ["credentials"] == [row["needs_attention_for"] for row in marked]


def test_a_sync_that_another_overtakes_adopts_its_exports(
    world: World, sandbox: SandboxHandle, tmp_path: Path
) -> None:
    """Two syncs of one account at once end well: all four kinds are loaded, from the exports that were stored first."""
    account = world.account()
    transport = OvertakenTransport(world.engine, account, world.context.client_for("default"))
    with open_client(sandbox, transport) as client, world.session("sync-entities") as session:
        sync_entities(open_context(world.engine, sandbox, client, tmp_path), session, account)
    assert [True] * 4 == [action["adopted"] for action in world.actions("export-requested")]
    stored = world.query("SELECT status, count(*) FROM entity_exports GROUP BY status")
    assert [{"status": "loaded", "count": 4}] == stored
