"""The first steps of a Dagster engineer, by mouse in Dagster's own UI, on a running `bidbeacon dev` with a small sandbox."""

import os
import re
import time
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.dagster_ui.conftest import Dev

pytestmark = [
    pytest.mark.dagster_ui,
    pytest.mark.timeout(900),
]  # the first one waits until all runs

TARGETS = "daily_targets"
HOURLY = "hourly_targets"
"""Amazon serves hours for 14 days, and Dagster has partitions of 15 months."""
BACKFILL_SECONDS = 40
MOST_LOAD = 2
"""Processes that want each core; with more, a time says nothing."""
BUSY_SECONDS = 300
CHECKS = ("window_is_fresh", "rows_reconcile_with_daily_totals", "quarantine_is_small")


def day(ago: int) -> str:
    """Return a day before today, in UTC."""
    return str(datetime.now(UTC).date() - timedelta(days=ago))


def launch(
    page: Page, asset: str, accounts: list[str], windows: str, *, is_latest: bool = False
) -> None:
    """Materialize partitions of an asset from its dialog, and go to the page of the run or backfill."""
    page.goto(f"/assets/{asset}?view=partitions")
    page.get_by_role("button", name="Materialize").first.click()
    page.get_by_text("Select a partition or create one").first.click()
    for account in accounts:
        page.get_by_role("menuitem").filter(has_text=account).click()
    page.keyboard.press("Escape")
    dialog = page.get_by_role("dialog").first
    if is_latest:
        dialog.get_by_role("button", name="Latest").click()
    else:
        dialog.get_by_placeholder("ex:").fill(windows)
        page.keyboard.press("Tab")
    dialog.get_by_role("button", name=re.compile("^Launch (1 run|backfill)$")).click()
    page.get_by_role("link", name="View", exact=True).click()


def status(page: Page, word: str) -> Locator:
    """Return the word in a page that is a run's or backfill's status."""
    return page.get_by_text(word, exact=True).first


def show_events(page: Page, kind: str) -> None:
    """Show only events of one type in the page of a run."""
    page.get_by_placeholder("Filter…").fill(f"type:{kind}")
    page.keyboard.press("Enter")


def test_a_partition_is_materialized(page: Page, dev: Dev) -> None:
    """The run succeeds, and the partition shows its rows, the session and its sentences."""
    account, chosen = dev.accounts[0], day(20)
    launch(page, TARGETS, [account], chosen)
    expect(status(page, "Success")).to_be_visible()
    page.goto(f"/assets/{TARGETS}?view=partitions&partition={account}%7C{chosen}")
    for name in ("dagster/partition_row_count", "spend", "session", "explanation"):
        expect(page.get_by_text(name, exact=True).first).to_be_visible()
    expect(page.locator(f"a[href^='{dev.stream_url}/sessions/']").first).to_be_visible()


def test_a_window_of_the_map_leads_to_the_launch_of_exactly_its_partition(
    page: Page, dev: Dev
) -> None:
    """Its link opens the partition in Dagster, *Materialize* has this one chosen, and the run is of it alone."""
    account, chosen = dev.accounts[0], day(21)
    page.goto(f"{dev.stream_url}/coverage?dataset=daily_targets&account={account}&window={chosen}")
    with page.expect_popup() as opened:
        page.get_by_role("link", name="Open in Dagster").click()
    dagster = opened.value
    dagster.set_default_timeout(180_000)
    dagster.get_by_role("button", name="Materialize").first.click()
    dialog = dagster.get_by_role("dialog").first
    expect(dialog.get_by_text("1 partition", exact=True)).to_be_visible()
    dialog.get_by_role("button", name="Launch 1 run", exact=True).click()
    dagster.get_by_role("link", name="View", exact=True).click()
    expect(status(dagster, "Success")).to_be_visible()
    run_id = urlsplit(dagster.url).path.rpartition("/")[2]
    assert [(f"{account}|{chosen}",)] == dev.rows(
        "SELECT value FROM dagster.run_tags WHERE run_id = %s AND key = 'dagster/partition'", run_id
    )
    assert dev.count_loads(account, "daily_targets", [chosen]) >= 1


