from datetime import date, timedelta
from typing import Any

import httpx
import pytest

from bidbeacon_pipelines.amazon_ads import (
    AdsApiClient,
    Endpoints,
    create_export,
    create_report,
    get_export,
    list_accounts,
    retrieve_report,
)
from bidbeacon_pipelines.amazon_ads.errors import AdsApiError, OutcomeUnknown, Throttled
from bidbeacon_pipelines.amazon_ads.ledger import CallRecord, Tries, record_exchange
from tests.unit.amazon_ads.fakes import (
    CREDENTIALS,
    Bench,
    FakeAmazon,
    FakeClock,
    FakeLog,
    ScriptedRateLimits,
    open_bench,
    refusal,
    report_answer,
    token_answer,
)

ONE = "amzn1.ads-account.g.one"
REPORT = "rpt-0b6f7c1e"


def poll(bench: Bench) -> None:
    """Look at a report."""
    retrieve_report(bench.client, "EU", REPORT, account_id=ONE)


def after(bench: Bench, seconds: float, answer: httpx.Response | Exception) -> Any:
    """Return an answer that takes its time."""

    def play(_: httpx.Request) -> httpx.Response:
        bench.clock.instant += timedelta(seconds=seconds)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return play


def test_record_tells_the_whole_exchange(bench: Bench) -> None:
    """A record has who was asked what, when, for how long, and what came."""
    answer = report_answer()
    answer.headers["x-amzn-RequestId"] = "RID7"
    bench.amazon.plays(after(bench, 1.25, answer))
    began = bench.clock.now()
    poll(bench)
    assert bench.log.records[1:] == [
        CallRecord(
            called_at=began,
            region="EU",
            call="retrieve_report",
            account_id=ONE,
            status=207,
            duration=1.25,
            request_id="RID7",
        )
    ]


def test_token_calls_are_recorded(bench: Bench) -> None:
    """The call for a token is an exchange of the region that issued the credential, and of no account."""
    bench.amazon.plays_token(after(bench, 0.5, token_answer("Atza|1")))
    bench.amazon.plays(report_answer())
    poll(bench)
    token = bench.log.records[0]
    assert (token.call, token.region, token.account_id, token.status, token.duration) == (
        "token",
        "NA",
        None,
        200,
        0.5,
    )


def test_every_call_has_its_name() -> None:
    """Each kind of call is recorded under its own name, with account and country where there are any."""
    bench = open_bench(attempts=1)
    day = date(2025, 12, 29)
    for ask in (
        lambda: create_report(bench.client, "NA", ONE, fields=["x"], start=day, end=day),
        lambda: retrieve_report(bench.client, "NA", REPORT),
        lambda: create_export(bench.client, "NA", "7", "ads", account_id=ONE, country_code="CA"),
        lambda: get_export(bench.client, "NA", "7", "ads", "e", account_id=ONE, country_code="CA"),
    ):
        bench.amazon.plays(httpx.Response(404))
        with pytest.raises(AdsApiError):
            ask()
    bench.amazon.plays(httpx.Response(200, json={"adsAccounts": []}), *[httpx.Response(404)] * 3)
    list_of_calls = bench.log.facts("call", "account_id", "country_code")
    assert list_of_calls == [
        ("token", None, None),
        ("create_report", ONE, None),
        ("retrieve_report", None, None),
        ("create_export", ONE, "CA"),
        ("get_export", ONE, "CA"),
    ]
    with pytest.raises(AdsApiError):
        list_accounts(bench.client)
    assert [record.call for record in bench.log.records[5:]] == [
        "list_accounts",
        "list_profiles",
        "list_accounts",
        "list_accounts",
    ]


def test_attempts_are_recorded_each(bench: Bench) -> None:
    """Every attempt is a record of its own, with the wait before it and the number of those before."""
    bench.amazon.plays(
        httpx.Response(429, headers={"Retry-After": "17"}),
        httpx.Response(503),
        httpx.ReadTimeout("slow"),
        report_answer(),
    )
    poll(bench)
    assert bench.log.facts("status", "error", "retry_count", "waited")[1:] == [
        (429, "Throttled", 0, 0),
        (503, "Upstream", 1, 17),
        (None, "Unreachable", 2, 2),
        (207, None, 3, 4),
    ]


