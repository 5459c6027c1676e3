"""Fields that Amazon has renamed: asked for under the name that works, remembered, and read under both."""

from datetime import date, timedelta
from typing import Any

import pytest

from bidbeacon_pipelines.datasets.registry import DAILY_PRODUCTS, DAILY_TARGETS, Dataset
from tests.postgres.job_world import BenchWorld
from tests.postgres.load_world import LoadWorld, report_row

TODAY = date(2026, 1, 15)


@pytest.mark.parametrize("as_207", [False, True])
def test_renamed_fields_are_asked_for_under_the_name_that_works(
    world: BenchWorld, *, as_207: bool
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


def test_names_are_learned_anew_when_they_change_back(world: BenchWorld) -> None:
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
