"""The product with one dataset only: where time is what a test has least of, and the others go the same way through it."""

from collections.abc import Iterator
from contextlib import contextmanager

from bidbeacon_pipelines.reports import datasets


@contextmanager
def only_daily_targets() -> Iterator[None]:
    """Take all other datasets out of the registry for the length of a block, and give them back in their order."""
    registry, all_of_them = datasets._REGISTRY, dict(datasets.DATASETS)
    registry.clear()
    registry[datasets.DAILY_TARGETS.name] = datasets.DAILY_TARGETS
    try:
        yield
    finally:
        registry.clear()
        registry.update(all_of_them)
