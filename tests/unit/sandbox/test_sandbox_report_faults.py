"""The faults that a report has from its creation on: words, parts, ids, and rows of one report only."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

IDS = ("campaign.id", "adGroup.id", "ad.id")
KEY = ("date.value", "campaign.country", *IDS, "target.value", "target.matchType")
METRICS = [
    f"metric.{name}" for name in ("impressions", "clicks", "purchases", "sales", "totalCost")
]


def key_of(row: dict[str, Any]) -> tuple[str, ...]:
    """Return what makes a row the one it is, ids as text."""
    return tuple(str(row[name]) for name in KEY)


def test_odd_status_while_in_flight(caller: Any) -> None:
    """With odd_status a report says another word until it completes, and takes its place in flight meanwhile."""
    caller.fault("odd_status", times=1)
    caller.fault("odd_status", times=1, options={"word": "QUEUED_FOR_REVIEW"})
    first, second = (
        caller.create_id(),
        caller.create_id(start=date(2026, 1, 9), end=date(2026, 1, 9)),
    )
    words = [caller.report(number)["status"] for number in (first, second)]
    assert ["IN_PROGRESS", "QUEUED_FOR_REVIEW"] == words
    assert caller.create().status_code == 429
    caller.state.clock.advance(120)
    assert ["COMPLETED", "COMPLETED"] == [
        caller.report(number)["status"] for number in (first, second)
    ]


@pytest.mark.parametrize(
    ("fault", "status"), [("report_cancelled", "CANCELLED"), ("report_expired", "EXPIRED")]
)
def test_other_ends(caller: Any, fault: str, status: str) -> None:
    """A report can end CANCELLED or EXPIRED, without parts, with a reason only where one is given."""
    caller.fault(fault, times=1)
    caller.fault(fault, times=1, options={"code": "X1", "reason": "By a person"})
    bare, told = caller.completed(), caller.completed()
    assert (status, None, None) == (bare["status"], bare["failureCode"], bare["failureReason"])
    assert (status, "X1", "By a person") == (
        told["status"],
        told["failureCode"],
        told["failureReason"],
    )
    assert "completedReportParts" not in bare
    assert caller.create().status_code == 207


@pytest.mark.parametrize(("options", "count"), [({}, 2), ({"parts": 7}, 7)])
def test_more_parts(caller: Any, options: dict[str, int], count: int) -> None:
    """With more_parts a report has exactly so many parts, which together are what one part would be."""
    caller.fault("more_parts", times=1, options=options)
    many, one = caller.completed(), caller.completed()
    assert [count, 1] == [len(report["completedReportParts"]) for report in (many, one)]
    assert caller.rows_of(many) == caller.rows_of(one)


def test_more_parts_than_rows(caller: Any) -> None:
    """Parts that no rows are left for are the 22 bytes of an empty array."""
    caller.fault("more_parts", options={"parts": 3})
    tomorrow = date(2026, 2, 1)
    report = caller.completed(start=tomorrow, end=tomorrow)
    assert [22, 22, 22] == [part["sizeInBytes"] for part in report["completedReportParts"]]


def test_single_url_instead_of_parts(start: Callable[..., Any]) -> None:
    """With single_url the whole report is behind the old `url` field, however many parts it would have."""
    caller = start(part_rows=10)
    caller.fault("single_url", times=1)
    old, new = caller.completed(), caller.completed()
    assert "completedReportParts" not in old
    assert len(new["completedReportParts"]) > 2
    assert caller.rows_of({"completedReportParts": [{"url": old["url"]}]}) == caller.rows_of(new)


@pytest.mark.parametrize(("fault", "kind"), [("number_ids", int), ("string_ids", str)])
def test_ids_of_one_kind(caller: Any, fault: str, kind: type) -> None:
    """Usually ids are numbers in some rows and strings in others; the faults make them all one or the other."""
    caller.fault(fault, times=1)
    all_same, mixed = caller.rows(), caller.rows()
    assert {kind} == {type(row[name]) for row in all_same for name in IDS}
    assert {int, str} == {type(row["ad.id"]) for row in mixed}
    assert [key_of(row) for row in all_same] == [key_of(row) for row in mixed]


def test_restated_rows(start: Callable[..., Any]) -> None:
    """With restate_rows a share of one report's rows has other numbers, none below zero; the next has the true ones."""
    caller = start(rows_per_day=300)
    before = caller.rows()
    caller.fault("restate_rows", times=1, options={"share": 0.3})
    restated, after = caller.rows(), caller.rows()
    changed = [(new, old) for new, old in zip(restated, before, strict=True) if new != old]
    assert before == after
    assert 0.2 < len(changed) / len(before) < 0.4
    assert all(key_of(new) == key_of(old) for new, old in changed)
    assert all(
        (new[name] is None) == (old[name] is None) for new, old in changed for name in METRICS
    )
    assert all((new[name] or 0) >= 0 for new, _ in changed for name in METRICS)
    assert any(isinstance(new["metric.sales"], Decimal) for new, _ in changed)


@pytest.mark.parametrize("hour", [[], ["hour.value"]])
def test_rows_that_appear_once(start: Callable[..., Any], hour: list[str]) -> None:
    """With appear_rows one report has rows that none before or after has, of real ads; the others are the same."""
    caller = start(rows_per_day=300)
    fields = [*KEY, *hour, "metric.clicks"]
    before = caller.rows(fields=fields)
    caller.fault("appear_rows", times=1, options={"share": 0.1})
    more, after = caller.rows(fields=fields), caller.rows(fields=fields)
    new = [row for row in more if row not in before]
    ads = {
        ad.ad_id for catalog in caller.state.world.catalogs(caller.account()) for ad in catalog.ads
    }
    assert before == after == [row for row in more if row not in new]
    assert 0.03 < len(new) / len(before) < 0.2
    assert {key_of(row) for row in new}.isdisjoint(key_of(row) for row in before)
    assert {str(row["ad.id"]) for row in new} <= ads


def test_null_metrics(caller: Any) -> None:
    """The bad row of kind null_metric has null where a number was, and is as it was otherwise."""
    caller.fault("bad_rows", times=1, options={"share": 0.5, "kinds": ["null_metric"]})
    spoiled, good = caller.rows(), caller.rows()
    lost = [
        [name for name in row if row[name] != was[name]]
        for row, was in zip(spoiled, good, strict=True)
        if row != was
    ]
    assert len(lost) > len(good) / 5
    assert all(len(names) == 1 and names[0] in METRICS for names in lost)
    assert all(
        row[name] is None or row[name] == was[name]
        for row, was in zip(spoiled, good, strict=True)
        for name in row
    )


def test_truth_has_no_faults(caller: Any) -> None:
    """The truth of a day is the same with every fault of rows in force."""
    url, account_id = f"{caller.url}/sandbox/truth", caller.account().account_id
    asked = {
        "account": account_id,
        "country": "US",
        "date": "2026-01-10",
        "at": "2026-01-15T12:00:00Z",
    }
    before = caller.http.get(url, params=asked).json()
    good = caller.rows()
    for fault in ("restate_rows", "appear_rows", "vanish_rows", "bad_rows", "unknown_target"):
        caller.fault(fault, options={"share": 0.2})
    assert good != caller.rows()
    assert before == caller.http.get(url, params=asked).json()
