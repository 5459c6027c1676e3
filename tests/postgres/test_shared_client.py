"""What clients of all processes share through the database: rate limits, access tokens, and the log of calls."""

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import httpx
import psycopg
import pytest
from sqlalchemy import Engine, create_engine, text

from bidbeacon_pipelines.amazon_ads.accounts import list_profiles
from bidbeacon_pipelines.amazon_ads.client import AdsApiClient, Owner
from bidbeacon_pipelines.amazon_ads.errors import AuthError, RateLimited, Throttled
from bidbeacon_pipelines.amazon_ads.portfolios import list_portfolios
from bidbeacon_pipelines.amazon_ads.rate_limits import (
    RESERVED_AHEAD,
    CallClass,
    LimitScope,
    PostgresRateLimits,
)
from bidbeacon_pipelines.amazon_ads.tokens import TokenAnswer, TokenAuth
from bidbeacon_pipelines.database.engine import make_engine
from tests.support.reading import column, tuples, value
from tests.support.waiting import wait_until
from tests.unit.amazon_ads.fakes import FakeAmazon, throttled, token_answer

NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)
IN_LIST_PROFILES = "SELECT request_id FROM api_calls WHERE call = 'list_profiles'"
WAITING = (
    "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype IN ('transactionid', 'tuple')"
)
ONE = LimitScope("client", "NA", CallClass.CREATE, "one")
OTHER = LimitScope("client", "NA", CallClass.CREATE, "other")
OK = httpx.Response(200, json=[])


class Connector:
    """Opens connections, unless the database is to be away; counts how often it was asked to."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.is_away = True
        self.asked = 0

    def __call__(self) -> psycopg.Connection:
        """Open a connection."""
        self.asked += 1
        if self.is_away:
            raise psycopg.OperationalError("connection refused")
        return psycopg.connect(self._url)


@pytest.fixture
def away(database_url: str) -> Iterator[tuple[Connector, Engine]]:
    """Yield an engine on a database that is away until its connector is told otherwise."""
    connector = Connector(database_url)
    made = create_engine("postgresql+psycopg://", creator=connector)
    yield connector, made
    made.dispose()


def limits(engine: Engine, now: datetime = NOON, pace: float = 0.01) -> PostgresRateLimits:
    """Return rate limits at an instant that stands still."""
    return PostgresRateLimits(engine, pace, lambda: now)


@contextmanager
def own_engine(database_url: str) -> Iterator[Engine]:
    """Open a connection of its own, as another process has it."""
    engine = make_engine(database_url, pool_size=1)
    yield engine
    engine.dispose()


def list_profiles_of(amazon: FakeAmazon, *clients: AdsApiClient) -> list[str]:
    """List profiles once with each client; return the tokens that were sent."""
    amazon.plays(*[OK] * len(clients))
    for client in clients:
        list_profiles(client, "NA")
    return amazon.tokens


def test_access_token_that_comes_as_a_request_id_is_masked_in_the_log(engine: Engine) -> None:
    """It is masked before it is cut, so that no part of it is left."""
    token = "Kq3vXw7n9yZb2LmT4cR8dHsJ6gF0pQ1"
    amazon = FakeAmazon()
    amazon.token_script.append(token_answer(token))
    echo = "x" * 990 + token
    amazon.plays(httpx.Response(200, headers={"x-amzn-RequestId": echo}, json=[]))
    list_profiles(amazon.connect(engine=engine), "NA")
    assert "x" * 990 + "•••" == value(engine, IN_LIST_PROFILES)


def test_each_call_of_all_processes_gets_a_start_of_its_own(
    database_url: str, engine: Engine
) -> None:
    """However many ask at once, starts are exactly an interval apart; accounts share their region's."""

    def reserve(number: int) -> list[float]:
        scope = ONE if number % 2 else OTHER
        with own_engine(database_url) as own:
            return [limits(own).reserve(scope) for _ in range(10)]

    with ThreadPoolExecutor(8) as pool:
        waits = [wait for each in pool.map(reserve, range(8)) for wait in each]
    assert [n / 100 for n in range(80)] == pytest.approx(sorted(waits))


