"""Reads one part of a report: a gzipped JSON array of flat objects, or gzipped CSV, streamed with bounded memory.

A decoder is compiled from the dataset and reads some 150 rows at a time. It verifies that they are
strict JSON, and keeps each value as raw bytes, since most values are never needed in another form.
A value that is needed keeps every digit: whole numbers become `int`, others `Decimal`, never a
float. What the decoder refuses (a bare `NaN`, half a surrogate pair) is read object by object by
the standard library, so that it spoils its own row only. A row of CSV is made one of JSON.
"""

import csv
import gzip
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from operator import attrgetter
from pathlib import Path
from typing import Any, Final

import msgspec
from isal import igzip, isal_zlib
from msgspec import UNSET, Raw

from bidbeacon_pipelines.causes import cause
from bidbeacon_pipelines.values.part_text import (
    CHUNK_CHARS,
    PartText,
    exact_number,
    open_part,
    read_object,
)

_CSV_ROWS: Final = 150
_UNREADABLE: Final = (msgspec.DecodeError, UnicodeError, RecursionError)
_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?\Z")
_RAWS = msgspec.json.Decoder(list[Raw])
_VALUES = msgspec.json.Decoder(dict[str, Any], float_hook=exact_number)
_JSON = msgspec.json.Encoder(decimal_format="number")
_DAMAGED: Any = (
    EOFError,
    gzip.BadGzipFile,
    zlib.error,
    isal_zlib.error,
)  # the last one has no type

Values = dict[str, Any]
"""The values of a row by Amazon's name of the field; `UNSET` for fields that did not come."""
_MISSING: Final = Raw(b"\\N")
"""Stands in a wire row for a field that did not come. It is no JSON, so no value equals it."""


class WireRow(msgspec.Struct):
    """A row whose values are the bytes that came; each decoder makes a class of its fields."""


Row = WireRow | dict[str, Any]
"""A row as it came; or decoded, where only the standard library could read it."""


class BrokenPartError(ValueError):
    """A part is neither a gzipped JSON array of objects nor CSV; the message says which part and what was found.

    Attributes:
        part: The file's name.
        rows_read: Rows read before the fault; they must not be loaded.
        found: What is wrong.
    """

    def __init__(self, part: str, rows_read: int, found: str) -> None:
        super().__init__(
            f"{part}: expected a gzipped JSON array of objects, got: {found} (after {rows_read} rows)"
        )
        self.part = part
        self.rows_read = rows_read
        self.found = found
        self.failure_cause = cause("file-incomplete", detail={"reason": str(self)})


@dataclass(frozen=True)
class Batch:
    """Rows that follow each other.

    Attributes:
        rows: As they came.
        text_of: Returns the text of a row, by its place.
    """

    rows: Sequence[Row]
    text_of: Callable[[int], str]


