import logging
import pickle
from datetime import date

import httpx
import pytest

from bidbeacon_pipelines.amazon_ads import Report, create_report, retrieve_report
from bidbeacon_pipelines.amazon_ads.errors import (
    AdsApiError,
    DuplicateReport,
    FieldsExcluded,
    MalformedAnswer,
    MissingRights,
    NotAuthorized,
    NotFound,
    OutcomeUnknown,
    RateLimited,
    Rejected,
    Throttled,
    TooLarge,
    TooOld,
    UnknownField,
    Unreachable,
    Upstream,
)
from tests.unit.amazon_ads.fakes import HTML, Bench, open_bench, refusal


def error_of(answer: httpx.Response | Exception) -> AdsApiError:
    """Return the error that a read answered like this ends in."""
    bench = open_bench(attempts=1)
    bench.amazon.plays(answer)
    with pytest.raises(AdsApiError) as caught:
        retrieve_report(bench.client, "NA", "rpt-1")
    return caught.value


@pytest.mark.parametrize(
    ("status", "body", "kind", "code", "text"),
    [
        (400, {"code": "400000", "message": "no"}, Rejected, "400000", "no"),
        (
            400,
            {"code": "400005", "message": "Unknown field"},
            UnknownField,
            "400005",
            "Unknown field",
        ),
        (
            400,
            {"code": "400006", "message": "older than (x)"},
            FieldsExcluded,
            "400006",
            "older than",
        ),
        (400, {"code": "400013", "message": "no dot"}, UnknownField, "400013", "no dot"),
        (413, {"code": "CONTENT_TOO_LARGE", "message": "no"}, TooLarge, "CONTENT_TOO_LARGE", "no"),
        (
            400,
            {"code": "400000", "message": "Report is too large"},
            TooLarge,
            "400000",
            "too large",
        ),
        (
            403,
            {"message": "Multi-account authorization failed"},
            MissingRights,
            None,
            "Multi-account",
        ),
        (400, {"code": "BAD_REQUEST", "details": "Bad body"}, Rejected, "BAD_REQUEST", "Bad body"),
        (403, {"message": "Forbidden"}, NotAuthorized, None, "Forbidden"),
        (404, {"code": "404", "message": "No such report"}, NotFound, "404", "No such report"),
        (406, {"errors": [{"errorCode": "X", "errorMessage": "Y"}]}, Rejected, "X", "Y"),
        (408, {"message": "Request timed out"}, Upstream, None, "Request timed out"),
        (
            410,
            {"code": "GONE", "details": "No longer available"},
            NotFound,
            "GONE",
            "No longer available",
        ),
        (429, {"message": "Too Many Requests"}, Throttled, None, "Too Many Requests"),
        (500, {"code": 500, "details": "oops"}, Upstream, "500", "oops"),
        (400, refusal("400004", "Exclusive"), FieldsExcluded, "400004", "Exclusive"),
        (400, [], Rejected, None, "[]"),
        (302, {}, MalformedAnswer, None, "{}"),
    ],
)
def test_json_bodies_of_any_shape_are_read(
    status: int, body: object, kind: type[AdsApiError], code: str | None, text: str
) -> None:
    """Status, code and text of each known error body reach the error."""
    error = error_of(httpx.Response(status, json=body))
    assert type(error) is kind
    assert (error.status, error.code) == (status, code)
    assert text in error.reason


@pytest.mark.parametrize(("status", "kind"), [(503, Upstream), (404, NotFound), (429, Throttled)])
def test_html_bodies_are_read(status: int, kind: type[AdsApiError]) -> None:
    """An HTML body gives the same error, with its words and without its tags."""
    error = error_of(httpx.Response(status, text=HTML))
    assert type(error) is kind
    assert "503 Service" in error.reason
    assert "<" not in error.reason


def test_empty_bodies_are_read() -> None:
    """An error without a body says so."""
    assert "an empty body" in error_of(httpx.Response(502)).reason


