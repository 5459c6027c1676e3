"""Which error an answer means, whatever the form of its body."""

from datetime import date
from typing import Any

import httpx
import pytest

from bidbeacon_pipelines.amazon_ads import errors
from bidbeacon_pipelines.amazon_ads.failures import error_for, partial_error
from bidbeacon_pipelines.amazon_ads.reports import create_report
from tests.unit.amazon_ads.fakes import HTML, FakeAmazon

RETENTION = "startDate must be equal to or after report type data retention start date"
FAULT = "unknown field: metric.x"
DUPLICATE = "The Request is a duplicate of : 0b6f7c1e-1111"


@pytest.mark.parametrize(
    ("status", "body", "kind", "code", "reason"),
    [
        (400, {"code": "400006", "message": "none"}, errors.Rejected, "400006", "none"),
        (400, {"code": "400005", "details": "metric.x"}, errors.UnknownField, "400005", "metric.x"),
        (400, {"code": "400013", "detail": "no dot"}, errors.UnknownField, "400013", "no dot"),
        (400, {"code": "B", "message": f"400005: {FAULT}"}, errors.UnknownField, "400005", FAULT),
        (400, {"message": "Report date is too far in the past"}, errors.TooOld, None, None),
        (400, {"message": RETENTION}, errors.TooOld, None, RETENTION),
        (400, {"message": "lookbackWindow must be one of 7, 14, 30"}, errors.Rejected, None, None),
        (400, {"message": "Look-back of 30 days is not allowed"}, errors.Rejected, None, None),
        (400, {"message": "Unknown retention policy"}, errors.Rejected, None, None),
        (400, {"message": "exceeds the maximum report size"}, errors.TooLarge, None, None),
        (413, {}, errors.TooLarge, None, None),
        (425, {"code": "425", "detail": DUPLICATE}, errors.DuplicateReport, "425", DUPLICATE),
        (401, {"message": "Not authorized"}, errors.NotAuthorized, None, "Not authorized"),
        (403, HTML, errors.NotAuthorized, None, "503 Service down"),
        (403, {"message": "Multi-account authorization failed"}, errors.MissingRights, None, None),
        (404, "", errors.NotFound, None, "an empty body"),
        (406, [{"errorCode": "X", "errorMessage": "Y"}], errors.Rejected, "X", "Y"),
        (408, {}, errors.Unavailable, None, None),
        (429, HTML, errors.Throttled, None, None),
        (500, {"message": "a"}, errors.Unavailable, None, "a"),
        (302, "", errors.MalformedAnswer, None, None),
    ],
)
def test_error_of_a_status_and_a_body(
    status: int, body: Any, kind: type[errors.AdsApiError], code: str | None, reason: str | None
) -> None:
    """Code and text are found in any known shape."""
    content = {"text": body} if isinstance(body, str) else {"json": body}
    error = error_for(httpx.Response(status, **content))
    assert (kind, status, code) == (type(error), error.status, error.code)
    assert reason in {None, error.reason}


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("400004", errors.Rejected),
        ("400005", errors.UnknownField),
        ("BAD_REQUEST", errors.Rejected),
        ("UNAUTHORIZED", errors.NotAuthorized),
        ("FORBIDDEN", errors.NotAuthorized),
        ("NOT_FOUND", errors.NotFound),
        ("CONTENT_TOO_LARGE", errors.TooLarge),
        ("TOO_MANY_REQUESTS", errors.Throttled),
        ("ACTIVE_RESOURCE_LIMIT_EXCEEDED", errors.Throttled),
        ("INTERNAL_ERROR", errors.Unavailable),
        ("SOMETHING_NEW", errors.Rejected),
    ],
)
def test_error_inside_of_a_multi_status_answer(code: str, kind: type[errors.AdsApiError]) -> None:
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
    with pytest.raises(errors.DuplicateReport) as caught:
        create_report(amazon.connect(), "NA", "a", fields=["x.y"], start=day, end=day)
    assert "0b6f7c1e-1111" == caught.value.report_id


def test_cause_names_the_refused_field() -> None:
    """So that equal refusals are grouped."""
    error = errors.UnknownField("metric.x is unknown", status=400, code="400005")
    error.field = "metric.x"
    told = error.failure_cause
    assert ("field-refused", "metric.x") == (told["code"], told["field"])
    assert "Amazon refused the field metric.x" in str(error)
