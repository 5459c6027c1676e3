"""Fields that Amazon has renamed: asked for under the name that works, remembered, and read under both."""

from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine

from bidbeacon_pipelines.contract.queries import set_override
from bidbeacon_pipelines.datasets.fields import SPONSORED_PRODUCTS
from bidbeacon_pipelines.datasets.registry import DAILY_PRODUCTS, DAILY_TARGETS, DatasetReport
from bidbeacon_pipelines.probe.answers import read_report
from tests.postgres.load_world import AS_OF, DAY, LoadWorld, report_row
from tests.postgres.test_quarantine_replay import replay
from tests.support.reading import call, tuples
from tests.support.world import World

TODAY = date(2026, 1, 15)


@pytest.mark.parametrize("as_207", [False, True])
def test_renamed_fields_are_asked_for_under_the_name_that_works(
    world: World, *, as_207: bool
) -> None:
    """Each old name is refused once (400005) and the new one tried at once; later reports use what worked."""
    world.break_with("refuse", reason="old_names")
    world.break_with("refuse", as_207=as_207)
    account, day = world.account(), TODAY - timedelta(days=3)
    first, later = (DAILY_PRODUCTS, 4, 4), [(DAILY_PRODUCTS, 3, 2), (DAILY_TARGETS, 3, 2)]
    for dataset, before, calls in (first, *later):
        world.sandbox.state.ledger.clear()
        world.load(account, TODAY - timedelta(days=before), dataset=dataset)
        assert calls == len(world.sandbox.state.ledger.calls("create_report"))
    assert {"loaded"} == {one.status for one in world.windows(account, day, dataset=DAILY_PRODUCTS)}
    known = "SELECT DISTINCT region, set_by FROM registry_overrides"
    assert [("NA", "learned")] == tuples(world.engine, known)


def test_names_are_learned_anew_when_they_change_back(world: World) -> None:
    """What was learned is given up where Amazon refuses it and takes the first name."""
    account, day = world.account(), TODAY - timedelta(days=3)
    world.break_with("refuse", reason="old_names")
    world.load(account, day)
    assert [] == world.actions("report-failed")
    world.sandbox.state.rules.clear()
    world.load(account, day - timedelta(days=1))
    assert [] == world.query("SELECT FROM registry_overrides")
    told = [(one["value"], one["by"]) for one in world.actions("registry-overridden")]
    assert ("the registry's value", "learned") == told[-1]


@pytest.mark.parametrize("known", [{}, {"campaign.country": "US", "campaignCountry.value": "CA"}])
def test_rows_are_read_under_both_names(shelf: LoadWorld, known: dict[str, str]) -> None:
    """Rows with the new names are rows like all others; the known name wins where both are there."""
    row = report_row() | {"campaignCountry.value": "US"}
    del row["campaign.country"]
    foreign = row | {"campaignCountry.value": "CA", "campaign.id": "2"}
    result = shelf.load([row | known, row | known | {"campaign.id": "3"}, foreign])
    assert (2, 1, 0) == (result.rows, result.foreign, result.quarantined)


def set_name(engine: Engine, ours: str, amazons: str) -> None:
    """Set Amazon's name of a field, as a person does."""
    named = ("NA", DAILY_TARGETS.name, f"field:{ours}", amazons)
    call(engine, set_override, *named, set_by="command line", set_at=AS_OF)


def renamed_row() -> dict[str, Any]:
    """Return a row with a name that the registry does not have."""
    row = report_row()
    row["metric.clicksCharged"] = row.pop("metric.clicks")
    return {field: value for field, value in row.items() if field != "campaign.name"}


def test_rows_are_read_under_a_name_that_a_person_has_set(shelf: LoadWorld) -> None:
    """Those that a load has set aside, and those of later reports."""
    aside = shelf.load([renamed_row()], bad_row_share=1)
    assert (0, 1) == (aside.rows, aside.quarantined)
    set_name(shelf.engine, "metric.clicks", "metric.clicksCharged")
    assert [1] == [report.rows for report in replay(shelf)]
    result = shelf.load([renamed_row()], age=1)
    assert (1, 0) == (result.rows, result.quarantined)


@pytest.mark.parametrize(
    ("spellings", "differences"),
    [
        ({"metric.clicks": "metric.clicksCharged"}, []),
        (
            {},
            ["metric.clicks: missing (1 of 1 rows)", "metric.clicksCharged: unknown (1 of 1 rows)"],
        ),
    ],
)
def test_the_probe_reads_rows_under_names_that_are_set(
    shelf: LoadWorld, spellings: dict[str, str], differences: list[str]
) -> None:
    """A field is neither missing nor unknown where its name is known to differ."""
    report = DatasetReport(DAILY_TARGETS, (SPONSORED_PRODUCTS,))
    part = shelf.write_part([renamed_row()])
    facts = read_report([part], report, [shelf.account], DAY, spellings)
    assert differences == sorted(facts.differences)
