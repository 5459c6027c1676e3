"""The accounting of creates is no yes-man: each way of asking too much, too early or too often is found."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from bidbeacon_pipelines.sandbox import SandboxConfig
from bidbeacon_pipelines.sandbox.accounts import make_accounts
from bidbeacon_pipelines.sandbox.catalog import World
from bidbeacon_pipelines.sandbox.faults import FaultRule
from bidbeacon_pipelines.sandbox.report_request import ReportRequest
from bidbeacon_pipelines.sandbox.reports import Reports
from tests.faults.ads import accounting
from tests.faults.ads.accounting import SentCreate
from tests.faults.ads.month_faults import Struck

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
DAY = date(2026, 3, 1)
ACCOUNT = "amzn1.ads-account.g.one"
REQUEST = ReportRequest(ACCOUNT, "GZIP_JSON", ("date.value",), DAY, DAY)
GOOD = SentCreate(
    at=NOON,
    region="NA",
    request_id=1,
    account_id=ACCOUNT,
    status=207,
    retry_after=None,
    is_told=True,
    report_id=None,
    made_id=None,
    places=2,
    counted=1,
    at_amazon=1,
    due_windows=3,
)


@pytest.fixture
def reports() -> Reports:
    """Return the reports of a sandbox, each of which takes an hour."""
    config = SandboxConfig(report_seconds=3600)
    return Reports(config, World(1, make_accounts(1, 1, 10)))


def later(create: SentCreate, **changes: object) -> SentCreate:
    """Return a create half an hour later."""
    return replace(create, at=create.at + timedelta(minutes=30), **changes)  # type: ignore[arg-type]


def test_a_create_beyond_the_gate_is_found() -> None:
    """By our own count and by the sandbox's, at the limit of that moment and no other."""
    creates = [GOOD, replace(GOOD, counted=2), replace(GOOD, at_amazon=2), replace(GOOD, places=1)]
    assert creates[1:] == accounting.over_the_gate(creates)


@pytest.mark.parametrize(
    ("refusals", "retry_after", "pause"),
    [(0, None, 1), (1, None, 120), (1, 600, 600), (2, None, 240), (9, None, 3600)],
)
def test_a_create_through_a_closed_gate_is_found(
    refusals: int, retry_after: float | None, pause: float
) -> None:
    """A second after any create; after 429 for minutes, twice as long each further time, up to an hour."""
    before = [
        replace(
            GOOD,
            at=NOON + timedelta(hours=2 * n),
            request_id=n,
            status=429,
            retry_after=retry_after,
        )
        for n in range(refusals)
    ] or [GOOD]
    well = replace(GOOD, at=before[-1].at + timedelta(seconds=pause), request_id=100)
    early = replace(well, at=well.at - timedelta(milliseconds=1))
    assert accounting.through_closed_gates([*before, well]) == []
    assert [early] == [after for _, after in accounting.through_closed_gates([*before, early])]
    assert accounting.through_closed_gates([*before, replace(early, region="EU")]) == []


def test_the_same_attempt_may_go_out_again_at_once() -> None:
    """With a new token or a field's other name, and not for another request."""
    renamed = replace(GOOD, status=400)
    assert accounting.through_closed_gates([renamed, GOOD]) == []
    assert len(accounting.through_closed_gates([renamed, replace(GOOD, request_id=2)])) == 1


def test_an_unknown_outcome_that_is_sent_again_too_soon_is_found() -> None:
    """Ten minutes it is left alone."""
    unknown = replace(GOOD, status=None, is_told=False)
    soon, well = (replace(GOOD, at=NOON + timedelta(minutes=minutes)) for minutes in (9, 10))
    assert ([soon], []) == (
        accounting.early_creates([unknown, soon]),
        accounting.early_creates([unknown, well]),
    )


def test_a_request_that_nothing_is_due_for_is_found() -> None:
    """Its first create counts; windows are no longer due for the further ones."""
    needless = replace(GOOD, request_id=2, due_windows=0)
    again = later(GOOD, due_windows=0)
    assert [needless] == accounting.needless_requests([GOOD, again, needless])


def test_each_further_create_needs_a_cause(reports: Reports) -> None:
    """No report in the answer, a report that failed, one that took a day, or files that were struck; a report that is well is none."""
    failed = FaultRule(fault="report_failed")
    for_ever = FaultRule(fault="report_pending")
    ids = [
        reports.create(REQUEST, NOON, faults).report_id for faults in ((), (failed,), (for_ever,))
    ]
    well, ended, pending = (
        replace(GOOD, request_id=n, report_id=report_id) for n, report_id in enumerate(ids)
    )
    lost = replace(GOOD, request_id=9, report_id=None)
    days_later = timedelta(days=1)
    creates = [well, ended, pending, lost]
    again = [replace(one, at=NOON + days_later) for one in creates]
    reasons, without = accounting.count_reasons([*creates, *again], reports, [])
    assert (
        {
            "planned": 4,
            "none": 1,
            "report without rows": 1,
            "report too slow": 1,
            "no report in the answer": 1,
        },
        [again[0]],
    ) == (dict(reasons), without)
    struck = [Struck(NOON + timedelta(hours=2), "truncated_gzip", "download", ACCOUNT)]
    assert [] == accounting.count_reasons([*creates, *again], reports, struck)[1]
    of_another = [replace(struck[0], account="another")]
    assert [again[0]] == accounting.count_reasons([*creates, *again], reports, of_another)[1]


def test_reports_at_amazon_are_those_that_we_may_know_of(reports: Reports) -> None:
    """The last one of each open request: told, or untold for less than ten minutes; none that has ended."""
    report_id = reports.create(REQUEST, NOON, ()).report_id
    told = replace(GOOD, report_id=report_id, made_id=report_id)
    untold = replace(GOOD, is_told=False, made_id=report_id)

    def count(create: SentCreate, minutes: float, open_requests: set[int]) -> int:
        now = NOON + timedelta(minutes=minutes)
        return accounting.count_at_amazon([create], "NA", reports, now, open_requests)

    assert (1, 1) == (count(told, 20, {1}), count(untold, 9, {1}))
    assert (0, 0, 0) == (count(told, 20, set()), count(untold, 11, {1}), count(told, 100, {1}))
    assert 0 == accounting.count_at_amazon([told], "EU", reports, NOON, {1})
