import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from urllib.parse import parse_qs

import httpx
import pytest
from pydantic import SecretStr

from bidbeacon_pipelines.amazon_ads import Endpoints, retrieve_report
from bidbeacon_pipelines.amazon_ads.errors import (
    AuthError,
    InvalidClient,
    InvalidGrant,
    MalformedAnswer,
    NotAuthorized,
    Throttled,
    Upstream,
)
from bidbeacon_pipelines.amazon_ads.tokens import AccessTokens, SharedTokens
from tests.unit.amazon_ads.fakes import (
    CREDENTIALS,
    HTML,
    Bench,
    FakeClock,
    open_bench,
    report_answer,
    token_answer,
)

URL = Endpoints.amazon().token["NA"]
REVOKED = {
    "error": "invalid_grant",
    "error_description": "The request has an invalid grant parameter : refresh_token. Atzr|refresh-1",
}


def poll(bench: Bench) -> None:
    """Make a read that succeeds once the token is good."""
    bench.amazon.plays(report_answer())
    retrieve_report(bench.client, "NA", "rpt-0b6f7c1e")


def sent_tokens(bench: Bench) -> list[str]:
    """Return the tokens the API saw."""
    return [call.headers["Authorization"] for call in bench.amazon.calls]


def test_refresh_token_is_exchanged_by_form(bench: Bench) -> None:
    """The token endpoint of the credential's region gets the four form fields of Login with Amazon."""
    poll(bench)
    (call,) = bench.amazon.token_calls
    assert str(call.url) == "https://api.amazon.com/auth/o2/token"
    assert parse_qs(call.content.decode()) == {
        "grant_type": ["refresh_token"],
        "client_id": ["client-1"],
        "client_secret": ["secret-1"],
        "refresh_token": ["Atzr|refresh-1"],
    }


def test_token_is_kept(bench: Bench) -> None:
    """Calls within a token's life share it."""
    poll(bench)
    poll(bench)
    assert sent_tokens(bench) == ["Bearer Atza|1", "Bearer Atza|1"]


def test_token_is_renewed_before_its_end(bench: Bench) -> None:
    """A token that is about to end is replaced before Amazon refuses it."""
    poll(bench)
    bench.clock.instant += timedelta(seconds=3600 * 0.96)
    poll(bench)
    assert sent_tokens(bench) == ["Bearer Atza|1", "Bearer Atza|2"]


def test_token_is_not_renewed_early(bench: Bench) -> None:
    """A token serves at least 85 % of its life."""
    poll(bench)
    bench.clock.instant += timedelta(seconds=3600 * 0.84)
    poll(bench)
    assert len(bench.amazon.token_calls) == 1


class CountingLock:
    """A lock that knows how many have come to it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.came = threading.Semaphore(0)

    def __enter__(self) -> None:
        self.came.release()
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def test_callers_at_once_cause_one_renewal() -> None:
    """Twenty threads that find no token ask for one together: it is on its way until all have come."""
    threads, lock, clock = 20, CountingLock(), FakeClock()
    bench = open_bench(clock=clock, tokens=AccessTokens(CREDENTIALS, URL, clock=clock, lock=lock))

    def answer_when_all_came(_: httpx.Request) -> httpx.Response:
        assert all(lock.came.acquire(timeout=10) for _ in range(threads))
        return token_answer("Atza|one")

    bench.amazon.plays_token(answer_when_all_came)
    bench.amazon.plays(*(report_answer() for _ in range(threads)))
    with ThreadPoolExecutor(threads) as pool:
        list(
            pool.map(lambda _: retrieve_report(bench.client, "NA", "rpt-0b6f7c1e"), range(threads))
        )
    assert sent_tokens(bench) == ["Bearer Atza|one"] * threads
    assert len(bench.amazon.token_calls) == 1


def test_callers_rejected_at_once_cause_one_renewal(bench: Bench) -> None:
    """Threads that all meet 401 with the same token renew it once."""
    threads = 4
    together = threading.Barrier(threads)

    def reject(_: httpx.Request) -> httpx.Response:
        together.wait(timeout=10)
        return httpx.Response(401, json={"code": "UNAUTHORIZED"})

    bench.amazon.plays(*[reject] * threads, *(report_answer() for _ in range(threads)))
    with ThreadPoolExecutor(threads) as pool:
        list(
            pool.map(lambda _: retrieve_report(bench.client, "NA", "rpt-0b6f7c1e"), range(threads))
        )
    assert len(bench.amazon.token_calls) == 2


def test_fresh_token_cures_401(bench: Bench) -> None:
    """A call answered with 401 is made again with a fresh token, without a wait."""
    bench.amazon.plays(httpx.Response(401, json={"message": "Unauthorized"}))
    poll(bench)
    assert sent_tokens(bench) == ["Bearer Atza|1", "Bearer Atza|2"]
    assert bench.clock.slept == []


def test_rejected_token_is_never_sent_again(bench: Bench) -> None:
    """A token that was rejected doesn't come back while the token endpoint has a problem."""
    bench.amazon.plays(httpx.Response(401))
    bench.amazon.plays_token(
        token_answer("Atza|dead"), httpx.Response(503), token_answer("Atza|good")
    )
    poll(bench)
    assert sent_tokens(bench)[-1] == "Bearer Atza|good"


