"""Rows that can't be understood are kept as the text that the report had, whatever that is."""

import gzip
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bidbeacon_pipelines.datasets.registry import DAILY_TARGETS
from bidbeacon_pipelines.loading.rows import make_decoder
from bidbeacon_pipelines.values.decode import iter_values
from bidbeacon_pipelines.values.part_text import read_object

TEXTS = st.text(st.characters(codec=None, exclude_categories=[]), max_size=20)
SPECIAL = [
    "decimal",
    "escaped",
    "NaN",
    "Infinity",
    "1.5",
    "zzz",
    "a\0b",
    "\ud800",
    r"\u0000",
    r"\ud800",
]
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=10**4_100, max_value=10**4_200)
    | st.decimals()
    | st.sampled_from(SPECIAL)
    | TEXTS
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(SPECIAL) | TEXTS, inner, max_size=3)
    ),
    max_leaves=8,
)


def written(value: Any, *, ascii_only: bool) -> str:
    """Write JSON as a report has it: Decimals as numbers, and a lone surrogate escaped, since UTF-8 can't carry it."""
    match value:
        case dict():
            fields = (
                f"{written(name, ascii_only=ascii_only)}: {written(item, ascii_only=ascii_only)}"
                for name, item in value.items()
            )
            return "{" + ",\n".join(fields) + "}"
        case list():
            return "[" + ",".join(written(item, ascii_only=ascii_only) for item in value) + "]"
        case Decimal() | int() if not isinstance(value, bool):
            return "NaN" if Decimal(value).is_nan() else str(Decimal(value))
        case str() if any("\ud800" <= char <= "\udfff" for char in value):
            return json.dumps(value)
        case _:
            return json.dumps(value, ensure_ascii=ascii_only)


@pytest.fixture(name="path", scope="module")
def _path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kept") / "part.json.gz"


@settings(max_examples=100, deadline=None)
@given(
    rows=st.lists(
        st.dictionaries(st.sampled_from(SPECIAL) | TEXTS, VALUES, max_size=4), max_size=4
    ),
    ascii_only=st.booleans(),
)
def test_a_replay_reads_what_the_load_read(
    path: Path, rows: list[dict[str, Any]], *, ascii_only: bool
) -> None:
    """Nested values, long numbers, NaN, lone surrogates, NUL and whatever looks like a mark: from the kept text comes the same row."""
    path.write_bytes(gzip.compress(written(rows, ascii_only=ascii_only).encode(), compresslevel=1))
    loaded = list(iter_values(path))
    decoder = make_decoder(DAILY_TARGETS)
    texts = [
        batch.text_of(place) for batch in decoder.batches(path) for place in range(len(batch.rows))
    ]

    assert len(rows) == len(texts)
    assert [repr(row) for row in loaded] == [repr(read_object(text)) for text in texts]
    assert not any("\0" in text for text in texts)
    assert "".join(texts).encode().decode() == "".join(texts)


@pytest.mark.parametrize("text", ["", "null", "[1]", '{"a": 1', '{"a": 1} {"b": 2}', "{'a': 1}"])
def test_what_is_no_object_is_refused(text: str) -> None:
    """A row that somebody spoiled in the database can't be taken for one that came."""
    with pytest.raises(ValueError, match=r".+"):
        read_object(text)