@pytest.mark.parametrize("header", ["x-amz-rid", "x-amzn-RequestId"])
def test_request_id_is_kept(header: str) -> None:
    """Amazon's id of the request is part of error and message, since its support asks for it."""
    error = error_of(httpx.Response(400, json={"message": "no"}, headers={header: "RID7"}))
    assert error.request_id == "RID7"
    assert "RID7" in str(error)


def test_message_says_what_came_and_what_to_do() -> None:
    """A message names what was asked, what came, and what helps."""
    error = error_of(httpx.Response(404, json={"code": "404", "message": "No such report."}))
    assert str(error) == (
        "Amazon does not know what was asked for: No such report. A report is requested again. Could not retrieve a report (report rpt-1; status 404, code 404)."
    )


@pytest.mark.parametrize(
    ("text", "content_type", "said"),
    [
        ("<?xml version='1.0'?><Error><Code>Busy</Code></Error>", "application/xml", "Busy"),
        (
            '{"code": "X", "message": "cut ins',
            "application/json",
            '{"code": "X", "message": "cut ins',
        ),
        ('{"message": "words"}', "text/html; charset=nonsense", "words"),
        ("\x00\x01", "application/octet-stream", "\x00\x01"),
        ("null", "application/json", "null"),
        ("[" * 100_000, "application/json", "[[["),
        ("   ", "text/plain", "an empty body"),
    ],
)
def test_bodies_of_any_kind_are_read(text: str, content_type: str, said: str) -> None:
    """XML, JSON that was cut, a wrong content type or deep nesting give the error of the status."""
    error = error_of(httpx.Response(503, text=text, headers={"Content-Type": content_type}))
    assert type(error) is Upstream
    assert said in error.reason


def test_body_that_claims_to_be_gzipped_is_unreachable() -> None:
    """A body that isn't in the encoding it names counts as a connection that broke: read again, never trusted."""
    answer = httpx.Response(
        200, headers={"Content-Encoding": "gzip"}, stream=httpx.ByteStream(b"no gzip")
    )
    error = error_of(answer)
    assert isinstance(error, Unreachable)
    assert error.sent


def test_error_of_a_create_names_account_and_days(bench: Bench) -> None:
    """A refused create says whose days were asked for."""
    bench.amazon.plays(
        httpx.Response(207, json=refusal("400005", "unknown field", fieldLocation="query"))
    )
    with pytest.raises(Rejected) as caught:
        create(bench)
    assert str(caught.value) == (
        "Amazon refused a field: unknown field (at query). If Amazon has another name for it, `bidbeacon contract set` stores that. "
        "Could not create a report (account amzn1.ads-account.g.one, 2025-12-29 to 2025-12-29; status 207, code 400005)."
    )
    assert caught.value.about == "account amzn1.ads-account.g.one, 2025-12-29 to 2025-12-29"


def test_unknown_outcome_names_account_and_days(bench: Bench) -> None:
    """A create whose outcome is unknown says whose days were asked for."""
    bench.amazon.plays(httpx.ReadTimeout("slow"))
    with pytest.raises(
        OutcomeUnknown, match=r"account amzn1\.ads-account\.g\.one, 2025-12-29 to 2025-12-29"
    ):
        create(bench)


@pytest.mark.parametrize(
    ("trouble", "word"),
    [
        (httpx.Response(429), "HTTP 429"),
        (httpx.ConnectError("refused"), "no connection"),
        (httpx.ReadError("reset"), "connection broken"),
        (httpx.Response(200, text=HTML), "HTTP 200"),
    ],
)
def test_errors_have_a_word_to_count_by(trouble: httpx.Response | Exception, word: str) -> None:
    """Each error has a short word for what happened."""
    assert error_of(trouble).cause_word == word


