"""Rows that fit their columns and whose sums don't: aside, with a reason, and never a reason to lose the others."""

from decimal import Decimal

import pytest

from bidbeacon_pipelines.causes import explain
from bidbeacon_pipelines.datasets.registry import DAILY_CAMPAIGNS, HOURLY_TARGETS
from bidbeacon_pipelines.loading.quarantine import replay_quarantine
from bidbeacon_pipelines.values.part_text import read_object
from bidbeacon_sessions import SessionStore, with_job_session
from tests.postgres.load_world import CAMPAIGN, DAY, LoadWorld, Raw, many_rows, report_row

MOST = Decimal("99999999999999.999999")
TOGETHER = "expected rows of one key to add up to"
FULL = [
    (
        {"impressions": 2**63 - 1},
        f"metric.impressions: {TOGETHER} {2**63 - 1} at most, got: {2**63 + 99}.",
    ),
    (
        {"totalCost": MOST},
        f"metric.totalCost: {TOGETHER} {MOST} at most, got: 100000000000001.234566.",
    ),
    ({"sales": MOST}, f"metric.sales: {TOGETHER} {MOST} at most, got: 100000000000019.989999."),
]


def hour(number: int, **changes: object) -> Raw:
    """Give a row of an hour."""
    return report_row(**changes) | {"hour.value": number}


@pytest.mark.parametrize(("too_much", "said"), FULL)
@pytest.mark.parametrize("rows_before", [0, 200])
def test_rows_whose_sum_no_column_holds_are_kept_aside_and_the_others_loaded(
    shelf: LoadWorld, too_much: Raw, said: str, rows_before: int
) -> None:
    """All rows of that key, each as it came and in its place; a key of which two rows fit is summed as ever."""
    shelf.load(many_rows(rows_before))
    pair = [report_row() | {"campaign.id": 5_000}, report_row(**too_much), report_row(clicks=7)]
    result = shelf.load([*many_rows(200), *pair], age=2)
    kept = shelf.query(
        "SELECT row_number, cause, raw, window_date FROM quarantined_rows ORDER BY row_number"
    )
    assert [(201, said, DAY), (202, said, DAY)] == [
        (row["row_number"], explain(row["cause"]).sentence, row["window_date"]) for row in kept
    ]
    assert 7 == read_object(kept[1]["raw"])["metric.clicks"]
    assert (200, 2) == (result.rows, result.quarantined)
    assert [10] == [row["clicks"] for row in shelf.rows() if row["campaign_id"] == "5000"]
    assert [] == [row for row in shelf.rows() if row["campaign_id"] == CAMPAIGN]


def test_an_overfull_hour_leaves_the_other_hours(shelf: LoadWorld) -> None:
    """A key of hourly rows has its instant."""
    rows = [hour(n % 24) | {"campaign.id": 5_000 + n} for n in range(200)]
    full = [hour(5, totalCost=MOST), hour(5), hour(6)]
    result = shelf.load([*rows, *full], dataset=HOURLY_TARGETS)
    assert (201, 2) == (result.rows, result.quarantined)


def test_a_window_of_any_total_is_loaded_and_summed_up(shelf: LoadWorld) -> None:
    """Each row fits its column, what they add up to is exact, in the window and in the day's summary."""
    rows = [
        report_row(totalCost=MOST, sales=MOST, impressions=2**63 - 1) | {"campaign.id": n}
        for n in range(1, 31)
    ]
    result = shelf.load(rows, dataset=DAILY_CAMPAIGNS)
    [day] = shelf.query("SELECT spend, impressions FROM reports.account_daily_summaries")
    window = shelf.window(dataset=DAILY_CAMPAIGNS)
    assert [30 * MOST] * 4 == [result.spend, window.spend, window.sales, day["spend"]]
    assert 30 * (2**63 - 1) == day["impressions"]


def test_a_replay_leaves_what_would_be_too_much_and_loads_the_rest(shelf: LoadWorld) -> None:
    """A row that can't be added to its key stays in quarantine; its neighbour goes into the window."""
    shelf.load(
        [
            *many_rows(200),
            report_row(totalCost=MOST),
            report_row() | {"campaign.id": 9, "metric.clicks": -1},
        ]
    )
    shelf.query(
        "UPDATE quarantined_rows SET raw = raw::jsonb || '{\"metric.clicks\": 3}' RETURNING id"
    )
    shelf.query(
        """INSERT INTO quarantined_rows (account_id, country_code, dataset, window_date, request_id, row_number, cause, raw)
           SELECT account_id, country_code, dataset, window_date, request_id, 500, '{"code": "other"}', raw::jsonb || '{"campaign.id": "1001"}'
             FROM quarantined_rows RETURNING id"""
    )
    with with_job_session("replay-quarantine", store=SessionStore(shelf.engine)) as session:
        [action] = replay_quarantine(shelf.engine, session)
    assert (1, 1, [DAY]) == (action.rows, action.left, action.windows)
    assert [FULL[1][1]] == [
        explain(row["cause"]).sentence for row in shelf.query("SELECT cause FROM quarantined_rows")
    ]
    assert [3] == [row["clicks"] for row in shelf.rows() if row["campaign_id"] == "9"]
    assert MOST == next(row["spend"] for row in shelf.rows() if row["campaign_id"] == CAMPAIGN)
