"""The product with some datasets, or some of their days, only: the others go the same way through it, and take time."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime

from sqlalchemy import Engine

from bidbeacon_pipelines.contract.queries import set_override
from bidbeacon_pipelines.datasets import registry as datasets


def only_daily_targets() -> AbstractContextManager[None]:
    """Take all other datasets out of the registry for the length of a block, and put them back in their order."""
    return only_datasets(datasets.DAILY_TARGETS.name)


@contextmanager
def only_datasets(*names: str) -> Iterator[None]:
    """Leave only datasets of these names in the registry for the length of a block, and put the others back in their order."""
    registry, all_of_them = datasets._REGISTRY, dict(datasets.DATASETS)
    registry.clear()
    registry.update({name: all_of_them[name] for name in names})
    try:
        yield
    finally:
        registry.clear()
        registry.update(all_of_them)


def shorten_history(engine: Engine, days: int) -> None:
    """Have Amazon serve so few days of all datasets: making and filling the windows of 15 months takes seconds."""
    reports = [report for dataset in datasets.DATASETS.values() for report in dataset.reports]
    with engine.begin() as connection:
        for region in ("NA", "EU", "FE"):
            for one in reports:
                fewer = str(min(days, one.dataset.history_days or days))
                set_override(
                    connection,
                    region,
                    one.dataset.name,
                    f"history:{one.name}",
                    fewer,
                    set_by="a person",
                    set_at=datetime.now(UTC),
                )
