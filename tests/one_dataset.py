"""The product with some datasets only: where time is what a test has least of, and the others go the same way through it."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

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