def test_start_that_is_far_off_is_not_reserved(engine: Engine) -> None:
    """Who waits for it asks again, and the region's next start stays."""
    slow = limits(engine, pace=5)
    assert [0, 5, 5] == [slow.reserve(ONE) for _ in range(3)]


def test_only_starts_within_a_second_are_reserved_however_many_ask_at_once(
    database_url: str, engine: Engine
) -> None:
    """Each of those that ask at the same moment sees the row as it was; the others are told to wait and ask again."""

    def reserve() -> float:
        with own_engine(database_url) as own:
            return limits(own, pace=1).reserve(ONE)

    reserve()
    with ThreadPoolExecutor(4) as pool:
        with engine.begin() as connection:
            connection.execute(text("SELECT FROM rate_limits FOR UPDATE"))
            asked = [pool.submit(reserve) for _ in range(4)]
            wait_until(lambda: connection.execute(text(WAITING)).scalar_one() == len(asked))
        waits = sorted(each.result() for each in asked)
    assert 1 == waits[0]
    assert all(wait > RESERVED_AHEAD for wait in waits[1:])
    next_start = value(engine, "SELECT next_start_at FROM rate_limits")
    assert NOON + timedelta(seconds=2) == next_start


def test_pause_of_an_account_is_everybodys(engine: Engine) -> None:
    """It lasts as long as Amazon asked, the longest wish stands, and other accounts go on."""
    for seconds in (30, 10):
        limits(engine).pause(ONE, seconds)
    assert [30, 0] == [limits(engine).reserve(scope) for scope in (ONE, OTHER)]
    later = limits(engine, NOON + timedelta(seconds=30))
    assert 0 == later.reserve(ONE)


def test_pause_of_a_region_holds_its_accounts_of_this_client(engine: Engine) -> None:
    """And neither another region's, nor another client's, nor calls of another kind."""
    limits(engine).pause(LimitScope("client", "NA", CallClass.CREATE), 30)
    free = [
        LimitScope("client", "EU", CallClass.CREATE, "one"),
        LimitScope("another", "NA", CallClass.CREATE, "one"),
        LimitScope("client", "NA", CallClass.RETRIEVE, "one"),
    ]
    assert [30, 0, 0, 0] == [limits(engine).reserve(scope) for scope in (ONE, *free)]


def test_pause_of_a_wrong_clock_is_not_believed(engine: Engine) -> None:
    """None is longer than an hour."""
    limits(engine, NOON + timedelta(days=400)).pause(ONE, 30)
    assert 0 == limits(engine).reserve(ONE)
    limits(engine).pause(ONE, 10**6)
    assert 3600 == limits(engine).reserve(ONE)


def test_the_databases_clock_counts(engine: Engine) -> None:
    """Whatever the clock of this machine says."""
    made = PostgresRateLimits(engine, 0.01)
    assert 0 == made.reserve(ONE)
    assert 0 <= made.reserve(ONE) <= 0.01