class RowDecoder:
    """Reads rows of some fields.

    Args:
        fields: Amazon's names.
        other_names: Some of them, with the name that the same field has in another version of
            Amazon's API.
        numbers: Those that are numbers, which CSV writes as text.
    """

    def __init__(
        self, fields: Sequence[str], other_names: dict[str, str], numbers: Iterable[str]
    ) -> None:
        self.fields = tuple(fields)
        self._numbers = frozenset(numbers)
        self._other_names = {
            field: other for field, other in other_names.items() if field in fields
        }
        names = (*self.fields, *self._other_names.values())
        self._attributes = {name: f"f{place}" for place, name in enumerate(names)}
        row = msgspec.defstruct(
            "Row",
            [(attribute, Raw, _MISSING) for attribute in self._attributes.values()],
            bases=(WireRow,),
            rename=dict(zip(self._attributes.values(), names, strict=True)),
            omit_defaults=True,
            gc=False,
        )
        self._decoder = msgspec.json.Decoder(list[row])  # type: ignore[valid-type] # made when the program runs

    def joiner(self, fields: Iterable[str]) -> Callable[[WireRow], bytes]:
        """Return the function that joins the bytes of some fields of a row by tabs, those of their other names last."""
        names = [*fields]
        names += [self._other_names[name] for name in names if name in self._other_names]
        pick: Callable[[WireRow], Any] = attrgetter(*(self._attributes[name] for name in names))
        if len(names) == 1:
            return lambda row: bytes(pick(row))
        return lambda row: b"\t".join(pick(row))

    def values_of(self, row: WireRow) -> Values:
        """Return the values of a wire row."""
        text = _JSON.encode(row)
        try:
            return self.values_in(_VALUES.decode(text))
        except _UNREADABLE:  # a number of thousands of digits
            return self.values_in(read_object(text.decode()))

    def values_in(self, row: Mapping[str, Any]) -> Values:
        """Return the values of a decoded row; a field that has two names is read under the first that came."""
        values = {name: row.get(name, UNSET) for name in self.fields}
        for name, other in self._other_names.items():
            if name not in row and other in row:
                values[name] = row[other]
        return values

    def batches(self, path: Path) -> Iterator[Batch]:
        """Yield the rows of a part, in the file's order.

        Raises:
            BrokenPartError: The file is cut short, damaged, no gzip, neither JSON nor CSV, or no
                array of objects. Rows before the fault
                have been yielded by then, so load nothing before the end.
        """
        count = _Count()
        with _named_faults(path, count):
            with open_part(path) as text:
                is_csv = bool(re.match(r'["a-zA-Z]', text.next_char()))
            read = self._csv_batches if is_csv else self._json_batches
            for batch in read(path):
                yield batch
                count.rows_read += len(batch.rows)

    def _json_batches(self, path: Path) -> Iterator[Batch]:
        with open_part(path) as text:
            for _ in _array_items(text):
                yield self._take_some(text)

    def _take_some(self, text: PartText) -> Batch:
        """Use up some of the objects that are at hand: half as many where one can't be decoded, until that one stands alone."""
        chars = CHUNK_CHARS
        while some := text.peek_objects(chars):
            try:
                batch = self._decoded(some)
            except _UNREADABLE:
                chars = len(some) // 2
            else:
                text.use_up(some)
                return batch
        row, came = text.take_object()
        return Batch([row], lambda _: came)

    def _decoded(self, rows: str) -> Batch:
        """Return rows: JSON objects with commas between them.

        Raises:
            msgspec.DecodeError, UnicodeError, RecursionError: It is not that.
        """
        text = f"[{rows}]"
        return Batch(
            self._decoder.decode(text), lambda place: bytes(_RAWS.decode(text)[place]).decode()
        )

    def _csv_batches(self, path: Path) -> Iterator[Batch]:
        with igzip.open(path, "rt", encoding="utf-8-sig", newline="") as text:  # type: ignore[no-untyped-call]
            lines = csv.DictReader(text, strict=True)
            if set(self.fields).isdisjoint(lines.fieldnames or ()):
                raise ValueError(f"{','.join(lines.fieldnames or ())[:40]!r} where [ should be")
            typed = map(self._typed, lines)
            while rows := [*islice(typed, _CSV_ROWS)]:
                yield self._decoded(b",".join(map(_JSON.encode, rows)).decode())

    def _typed(self, row: dict[str | None, Any]) -> dict[str, Any]:
        """Return a row of CSV as JSON has it: empty is null, and numbers are numbers."""
        if None in row or None in row.values():
            raise ValueError("a line that has not as many values as the header")
        return {
            str(name): None
            if value == ""
            else _as_number(value)
            if name in self._numbers
            else value
            for name, value in row.items()
        }


def _as_number(text: str) -> Any:
    return exact_number(text) if _NUMBER.match(text) else text


class _Count:
    rows_read = 0


def iter_values(path: Path) -> Iterator[Any]:
    """Yield the values of a gzipped JSON array, whatever they are, in the file's order.

    Args:
        path: The downloaded file.

    Raises:
        BrokenPartError: The file is cut short, damaged, no gzip, no JSON, or no array. Values
            before the fault have been yielded by then, so
            load nothing before the end.
    """
    count = _Count()
    with _named_faults(path, count), open_part(path) as text:
        for _ in _array_items(text):
            yield text.take_value()[0]
            count.rows_read += 1


def _array_items(text: PartText) -> Iterable[None]:
    """Walk through the array that a text is; at each step the caller uses up one object or several that follow each other."""
    text.expect("[")
    if text.next_char() == "]":
        text.expect("]")
    else:
        yield
        while text.expect(",]") == ",":
            yield
    if text.next_char():
        raise ValueError("more text after the array")


@contextmanager
def _named_faults(path: Path, count: _Count) -> Iterator[None]:
    """Turn any error in a part's bytes into a `BrokenPartError`."""
    try:
        yield
    except _DAMAGED as error:
        raise BrokenPartError(path.name, count.rows_read, f"damaged gzip: {error}") from error
    except UnicodeDecodeError as error:
        raise BrokenPartError(
            path.name, count.rows_read, f"bytes that are not UTF-8: {error.reason}"
        ) from error
    except RecursionError as error:
        raise BrokenPartError(path.name, count.rows_read, "an object nested too deeply") from error
    except (ValueError, csv.Error) as error:
        raise BrokenPartError(path.name, count.rows_read, str(error)) from error