def test_waits_are_counted_once(bench: Bench) -> None:
    """A wait before a token call belongs to that call: the call that needed the token has waited no more."""
    bench.amazon.plays_token(httpx.Response(503), httpx.Response(503))
    bench.amazon.plays(report_answer())
    poll(bench)
    assert bench.log.facts("call", "status", "retry_count", "waited") == [
        ("token", 503, 0, 0),
        ("token", 503, 1, 1),
        ("token", 200, 2, 2),
        ("retrieve_report", 207, 0, 0),
    ]
    assert sum(record.waited for record in bench.log.records) == sum(bench.clock.slept)


def test_fresh_token_is_a_retry_without_wait(bench: Bench) -> None:
    """A call that is made again with a fresh token is the second exchange, after none of a wait."""
    bench.amazon.plays(httpx.Response(401), report_answer())
    poll(bench)
    assert bench.log.facts("call", "status", "error", "retry_count", "waited") == [
        ("token", 200, None, 0, 0),
        ("retrieve_report", 401, "NotAuthorized", 0, 0),
        ("token", 200, None, 1, 0),
        ("retrieve_report", 207, None, 1, 0),
    ]


def test_queue_is_told_apart_from_waits() -> None:
    """The time in our own queue is `queued`, that between attempts `waited`, and neither is `duration`."""
    bench = open_bench(rate_limits=ScriptedRateLimits([3.0, 0.0, 0.25]))
    bench.amazon.plays(after(bench, 1, httpx.Response(500)), after(bench, 2, report_answer()))
    poll(bench)
    assert bench.log.facts("queued", "waited", "duration")[1:] == [(3, 0, 1), (0.25, 1, 2)]


def test_unknown_outcome_is_recorded_by_its_cause(bench: Bench) -> None:
    """A create that may have been accepted is recorded with what happened."""
    bench.amazon.plays(httpx.Response(429))
    day = date(2025, 12, 29)
    with pytest.raises(OutcomeUnknown):
        create_report(bench.client, "NA", ONE, fields=["x"], start=day, end=day)
    assert bench.log.facts("status", "error")[1:] == [(429, "Throttled")]


@pytest.mark.parametrize(
    ("answer", "status", "error"),
    [
        (httpx.Response(207, json=refusal("400006", "unknown field")), 207, "FieldsExcluded"),
        (httpx.Response(200, text="<html>"), 200, "UnreadableAnswer"),
        (httpx.Response(207, json={"success": []}), 207, "MalformedAnswer"),
        (httpx.ConnectError("refused"), None, "Unreachable"),
    ],
)
def test_failures_inside_answers_are_recorded(
    answer: httpx.Response | Exception, status: int | None, error: str
) -> None:
    """A success that carries a failure, or can't be read, is recorded as an error."""
    bench = open_bench(attempts=1)
    bench.amazon.plays(answer)
    with pytest.raises(AdsApiError):
        poll(bench)
    assert bench.log.facts("status", "error")[1:] == [(status, error)]


def test_interrupted_exchange_is_recorded() -> None:
    """An interrupt in the middle of an exchange leaves its record, and goes on."""
    log, tries = FakeLog(), Tries()
    with (
        pytest.raises(KeyboardInterrupt),
        record_exchange(
            log, FakeClock(), "download", "FE", tries=tries, account_id=ONE
        ) as exchange,
    ):
        exchange.status = 200
        raise KeyboardInterrupt
    assert log.facts("call", "region", "status", "error") == [
        ("download", "FE", 200, "KeyboardInterrupt")
    ]


def test_clock_set_back_makes_no_negative_times() -> None:
    """A clock that is set back in the middle of an exchange leaves a duration of nothing."""
    log, clock = FakeLog(), FakeClock()
    with record_exchange(log, clock, "token", "NA", tries=Tries()):
        clock.instant -= timedelta(hours=1)
    assert log.facts("duration") == [(0.0,)]


def test_client_without_ledger_works() -> None:
    """A client needs nobody to record for; its errors are the same."""
    amazon = FakeAmazon()
    amazon.plays(httpx.Response(429, headers={"Retry-After": "600"}))
    transport = httpx.MockTransport(amazon.handle)
    with (
        AdsApiClient(
            CREDENTIALS, Endpoints.amazon(), transport=transport, clock=FakeClock()
        ) as client,
        pytest.raises(Throttled),
    ):
        retrieve_report(client, "NA", REPORT)
