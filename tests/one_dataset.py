"""The product with one dataset only: where time is what a test has least of, and the others go the same way through it."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from bidbeacon_pipelines.reports import datasets


@contextmanager
def only_daily_targets() -> Iterator[None]:
    """Take all other datasets out of the registry for the length of a block."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in datasets.DATASETS if name != datasets.DAILY_TARGETS.name]:
            patch.delitem(datasets._REGISTRY, name)
        yield
