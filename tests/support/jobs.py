"""Steps that several tests of jobs take, on a world with a sandbox."""

from collections.abc import Callable
from datetime import date, timedelta

from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.datasets.registry import DATASETS, Dataset
from bidbeacon_pipelines.requests.load_days import load_days
from bidbeacon_pipelines.windows.contract_changes import change_contract
from bidbeacon_pipelines.windows.due import (
    list_ads_accounts_with_due_work,
    list_keys_without_entities,
)
from bidbeacon_pipelines.windows.make import make_dataset_windows
from bidbeacon_pipelines.windows.tables import ReportWindow
from tests.support.reading import call
from tests.support.world import DATASET, World


def load_by_hand(
    world: World,
    account: Account,
    *days: date,
    dataset: Dataset = DATASET,
    minutes: float = 2,
    on_progress: Callable[[str], object] = lambda _: None,
) -> list[ReportWindow]:
    """Load days as a person does who waits for them; so many minutes pass at each wait."""

    def wait(progress: str) -> None:
        on_progress(progress)
        world.advance(minutes=minutes)

    with world.session("load-windows") as session:
        asked = (world.context, session, account, dataset, days)
        return load_days(*asked, by="maria", on_progress=wait)


def make_windows(world: World, account: Account, *datasets: Dataset, again: bool = False) -> None:
    """Create and end the windows of an account, as its refresh does: once a day, or `again`."""
    for dataset in datasets or (DATASET,):
        with world.session() as session:
            make_dataset_windows(world.context, session, account, dataset, again=again)


def due_ads_accounts(world: World) -> list[str]:
    """Return the ads accounts that the sensor would start a refresh for."""
    due, now = list_ads_accounts_with_due_work, world.context.now()
    return list(call(world.engine, due, now=now, datasets=tuple(DATASETS)))


def due_syncs(world: World, hours: float = 0) -> list[str]:
    """Return the accounts whose entities the sensor would sync, so many hours from now."""
    # Tests without Dagster need not wait until it is imported.
    from bidbeacon_pipelines.defs.sensors import ENTITIES_LIVE, ENTITIES_MISSED_LIVE

    then = world.context.now() + timedelta(hours=hours)
    ages = {
        "synced_before": then - ENTITIES_LIVE,
        "missed_before": then - ENTITIES_MISSED_LIVE,
    }
    return list(call(world.engine, list_keys_without_entities, now=then, **ages))


def finish_requests(world: World) -> None:
    """Poll until no request is open; five minutes pass after each poll."""
    while world.query("SELECT FROM report_requests WHERE finished_at IS NULL"):
        world.step()
        world.advance(minutes=5)


def set_contract(world: World, dataset: Dataset, what: str, value: str | None) -> None:
    """Override what the registry says of a dataset in North America, or with None no longer."""
    change = ("NA", dataset.name, what, value)
    with world.session() as session, world.engine.begin() as connection:
        change_contract(connection, session, *change, by="a person", at=world.context.now())