@pytest.mark.parametrize(
    "text",
    [
        "Report date is too far in the past. Reports are only available for 60 days.",
        "startDate (2025-01-01) must be equal to or after report type data retention start date (2025-01-03)",
        "The period is too old",
    ],
)
def test_too_old_is_told_by_its_words(text: str) -> None:
    """A refusal that speaks of the past is terminal."""
    assert type(error_of(httpx.Response(400, json={"code": "400000", "message": text}))) is TooOld


def test_field_codes_are_never_too_old() -> None:
    """A refusal of fields stays one, whatever its words."""
    body = {"code": "400005", "message": "field retention.value is unknown"}
    assert type(error_of(httpx.Response(400, json=body))) is UnknownField


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("400000", Rejected),
        ("400005", UnknownField),
        ("BAD_REQUEST", Rejected),
        ("FORBIDDEN", NotAuthorized),
        ("CONTENT_TOO_LARGE", TooLarge),
        ("429", Throttled),
        ("TOO_MANY_REQUESTS", Throttled),
        ("500000", Upstream),
        ("INTERNAL_ERROR", Upstream),
        ("404", NotFound),
        ("410001", NotFound),
        ("GONE", NotFound),
        ("REQUEST_TIMEOUT", Upstream),
        ("ACCESS_DENIED", NotAuthorized),
        ("SOMETHING_NEW", Rejected),
    ],
)
def test_partial_failure_is_told_by_its_code(code: str, kind: type[AdsApiError]) -> None:
    """In a 207 the code decides what went wrong."""
    error = error_of(
        httpx.Response(207, json=refusal(code, "no", fieldLocation="reports[0].query"))
    )
    assert type(error) is kind
    assert "no (at reports[0].query)" in error.reason


def test_partial_failure_without_reason_is_one() -> None:
    """An `error` that says nothing is no success."""
    assert (
        type(error_of(httpx.Response(207, json={"error": [{"index": 0}], "success": []})))
        is Rejected
    )


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(
            425, text="The Request is a duplicate of : 5f2a1c9e-0000-4a4a-8b8b-123456789abc"
        ),
        httpx.Response(
            425,
            json={
                "code": "425",
                "detail": "The Request is a duplicate of : 5f2a1c9e-0000-4a4a-8b8b-123456789abc.",
            },
        ),
        httpx.Response(
            207,
            json=refusal(
                "400000", "The Request is a duplicate of : 5f2a1c9e-0000-4a4a-8b8b-123456789abc"
            ),
        ),
    ],
)
def test_duplicate_names_the_running_report(answer: httpx.Response) -> None:
    """A refusal as duplicate carries the id of the report that runs."""
    error = error_of(answer)
    assert isinstance(error, DuplicateReport)
    assert error.report_id == "5f2a1c9e-0000-4a4a-8b8b-123456789abc"


@pytest.mark.parametrize(
    "trouble",
    [
        httpx.Response(429, json={"message": "Too Many Requests"}, headers={"Retry-After": "600"}),
        httpx.Response(500),
        httpx.Response(503, text=HTML),
        httpx.ReadTimeout("slow"),
        httpx.WriteError("reset"),
        httpx.RemoteProtocolError("cut"),
        httpx.Response(200, text=HTML),
        httpx.Response(207, json={"error": None, "success": []}),
        httpx.Response(207, json=refusal("500000", "oops")),
        httpx.Response(408),
    ],
)
def test_create_with_unknown_outcome_is_sent_once(
    bench: Bench, trouble: httpx.Response | Exception
) -> None:
    """A create that Amazon may have accepted isn't sent again; the caller learns that and decides."""
    bench.amazon.plays(trouble)
    with pytest.raises(OutcomeUnknown) as caught:
        create(bench)
    assert len(bench.amazon.calls) == 1
    assert bench.clock.slept == []
    assert isinstance(caught.value.cause, AdsApiError)
    assert caught.value.__cause__ is caught.value.cause


def test_unknown_outcome_keeps_retry_after(bench: Bench) -> None:
    """The wait that Amazon asked for reaches the caller."""
    bench.amazon.plays(httpx.Response(429, headers={"Retry-After": "600"}))
    with pytest.raises(OutcomeUnknown) as caught:
        create(bench)
    assert caught.value.retry_after == 600
    assert isinstance(caught.value.cause, Throttled)


