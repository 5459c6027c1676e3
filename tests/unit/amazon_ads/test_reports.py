"""What is sent for reports and exports, and how Amazon's answers are read."""

from datetime import UTC, date, datetime
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from bidbeacon_pipelines.amazon_ads import reports
from bidbeacon_pipelines.amazon_ads.client import Owner
from bidbeacon_pipelines.amazon_ads.entities import ExportStatus, create_export, get_export
from bidbeacon_pipelines.amazon_ads.errors import MalformedAnswer, Rejected
from tests.unit.amazon_ads.fakes import FakeAmazon, throttled

DAY = date(2025, 12, 29)
URL = "https://bucket.s3.amazonaws.com/1?X-Amz-Signature=secret"
PART = {"url": URL, "sizeInBytes": 20480, "urlExpirationDateTime": "2025-12-30T09:06:40Z"}
PROFILE = Owner("EU", "amzn1.one", "DE", "123")


def report(**fields: Any) -> dict[str, Any]:
    """Return the body of an answer about a report."""
    return {"error": None, "success": [{"index": 0, "report": {"reportId": "r-1"} | fields}]}


def read(amazon: FakeAmazon, **fields: Any) -> reports.Report:
    """Return how an answer about a report is read."""
    amazon.plays(httpx.Response(207, json=report(**fields)))
    return reports.retrieve_report(amazon.connect(), "NA", "r-1")


def test_create_asks_for_one_report_of_one_account(amazon: FakeAmazon) -> None:
    """In the form of the contract's example."""
    amazon.plays(httpx.Response(207, json=report(status="PENDING")))
    made = reports.create_report(
        amazon.connect(),
        "NA",
        "amzn1.one",
        fields=["date.value", "metric.clicks"],
        start=DAY,
        end=DAY,
        row_filter=reports.ad_product_filter(["SPONSORED_BRANDS", "SPONSORED_DISPLAY"]),
    )
    assert reports.Report(report_id="r-1", raw_status="PENDING") == made
    [body] = amazon.bodies()
    products = {
        "field": "adProduct.value",
        "comparisonOperator": "IN",
        "not": False,
        "values": ["SPONSORED_BRANDS", "SPONSORED_DISPLAY"],
    }
    query = {"fields": ["date.value", "metric.clicks"], "filter": {"on": products}}
    periods = [{"datePeriod": {"startDate": "2025-12-29", "endDate": "2025-12-29"}}]
    assert {
        "accessRequestedAccounts": [{"advertiserAccountId": "amzn1.one"}],
        "reports": [{"format": "GZIP_JSON", "periods": periods, "query": query}],
    } == body
    assert "/adsApi/v1/create/reports" == amazon.calls[0].url.path


def test_completed_report_has_parts_and_says_what_was_asked_for(amazon: FakeAmazon) -> None:
    """Instants are UTC, urls are secrets, a part that comes twice counts once."""
    row_filter = reports.ad_product_filter(["SPONSORED_PRODUCTS"])
    made = read(
        amazon,
        status="COMPLETED",
        creationDateTime="2025-12-30T08:00:05",
        completedReportParts=[PART, PART],
        periods=[{"datePeriod": {"startDate": "2025-12-29", "endDate": "2025-12-30"}}],
        query={"fields": ["metric.clicks"], "filter": row_filter},
        linkedAccounts=[{"advertiserAccountId": "amzn1.one"}],
        unheardOf={},
    )
    [part] = made.parts
    assert (URL, 20480) == (part.url.get_secret_value(), part.size_bytes)
    assert "secret" not in repr(made)
    expected = reports.Report(
        report_id="r-1",
        raw_status="COMPLETED",
        parts=(part,),
        created_at=datetime(2025, 12, 30, 8, 0, 5, tzinfo=UTC),
        periods=(reports.Period(start=DAY, end=date(2025, 12, 30)),),
        fields=("metric.clicks",),
        account_ids=("amzn1.one",),
        row_filter=row_filter,
    )
    assert expected == made


def test_odd_optional_fields_do_not_spoil_a_report(amazon: FakeAmazon) -> None:
    """What can't be read counts as not said; an old single url stands in for parts."""
    made = read(
        amazon,
        status="COMPLETED",
        url=URL,
        completedReportParts=None,
        creationDateTime="soon",
        periods=[{"weekly": 1}],
        query=None,
        linkedAccounts=[{"managerAccountId": "m"}],
    )
    assert 1 == len(made.parts)
    assert reports.Report(report_id="r-1", raw_status="COMPLETED", parts=made.parts) == made


