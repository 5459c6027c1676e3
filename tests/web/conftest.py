"""What the product adds to the running stream of `tests/stream/`."""

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from bidbeacon_sessions.server import StreamServer
from tests.stream import reading
from tests.stream.conftest import _nothing_unforeseen, base_url, http

__all__ = ["_nothing_unforeseen", "base_url", "http"]


@pytest.fixture
def serve_stream() -> Callable[..., AbstractContextManager[StreamServer]]:
    """Serves a store in a thread, as a context manager."""
    return reading.serve_stream
