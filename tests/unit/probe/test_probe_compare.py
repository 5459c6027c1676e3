"""Comparing exchanges that no sandbox has to make."""

from typing import Any

import pytest

from bidbeacon_pipelines.probe.compare import Finding, Verdict, compare, one_of_each_form
from bidbeacon_pipelines.probe.evidence import Evidence
from bidbeacon_pipelines.probe.leaves import HOUR, Leaf, kind_of
from bidbeacon_pipelines.probe.shapes import row_leaf
from bidbeacon_pipelines.recordings import Exchange

REPORT = "/na/adsApi/v1/retrieve/reports"


def exchange(path: str = "/na/v2/profiles", **changes: Any) -> Exchange:
    """Return an answer of the profiles, or another one."""
    usual: dict[str, Any] = {"step": "accounts", "method": "GET", "status": 200, "body": []}
    return Exchange(path=path, **usual | changes)


def finding(subject: str, check: str, *exchanges: Exchange) -> Finding:
    """Return one finding about these exchanges."""
    findings = compare(Evidence(exchanges, {}))
    return next(one for one in findings if (one.subject, one.check) == (subject, check))


def test_nothing_seen_is_nothing_checked() -> None:
    """Without exchanges no check is as expected, except those of what did not happen."""
    findings = compare(Evidence((), {}, "interrupted"))
    assert {"answers"} == {one.check for one in findings if one.verdict != Verdict.UNCHECKED}
    assert "interrupted" in {one.found for one in findings}


@pytest.mark.parametrize(
    ("seconds", "verdict", "found"),
    [
        (29.0, Verdict.EXPECTED, "the slowest took 29.0 s"),
        (31.0, Verdict.DIFFERS, "GET v2 took 31 s"),
    ],
)
def test_an_answer_that_takes_long(seconds: float, verdict: Verdict, found: str) -> None:
    """Half of the client's patience is as expected, more differs."""
    judged = finding("times", "answers", exchange(seconds=1.0), exchange(seconds=seconds))
    assert (verdict, found) == (judged.verdict, judged.found)


@pytest.mark.parametrize(
    ("completed", "verdict", "found"),
    [
        ("2026-01-01T00:20:00Z", Verdict.EXPECTED, "the longest took 1200 s"),
        ("2026-01-01T03:00:00Z", Verdict.DIFFERS, "one took 180 min"),
        (None, Verdict.UNCHECKED, "no report was made"),
    ],
)
def test_a_report_that_takes_long(completed: str | None, verdict: Verdict, found: str) -> None:
    """A report's time is told by Amazon's own clock."""
    report = {"creationDateTime": "2026-01-01T00:00:00Z", "completedDateTime": completed}
    body = {"error": None, "success": [{"index": 0, "report": report}]}
    judged = finding("times", "reports", exchange(REPORT, method="POST", status=207, body=body))
    assert (verdict, found) == (judged.verdict, judged.found)


@pytest.mark.parametrize(
    ("headers", "verdict", "found"),
    [
        ({}, Verdict.EXPECTED, "in 0 of 1 answers 429"),
        ({"retry-after": "30"}, Verdict.EXPECTED, "in 1 of 1 answers 429"),
        (
            {"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"},
            Verdict.EXPECTED,
            "in 1 of 1 answers 429",
        ),
        ({"retry-after": "soon"}, Verdict.DIFFERS, "it is neither seconds nor a date"),
    ],
)
def test_retry_after(headers: dict[str, str], verdict: Verdict, found: str) -> None:
    """It may be missing, seconds or a date."""
    judged = finding("headers", "Retry-After", exchange(status=429, headers=headers))
    assert (verdict, found) == (judged.verdict, judged.found)


def test_a_region_that_refuses_is_named() -> None:
    """One region's success is enough, and the table says what came from the other."""
    refused = exchange("/eu/v2/profiles", status=403, body={"code": "403"})
    assert (
        "HTTP 200; EU refused (403, 403)"
        == finding("profiles", "status", exchange(), refused).found
    )


def test_rows_of_one_form_are_kept_once() -> None:
    """Rows are alike where countries, kinds of values and faults are; a new fault is always kept."""
    shape = {name: row_leaf(name) for name in ("campaign.country", "campaign.id", "metric.clicks")}
    rows: list[dict[str, Any]] = [
        {"campaign.country": "US", "campaign.id": 1, "metric.clicks": 1},
        {"campaign.country": "US", "campaign.id": 2, "metric.clicks": 7},
        {"campaign.country": "CA", "campaign.id": 3, "metric.clicks": 1},
        {"campaign.country": "US", "campaign.id": "4", "metric.clicks": 1},
        {"campaign.country": "USA", "campaign.id": 5, "metric.clicks": 1},
        {"campaign.country": "US", "campaign.id": 6, "metric.clicks": 1, "metric.new": 1},
    ]
    assert [1, 3, "4", 5, 6] == [row["campaign.id"] for row in one_of_each_form(rows, shape)]


@pytest.mark.parametrize(
    ("leaf", "value", "accepted"),
    [
        (HOUR, 0, True),
        (HOUR, "23", True),
        (HOUR, "2025-12-29T18:00:00", True),
        (HOUR, 24, False),
        (HOUR, "24", False),
        (HOUR, "17:00", False),
        (row_leaf("metric.sales"), None, True),
        (row_leaf("metric.clicks"), "7", False),
        (row_leaf("target.matchType"), "", True),
        (row_leaf("adProduct.value"), ["Sponsored Products"], False),
        (row_leaf("target.matchType"), {}, False),
    ],
)
def test_values_of_rows(leaf: Leaf, value: Any, *, accepted: bool) -> None:
    """Each field takes the forms that the contract lists, and any other value is refused without an error."""
    assert accepted == leaf.accepts(value), kind_of(value)


def test_zone_that_is_a_list_differs() -> None:
    """A value of another kind is a difference like any other, also where the vocabulary is a set."""
    found = finding("profiles", "values", exchange(body=[{"timezone": ["Europe/Paris"]}]))
    assert (Verdict.DIFFERS, "timezone: expected a time zone of the IANA, got: a list") == (
        found.verdict,
        found.found,
    )