@pytest.mark.parametrize(
    ("word", "status"),
    [
        *(
            (word, reports.ReportStatus.PROCESSING)
            for word in ("PENDING", "IN_PROGRESS", "something new")
        ),
        *((word, reports.ReportStatus.COMPLETED) for word in (" completed ", "SUCCESS")),
        ("FAILURE", reports.ReportStatus.FAILED),
        ("CANCELED", reports.ReportStatus.CANCELLED),
        ("EXPIRED", reports.ReportStatus.EXPIRED),
    ],
)
def test_words_for_the_status(amazon: FakeAmazon, word: str, status: reports.ReportStatus) -> None:
    """Unknown words wait, terminal words end."""
    made = read(amazon, status=word, failureCode="X", failureReason="Y")
    told = (made.status, made.raw_status, made.failure_code, made.failure_reason)
    assert (status, word, "X", "Y") == told
    assert made.is_terminal == (status is not reports.ReportStatus.PROCESSING)


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (report(), "status: Field required"),
        (report(status="PENDING", reportId=1.5), "reportId"),
        (report(status="COMPLETED", completedReportParts=[{}]), "url: Field required"),
        ({"success": []}, "success.0.report: Field required"),
        ([], "body: Input should be"),
        (report(status="PENDING", reportId="r-2"), "expected an answer about report r-1, got: r-2"),
    ],
)
def test_answer_that_is_not_as_described(amazon: FakeAmazon, body: Any, fault: str) -> None:
    """The error names the field and its fault."""
    amazon.plays(httpx.Response(207, json=body))
    with pytest.raises(MalformedAnswer, match=fault):
        reports.retrieve_report(amazon.connect(), "NA", "r-1")


def test_ids_keep_every_digit(amazon: FakeAmazon) -> None:
    """They come as text or as numbers."""
    amazon.plays(httpx.Response(207, json=report(status="PENDING", reportId=2**63 + 1)))
    made = reports.retrieve_report(amazon.connect(), "NA", str(2**63 + 1))
    assert str(2**63 + 1) == made.report_id


def export(**fields: Any) -> httpx.Response:
    """Return an answer about an export."""
    return httpx.Response(202, json={"exportId": "e/1"} | fields)


def test_export_is_asked_for_with_archived_entities(amazon: FakeAmazon) -> None:
    """A throttled create is repeated, since a second export only takes one of five places."""
    amazon.plays(throttled("2"), export(status="IN_PROGRESS"))
    made = create_export(amazon.connect(), PROFILE, "adGroups")
    assert ("e/1", ExportStatus.PROCESSING) == (made.export_id, made.status)
    call, body = amazon.calls[1], amazon.bodies()[1]
    assert ("POST", "/adGroups/export") == (call.method, call.url.path)
    media_type = "application/vnd.adgroupsexport.v1+json"
    names = ("Accept", "Content-Type", "Amazon-Advertising-API-Scope")
    assert [media_type, media_type, "123"] == [call.headers[name] for name in names]
    assert ["ENABLED", "PAUSED", "ARCHIVED"] == body["stateFilter"]


def test_export_that_is_completed_has_a_file(amazon: FakeAmazon) -> None:
    """Its url is a secret."""
    amazon.plays(export(status="COMPLETED", url=URL, fileSize=8123))
    made = get_export(amazon.connect(), PROFILE, "ads", "e/1")
    assert (SecretStr(URL), 8123, True) == (made.url, made.size_bytes, made.is_terminal)
    assert "/exports/e%2F1" == amazon.calls[0].url.raw_path.decode()


@pytest.mark.parametrize(
    ("asked", "fault"),
    [("e/1", "expected a completed export to have a url"), ("e-2", "export e-2, got: e/1")],
)
def test_export_that_is_not_as_described(amazon: FakeAmazon, asked: str, fault: str) -> None:
    """It has no file, or is not the one that was asked for."""
    amazon.plays(export(status="COMPLETED" if asked == "e/1" else "PROCESSING"))
    with pytest.raises(MalformedAnswer, match=fault):
        get_export(amazon.connect(), PROFILE, "ads", asked)


def test_export_that_failed_says_why(amazon: FakeAmazon) -> None:
    """With Amazon's code and words."""
    why = {"errorCode": "TIMED_OUT", "message": "Export timed out"}
    amazon.plays(export(status="FAILED", error=why))
    made = get_export(amazon.connect(), PROFILE, "ads", "e/1")
    told = (made.status, made.error_code, made.error_message)
    assert (ExportStatus.FAILED, "TIMED_OUT", "Export timed out") == told


@pytest.mark.parametrize("instant", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"])
def test_instant_outside_of_the_calendar_counts_as_unsaid(amazon: FakeAmazon, instant: str) -> None:
    """In UTC its year would be 0 or 10000."""
    assert read(amazon, status="PENDING", creationDateTime=instant).created_at is None


def test_partial_failure_names_the_report_beside_it(amazon: FakeAmazon) -> None:
    """Both describe the one report that was asked for; the report must not get lost at Amazon without a trace."""
    refusal = {"index": 0, "errors": [{"code": "BAD_REQUEST", "message": "No such field"}]}
    amazon.plays(httpx.Response(207, json=report(status="PENDING") | {"error": [refusal]}))
    with pytest.raises(Rejected, match="the answer also has report r-1, PENDING; No such field"):
        reports.retrieve_report(amazon.connect(), "NA", "r-1")
