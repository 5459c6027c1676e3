import json
from datetime import UTC, date, datetime

import httpx
import pytest

from bidbeacon_pipelines.amazon_ads import (
    Period,
    Report,
    ReportStatus,
    ad_product_filter,
    create_report,
    retrieve_report,
)
from bidbeacon_pipelines.amazon_ads.errors import MalformedAnswer, UnreadableAnswer
from tests.unit.amazon_ads.fakes import HTML, Bench, open_bench, report_answer, report_body

SIGNED = "https://example-bucket.s3.amazonaws.com/part-0.json.gz?X-Amz-Signature=abc"
OTHER = "https://example-bucket.s3.amazonaws.com/part-1.json.gz?X-Amz-Signature=def"


def poll(bench: Bench, answer: httpx.Response) -> Report:
    """Look at the report of `report_body`."""
    bench.amazon.plays(answer)
    return retrieve_report(bench.client, "EU", "rpt-0b6f7c1e")


def test_create_asks_as_described(bench: Bench) -> None:
    """A create names one account and one report with one period of inclusive dates."""
    bench.amazon.plays(report_answer())
    create_report(
        bench.client,
        "EU",
        "amzn1.ads-account.g.one",
        fields=["date.value", "metric.clicks"],
        start=date(2025, 12, 28),
        end=date(2025, 12, 29),
    )
    (call,) = bench.amazon.calls
    assert (call.method, str(call.url)) == (
        "POST",
        "https://advertising-api-eu.amazon.com/adsApi/v1/create/reports",
    )
    assert bench.amazon.bodies() == [
        {
            "accessRequestedAccounts": [{"advertiserAccountId": "amzn1.ads-account.g.one"}],
            "reports": [
                {
                    "format": "GZIP_JSON",
                    "periods": [
                        {"datePeriod": {"startDate": "2025-12-28", "endDate": "2025-12-29"}}
                    ],
                    "query": {"fields": ["date.value", "metric.clicks"]},
                }
            ],
        }
    ]


@pytest.mark.parametrize(
    ("products", "operator"),
    [(["SPONSORED_PRODUCTS"], "EQUALS"), (["SPONSORED_BRANDS", "SPONSORED_DISPLAY"], "IN")],
)
def test_create_filters_by_ad_product(bench: Bench, products: list[str], operator: str) -> None:
    """A create names the ad products it wants rows of, in the one shape that Amazon takes."""
    bench.amazon.plays(report_answer())
    day = date(2025, 12, 28)
    row_filter = ad_product_filter(products)
    create_report(
        bench.client,
        "NA",
        "a",
        fields=["adProduct.value"],
        start=day,
        end=day,
        row_filter=row_filter,
    )
    [body] = bench.amazon.bodies()
    assert {
        "fields": ["adProduct.value"],
        "filter": {
            "on": {
                "field": "adProduct.value",
                "comparisonOperator": operator,
                "not": False,
                "values": products,
            }
        },
    } == body["reports"][0]["query"]


def test_report_calls_carry_client_and_token_but_no_scope(bench: Bench) -> None:
    """The v1 calls name the client under both headers and no profile."""
    poll(bench, report_answer())
    (call,) = bench.amazon.calls
    assert call.headers["Authorization"] == "Bearer Atza|1"
    assert call.headers["Amazon-Advertising-API-ClientId"] == "client-1"
    assert call.headers["Amazon-Ads-ClientId"] == "client-1"
    assert "Amazon-Advertising-API-Scope" not in call.headers


def test_retrieve_asks_for_exactly_one(bench: Bench) -> None:
    """A look at a report names one id: more is refused."""
    poll(bench, report_answer())
    assert bench.amazon.bodies() == [{"reportIds": ["rpt-0b6f7c1e"]}]


@pytest.mark.parametrize("status", [200, 207])
def test_report_is_read(bench: Bench, status: int) -> None:
    """A report comes with either success status, and what it is about with it."""
    assert poll(bench, report_answer(status)) == Report(
        report_id="rpt-0b6f7c1e",
        status=ReportStatus.PENDING,
        raw_status="PENDING",
        created_at=datetime(2025, 12, 30, 8, 0, 5, tzinfo=UTC),
        periods=(Period(date(2025, 12, 28), date(2025, 12, 29)),),
        fields=("date.value", "metric.clicks"),
        account_ids=("amzn1.ads-account.g.one",),
    )


