"""Each rule of the accounting finds the creates that break it, and no others."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from bidbeacon_sandbox import SandboxConfig
from bidbeacon_sandbox.catalog import World
from bidbeacon_sandbox.report_request import ReportRequest
from bidbeacon_sandbox.reports import Reports
from tests.faults.ads import accounting
from tests.faults.ads.accounting import SentCreate
from tests.faults.ads.month_faults import Struck
from tests.support.rules import rule

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
DAY = date(2026, 3, 1)
ACCOUNT = "amzn1.ads-account.g.one"
REQUEST = ReportRequest(ACCOUNT, "GZIP_JSON", ("date.value",), DAY, DAY)


def create(minutes: float = 0, **changes: Any) -> SentCreate:
    """Return a create that keeps to all rules but for the changes."""
    good = SentCreate(
        at=NOON + timedelta(minutes=minutes),
        region="NA",
        request_id=1,
        account_id=ACCOUNT,
        places=2,
        counted=1,
        at_amazon=1,
        due_windows=3,
        status=207,
        is_told=True,
    )
    return replace(good, **changes)


@pytest.fixture
def reports() -> Reports:
    """Return the reports of a sandbox, each of which takes an hour."""
    world = World(SandboxConfig(report_seconds=3600, accounts=1, rows_per_day=10))
    return Reports(world)


def test_create_beyond_the_gate_is_found() -> None:
    """By our own count and by the sandbox's, at the limit of that moment and no other."""
    creates = [create(), create(counted=2), create(at_amazon=2), create(places=1)]
    assert creates[1:] == accounting.over_the_gate(creates)


@pytest.mark.parametrize(
    ("refusals", "retry_after", "pause"),
    [(0, None, 1), (1, None, 120), (1, 600, 600), (2, None, 240), (9, None, 3600)],
)
def test_create_through_a_closed_gate_is_found(
    refusals: int, retry_after: float | None, pause: float
) -> None:
    """A second after any create; after 429 for minutes, twice as long each further time, up to an hour."""
    refused = {"status": 429, "retry_after": retry_after}
    before = [create(120 * n, request_id=n, **refused) for n in range(refusals)] or [create()]
    well = create(request_id=100, at=before[-1].at + timedelta(seconds=pause))
    early = replace(well, at=well.at - timedelta(milliseconds=1))
    elsewhere = replace(early, region="EU")
    assert accounting.through_closed_gates([*before, well, elsewhere]) == []
    assert [early] == [after for _, after in accounting.through_closed_gates([*before, early])]


def test_unknown_outcome_that_is_sent_again_within_ten_minutes_is_found() -> None:
    """At ten minutes it may be sent again."""
    unknown, soon, well = create(is_told=False), create(9), create(10)
    assert [soon] == accounting.early_creates([unknown, soon])
    assert accounting.early_creates([unknown, well]) == []


def test_request_that_nothing_is_due_for_is_found() -> None:
    """Only its first create counts, since windows are no longer due for the further ones."""
    needless = create(request_id=2, due_windows=0)
    again = create(30, due_windows=0)
    assert [needless] == accounting.needless_requests([create(), again, needless])


def test_further_create_without_a_cause_is_found(reports: Reports) -> None:
    """A report that failed, one that took a day, no report in the answer and struck files are causes; a good report is none."""
    rules = ((), (rule("report_ends"),), (rule("report_ends", status="PENDING"),))
    ids = [*(reports.create(REQUEST, NOON, one).id for one in rules), None]
    firsts = [create(request_id=n, report_id=report_id) for n, report_id in enumerate(ids)]
    again = [replace(one, at=NOON + timedelta(days=1)) for one in firsts]
    reasons, without = accounting.count_reasons([*firsts, *again], reports, [])
    causes = ("none", "report without rows", "report too slow", "no report in the answer")
    assert {"planned": 4, **dict.fromkeys(causes, 1)} == reasons
    assert [again[0]] == without
    struck = Struck(NOON + timedelta(hours=2), "truncated_gzip", "download", ACCOUNT)
    assert accounting.count_reasons([*firsts, *again], reports, [struck])[1] == []


def test_reports_at_amazon_are_those_that_we_may_know_of(reports: Reports) -> None:
    """The last report of each open request counts until it has ended; untold, for less than ten minutes."""
    report_id = reports.create(REQUEST, NOON, ()).id
    told, untold = create(report_id=report_id), create(is_told=False, made_id=report_id)
    counts = [
        accounting.count_at_amazon([one], "NA", reports, NOON + timedelta(minutes=minutes), {1})
        for one, minutes in ((told, 20), (told, 100), (untold, 9), (untold, 11))
    ]
    assert [1, 0, 1, 0] == counts
