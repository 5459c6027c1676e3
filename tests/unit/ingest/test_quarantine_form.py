"""Rows that can't be understood are kept as the text that the report had, whatever that is."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bidbeacon_pipelines.datasets.registry import DAILY_TARGETS
from bidbeacon_pipelines.loading.rows import make_decoder
from bidbeacon_pipelines.values.decode import iter_values, read_object
from tests.support.report_rows import to_json
from tests.unit.ingest.conftest import Write

TEXTS = st.text(st.characters(codec=None, exclude_categories=[]), max_size=20)
SPECIAL = [
    *("decimal", "escaped", "NaN", "Infinity", "1.5", "zzz"),
    *("a\0b", "\ud800", r"\u0000", r"\ud800"),
]
NAMES = st.sampled_from(SPECIAL) | TEXTS
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=10**4_100, max_value=10**4_200)
    | st.decimals()
    | NAMES
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=100, deadline=None)
@given(
    rows=st.lists(st.dictionaries(NAMES, VALUES, max_size=4), max_size=4),
    ascii_only=st.booleans(),
)
def test_a_replay_reads_what_the_load_read(
    part: Write, rows: list[dict[str, Any]], *, ascii_only: bool
) -> None:
    """Nested values, long numbers, NaN, lone surrogates, NUL and whatever looks like a mark: from the kept text comes the same row."""
    path = part(to_json(rows, ascii_only=ascii_only))
    loaded = list(iter_values(path))
    decoder = make_decoder(DAILY_TARGETS)
    batches = list(decoder.batches(path))
    texts = [batch.text_of(place) for batch in batches for place in range(len(batch.rows))]
    assert len(rows) == len(texts)
    assert [repr(row) for row in loaded] == [repr(read_object(text)) for text in texts]
    assert not any("\0" in text for text in texts)
    assert "".join(texts).encode().decode() == "".join(texts)


@pytest.mark.parametrize("text", ["", "null", "[1]", '{"a": 1', '{"a": 1} {"b": 2}', "{'a': 1}"])
def test_what_is_no_object_is_refused(text: str) -> None:
    """A row that somebody spoiled in the database can't be taken for one that came."""
    with pytest.raises(ValueError, match=r".+"):
        read_object(text)
