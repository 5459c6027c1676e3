"""A client before a fake Amazon."""

import pytest

from tests.unit.amazon_ads.fakes import Bench, open_bench


@pytest.fixture
def bench() -> Bench:
    """A client, its fake Amazon and its clock."""
    return open_bench()
