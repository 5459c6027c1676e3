"""Dagster keeps an event for good, and reads it whenever an asset's page is opened: each is small, whatever there was to tell."""

from datetime import date
from decimal import Decimal

import pytest
from dagster import DagsterEventType, materialize, serialize_value

from bidbeacon_pipelines.defs.resources import BidBeaconSessions
from bidbeacon_pipelines.defs.summaries import account_daily_summary
from bidbeacon_pipelines.store.accounts import Account
from bidbeacon_sessions import Action, Reference, with_job_session
from tests.dagster.world import DATASET, World

MOST_BYTES = 8_192
MOST = Decimal("99999999999999.999999")
"""The largest amount that there is room for."""

# Windows as they are after a load, of two datasets that differ. Of `every` days only `known` have
# daily figures.
LOADED = """
    INSERT INTO report_windows (account_id, country_code, dataset, window_date, status, last_requested_at, last_loaded_at, data_as_of,
                                load_count, row_count, quarantined_count, unresolved_count, spend, sales)
    SELECT account_id, country_code, dataset, CAST(:newest AS date) - n, 'loaded', now(), now(), now(), 1, 700, 0, 2,
           CASE dataset WHEN 'daily_campaigns' THEN :most - n ELSE :most / 2 END, CASE dataset WHEN 'daily_campaigns' THEN :most - n ELSE :most / 2 END
      FROM advertiser_accounts CROSS JOIN unnest(ARRAY['daily_campaigns', 'hourly_campaigns']) AS dataset CROSS JOIN generate_series(0, 120) AS n
     WHERE account_key = :key AND (dataset <> 'daily_campaigns' OR n % :every < :known)"""
TOTALS = """
    UPDATE report_windows SET product_totals = jsonb_build_object('SPONSORED_PRODUCTS',
        jsonb_build_object('rows', row_count, 'spend', spend, 'sales', sales, 'as_of', data_as_of, 'request_id', 1, 'loads', 1)) WHERE load_count > 0"""
ROWS = """
    INSERT INTO daily_campaign_performance (account, window_date, row_key, ad_product, currency_code, campaign_id,
                                          request_id, impressions, clicks, orders, sales, spend)
    SELECT a.id, w.window_date, decode(repeat('00', 16), 'hex'), 'SPONSORED_PRODUCTS', a.currency_code, 'campaign',
           1, 123456789, 123456789, 123456789, w.sales, w.spend
      FROM report_windows w JOIN advertiser_accounts a USING (account_id, country_code)
     WHERE w.dataset = 'daily_campaigns' AND w.load_count > 0 AND account_key = :key"""


class TaleTold(Action):
    """Somebody told a long tale of a window."""

    sentence = "Told {tale}"

    account: str
    window: date
    tale: str

    def references(self) -> list[Reference]:
        """The window that it is of."""
        return [Reference(self.account, "told", DATASET.name, str(self.window))]


def sizes_of(world: World, kind: DagsterEventType) -> list[int]:
    """Give how large each event of a kind is, as it is stored; no other event may be too large either."""
    events = [
        event for run in world.instance.get_runs() for event in world.instance.all_logs(run.run_id)
    ]
    assert [] == [
        len(serialize_value(event)) for event in events if len(serialize_value(event)) > MOST_BYTES
    ]
    return [
        len(serialize_value(event))
        for event in events
        if event.dagster_event is not None and event.dagster_event.event_type is kind
    ]


def add_loads(world: World, account: Account, *, every: int = 1, known: int = 1) -> None:
    """Store four months of windows as loaded, with the largest amounts; of `every` days only `known` have daily figures."""
    values = {"key": account.account_key, "newest": world.day(2), "every": every, "known": known}
    world.execute(LOADED, most=MOST, **values)
    world.execute(TOTALS)
    world.execute(ROWS, key=account.account_key)


@pytest.mark.parametrize(
    "tale", ["…" * 80, "*_é[…" * 100], ids=["twelve fit nearly", "each is cut"]
)
def test_a_materialization_of_a_window_with_a_long_story_is_small(
    stocked: World, tale: str
) -> None:
    """Its figures and the newest sentences: how it was loaded is the last of them."""
    account, day = stocked.account(), stocked.day()
    with with_job_session("tell", store=stocked.sessions) as session:
        for _ in range(20):
            session.add(TaleTold(account=account.account_key, window=day, tale=tale))
    stocked.materialize(account, day)
    stocked.execute("UPDATE report_windows SET recorded_load_count = 0")
    stocked.run_job("poll_reports")
    assert 2 == len(sizes_of(stocked, DagsterEventType.ASSET_MATERIALIZATION))
    [left, *told] = stocked.materializations()[-1][1]["timeline"].splitlines()
    assert "earlier on the session's page" in left
    assert "Told" in told[0]
    assert "Loaded" in told[-1]


@pytest.mark.parametrize(("every", "known"), [(1, 1), (2, 1), (3, 2), (4, 3)])
def test_a_materialization_of_a_summary_is_small(stocked: World, every: int, known: int) -> None:
    """Figures, a plot of two months with whatever gaps, and a table of two weeks."""
    account = stocked.account()
    add_loads(stocked, account, every=every, known=known)
    materialize(
        [account_daily_summary],
        instance=stocked.instance,
        resources={"job_sessions": BidBeaconSessions()},
        partition_key=account.account_key,
    )
    stocked.execute("DELETE FROM account_daily_summaries")
    assert stocked.run_job("update_summaries").success
    assert 2 == len(sizes_of(stocked, DagsterEventType.ASSET_MATERIALIZATION))


def test_a_check_that_fails_everywhere_is_small(stocked: World) -> None:
    """Of all days that speak against a dataset it shows the twenty worst."""
    for country in ("US", "JP", "DE"):
        add_loads(stocked, stocked.account(country))
    stocked.execute(
        "UPDATE report_windows SET quarantined_count = 99999 WHERE dataset = 'hourly_campaigns'"
    )
    stocked.run_job("check_datasets")
    stocked.execute("UPDATE report_windows SET quarantined_count = 0")
    result = stocked.run_job("check_datasets")
    failed = [one for one in result.get_asset_check_evaluations() if not one.passed]
    [cases] = [str(one.metadata["cases"].value) for one in failed]
    assert 20 == cases.count(" 50.00% ")
    assert sizes_of(stocked, DagsterEventType.ASSET_CHECK_EVALUATION)
