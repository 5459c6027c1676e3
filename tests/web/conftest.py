"""What the product adds to the running stream of `tests/stream/`."""

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from bidbeacon_sessions.server import StreamServer
from tests.stream import reading
from tests.stream.conftest import _nothing_unforeseen, base_url, http

__all__ = ["_nothing_unforeseen", "base_url", "http"]

AN_ACCOUNT = """
    WITH ads_account AS (
        INSERT INTO ads_accounts (account_id, ads_account_key, name, client_id, region, time_zone)
        VALUES ('amzn1.one', 'one', 'One', 'client', 'NA', 'America/Los_Angeles'))
    INSERT INTO advertiser_accounts (account_id, country_code, account_key, name, amazon_status, region, currency_code, time_zone)
    VALUES ('amzn1.one', 'US', 'US.one', 'One', 'CREATED', 'NA', 'USD', 'America/Los_Angeles')"""
"""Adds one account, without windows."""


@pytest.fixture
def serve_stream() -> Callable[..., AbstractContextManager[StreamServer]]:
    """Serves a store in a thread, as a context manager."""
    return reading.serve_stream