def test_all_parts_are_given(bench: Bench) -> None:
    """Every part comes with its size and its end in UTC."""
    report = poll(
        bench,
        report_answer(
            status="COMPLETED",
            completedDateTime="2025-12-30T10:06:40+02:00",
            completedReportParts=[
                {
                    "sizeInBytes": 20480,
                    "url": SIGNED,
                    "urlExpirationDateTime": "2025-12-30T09:06:40Z",
                },
                {"url": OTHER},
            ],
        ),
    )
    assert [(part.size_bytes, part.expires_at) for part in report.parts] == [
        (20480, datetime(2025, 12, 30, 9, 6, 40, tzinfo=UTC)),
        (None, None),
    ]
    assert report.parts[0].url.get_secret_value() == SIGNED
    assert report.completed_at == datetime(2025, 12, 30, 8, 6, 40, tzinfo=UTC)


def test_part_that_is_listed_twice(bench: Bench) -> None:
    """A url that is listed twice is one part: its rows would be counted twice."""
    parts = [{"url": SIGNED, "sizeInBytes": 7}, {"url": OTHER}, {"url": SIGNED}]
    report = poll(bench, report_answer(status="COMPLETED", completedReportParts=parts))
    assert [(SIGNED, 7), (OTHER, None)] == [
        (part.url.get_secret_value(), part.size_bytes) for part in report.parts
    ]


def test_signed_urls_are_not_shown(bench: Bench) -> None:
    """A report can be printed without its signatures."""
    answer = report_answer(status="COMPLETED", completedReportParts=[{"url": SIGNED}])
    assert "Signature" not in repr(poll(bench, answer))


def test_single_url_is_accepted(bench: Bench) -> None:
    """The older single `url` stands in for the list of parts."""
    report = poll(bench, report_answer(status="COMPLETED", url=SIGNED))
    assert [part.url.get_secret_value() for part in report.parts] == [SIGNED]


def test_parts_win_over_the_single_url(bench: Bench) -> None:
    """Where both come, the parts are the report."""
    answer = report_answer(
        status="COMPLETED", url="https://old/", completedReportParts=[{"url": SIGNED}]
    )
    assert [part.url.get_secret_value() for part in poll(bench, answer).parts] == [SIGNED]


@pytest.mark.parametrize(
    ("word", "status", "is_terminal"),
    [
        ("PENDING", ReportStatus.PENDING, False),
        ("PROCESSING", ReportStatus.PROCESSING, False),
        ("IN_PROGRESS", ReportStatus.PROCESSING, False),
        ("completed", ReportStatus.COMPLETED, True),
        ("FAILED", ReportStatus.FAILED, True),
        ("CANCELLED", ReportStatus.CANCELLED, True),
        ("CANCELED", ReportStatus.CANCELLED, True),
        ("EXPIRED", ReportStatus.EXPIRED, True),
        ("WARMING_UP", ReportStatus.UNKNOWN, False),
    ],
)
def test_status_words(bench: Bench, word: str, status: ReportStatus, *, is_terminal: bool) -> None:
    """Known words end or wait as they say; an unknown one waits, and is kept."""
    report = poll(bench, report_answer(status=word))
    assert (report.status, report.raw_status, report.is_terminal) == (status, word, is_terminal)


def test_failure_is_read(bench: Bench) -> None:
    """A failed report says why."""
    report = poll(
        bench,
        report_answer(status="FAILED", failureCode="INTERNAL_ERROR", failureReason="It broke"),
    )
    assert (report.failure_code, report.failure_reason) == ("INTERNAL_ERROR", "It broke")


def test_missing_fields_are_named(bench: Bench) -> None:
    """An answer without a needed field says which."""
    body = report_body()
    del body["success"][0]["report"]["status"]
    with pytest.raises(MalformedAnswer, match=r"success\.0\.report\.status: Field required"):
        poll(bench, httpx.Response(207, json=body))


def test_faulty_parts_show_no_url(bench: Bench) -> None:
    """The message about a faulty part doesn't repeat its URL."""
    answer = report_answer(status="COMPLETED", completedReportParts=[{"url": [SIGNED]}])
    with pytest.raises(MalformedAnswer, match=r"completedReportParts\.0\.url") as caught:
        poll(bench, answer)
    assert "Signature" not in str(caught.value)


