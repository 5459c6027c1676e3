"""Two slots, five datasets: how a refresh of an account shares them, on a real database and the sandbox over HTTP."""

from datetime import date, timedelta
from uuid import uuid4

from bidbeacon_pipelines.reports.datasets import DAILY_SEARCH_TERMS, DATASETS
from bidbeacon_pipelines.store.requests import list_turns
from bidbeacon_pipelines.store.windows import want_windows
from tests.postgres.bench_world import BenchWorld

TODAY = date(2026, 1, 15)
YESTERDAY = TODAY - timedelta(days=1)


def asked(world: BenchWorld) -> list[tuple[str, date, date, bool]]:
    """Give dataset and days of every request, in the order in which they were made."""
    rows = world.query("SELECT dataset, start_date, end_date, by_hand FROM report_requests ORDER BY id")
    return [(row["dataset"], row["start_date"], row["end_date"], row["by_hand"]) for row in rows]


def test_yesterday_of_all_datasets_comes_before_last_year_of_any(world: BenchWorld) -> None:
    """The first five reports of an empty account are the newest of each dataset; the older ones follow."""
    account = world.account("JP")
    for _ in range(5):
        world.refresh(account)
        world.advance(minutes=2)
    made = asked(world)
    newest = {end for _, _, end, _ in made[:5]}
    assert sorted(DATASETS) == sorted(dataset for dataset, *_ in made[:5])
    assert {YESTERDAY} == newest
    assert all(end < YESTERDAY for _, _, end, _ in made[5:])
    assert 3 == len({dataset for dataset, *_ in made[5:8]})


def test_windows_of_a_dataset_are_made_whether_or_not_others_have_theirs(world: BenchWorld) -> None:
    """With four datasets' windows there, a refresh makes the fifth's, once a day and no more."""
    account = world.account("JP")
    world.refresh(account)
    counted = "SELECT dataset, count(*) FROM report_windows GROUP BY dataset"
    before = {row["dataset"]: row["count"] for row in world.query(counted)}
    world.execute("DELETE FROM dataset_windows WHERE dataset = 'daily_search_terms'")
    world.execute("DELETE FROM report_windows WHERE dataset = 'daily_search_terms'")
    world.refresh(account)
    world.refresh(account)
    assert before == {row["dataset"]: row["count"] for row in world.query(counted)}
    planned = [action["dataset"] for action in world.actions("windows-planned")]
    assert sorted([*DATASETS, "daily_search_terms"]) == sorted(planned)


def test_what_was_wanted_by_a_run_that_died_goes_first(world: BenchWorld) -> None:
    """A day that somebody asked for by hand, and that no request covers, is asked for before all that is due."""
    account, day = world.account("JP"), TODAY - timedelta(days=200)
    world.refresh(account)
    world.execute("UPDATE report_windows SET request_id = NULL, status = 'missing'")
    world.execute("DELETE FROM report_requests")
    with world.engine.begin() as connection:
        want_windows(connection, account, DAILY_SEARCH_TERMS.name, [day], uuid4())
    world.refresh(account)
    first = asked(world)[0]
    assert (DAILY_SEARCH_TERMS.name, True) == (first[0], first[3])
    assert first[1] <= day <= first[2]


def test_turns_count_the_requests_since_a_dataset_had_its_last(world: BenchWorld) -> None:
    """One that was never asked for has been passed over by all, one that was asked for last by none."""
    account = world.account("JP")
    for _ in range(2):
        world.advance(minutes=2)
        world.refresh(account)
    with world.engine.begin() as connection:
        turns = list_turns(connection, account, dict.fromkeys(DATASETS))
    order = [dataset for dataset, *_ in asked(world)]
    never = next(name for name in DATASETS if name not in order)
    assert (None, len(order)) == (turns[never].last_asked_at, turns[never].passed_over)
    assert 0 == turns[order[-1]].passed_over
    assert {2} == {turns[name].passed_over for name in order[:2]}


def test_what_found_no_slot_says_so_by_dataset(world: BenchWorld) -> None:
    """Two datasets have their requests; the three others' windows, and the older ones, wait and are told."""
    world.refresh(world.account("JP"))
    made = {dataset for dataset, *_ in asked(world)}
    told = {a["dataset"]: a for a in world.actions("window-skipped") if "two reports" in a["reason"]}
    assert 2 == len(made)
    assert {name for name in DATASETS if name not in made} <= set(told)
    windows = [(name, day) for name, action in told.items() for day in action["windows"]]
    waiting = world.query(
        """SELECT dataset, CAST(window_date AS text) AS day FROM report_windows
            WHERE request_id IS NULL AND next_refresh_at <= :now""",
        now=world.bench.now(),
    )
    assert sorted((row["dataset"], row["day"]) for row in waiting) == sorted(windows)


def test_countries_of_an_ads_account_take_turns(world: BenchWorld) -> None:
    """The backlog of one does not keep the yesterday of the other waiting: a slot that is freed goes to who asked longest ago."""
    canada, states = world.account("CA"), world.account("US")
    assert canada.account_id == states.account_id
    for account in (canada, states):
        world.sync_entities(account)
    world.refresh(canada)
    world.refresh(states)
    for _ in range(4):
        world.advance(minutes=2)
        world.refresh(canada)
        world.refresh(states)
    rows = world.query("SELECT country_code, end_date FROM report_requests ORDER BY id")
    assert ["CA", "CA", *["CA", "US"] * 4] == [row["country_code"] for row in rows]
    assert max(row["end_date"] for row in rows if row["country_code"] == "US") == YESTERDAY