@pytest.mark.parametrize("trouble", [httpx.ConnectError("refused"), httpx.ConnectTimeout("slow")])
def test_create_that_never_left_is_repeated(bench: Bench, trouble: Exception) -> None:
    """A create for which the connection failed is sent again."""
    bench.amazon.plays(trouble, httpx.Response(500))
    with pytest.raises(OutcomeUnknown):
        create(bench)
    assert len(bench.amazon.calls) == 2


def test_create_that_never_leaves_is_unreachable() -> None:
    """A create that was surely not accepted ends as `Unreachable`, not as an unknown outcome."""
    bench = open_bench(attempts=3)
    bench.amazon.plays(*[httpx.ConnectError("refused")] * 3)
    with pytest.raises(Unreachable) as caught:
        create(bench)
    assert not caught.value.sent


def test_trouble_with_the_token_leaves_the_outcome_known() -> None:
    """A create whose token couldn't be had was surely not sent."""
    bench = open_bench(attempts=1)
    bench.amazon.plays_token(httpx.ReadError("reset"))
    with pytest.raises(Unreachable):
        create(bench)
    assert bench.amazon.calls == []


def test_refused_create_is_known(bench: Bench) -> None:
    """A create that Amazon refuses has a known outcome."""
    bench.amazon.plays(httpx.Response(207, json=refusal("400006", "companion field missing")))
    with pytest.raises(Rejected, match="companion field missing"):
        create(bench)


def test_create_is_cured_by_a_fresh_token(bench: Bench) -> None:
    """A create answered with 401 was not accepted, so it is sent once more with a fresh token."""
    bench.amazon.plays(httpx.Response(401), httpx.Response(400, json={"message": "no"}))
    with pytest.raises(Rejected):
        create(bench)
    assert [call.headers["Authorization"] for call in bench.amazon.calls] == [
        "Bearer Atza|1",
        "Bearer Atza|2",
    ]


@pytest.mark.parametrize(
    "error",
    [
        Throttled("slow down", retry_after=3.0, status=429),
        RateLimited("our queue", retry_after=61.0, about="account a"),
        DuplicateReport("again", report_id="rpt-1", code="425"),
        Unreachable("gone", sent=False, operation="x"),
        OutcomeUnknown(Throttled("slow down", retry_after=3.0)),
    ],
)
def test_errors_survive_pickling(error: AdsApiError) -> None:
    """An error can go from one process to another whole."""
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert vars(copy).keys() == vars(error).keys()
    assert copy.retry_after == error.retry_after


@pytest.mark.parametrize(
    "text",
    [
        "token Atza|IwEBSECRET was refused",
        'refused {"refresh_token":"SECRET"}',
        "client_secret=SECRET&x=1",
        "at https://b.s3.amazonaws.com/p.json.gz?X-Amz-Signature=SECRET&X-Amz-Date=1",
    ],
)
def test_secrets_are_masked(text: str) -> None:
    """Tokens, client secrets and signed queries never reach a message."""
    assert "SECRET" in text
    assert "SECRET" not in str(AdsApiError(text))


def test_httpx_logs_no_signature(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """The log line httpx writes for each request shows no URL's query."""
    bench.amazon.plays(httpx.Response(200))
    with caplog.at_level(logging.INFO, logger="httpx"):
        bench.client.http.get("https://b.s3.amazonaws.com/p.json.gz?X-Amz-Signature=SECRET")
    assert "https://b.s3.amazonaws.com/p.json.gz" in caplog.text
    assert "SECRET" not in caplog.text


def create(bench: Bench) -> Report:
    """Ask for a report of one day."""
    day = date(2025, 12, 29)
    return create_report(
        bench.client, "NA", "amzn1.ads-account.g.one", fields=["date.value"], start=day, end=day
    )