def test_odd_extras_are_done_without(bench: Bench) -> None:
    """What only informs may come in a form we can't read."""
    report = poll(
        bench, report_answer(creationDateTime="yesterday", periods="x", query=7, linkedAccounts=7)
    )
    assert (report.created_at, report.periods, report.fields, report.account_ids) == (
        None,
        (),
        (),
        (),
    )


def test_new_fields_pass(bench: Bench) -> None:
    """A field that Amazon adds is ignored."""
    assert poll(bench, report_answer(brandNew={"a": 1})).report_id == "rpt-0b6f7c1e"


def test_numeric_ids_keep_every_digit(bench: Bench) -> None:
    """An id that comes as a number over 2^53 stays exact."""
    bench.amazon.plays(report_answer(reportId=9007199254740993999))
    assert (
        retrieve_report(bench.client, "NA", "9007199254740993999").report_id
        == "9007199254740993999"
    )


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(207, json={"error": None, "success": []}),
        httpx.Response(207, json=[]),
        report_answer(reportId="rpt-another"),
        report_answer(reportId=""),
        report_answer(reportId=1.5),
    ],
)
def test_other_answers_are_malformed(bench: Bench, answer: httpx.Response) -> None:
    """What isn't the report that was asked for is never taken for it."""
    with pytest.raises(MalformedAnswer):
        poll(bench, answer)


@pytest.mark.parametrize(
    "text", [HTML, "", '{"error":null,"success":[{"index":0,"rep', "<?xml version='1.0'?><Error/>"]
)
def test_bodies_that_are_no_json_are_read_again(bench: Bench, text: str) -> None:
    """A success with a gateway's page, an empty body or one cut inside is asked for again."""
    bench.amazon.plays(httpx.Response(200, text=text, headers={"Content-Type": "application/json"}))
    poll(bench, report_answer())
    assert len(bench.amazon.calls) == 2


@pytest.mark.parametrize("text", [HTML, "", '{"error":null,"success":[{"index":0,"rep'])
def test_bodies_that_stay_no_json_are_unreadable(text: str) -> None:
    """A success that is never JSON comes out as what it is, with its beginning."""
    bench = open_bench(attempts=2)
    bench.amazon.plays(httpx.Response(200, text=text))
    with pytest.raises(UnreadableAnswer, match=r"was to be JSON and (begins with|is empty)"):
        poll(bench, httpx.Response(200, text=text))


def test_content_type_does_not_matter(bench: Bench) -> None:
    """JSON is read whatever the content type says."""
    body = json.dumps(report_body())
    poll(bench, httpx.Response(207, text=body, headers={"Content-Type": "text/html; charset=none"}))


@pytest.mark.parametrize(
    ("sent", "read"),
    [("9007199254740993", "9007199254740993"), ("12345678901234567890", "12345678901234567890")],
)
def test_ids_as_numbers_are_exact(bench: Bench, sent: str, read: str) -> None:
    """An id that comes as a number beyond 2^53 is read digit by digit."""
    body = json.dumps(report_body(reportId="ID")).replace('"ID"', sent)
    bench.amazon.plays(httpx.Response(207, text=body))
    assert retrieve_report(bench.client, "EU", read).report_id == read


@pytest.mark.parametrize("sent", ["1.2E18", "123.0", "1e3", "NaN", "true"])
def test_ids_that_may_have_lost_digits_are_refused(bench: Bench, sent: str) -> None:
    """An id with a point or an exponent is never guessed at."""
    body = json.dumps(report_body(reportId="ID")).replace('"ID"', sent)
    with pytest.raises(
        MalformedAnswer, match=r"success\.0\.report\.reportId: (an id is to be|Input should)"
    ):
        poll(bench, httpx.Response(207, text=body))


def test_period_must_not_end_before_it_starts(bench: Bench) -> None:
    """A reversed period is refused before anything is sent."""
    with pytest.raises(ValueError, match="2025-12-29"):
        create_report(
            bench.client, "NA", "a", fields=["x"], start=date(2025, 12, 29), end=date(2025, 12, 28)
        )
    assert bench.amazon.calls == []


def test_fields_are_needed(bench: Bench) -> None:
    """A report without fields is refused before anything is sent."""
    with pytest.raises(ValueError, match="at least one field"):
        create_report(
            bench.client, "NA", "a", fields=[], start=date(2025, 12, 29), end=date(2025, 12, 29)
        )
