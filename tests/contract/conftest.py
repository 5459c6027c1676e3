"""Fixtures of the tests that compare with Amazon's documents."""

from tests.unit.amazon_ads.conftest import amazon

__all__ = ["amazon"]