def test_three_days_of_two_accounts_are_backfilled(page: Page, dev: Dev) -> None:
    """Within 40 seconds from the click to the last partition, on a machine that does little else."""
    days = [day(number) for number in (33, 32, 31)]
    before = {account: dev.count_loads(account, "daily_targets", days) for account in dev.accounts}
    launch(page, TARGETS, dev.accounts, f"[{days[0]}...{days[-1]}]")
    started = time.monotonic()
    dev.wait_for(
        lambda: all(
            dev.count_loads(account, "daily_targets", days) >= before[account] + 3
            for account in dev.accounts
        ),
        BUSY_SECONDS,
    )
    seconds, load = time.monotonic() - started, os.getloadavg()[0] / (os.cpu_count() or 1)
    expect(page.get_by_text("100% completed")).to_be_visible()
    if load > MOST_LOAD:
        pytest.skip(
            f"{seconds:.0f} s, on a machine with {load:.0f} processes waiting for each core"
        )
    assert seconds < BACKFILL_SECONDS


def test_an_account_is_refreshed_from_the_list(page: Page, dev: Dev) -> None:
    """Choosing the ads account is all that the job needs; the run succeeds."""
    page.goto("/locations/bidbeacon/jobs/refresh_account/playground")
    page.get_by_placeholder("Partition").click()
    page.get_by_role("menuitem").filter(has_text=dev.ads_account).click()
    expect(page.get_by_text("No errors", exact=True)).to_be_visible()
    page.get_by_role("button", name="Launch Run").click()
    expect(status(page, "Success")).to_be_visible()


def test_a_failure_says_why_and_leads_to_its_session(page: Page, dev: Dev) -> None:
    """A day that Amazon does not serve any more fails with one sentence and the link, above everything else."""
    chosen = day(40)
    launch(page, HOURLY, [dev.accounts[0]], chosen)
    expect(status(page, "Failure")).to_be_visible()
    show_events(page, "STEP_FAILURE")
    sentence = f"1 window was not loaded. {chosen}: Amazon no longer serves this day"
    expect(page.get_by_text(sentence).first).to_be_visible()
    expect(page.locator(f"a[href^='{dev.stream_url}/sessions/']").first).to_be_visible()


def test_a_day_that_is_not_over_fails(page: Page, dev: Dev) -> None:
    """*Latest* fails, and the partition says why nothing was loaded."""
    launch(page, TARGETS, [dev.accounts[1]], "", is_latest=True)
    expect(status(page, "Failure")).to_be_visible()
    show_events(page, "ASSET_OBSERVATION")
    expect(page.get_by_text("not-requested").first).to_be_visible()


@pytest.mark.parametrize(
    ("asset", "shown"),
    [
        ("amazon_ads", "the source of everything here"),
        ("accounts", "public.advertiser_accounts"),
        ("portfolios", "public.portfolios"),
        (TARGETS, f"public.{TARGETS}"),
        ("account_daily_summaries", "reports.account_daily_summaries"),
    ],
)
def test_an_asset_of_the_lineage_says_what_it_is(page: Page, asset: str, shown: str) -> None:
    """Jumping to it opens its description, and where it lies."""
    page.goto("/asset-groups")
    page.get_by_placeholder("Jump to").fill(asset)
    page.keyboard.press("Enter")
    expect(page.get_by_text("View in Asset Catalog")).to_be_visible()
    expect(page.get_by_text(shown).first).to_be_visible()


def test_checks_stay_evaluated(page: Page, dev: Dev) -> None:
    """A load by hand evaluates the three checks of its dataset, and a run that records a load made elsewhere evaluates them again."""
    launch(page, TARGETS, [dev.accounts[0]], day(40))
    expect(status(page, "Success")).to_be_visible()
    show_events(page, "ASSET_CHECK_EVALUATION")
    expect(page.get_by_text("succeeded for materialization of")).to_have_count(len(CHECKS))
    for name in CHECKS:
        expect(page.get_by_role("link", name=name).first).to_be_visible()

    dev.refresh(dev.accounts[0], day(41))
    dev.wait_for(lambda: dev.count_recordings(dev.accounts[0], day(41)) > 0, BUSY_SECONDS)
    page.goto(f"/assets/{TARGETS}?view=checks")
    expect(page.get_by_text("Succeeded", exact=True).filter(visible=True)).to_have_count(
        len(CHECKS)
    )
    expect(page.get_by_text(re.compile("not evaluated", re.IGNORECASE))).to_have_count(0)
