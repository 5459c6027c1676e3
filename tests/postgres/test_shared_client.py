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
from sqlalchemy.exc import OperationalError

from bidbeacon_pipelines.amazon_ads.accounts import list_profiles
from bidbeacon_pipelines.amazon_ads.client import AdsApiClient, AdsRequest, Owner
from bidbeacon_pipelines.amazon_ads.entities import list_portfolios
from bidbeacon_pipelines.amazon_ads.errors import AuthError, RateLimited, Rejected, Throttled
from bidbeacon_pipelines.amazon_ads.rate_limits import (
    RESERVED_AHEAD,
    CallClass,
    LimitScope,
    RateLimiter,
)
from bidbeacon_pipelines.amazon_ads.reports import create_report
from bidbeacon_pipelines.amazon_ads.tokens import TokenAnswer, TokenAuth
from bidbeacon_pipelines.amazon_ads.wire import read_json
from bidbeacon_pipelines.database.engine import make_engine
from tests.support.reading import tuples, value
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


@pytest.fixture
def unreachable() -> Engine:
    """Return an engine on a database that is away."""

    def refuse() -> psycopg.Connection:
        raise psycopg.OperationalError("connection refused")

    return create_engine("postgresql+psycopg://", creator=refuse)


def limits(engine: Engine, now: datetime = NOON, pace: float = 0.01) -> RateLimiter:
    """Return rate limits at an instant that stands still."""
    return RateLimiter(engine, pace, lambda: now)


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


def test_no_pause_is_longer_than_an_hour(engine: Engine) -> None:
    """Amazon is asked again then."""
    limits(engine).pause(ONE, 10**6)
    assert 3600 == limits(engine).reserve(ONE)


def test_the_databases_clock_counts(engine: Engine) -> None:
    """Whatever the clock of this machine says."""
    made = RateLimiter(engine, 0.01)
    assert 0 == made.reserve(ONE)
    assert 0 <= made.reserve(ONE) <= 0.01


def test_pause_holds_back_its_account_alone(engine: Engine) -> None:
    """A pause of one account's calls of a kind holds up no other account, and the caller gets its length."""
    amazon = FakeAmazon()
    amazon.plays(throttled("40"), httpx.Response(200, json={"portfolios": [{"portfolioId": 1}]}))
    client = amazon.connect(engine=engine, patience=5)
    one, other = Owner("NA", "one"), Owner("NA", "other")
    with pytest.raises(Throttled):
        list_portfolios(client, one)
    with pytest.raises(RateLimited) as caught:
        list_portfolios(client, one)
    assert 40 == caught.value.retry_after
    assert [{"portfolioId": 1}] == list_portfolios(client, other)
    assert 2 == len(amazon.calls)


def test_a_pause_that_cannot_be_stored_hides_no_answer(engine: Engine) -> None:
    """The caller gets Amazon's answer, also where the database fails between the call and the pause."""

    def throttle_and_break(_: httpx.Request) -> httpx.Response:
        with engine.begin() as connection:
            connection.execute(text("ALTER TABLE rate_limits RENAME TO other"))
        return throttled("40")

    amazon = FakeAmazon()
    amazon.plays(throttle_and_break)
    with pytest.raises(Throttled) as caught:
        list_portfolios(amazon.connect(engine=engine, patience=5), Owner("NA", "one"))
    assert 40 == caught.value.retry_after


@pytest.mark.parametrize("name", ["query_accounts", "list_profiles"])
def test_every_call_is_limited(engine: Engine, name: str) -> None:
    """Calls of one kind start 0.05 s apart in a region, tokens among themselves."""
    amazon = FakeAmazon()
    amazon.plays(*[OK] * 3)
    client = amazon.connect(limiter=RateLimiter(engine, now=amazon.clock.now))
    request = AdsRequest(name=name, operation=name, owner=Owner("NA"), path="/x")
    for _ in range(3):
        client.call(request, read_json)
    assert [0.05, 0.05] == pytest.approx(amazon.clock.slept)


def test_creates_start_a_second_apart(engine: Engine) -> None:
    """Refused ones as well, and one that is sent again with a fresh token."""
    amazon = FakeAmazon()
    refused = httpx.Response(400, json={"code": "400000"})
    amazon.plays(refused, httpx.Response(401), refused)
    client = amazon.connect(limiter=RateLimiter(engine, now=amazon.clock.now))
    for _ in range(2):
        with pytest.raises(Rejected):
            create_report(client, "EU", "one", fields=["x.y"], start=NOON.date(), end=NOON.date())
    assert 3 == len(amazon.calls)
    assert 2.0 == pytest.approx(sum(amazon.clock.slept))


def test_nothing_is_sent_while_the_database_is_away(unreachable: Engine) -> None:
    """Without the rate limits of all processes."""
    amazon = FakeAmazon()
    with pytest.raises(OperationalError):
        list_profiles(amazon.connect(engine=unreachable), "NA")
    assert ([], []) == (amazon.calls, amazon.token_calls)


def test_no_call_fails_for_want_of_the_log(
    engine: Engine, unreachable: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    """A database that is away when a call is over loses the row, and says so."""
    amazon = FakeAmazon()
    amazon.plays(OK)
    limiter = RateLimiter(engine, 0, amazon.clock.now)
    client = amazon.connect(engine=unreachable, limiter=limiter, shares_token=False)
    with caplog.at_level(logging.WARNING):
        list_profiles(client, "NA")
    assert "could not be recorded in api_calls" in caplog.text


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