def test_second_401_is_final(bench: Bench) -> None:
    """A call that a fresh token doesn't cure isn't made a third time."""
    bench.amazon.plays(*(httpx.Response(401, json={"message": "Unauthorized"}) for _ in range(2)))
    with pytest.raises(NotAuthorized):
        retrieve_report(bench.client, "NA", "rpt-0b6f7c1e")
    assert len(bench.amazon.calls) == 2


def test_403_is_not_a_matter_of_tokens(bench: Bench) -> None:
    """A 403 causes no renewal."""
    bench.amazon.plays(httpx.Response(403, json={"code": "FORBIDDEN", "details": "no rights"}))
    with pytest.raises(NotAuthorized, match="no rights"):
        retrieve_report(bench.client, "NA", "rpt-0b6f7c1e")
    assert len(bench.amazon.token_calls) == 1


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, REVOKED, InvalidGrant),
        (
            401,
            {"error": "invalid_client", "error_description": "Client authentication failed"},
            InvalidClient,
        ),
        (
            400,
            {"error": "unauthorized_client", "error_description": "Not for this grant"},
            InvalidClient,
        ),
        (400, {"error": "unsupported_grant_type"}, AuthError),
    ],
)
def test_refused_credentials_are_terminal(
    bench: Bench, status: int, body: dict[str, str], kind: type[AuthError]
) -> None:
    """Each refusal of Login with Amazon has its error, asked for once."""
    bench.amazon.plays_token(httpx.Response(status, json=body))
    with pytest.raises(kind) as caught:
        retrieve_report(bench.client, "NA", "rpt-0b6f7c1e")
    assert type(caught.value) is kind
    assert caught.value.code == body["error"]
    assert bench.amazon.calls == []
    assert len(bench.amazon.token_calls) == 1


@pytest.mark.parametrize("error", ["invalid_grant", "invalid_client"])
def test_refused_credentials_are_not_sent_again(bench: Bench, error: str) -> None:
    """After a terminal refusal every later call of the client fails the same way, with no call to Amazon."""
    bench.amazon.plays_token(httpx.Response(400, json={"error": error, "error_description": "no"}))
    with pytest.raises(AuthError) as first:
        retrieve_report(bench.client, "NA", "rpt-0b6f7c1e")
    bench.clock.instant += timedelta(days=2)
    for _ in range(3):
        with pytest.raises(type(first.value)) as later:
            retrieve_report(bench.client, "EU", "rpt-0b6f7c1e")
        assert str(later.value) == str(first.value)
        assert later.value is not first.value
    assert (len(bench.amazon.token_calls), len(bench.amazon.calls)) == (1, 0)


def test_refusal_while_a_token_lives_is_final(bench: Bench) -> None:
    """Credentials that are refused at a renewal end the client, though the old token had some minutes left."""
    poll(bench)
    bench.clock.instant += timedelta(seconds=3600 * 0.96)
    bench.amazon.plays_token(httpx.Response(400, json=REVOKED))
    for _ in range(2):
        with pytest.raises(InvalidGrant):
            retrieve_report(bench.client, "NA", "rpt-0b6f7c1e")
    assert len(bench.amazon.token_calls) == 2


def test_other_refusals_are_asked_again(bench: Bench) -> None:
    """A refusal that isn't about our credentials, of a proxy say, may be over at the next call."""
    bench.amazon.plays_token(httpx.Response(403, text=HTML))
    with pytest.raises(AuthError):
        retrieve_report(bench.client, "NA", "rpt-0b6f7c1e")
    poll(bench)
    assert len(bench.amazon.token_calls) == 2


