"""The storable form of rows that could not be understood."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidbeacon_pipelines.ingest.quarantine import from_jsonable, to_jsonable

TEXTS = st.text(st.characters(codec=None, exclude_categories=[]))
VALUES = st.none() | st.booleans() | st.integers() | TEXTS | st.decimals(allow_nan=False)
KEYS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        ({"id": 9007199254740993, "text": "x", "none": None, "yes": True}, None),
        ({"cost": Decimal("9.870")}, {"cost": {"decimal": "9.870"}}),
        ({"cost": Decimal("NaN")}, {"cost": {"decimal": "NaN"}}),
        ({"cost": float("inf")}, {"cost": {"decimal": "inf"}}),
        ({"name": "a\0b"}, {"name": {"escaped": r"a\u0000b"}}),
        ({"name": "\ud800"}, {"name": {"escaped": r"\ud800"}}),
        ({"na\0me": [Decimal(1)]}, {r"na\u0000me": [{"decimal": "1"}]}),
    ],
    ids=str,
)
def test_stored_form(value: dict[str, Any], stored: dict[str, Any] | None) -> None:
    """What JSON and jsonb carry stays as it is; the rest is wrapped."""
    assert (value if stored is None else stored) == to_jsonable(value)


@given(raw=st.dictionaries(KEYS, VALUES | st.lists(VALUES, max_size=3)))
def test_nothing_is_lost(raw: dict[str, Any]) -> None:
    """A row comes back from its stored form to the last digit, and jsonb can take the stored form."""
    text = json.dumps(to_jsonable(raw), allow_nan=False, ensure_ascii=False)

    assert "\0" not in text.encode().decode()
    assert "\\u0000" not in text.replace("\\\\", "")
    assert repr(raw) == repr(from_jsonable(json.loads(text)))
