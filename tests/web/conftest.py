"""What the product adds to the running stream of `tests/stream/`."""

from tests.stream.conftest import _nothing_unforeseen, base_url, http

__all__ = ["_nothing_unforeseen", "base_url", "http"]