@pytest.mark.parametrize(
    ("answer", "kind"),
    [(httpx.Response(400, json=REVOKED), InvalidGrant), (httpx.Response(503, text=HTML), Upstream)],
)
def test_callers_at_once_share_a_failure(answer: httpx.Response, kind: type[Exception]) -> None:
    """Twenty threads that wait for one renewal share its error: none of them asks after it."""
    threads, lock, clock = 20, CountingLock(), FakeClock()
    tokens = AccessTokens(CREDENTIALS, URL, clock=clock, lock=lock)
    bench = open_bench(clock=clock, tokens=tokens, attempts=1)

    def answer_when_all_came(_: httpx.Request) -> httpx.Response:
        assert all(lock.came.acquire(timeout=10) for _ in range(threads))
        return answer

    bench.amazon.plays_token(answer_when_all_came)

    def fail(_: int) -> type[Exception]:
        with pytest.raises(kind) as caught:
            retrieve_report(bench.client, "NA", "rpt-0b6f7c1e")
        return caught.type

    with ThreadPoolExecutor(threads) as pool:
        assert set(pool.map(fail, range(threads))) == {kind}
    assert len(bench.amazon.token_calls) == 1


def test_wish_of_the_token_endpoint_is_kept_by_all() -> None:
    """After a 429 with `Retry-After` the token endpoint is left alone so long, by the next call too."""
    bench = open_bench(attempts=1)
    bench.amazon.plays_token(httpx.Response(429, headers={"Retry-After": "40"}))
    for left in (40, 30):
        with pytest.raises(Throttled) as caught:
            retrieve_report(bench.client, "NA", "rpt-0b6f7c1e")
        assert caught.value.retry_after == left
        bench.clock.instant += timedelta(seconds=10)
    assert len(bench.amazon.token_calls) == 1
    bench.clock.instant += timedelta(seconds=20)
    poll(bench)
    assert len(bench.amazon.token_calls) == 2


def test_wish_of_the_token_endpoint_is_waited_once(bench: Bench) -> None:
    """The call that met the wish waits it out and goes on."""
    bench.amazon.plays_token(httpx.Response(429, headers={"Retry-After": "40"}))
    poll(bench)
    assert bench.clock.slept == [40.0]
    assert len(bench.amazon.token_calls) == 2


@pytest.mark.parametrize("draws", ["first", "last"])
def test_renewal_is_drawn(draws: str) -> None:
    """The instant of a renewal is drawn between 85 and 95 % of a token's life."""
    drawn: list[tuple[float, float]] = []

    def draw(low: float, high: float) -> float:
        drawn.append((low, high))
        return low if draws == "first" else high

    clock = FakeClock()
    bench = open_bench(clock=clock, tokens=AccessTokens(CREDENTIALS, URL, clock=clock, draw=draw))
    poll(bench)
    due = 3600 * (0.85 if draws == "first" else 0.95)
    bench.clock.instant += timedelta(seconds=due - 1)
    poll(bench)
    bench.clock.instant += timedelta(seconds=2)
    poll(bench)
    assert drawn == [(0.85, 0.95)] * 2
    assert len(bench.amazon.token_calls) == 2


def test_second_401_says_what_to_do(bench: Bench) -> None:
    """A 401 that a fresh token doesn't cure names account, status and request, and what helps."""
    answer = httpx.Response(
        401, json={"message": "Unauthorized"}, headers={"x-amzn-RequestId": "RID7"}
    )
    bench.amazon.plays(httpx.Response(401), answer)
    with pytest.raises(NotAuthorized) as caught:
        retrieve_report(bench.client, "NA", "rpt-1", account_id="amzn1.ads-account.g.one")
    assert str(caught.value) == (
        "Amazon refused the account: Unauthorized. Check that the authorising user may see this account, and that it belongs to "
        "this region. Then run `bidbeacon accounts resume ACCOUNT`. Could not retrieve a report (report rpt-1 of account amzn1.ads-account.g.one; status 401, request RID7)."
    )


@pytest.mark.parametrize("life", ["1e400", "NaN", "-1", "0", '"soon"'])
def test_impossible_lives_are_malformed(bench: Bench, life: str) -> None:
    """A token's life that is none is named, and breaks nothing."""
    body = f'{{"access_token": "Atza|hidden", "expires_in": {life}}}'
    bench.amazon.plays_token(httpx.Response(200, text=body))
    with pytest.raises(MalformedAnswer, match="expires_in"):
        retrieve_report(bench.client, "NA", "rpt-0b6f7c1e")


def test_errors_hold_no_token(bench: Bench) -> None:
    """A token that Amazon repeats in an error is masked."""
    bench.amazon.plays_token(httpx.Response(400, json=REVOKED))
    with pytest.raises(InvalidGrant) as caught:
        retrieve_report(bench.client, "NA", "rpt-0b6f7c1e")
    assert "refresh-1" not in str(caught.value)
    assert "refresh_token. •••" in str(caught.value)


