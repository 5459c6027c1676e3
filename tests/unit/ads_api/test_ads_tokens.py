import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from urllib.parse import parse_qs

import httpx
import pytest

from bidbeacon_pipelines.ads_api import retrieve_report
from bidbeacon_pipelines.ads_api.errors import (
    AuthError,
    InvalidClient,
    InvalidGrant,
    MalformedAnswer,
    NotAuthorized,
    Upstream,
)
from tests.unit.ads_api.fakes import HTML, Bench, open_bench, report_answer, token_answer

REVOKED = {
    "error": "invalid_grant",
    "error_description": "The request has an invalid grant parameter : refresh_token. Atzr|refresh-1",
}


def poll(bench: Bench) -> None:
    """Make a read that succeeds once the token is good."""
    bench.amazon.plays(report_answer())
    retrieve_report(bench.client, "NA", "rpt-0b6f7c1e")


def sent_tokens(bench: Bench) -> list[str]:
    """Give the tokens the API saw."""
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


def test_callers_at_once_cause_one_renewal(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight threads that find no token ask for one together: it is on its way until all have come."""
    threads, lock = 8, CountingLock()
    monkeypatch.setattr(bench.client._tokens, "_lock", lock)

    def answer_when_all_came(_: httpx.Request) -> httpx.Response:
        assert all(lock.came.acquire(timeout=10) for _ in range(threads))
        return token_answer("Atza|one")

    bench.amazon.plays_token(answer_when_all_came)
    bench.amazon.plays(*(report_answer() for _ in range(threads)))
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda _: retrieve_report(bench.client, "NA", "rpt-0b6f7c1e"), range(threads)))
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
        list(pool.map(lambda _: retrieve_report(bench.client, "NA", "rpt-0b6f7c1e"), range(threads)))
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
    bench.amazon.plays_token(token_answer("Atza|dead"), httpx.Response(503), token_answer("Atza|good"))
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
        (400, {"error": "unauthorized_client", "error_description": "Not for this grant"}, InvalidClient),
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


def test_errors_hold_no_token(bench: Bench) -> None:
    """A token that Amazon repeats in an error is masked."""
    bench.amazon.plays_token(httpx.Response(400, json=REVOKED))
    with pytest.raises(InvalidGrant) as caught:
        retrieve_report(bench.client, "NA", "rpt-0b6f7c1e")
    assert "refresh-1" not in str(caught.value)
    assert "Atzr|…" in str(caught.value)


def test_token_endpoint_is_retried(bench: Bench) -> None:
    """A passing problem of the token endpoint is waited out, also with an HTML body."""
    bench.amazon.plays_token(httpx.Response(503, text=HTML), httpx.ConnectError("refused"))
    poll(bench)
    assert len(bench.amazon.token_calls) == 3
    assert [wait.attempt for wait in bench.waits] == [1, 2]


def test_old_token_serves_while_endpoint_is_down(bench: Bench) -> None:
    """A token that should be renewed and can't is used to its end."""
    poll(bench)
    bench.clock.instant += timedelta(seconds=3600 * 0.96)
    bench.amazon.plays_token(httpx.Response(503))
    poll(bench)
    assert sent_tokens(bench) == ["Bearer Atza|1", "Bearer Atza|1"]


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
