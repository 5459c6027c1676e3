"""Whole jobs against the sandbox over HTTP: what the tables say is what Amazon knows."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.datasets.registry import DAILY_TARGETS, DATASETS
from bidbeacon_pipelines.requests.refresh import step_requests
from tests.one_dataset import only_datasets
from tests.postgres.job_world import BenchWorld
from tests.report_rows import with_target_ids

TODAY = date(2026, 1, 15)
FEW_REPORTS = {"daily_targets": 7, "daily_products": 14, "hourly_targets": 1}
"""The fewest reports that fill datasets of one report a day, of two, and of hours."""


@pytest.mark.parametrize("country", ["US", "DE", "JP"])
def test_loaded_rows_are_amazons_to_the_last_decimal(world: BenchWorld, country: str) -> None:
    """Ids, targets, counts and amounts of a day are the truth, with rows of unknown targets."""
    account, day = world.account(country), TODAY - timedelta(days=3)
    world.sync_entities(account)
    asked_at = world.context.now()
    world.load(account, day)
    true = world.true_rows(account, day, asked_at)
    assert len(true) > 5
    assert true == world.stored_rows(account, day)


def test_rows_that_came_before_the_first_export_have_their_targets_after_it(
    world: BenchWorld,
) -> None:
    """All of them are counted as unknown at the load, and add up to the truth then."""
    account, day = world.account(), TODAY - timedelta(days=3)
    asked_at = world.context.now()
    world.load(account, day)
    before = world.window(account, day)
    named = "SELECT count(*) FROM daily_target_performance WHERE target_match IS NOT NULL"
    assert before.unresolved_count == world.query(named)[0]["count"] > 0
    assert before.row_count == len(world.stored_rows(account, day))
    world.sync_entities(account)
    after = world.window(account, day)
    assert world.true_rows(account, day, asked_at) == world.stored_rows(account, day)
    assert (before.row_count, before.spend) == (after.row_count, after.spend)


@pytest.mark.parametrize("sandbox", [{"rows_per_day": 300}], indirect=True)
def test_a_late_target_is_resolved_when_an_export_has_it(world: BenchWorld) -> None:
    """Of the late targets of a week nothing is left unresolved two weeks later."""
    account = world.account("JP")
    late_days = [TODAY - timedelta(days=n) for n in range(1, 15)]
    world.sync_entities(account)
    world.load(account, *late_days)
    late = f"SELECT count(*) FROM {with_target_ids(DAILY_TARGETS)} WHERE target_id IS NULL AND target_value LIKE 'weekly deal%'"
    assert world.query(late)[0]["count"] > 0
    world.advance(days=14)
    world.sync_entities(account)
    assert world.query(late)[0]["count"] == 0


def test_a_later_refresh_restates_what_changed(world: BenchWorld) -> None:
    """Between a day's first and its later report, old values plus restatements are the new truth."""
    account, day = world.account(), TODAY - timedelta(days=1)
    world.sync_entities(account)
    first_at = world.context.now()
    world.load(account, day)
    later_at = world.advance(days=7)
    world.load(account, day)
    assert world.true_rows(account, day, later_at) == world.stored_rows(account, day)
    restated = world.query("SELECT * FROM restatements ORDER BY id")
    assert {"changed", "appeared", "vanished"} >= {row["change"] for row in restated}
    assert {first_at} == {row["old_data_as_of"] for row in restated}
    assert {later_at} == {row["new_data_as_of"] for row in restated}
    gained = sum(_spend(row["new_values"]) - _spend(row["old_values"]) for row in restated)
    before = sum(row[-1] or Decimal(0) for row in world.true_rows(account, day, first_at))
    assert gained != 0
    assert before + gained == world.window(account, day).spend


def _spend(values: dict[str, str] | None) -> Decimal:
    return Decimal(str((values or {}).get("spend") or 0))


def test_scheduled_refreshes_fill_an_account_with_few_reports(world: BenchWorld) -> None:
    """Every window is loaded by as few reports as Amazon's longest periods allow, as many at a time as the gate allows: 7 for each group of ad products, 1 of hours."""
    with only_datasets(*FEW_REPORTS):
        _fill_within_the_gate(world, world.account("JP"))
    [left] = world.query(
        "SELECT count(*) FROM report_windows WHERE status <> 'loaded' AND window_date < '2026-01-15'"
    )
    asked = world.query("SELECT dataset, count(*) FROM report_requests GROUP BY dataset")
    assert FEW_REPORTS == {row["dataset"]: row["count"] for row in asked}
    assert (sum(FEW_REPORTS.values()), 0) == (len(world.accepted()), left["count"])


