"""Fixtures of the tests that compare with Amazon's documents."""

import pytest

from tests.contract.catalogue import Catalogue
from tests.unit.amazon_ads.conftest import amazon

__all__ = ["amazon"]


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    """Return the catalogue of the downloaded documents."""
    return Catalogue()