def test_client_goes_on_while_the_database_is_away(
    away: tuple[Connector, Engine], engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    """Limits and token are its own then, and no call fails for want of the log."""
    connector, unreachable = away
    amazon = FakeAmazon()
    amazon.plays(throttled("40"), OK, OK)
    client = amazon.connect(engine=unreachable, limits=limits(unreachable), attempts=1)
    profile = Owner("NA", "one", profile_id="1")
    with caplog.at_level(logging.WARNING):
        with pytest.raises(Throttled):
            list_portfolios(client, profile)
        with pytest.raises(RateLimited):
            list_portfolios(amazon.connect(engine=unreachable, limits=client._limits), profile)
        list_profiles(client, "NA")
    for said in ("Rate limits apply within", "token can't be shared", "missing in api_calls"):
        assert said in caplog.text
    connector.is_away = False
    list_profiles(client, "NA")
    assert ["list_profiles"] == column(engine, "SELECT call FROM api_calls")


def test_processes_share_a_token(engine: Engine) -> None:
    """One asks for it; who comes later takes it, and so does who is told that the one it had is dead."""
    amazon = FakeAmazon()
    amazon.plays(OK, OK, httpx.Response(401), OK, httpx.Response(401), OK)
    first, second = (amazon.connect(engine=engine) for _ in range(2))
    for client in (first, second, first, second):
        list_profiles(client, "NA")
    assert ["Atza|1"] * 3 + ["Atza|2", "Atza|1", "Atza|2"] == amazon.tokens
    assert 2 == len(amazon.token_calls)
    stored = tuples(engine, "SELECT access_token, credential FROM access_tokens")
    assert ["Atza|2"] == [token for token, _ in stored]
    assert "refresh-1" not in stored[0][1]


def test_client_that_shares_no_token_asks_for_its_own(engine: Engine) -> None:
    """So that `doctor` finds out whether the refresh token still works."""
    amazon = FakeAmazon()
    clients = [amazon.connect(engine=engine, shares_token=shares) for shares in (True, False)]
    assert ["Atza|1", "Atza|2"] == list_profiles_of(amazon, *clients)


def test_token_that_is_old_is_asked_for_anew(engine: Engine) -> None:
    """By the first process that needs one; of another credential there is none."""
    amazon = FakeAmazon()
    assert ["Atza|1"] == list_profiles_of(amazon, amazon.connect(engine=engine))
    amazon.clock.sleep(3300)
    assert ["Atza|1", "Atza|2"] == list_profiles_of(amazon, amazon.connect(engine=engine))


def test_processes_that_need_a_token_at_once_ask_for_one(database_url: str) -> None:
    """The others wait for the lock, and find it."""
    asked = []

    def ask() -> TokenAnswer:
        asked.append(1)
        return TokenAnswer.model_validate({"access_token": f"t{len(asked)}", "expires_in": 3600})

    def get(_: int) -> str:
        with own_engine(database_url) as own:
            return TokenAuth("key", ask, own, lambda: NOON).get()

    with ThreadPoolExecutor(6) as pool:
        assert {"t1"} == set(pool.map(get, range(6)))


def test_refused_credential_is_asked_about_anew_by_the_next_process(engine: Engine) -> None:
    """A person may have seen to it."""
    amazon = FakeAmazon()
    amazon.token_script.append(httpx.Response(400, json={"error": "invalid_grant"}))
    amazon.plays(OK)
    with pytest.raises(AuthError):
        list_profiles(amazon.connect(engine=engine), "NA")
    list_profiles(amazon.connect(engine=engine), "NA")
    assert 2 == len(amazon.token_calls)


def test_each_call_is_logged_with_its_facts(engine: Engine) -> None:
    """Answered or not: which attempt it was, how long it waited, and what it ended in; one with a fresh token has a row too."""
    amazon = FakeAmazon()

    def slow_token(_: httpx.Request) -> httpx.Response:
        amazon.clock.sleep(3)
        return token_answer("Atza|slow")

    refused = httpx.Response(400, json={}, headers={"x-amz-rid": "r-9"})
    amazon.token_script.extend([slow_token, token_answer("Atza|fresh")])
    amazon.plays(throttled("7"), httpx.ReadTimeout("silent"), httpx.Response(401), refused)
    owner = Owner("EU", "one", "DE", "1")
    with pytest.raises(Exception, match="refused"):
        list_portfolios(amazon.connect(engine=engine), owner)
    none, slow = timedelta(0), timedelta(seconds=3)
    tokens = """SELECT region, status, account_id, duration FROM api_calls
                 WHERE call = 'token' ORDER BY id"""
    assert [("NA", 200, None, slow), ("NA", 200, None, none)] == tuples(engine, tokens)
    facts = """
        SELECT status, error, retry_count, EXTRACT(seconds FROM waited), request_id, duration
          FROM api_calls WHERE call = 'list_portfolios' ORDER BY id"""
    assert [
        (429, "Throttled", 0, 0, None, none),
        (None, "Unavailable", 1, 7, None, none),
        (401, "NotAuthorized", 2, 2, None, none),
        (400, "Rejected", 2, 0, "r-9", none),
    ] == tuples(engine, facts)
    whose = """SELECT DISTINCT region, account_id, country_code FROM api_calls
                WHERE call = 'list_portfolios'"""
    assert [("EU", "one", "DE")] == tuples(engine, whose)
