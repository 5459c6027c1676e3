"""How tests load windows by hand."""

from datetime import date

from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.datasets.registry import Dataset
from bidbeacon_pipelines.requests.backfill import Progress, drive_windows
from bidbeacon_pipelines.windows.tables import ReportWindow
from tests.support.world import DATASET, World


def load_by_hand(
    world: World, account: Account, *days: date, dataset: Dataset = DATASET
) -> list[ReportWindow]:
    """Load days as a person asks for them; two minutes pass at each wait."""

    def wait(_: Progress) -> None:
        world.advance(minutes=2)

    with world.session("by-hand") as session:
        return drive_windows(
            world.context, session, account, dataset, days, by="maria", on_progress=wait
        )
