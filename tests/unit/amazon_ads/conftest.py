"""Fixtures of the client's tests."""

import pytest

from tests.unit.amazon_ads.fakes import FakeAmazon


@pytest.fixture
def amazon() -> FakeAmazon:
    """Return an Amazon without a script."""
    return FakeAmazon()