def test_token_endpoint_is_retried(bench: Bench) -> None:
    """A passing problem of the token endpoint is waited out, also with an HTML body."""
    bench.amazon.plays_token(httpx.Response(503, text=HTML), httpx.ConnectError("refused"))
    poll(bench)
    assert len(bench.amazon.token_calls) == 3
    assert [wait.attempt for wait in bench.waits] == [1, 2]


def test_old_token_serves_while_endpoint_is_down(bench: Bench) -> None:
    """A token that should be renewed and can't is used to its end, and the endpoint is asked every half minute."""
    poll(bench)
    bench.clock.instant += timedelta(seconds=3600 * 0.96)
    bench.amazon.plays_token(httpx.Response(503), httpx.Response(503))
    for _ in range(6):
        poll(bench)
        bench.clock.instant += timedelta(seconds=10)
    assert sent_tokens(bench) == ["Bearer Atza|1"] * 7
    assert len(bench.amazon.token_calls) == 3
    poll(bench)
    assert sent_tokens(bench)[-1] == "Bearer Atza|4"


def test_ended_token_is_never_sent() -> None:
    """A token past its end isn't used, even where no other can be had."""
    bench = open_bench(attempts=1)
    poll(bench)
    bench.clock.instant += timedelta(seconds=3601)
    bench.amazon.plays_token(httpx.Response(503))
    with pytest.raises(Upstream, match="renew the access token"):
        retrieve_report(bench.client, "NA", "rpt-0b6f7c1e")


def test_token_answer_is_checked(bench: Bench) -> None:
    """A missing field of the token answer is named, and its values aren't shown."""
    bench.amazon.plays_token(httpx.Response(200, json={"access_token": "Atza|hidden"}))
    with pytest.raises(MalformedAnswer, match="expires_in") as caught:
        retrieve_report(bench.client, "NA", "rpt-0b6f7c1e")
    assert "hidden" not in str(caught.value)


def test_short_lives_are_kept_to(bench: Bench) -> None:
    """The life that Amazon states counts, not an hour."""
    bench.amazon.plays_token(token_answer("Atza|short", expires_in=10))
    poll(bench)
    bench.clock.instant += timedelta(seconds=9.9)
    poll(bench)
    assert sent_tokens(bench) == ["Bearer Atza|short", "Bearer Atza|2"]


def test_clients_of_one_credential_share_its_token() -> None:
    """A second client uses the token that the first one got, and renews it for both."""
    clock = FakeClock()
    shared = AccessTokens(CREDENTIALS, URL, clock=clock)
    one, another = (open_bench(clock=clock, tokens=shared) for _ in range(2))
    poll(one)
    poll(another)
    clock.instant += timedelta(seconds=3601)
    another.amazon.plays_token(token_answer("Atza|later"))
    poll(another)
    poll(one)
    assert (1, 1) == (len(one.amazon.token_calls), len(another.amazon.token_calls))
    assert ["Bearer Atza|1", "Bearer Atza|later"] == sent_tokens(one) == sent_tokens(another)


def test_each_credential_and_endpoint_has_tokens_of_its_own() -> None:
    """A new secret or refresh token is a new credential, and so is the same one at another endpoint."""
    shared = SharedTokens()
    renewed = replace(CREDENTIALS, refresh_token=SecretStr("Atzr|refresh-2"))
    secret = replace(CREDENTIALS, client_secret=SecretStr("secret-2"))
    kept = shared.of(CREDENTIALS, URL)
    assert kept is shared.of(replace(CREDENTIALS), URL)
    others = [
        shared.of(renewed, URL),
        shared.of(secret, URL),
        shared.of(CREDENTIALS, f"{URL}/else"),
    ]
    assert 4 == len({id(each) for each in [kept, *others]})


def test_a_refusal_ends_the_clients_that_met_it_and_no_later_one() -> None:
    """Who shares the refused tokens asks no more; a client that comes later asks once, and those after it share its token."""
    shared = SharedTokens()
    before = [open_bench(tokens=shared.of(CREDENTIALS, URL)) for _ in range(2)]
    before[0].amazon.plays_token(httpx.Response(400, json=REVOKED))
    for bench in before:
        with pytest.raises(InvalidGrant):
            retrieve_report(bench.client, "NA", "rpt-0b6f7c1e")
    later = [open_bench(tokens=shared.of(CREDENTIALS, URL)) for _ in range(2)]
    for bench in later:
        poll(bench)
    with pytest.raises(InvalidGrant):
        retrieve_report(before[1].client, "NA", "rpt-0b6f7c1e")
    assert [1, 0, 1, 0] == [len(bench.amazon.token_calls) for bench in [*before, *later]]
