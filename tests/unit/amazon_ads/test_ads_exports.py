from datetime import UTC, datetime
from typing import Any, get_args

import httpx
import pytest

from bidbeacon_pipelines.amazon_ads import ExportKind, ExportStatus, create_export, get_export
from bidbeacon_pipelines.amazon_ads.errors import MalformedAnswer, OutcomeUnknown, Rejected
from tests.unit.amazon_ads.fakes import Bench

SIGNED = "https://example-bucket.s3.amazonaws.com/exp-1.json.gz?X-Amz-Signature=abc"


def export_answer(http_status: int = 200, /, **changes: Any) -> httpx.Response:
    """Return an export in progress, changed as told."""
    body = {"exportId": "exp-1", "status": "PROCESSING", "createdAt": "2025-12-30T08:00:00Z"}
    return httpx.Response(http_status, json=body | changes)


@pytest.mark.parametrize("kind", get_args(ExportKind))
def test_create_asks_as_described(bench: Bench, kind: ExportKind) -> None:
    """An export is started in its profile, with its own media type both ways, for every ad product and state."""
    bench.amazon.plays(export_answer(202))
    export = create_export(bench.client, "FE", "1111222233334444", kind)
    (call,) = bench.amazon.calls
    media_type = f"application/vnd.{kind.lower()}export.v1+json"
    assert (call.method, str(call.url)) == (
        "POST",
        f"https://advertising-api-fe.amazon.com/{kind}/export",
    )
    assert call.headers["Content-Type"] == call.headers["Accept"] == media_type
    assert call.headers["Amazon-Advertising-API-Scope"] == "1111222233334444"
    assert bench.amazon.bodies() == [
        {
            "adProductFilter": ["SPONSORED_PRODUCTS", "SPONSORED_BRANDS", "SPONSORED_DISPLAY"],
            "stateFilter": ["ENABLED", "PAUSED", "ARCHIVED"],
        }
    ]
    assert (export.export_id, export.kind, export.status) == (
        "exp-1",
        kind,
        ExportStatus.PROCESSING,
    )


def test_look_uses_the_same_media_type(bench: Bench) -> None:
    """A look at an export accepts the media type it was started with: others are answered with 406."""
    bench.amazon.plays(export_answer(exportId="exp/1"))
    get_export(bench.client, "NA", "1", "adGroups", "exp/1")
    (call,) = bench.amazon.calls
    assert call.headers["Accept"] == "application/vnd.adgroupsexport.v1+json"
    assert call.url.raw_path == b"/exports/exp%2F1"


def test_completed_export_is_read(bench: Bench) -> None:
    """A completed export has its file's address, size and end."""
    bench.amazon.plays(
        export_answer(
            status="COMPLETED",
            url=SIGNED,
            fileSize=8123,
            urlExpiresAt="2025-12-30T09:01:10Z",
            generatedAt="2025-12-30T08:01:10Z",
        )
    )
    export = get_export(bench.client, "NA", "1", "ads", "exp-1")
    assert export.url is not None
    assert export.url.get_secret_value() == SIGNED
    assert "Signature" not in repr(export)
    assert export.size_bytes == 8123
    assert export.expires_at == datetime(2025, 12, 30, 9, 1, 10, tzinfo=UTC)
    assert export.is_terminal


def test_failed_export_is_read(bench: Bench) -> None:
    """A failed export says why."""
    bench.amazon.plays(
        export_answer(
            status="FAILED", error={"errorCode": "TIMED_OUT", "message": "Export timed out"}
        )
    )
    export = get_export(bench.client, "NA", "1", "ads", "exp-1")
    assert (export.status, export.error_code, export.error_message) == (
        ExportStatus.FAILED,
        "TIMED_OUT",
        "Export timed out",
    )


@pytest.mark.parametrize("word", ["PROCESSING", "IN_PROGRESS", "QUEUED_SOMEHOW"])
def test_other_words_wait(bench: Bench, word: str) -> None:
    """Words that don't end an export wait."""
    bench.amazon.plays(export_answer(status=word))
    export = get_export(bench.client, "NA", "1", "ads", "exp-1")
    assert (export.status, export.raw_status, export.is_terminal) == (
        ExportStatus.PROCESSING,
        word,
        False,
    )


def test_completed_export_has_a_file(bench: Bench) -> None:
    """A completed export without an address isn't one."""
    bench.amazon.plays(export_answer(status="COMPLETED"))
    with pytest.raises(MalformedAnswer, match="url"):
        get_export(bench.client, "NA", "1", "ads", "exp-1")


def test_look_at_another_export_is_malformed(bench: Bench) -> None:
    """An answer about another export is never taken for this one."""
    bench.amazon.plays(export_answer(exportId="exp-2"))
    with pytest.raises(MalformedAnswer, match="exp-2"):
        get_export(bench.client, "NA", "1", "ads", "exp-1")


def test_wrong_media_type_is_a_refusal(bench: Bench) -> None:
    """A 406 is final."""
    bench.amazon.plays(httpx.Response(406, json={"code": "NOT_ACCEPTABLE", "details": "Accept"}))
    with pytest.raises(Rejected):
        get_export(bench.client, "NA", "1", "ads", "exp-1")


def test_throttled_start_is_unknown(bench: Bench) -> None:
    """An export whose start was throttled may run all the same."""
    bench.amazon.plays(httpx.Response(429))
    with pytest.raises(OutcomeUnknown):
        create_export(bench.client, "NA", "1", "targets")
