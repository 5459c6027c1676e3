"""Steps that several tests of jobs take, on a world with a sandbox."""

from collections.abc import Callable
from datetime import date

from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.datasets.registry import Dataset
from bidbeacon_pipelines.problems.findings import Finding
from bidbeacon_pipelines.problems.survey import survey
from bidbeacon_pipelines.requests.backfill import Progress, drive_windows
from bidbeacon_pipelines.windows.contracts import change_contract
from bidbeacon_pipelines.windows.make import keep_windows
from bidbeacon_pipelines.windows.tables import ReportWindow
from tests.support.reading import call
from tests.support.world import DATASET, World


def load_by_hand(
    world: World,
    account: Account,
    *days: date,
    dataset: Dataset = DATASET,
    minutes: float = 3,
    on_progress: Callable[[Progress], object] = lambda _: None,
) -> list[ReportWindow]:
    """Load days as a person does who waits for them; so many minutes pass at each wait."""

    def wait(progress: Progress) -> None:
        on_progress(progress)
        world.advance(minutes=minutes)

    with world.session("load-windows") as session:
        asked = (world.context, session, account, dataset, days)
        return drive_windows(*asked, by="maria", on_progress=wait)


def make_windows(world: World, account: Account, *datasets: Dataset) -> None:
    """Create and end the windows of an account, as its refresh does."""
    for dataset in datasets or (DATASET,):
        with world.session() as session:
            keep_windows(world.context, session, account, dataset)


def set_contract(world: World, dataset: Dataset, what: str, value: str | None) -> None:
    """Override what the registry says of a dataset in North America, or with None no longer."""
    change = ("NA", dataset.name, what, value)
    with world.session() as session, world.engine.begin() as connection:
        change_contract(connection, session, *change, by="a person", at=world.context.now())


def survey_findings(world: World) -> tuple[Finding, ...]:
    """Return the findings that Home shows now."""
    return tuple(call(world.engine, survey, world.context.settings, world.context.now()).findings)
