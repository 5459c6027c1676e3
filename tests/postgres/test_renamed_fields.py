"""Fields that Amazon has renamed: asked for under the name that works, remembered, and read under both."""

from datetime import date, timedelta
from typing import Any

import pytest

from bidbeacon_pipelines.accounts.override_queries import set_override
from bidbeacon_pipelines.datasets.fields import SPONSORED_PRODUCTS
from bidbeacon_pipelines.datasets.registry import (
    DAILY_PRODUCTS,
    DAILY_TARGETS,
    Dataset,
    DatasetReport,
)
from bidbeacon_pipelines.probe.files import FileFacts, read_report
from tests.postgres.load_world import AS_OF, DAY, LoadWorld, report_row
from tests.postgres.test_quarantine_replay import replay
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
    for dataset, before, calls in (
        (DAILY_PRODUCTS, 4, 4),
        (DAILY_PRODUCTS, 3, 2),
        (DAILY_TARGETS, 3, 2),
    ):
        world.sandbox.state.ledger.clear()
        world.load(account, TODAY - timedelta(days=before), dataset=dataset)
        assert calls == len(world.sandbox.state.ledger.calls("create_report"))
    assert {"loaded"} == {one.status for one in world.windows(account, day, dataset=DAILY_PRODUCTS)}
    known = world.query("SELECT DISTINCT region, set_by FROM registry_overrides")
    assert [("NA", "learned")] == [tuple(one.values()) for one in known]


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
    assert ("what the registry says", "learned") == told[-1]


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize(
    ("dataset", "more"),
    [
        (DAILY_TARGETS, {}),
        (
            DAILY_PRODUCTS,
            {
                "ad.id": "3001",
                "advertisedProduct.id": "B0EXAMPLE1",
                "advertisedProduct.sku": "SKU-1",
                "advertisedProductMarketplace.value": "US",
            },
        ),
    ],
)
def test_rows_are_read_under_both_names(
    shelf: LoadWorld, dataset: Dataset, more: dict[str, Any], *, both: bool
) -> None:
    """Rows with the new names are rows like all others; the known name wins where both are there."""
    row = report_row(**more) | {"campaignCountry.value": "US"}
    del row["campaign.country"]
    known = {"campaign.country": "US", "campaignCountry.value": "CA"} if both else {}
    foreign = row | {"campaignCountry.value": "CA", "campaign.id": "2"}
    result = shelf.load([row | known, row | known | {"campaign.id": "3"}, foreign], dataset=dataset)
    assert (2, 1, 0) == (result.rows, result.foreign, result.quarantined)


def set_name(shelf: LoadWorld, ours: str, amazons: str) -> None:
    """Set Amazon's name of a field, as a person does."""
    what, by = f"field:{ours}", {"set_by": "command line", "set_at": AS_OF}
    with shelf.engine.begin() as connection:
        set_override(connection, "NA", DAILY_TARGETS.name, what, amazons, **by)


def test_report_under_such_a_name_is_adopted(world: World) -> None:
    """A create that Amazon accepted without our knowledge is taken over, not sent again later."""
    what, by = "field:metric.clicks", {"set_by": "command line", "set_at": AS_OF}
    with world.engine.begin() as connection:
        set_override(connection, "NA", DAILY_TARGETS.name, what, "metric.addToList", **by)
    world.break_with("accepted_429", times=1, retry_after=1)
    world.break_with("duplicate")
    world.break_with("report_ends", status="COMPLETED", seconds=1200)
    request_id = world.ask(world.account(), TODAY - timedelta(days=3))
    world.advance(minutes=11)
    world.step()
    adopted = [action["request_id"] for action in world.actions("report-adopted")]
    assert ([request_id], 1) == (adopted, world.reports_made())


def renamed_row() -> dict[str, Any]:
    """Return a row with a name that the registry does not have."""
    row = report_row()
    row["metric.clicksCharged"] = row.pop("metric.clicks")
    return {field: value for field, value in row.items() if field != "campaign.name"}


def test_rows_are_read_under_a_name_that_a_person_has_set(shelf: LoadWorld) -> None:
    """Those that a load has set aside, and those of later reports."""
    aside = shelf.load([renamed_row()], bad_row_share=1)
    assert (0, 1) == (aside.rows, aside.quarantined)
    set_name(shelf, "metric.clicks", "metric.clicksCharged")
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
    facts, report = FileFacts(), DatasetReport(DAILY_TARGETS, (SPONSORED_PRODUCTS,))
    part = shelf.write_part([renamed_row()])
    read_report(facts, part, report, [shelf.account], DAY, spellings=spellings)
    assert differences == sorted(facts.differences)
