"""What tests of reading share."""

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

Write = Callable[[bytes | str], Path]


@pytest.fixture(scope="module")
def part(tmp_path_factory: pytest.TempPathFactory) -> Write:
    """Return a function that writes a part as it comes from Amazon, and gives its path."""
    path = tmp_path_factory.mktemp("parts") / "part-0.json.gz"

    def write(content: bytes | str) -> Path:
        raw = content.encode() if isinstance(content, str) else content
        path.write_bytes(gzip.compress(raw, compresslevel=1, mtime=0))
        return path

    return write
