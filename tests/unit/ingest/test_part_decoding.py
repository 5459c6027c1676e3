"""Reading the parts of a report, whole and broken."""

import json
import os
import tracemalloc
from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bidbeacon_pipelines.values import decode
from tests.unit.ingest.conftest import Write

FLAT = st.none() | st.booleans() | st.integers() | st.text()
VALUES = FLAT | st.decimals(allow_nan=False, allow_infinity=False)
DECODER = decode.RowDecoder(("a", "b"), {})


def iter_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Return the rows of a part, each as its text reads; both ways of reading it agree about it."""
    for batch in DECODER.batches(path):
        for place, row in enumerate(batch.rows):
            told = decode.read_object(batch.text_of(place))
            assert repr(DECODER.values_of(told)) == repr(DECODER.values_of(row))
            yield told


def test_rows_come_in_order(part: Write) -> None:
    """Rows are given as they stand in the file."""
    rows = list(iter_rows(part('[{"a":1},\n {"a":null},{"b":"x"}]\n')))
    assert [{"a": 1}, {"a": None}, {"b": "x"}] == rows


def test_numbers_keep_every_digit(part: Write) -> None:
    """Whole numbers and amounts are exact, also where a float would not be."""
    text = '[{"id":9007199254740993,"cost":9.870000,"share":0.1,"big":12345678901234567890.12}]'
    (row,) = iter_rows(part(text))

    assert 9007199254740993 == row["id"]
    amounts = [str(row[key]) for key in ("cost", "share", "big")]
    assert ["9.870000", "0.1", "12345678901234567890.12"] == amounts
    assert not any(isinstance(value, float) for value in row.values())


@pytest.mark.parametrize(
    ("number", "read"),
    [
        *((token, token) for token in ("NaN", "Infinity", "-Infinity")),
        ("9" * 5000, "9" * 5000),
        ("1e400", "1E+400"),
        ("1e99999999999999999999", "Infinity"),
        ("-1e99999999999999999999", "-Infinity"),
    ],
)
def test_numbers_beyond_reason_spoil_only_their_row(part: Write, number: str, read: str) -> None:
    """They become Decimals that no check accepts, with their digits as far as there can be any; the other rows are read."""
    first, second = iter_rows(part(f'[{{"a":{number}}},{{"a":1}}]'))
    assert read == str(first["a"])
    assert {"a": 1} == second


def test_a_name_of_a_megabyte_is_read(part: Write) -> None:
    """Long is not broken."""
    name = "x" * (1 << 20)
    assert [{"a": name}, {"a": "y"}] == list(iter_rows(part(f'[{{"a":"{name}"}},{{"a":"y"}}]')))


def test_odd_text_survives(part: Write) -> None:
    """Emoji, right-to-left text, NUL and lone surrogates come as they were written."""
    (row,) = iter_rows(part(r'[{"a":"😀 \ud83d\ude00 שלום \u0000 \ud800"}]'))
    assert "😀 😀 שלום \0 \ud800" == row["a"]


def test_byte_order_mark_is_ignored(part: Write) -> None:
    """A byte order mark before the array does no harm."""
    assert [{"a": 1}] == list(iter_rows(part(b'\xef\xbb\xbf[{"a":1}]')))


@pytest.mark.parametrize(
    ("content", "found"),
    [
        pytest.param("", "the end where [ should be", id="empty"),
        pytest.param('{"a":1}', """'{"a":1}' where [ should be""", id="object"),
        pytest.param("null", "'null' where [ should be", id="null"),
        pytest.param("a,b\r\n1,2\r\n", "'a,b", id="CSV"),
        pytest.param("<html>busy</html>", "'<html>busy</html>' where [ should be", id="HTML"),
        pytest.param("[1]", "'1]' where an object should be", id="numbers"),
        pytest.param("[[]]", "'[]]' where an object should be", id="array of arrays"),
        pytest.param("[", "the end where an object should be", id="opened only"),
        pytest.param('[{"a":1}', "the end where , or ] should be", id="never closed"),
        pytest.param('[{"a":1},]', "']' where an object should be", id="trailing comma"),
        pytest.param("[{} {}]", "'{}]' where , or ] should be", id="comma missing"),
        pytest.param("[]x", "more text after the array", id="text after it"),
        pytest.param('[{"a":1}][{"a":2}]', "more text after the array", id="two arrays"),
        pytest.param('[{"a":1', "an object that is not valid JSON", id="cut in an object"),
        pytest.param('[{"a":"x', "an object that is not valid JSON", id="cut in a string"),
        pytest.param("[{'a':1}]", "an object that is not valid JSON", id="wrong quotes"),
        pytest.param('[{"a":01}]', "an object that is not valid JSON", id="leading zero"),
        pytest.param(b'[{"a":"\xff"}]', "bytes that are not UTF-8", id="not UTF-8"),
        pytest.param('[{"a":' + "[" * 100_000, "an object nested too deeply", id="deep nesting"),
        pytest.param(
            '[{"a":"' + "x" * 2 * decode.LONGEST_VALUE_BYTES,
            "an object that is not valid JSON",
            id="endless row",
        ),
    ],
)
def test_broken_content_is_named(part: Write, content: bytes | str, found: str) -> None:
    """What is no array of objects is refused, with the part's name and what was found instead."""
    with pytest.raises(decode.BrokenPartError) as caught:
        list(iter_rows(part(content)))
    said = "part-0.json.gz: expected a gzipped JSON array of objects, got: "
    assert str(caught.value).startswith(said)
    assert found in caught.value.found


def test_error_tells_how_far_it_came(part: Write) -> None:
    """The error counts the rows that were read before the fault."""
    with pytest.raises(decode.BrokenPartError, match=r"\(after 2 rows\)") as caught:
        list(iter_rows(part('[{"a":1},{"a":2},{"a"')))
    assert 2 == caught.value.rows_read


@pytest.mark.parametrize("kept", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_truncated_gzip_is_refused(part: Write, kept: float) -> None:
    """A file cut anywhere is refused, never taken for a shorter report."""
    rows = [{"campaign.id": number, "text": f"{number * 7919 % 1000}"} for number in range(5000)]
    path = part(json.dumps(rows))
    os.truncate(path, int(path.stat().st_size * kept))
    with pytest.raises(decode.BrokenPartError):
        list(iter_rows(path))


def test_plain_json_is_no_part(tmp_path: Path) -> None:
    """JSON that is not gzipped is refused."""
    (tmp_path / "plain").write_text("[]")
    with pytest.raises(decode.BrokenPartError, match="damaged gzip"):
        list(iter_rows(tmp_path / "plain"))


@pytest.mark.parametrize("place", [12, -6])
def test_flipped_bit_is_found(part: Write, place: int) -> None:
    """A damaged byte in the data or its checksum is found."""
    path = part(json.dumps([{"a": number} for number in range(1000)]))
    damaged = bytearray(path.read_bytes())
    damaged[place] ^= 1
    path.write_bytes(damaged)

    with pytest.raises(decode.BrokenPartError):
        list(iter_rows(path))


def test_missing_file_is_not_a_broken_part(tmp_path: Path) -> None:
    """A file that isn't there is the caller's mistake, not Amazon's."""
    with pytest.raises(FileNotFoundError):
        list(iter_rows(tmp_path / "part-9.json.gz"))


@pytest.mark.parametrize("overhang", range(-3, 4))
def test_rows_may_lie_across_any_edge(part: Write, overhang: int) -> None:
    """Where a chunk ends makes no difference to what is read."""
    filler = "x" * (decode.CHUNK_BYTES - len('[{"a":""}') + overhang)
    assert [{"a": filler}, {"b": 12}] == list(iter_rows(part(f'[{{"a":"{filler}"}},{{"b":12}}]')))


@given(rows=st.lists(st.dictionaries(st.text(), FLAT)))
def test_every_array_of_objects_is_read(part: Write, rows: list[dict[str, Any]]) -> None:
    """Any array of flat objects is read as the standard library reads it."""
    text = json.dumps(rows)
    assert json.loads(text) == list(iter_rows(part(text)))


@given(content=st.binary(max_size=200), packed=st.booleans())
def test_any_bytes_are_rows_or_a_broken_part(part: Write, content: bytes, packed: bool) -> None:  # noqa: FBT001 - hypothesis gives it by name
    """No input makes anything but rows or a `BrokenPartError`."""
    path = part(content)
    if not packed:
        path.write_bytes(content)
    with suppress(decode.BrokenPartError):
        assert all(isinstance(row, dict) for row in iter_rows(path))


def test_memory_does_not_grow_with_the_file(part: Write) -> None:
    """Ten times the rows are read in the same memory."""
    row = {"campaign.name": "Manual - Dog shirts", "metric.sales": 39.98, "target.value": "dog"}

    def peak(count: int) -> int:
        path = part(json.dumps([row] * count))
        tracemalloc.start()
        assert count == sum(len(batch.rows) for batch in DECODER.batches(path))
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return highest

    assert peak(50_000) < peak(5_000) * 1.5


NESTED = st.recursive(
    VALUES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=40, deadline=None)
@given(st.lists(NESTED, max_size=5))
def test_values_of_any_kind_are_read_in_order(part: Write, values: list[Any]) -> None:
    """An array of an export may have something else between its objects."""
    text = json.dumps(values, default=str)
    assert json.loads(text, parse_float=Decimal) == list(decode.iter_values(part(text)))


@pytest.mark.parametrize("offset", range(-3, 3))
def test_number_across_the_edge_of_what_is_held_is_whole(part: Write, offset: int) -> None:
    """Its first digits are a number as well."""
    text = "[" + " " * (decode.CHUNK_BYTES - 3 + offset) + "12345,-1.5e3 ,true]"
    assert [12345, Decimal("-1.5e3"), True] == list(decode.iter_values(part(text)))


@pytest.mark.parametrize("text", ["[1,", "[1 2]", "[nope]", '["a]', "[1]]", "7"])
def test_array_that_is_no_json_is_a_broken_part(part: Write, text: str) -> None:
    """Nothing of it is stored then."""
    with pytest.raises(decode.BrokenPartError):
        list(decode.iter_values(part(text)))


@pytest.mark.parametrize("dirt", ["", '{"a":NaN},'], ids=["quick way", "object by object"])
def test_field_sent_twice_keeps_its_last_value(part: Write, dirt: str) -> None:
    """In both ways of reading it."""
    rows = list(iter_rows(part(f'[{dirt}{{"a":1,"b":2,"a":3}}]')))
    assert {"a": 3, "b": 2} == rows[-1]