def _fill_within_the_gate(world: BenchWorld, account: Account) -> None:
    """Refresh an account in rounds until it is full; no round has more in flight than the gate allowed."""
    allowed = 2
    for _ in range(20):
        world.refresh(account)
        [gate] = world.query(
            """SELECT floor(in_flight_limit) AS places, (SELECT count(*) FROM report_requests WHERE status = 'in_flight') AS in_flight
                 FROM report_gates"""
        )
        assert gate["in_flight"] <= max(allowed, gate["places"])
        allowed = gate["places"]  # a refused create halves it below what is in flight
        world.advance(minutes=2)


@pytest.mark.parametrize(
    ("country", "last", "due"),
    [
        ("US", date(2026, 1, 14), datetime(2026, 1, 15, 8, tzinfo=UTC)),
        ("JP", date(2026, 1, 15), datetime(2026, 1, 15, 15, tzinfo=UTC)),
    ],
)
def test_days_are_the_accounts_own(
    world: BenchWorld, country: str, last: date, due: datetime
) -> None:
    """At 03:00 UTC it is yesterday evening in Los Angeles and noon in Tokyo; a day is due at the next local midnight."""
    world.sandbox.state.clock.set(datetime(2026, 1, 15, 3, tzinfo=UTC))
    account = world.account(country)
    world.refresh(account)
    newest = world.query(
        "SELECT dataset, max(window_date) AS day FROM report_windows GROUP BY dataset"
    )
    assert dict.fromkeys(DATASETS, last) == {row["dataset"]: row["day"] for row in newest}
    assert due == world.window(account, last).next_refresh_at


def test_other_countries_of_the_ads_account_are_left_to_their_own_account(
    world: BenchWorld,
) -> None:
    """The report of the US account has Canada's rows too: counted, not stored."""
    account, day = world.account("US"), TODAY - timedelta(days=2)
    world.load(account, day)
    [processed] = world.actions("report-processed")
    assert processed["foreign"] > 0
    assert world.query(
        "SELECT DISTINCT a.country_code, p.currency_code FROM daily_target_performance p JOIN advertiser_accounts a ON a.id = p.account"
    ) == [{"country_code": "US", "currency_code": "USD"}]


def test_split_and_unknown_rows_are_understood(world: BenchWorld) -> None:
    """Rows that come in two halves, or with keys nobody knows, make the same table."""
    account, day = world.account(), TODAY - timedelta(days=3)
    world.sync_entities(account)
    world.break_with("rows", change=("duplicate_key", "unknown_key"), share=0.5)
    asked_at = world.context.now()
    world.load(account, day)
    assert world.true_rows(account, day, asked_at) == world.stored_rows(account, day)


def test_a_report_full_of_bad_rows_is_refused(world: BenchWorld) -> None:
    """The day keeps what it had, failed with a cause that counts, and the action says the same."""
    account, day = world.account(), TODAY - timedelta(days=3)
    world.load(account, day)
    before = world.stored_rows(account, day)
    world.break_with("rows", change="negative_metric", share=0.3)
    world.load(account, day)
    window = world.window(account, day)
    assert before == world.stored_rows(account, day)
    assert (window.status, window.load_count) == ("failed", 1)
    assert "rows-invalid" == (window.cause or {})["code"]
    assert window.cause == world.actions("report-failed")[0]["cause"]


@pytest.mark.parametrize("share", [1, 0.99])
def test_a_report_that_lost_its_rows_is_suspicious_and_asked_for_again(
    world: BenchWorld, share: float
) -> None:
    """The old rows stay; a quarter of an hour later the scheduled refresh asks again, and gets the rows."""
    account, day = world.account(), TODAY - timedelta(days=3)
    world.load(account, day)
    before = world.stored_rows(account, day)
    world.break_with("rows", times=1, change="vanish", share=share)
    world.load(account, day)
    assert before == world.stored_rows(account, day)
    assert [[str(day)]] == [action["windows"] for action in world.actions("report-suspicious")]
    assert world.window(account, day).next_refresh_at == world.context.now() + timedelta(minutes=15)
    world.advance(minutes=15)
    world.load(account, day)
    assert (
        world.window(account, day).load_count,
        world.window(account, day).suspicious_digest,
    ) == (2, None)


def test_run_of_a_stopping_worker_takes_no_further_request(world: BenchWorld) -> None:
    """A complete report stays for the next run, which loads it."""
    account, day = world.account(), TODAY - timedelta(days=3)
    world.ask(account, day)
    world.advance(minutes=2)
    stopping = replace(world.context, is_stopping=lambda: True)
    with world.session() as session:
        assert 0 == step_requests(stopping, session)
    assert 1 == world.step()
    assert "loaded" == world.window(account, day).status
