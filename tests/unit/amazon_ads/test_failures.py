"""Which error an answer means, whatever the form of its body."""

from datetime import date
from typing import Any

import httpx
import pytest

from bidbeacon_pipelines.amazon_ads.errors import (
    AdsApiError,
    DuplicateReport,
    MalformedAnswer,
    MissingRights,
    NotAuthorized,
    NotFound,
    Rejected,
    Throttled,
    TooLarge,
    TooOld,
    Unavailable,
    UnknownField,
)
from bidbeacon_pipelines.amazon_ads.failures import error_for, partial_error
from bidbeacon_pipelines.amazon_ads.reports import create_report
from tests.unit.amazon_ads.fakes import HTML, FakeAmazon

RETENTION = "startDate must be equal to or after report type data retention start date"
NUMBERED = "400005: unknown field: metric.x"
DUPLICATE = "The Request is a duplicate of : 0b6f7c1e-1111"


@pytest.mark.parametrize(
    ("status", "body", "kind", "code", "reason"),
    [
        (400, {"code": "400006", "message": "no companion"}, Rejected, "400006", "no companion"),
        (400, {"code": "400005", "details": "metric.x"}, UnknownField, "400005", "metric.x"),
        (400, {"code": "400013", "detail": "no dot"}, UnknownField, "400013", "no dot"),
        (
            400,
            {"code": "BAD_REQUEST", "message": NUMBERED},
            UnknownField,
            "400005",
            "unknown field: metric.x",
        ),
        (400, {"message": "Report date is too far in the past"}, TooOld, None, None),
        (400, {"message": RETENTION}, TooOld, None, RETENTION),
        (400, {"message": "lookbackWindow must be one of 7, 14, 30"}, Rejected, None, None),
        (400, {"message": "Look-back of 30 days is not allowed"}, Rejected, None, None),
        (400, {"message": "Unknown retention policy"}, Rejected, None, None),
        (400, {"message": "exceeds the maximum report size"}, TooLarge, None, None),
        (413, {}, TooLarge, None, None),
        (425, {"code": "425", "detail": DUPLICATE}, DuplicateReport, "425", DUPLICATE),
        (401, {"message": "Not authorized"}, NotAuthorized, None, "Not authorized"),
        (403, HTML, NotAuthorized, None, "503 Service down"),
        (403, {"message": "Multi-account authorization failed"}, MissingRights, None, None),
        (404, "", NotFound, None, "an empty body"),
        (406, [{"errorCode": "X", "errorMessage": "Y"}], Rejected, "X", "Y"),
        (408, {}, Unavailable, None, None),
        (429, HTML, Throttled, None, None),
        (500, {"message": "a"}, Unavailable, None, "a"),
        (302, "", MalformedAnswer, None, None),
    ],
)
def test_error_of_a_status_and_a_body(
    status: int, body: Any, kind: type[AdsApiError], code: str | None, reason: str | None
) -> None:
    """Code and text are found in any known shape."""
    content = {"text": body} if isinstance(body, str) else {"json": body}
    error = error_for(httpx.Response(status, **content))
    assert (kind, status, code) == (type(error), error.status, error.code)
    assert reason in {None, error.reason}


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("400004", Rejected),
        ("400005", UnknownField),
        ("BAD_REQUEST", Rejected),
        ("UNAUTHORIZED", NotAuthorized),
        ("FORBIDDEN", NotAuthorized),
        ("NOT_FOUND", NotFound),
        ("CONTENT_TOO_LARGE", TooLarge),
        ("TOO_MANY_REQUESTS", Throttled),
        ("ACTIVE_RESOURCE_LIMIT_EXCEEDED", Throttled),
        ("INTERNAL_ERROR", Unavailable),
        ("SOMETHING_NEW", Rejected),
    ],
)
def test_error_inside_of_a_multi_status_answer(code: str, kind: type[AdsApiError]) -> None:
    """The code decides, since the status is a success; all texts are kept."""
    errors = [
        {"code": code, "message": "first", "fieldLocation": "$.reports[0]"},
        {"code": "400006", "message": "second"},
    ]
    body = {"error": [{"index": 0, "errors": errors}], "success": None}
    error = partial_error(httpx.Response(207, json=body), body)
    assert (kind, code, 207) == (type(error), error.code, error.status)
    assert "first (at $.reports[0]); second" == error.reason


@pytest.mark.parametrize("code", ["400004", "400006"])
def test_fields_that_exclude_each_other_have_a_cause_of_their_own(code: str) -> None:
    """It is not refused for one field's name."""
    error = error_for(httpx.Response(400, json={"code": code, "message": "field a with b"}))
    assert ("fields-refused-together", "400" + code[3:]) == (error.cause_code, error.code)


def test_duplicate_names_the_report_that_is_being_made(amazon: FakeAmazon) -> None:
    """It may be adopted."""
    amazon.plays(httpx.Response(425, json={"detail": DUPLICATE}))
    day = date(2025, 12, 29)
    with pytest.raises(DuplicateReport) as caught:
        create_report(amazon.connect(), "NA", "a", fields=["x.y"], start=day, end=day)
    assert "0b6f7c1e-1111" == caught.value.report_id


def test_cause_names_the_refused_field() -> None:
    """So that equal refusals are grouped."""
    error = UnknownField("metric.x is unknown", status=400, code="400005")
    error.field = "metric.x"
    assert ("field-refused", "metric.x") == (
        error.failure_cause["code"],
        error.failure_cause["field"],
    )
    assert "Amazon refused the field metric.x" in str(error)
