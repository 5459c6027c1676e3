"""Reads one part of a report: a gzipped JSON array of flat objects, or gzipped CSV, streamed with bounded memory.

A decoder is compiled from the dataset and reads some 150 rows at a time. It proves that they are strict JSON, and leaves each value as the bytes that
came, since most of them are never needed as anything else. A value that is needed keeps every digit: whole numbers become `int`,
others `Decimal`, never a float. What the decoder refuses (a bare `NaN`, half a surrogate pair) is read object by object by the standard library, so that it spoils its own
row only. A row of CSV is made one of JSON.
"""

import csv
import gzip
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from operator import attrgetter
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec
from isal import igzip, isal_zlib
from msgspec import UNSET, Raw

from bidbeacon_pipelines.ingest.part_text import CHUNK_CHARS, PartText, exact_number, open_part, read_value

_CSV_ROWS: Final = 150
_UNREADABLE: Final = (msgspec.DecodeError, UnicodeError, RecursionError)
_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?\Z")
_RAWS = msgspec.json.Decoder(list[Raw])
_VALUES = msgspec.json.Decoder(list[Any], float_hook=exact_number)
_JSON = msgspec.json.Encoder(decimal_format="number")
_DAMAGED: Any = (EOFError, gzip.BadGzipFile, zlib.error, isal_zlib.error)  # the last one has no type

Values = tuple[Any, ...]
"""The values of a row, in the order of the decoder's fields; `UNSET` where the row has not the field."""
MISSING: Final = Raw(b"\\N")
"""Stands in a wire row for a field that did not come: no JSON, and COPY's word for null."""


class WireRow(msgspec.Struct):
    """A row whose values are the bytes that came; each decoder makes a class of its fields."""


class BrokenPartError(ValueError):
    """A part is no gzipped JSON array of objects, and no CSV; the message says which part and what was found.

    Attributes:
        part: The file's name.
        rows_read: Rows read before the fault; they are no report either.
        found: What is wrong.
    """

    def __init__(self, part: str, rows_read: int, found: str) -> None:
        super().__init__(
            f"{part}: expected a gzipped JSON array of objects, got: {found} (after {rows_read} rows)"
        )
        self.part = part
        self.rows_read = rows_read
        self.found = found


@dataclass(frozen=True)
class Batch:
    """Rows that follow each other.

    Attributes:
        rows: As they came; or the values of one that only the standard library could read.
        text_of: Returns the text that a row came as, by its place.
    """

    rows: Sequence[WireRow | Values]
    text_of: Callable[[int], str]


class RowDecoder:
    """Reads rows of some fields.

    Args:
        fields: Amazon's names.
        other_names: Some of them, with the name that the same field has in another version of Amazon's API.
        numbers: Those that are numbers, which CSV writes as text.
    """

    def __init__(self, fields: Sequence[str], other_names: dict[str, str], numbers: Iterable[str]) -> None:
        self.fields = tuple(fields)
        self._numbers = frozenset(numbers)
        self._other_names = {one: other for one, other in other_names.items() if one in fields}
        self._names = (*self.fields, *self._other_names.values())
        self._places = {name: f"f{place}" for place, name in enumerate(self._names)}
        rename = {attribute: name for name, attribute in self._places.items()}
        members = [(attribute, Raw, MISSING) for attribute in rename]
        struct = msgspec.defstruct("Row", members, bases=(WireRow,), rename=rename, gc=False)
        self._decoder = msgspec.json.Decoder(list[struct])  # type: ignore[valid-type] # made when the program runs

    def picker(self, fields: Iterable[str]) -> Callable[[WireRow], tuple[Raw, ...]]:
        """Return the function that takes some fields of a wire row, with their other names."""
        names = [*fields]
        names += [self._other_names[one] for one in names if one in self._other_names]
        pick: Callable[[WireRow], Any] = attrgetter(*(self._places[name] for name in names))
        return pick if len(names) > 1 else lambda row: (pick(row),)

    def values_of(self, row: WireRow) -> Values:
        """Return the values of a wire row."""
        wire = msgspec.structs.astuple(row)
        text = b"[" + b",".join([b"null" if one is MISSING else one for one in wire]) + b"]"
        try:
            values = _VALUES.decode(text)
        except _UNREADABLE:  # a number of thousands of digits
            values = read_value(text.decode())
        return self._merged(
            [UNSET if one is MISSING else value for one, value in zip(wire, values, strict=True)]
        )

    def values_in(self, row: dict[str, Any]) -> Values:
        """Return the values of a row that is decoded already."""
        return self._merged([row.get(name, UNSET) for name in self._names])

    def _merged(self, values: list[Any]) -> Values:
        """Return a row's values with those of renamed fields in their place."""
        own, others = values[: len(self.fields)], values[len(self.fields) :]
        for name, value in zip(self._other_names, others, strict=True):
            place = self.fields.index(name)
            if own[place] is UNSET:
                own[place] = value
        return tuple(own)

    def batches(self, path: Path) -> Iterator[Batch]:
        """Yield the rows of a part, in the file's order.

        Raises:
            BrokenPartError: The file is cut short, damaged, no gzip, neither JSON nor CSV, or no array of objects. Rows before the fault
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
        return Batch([self.values_in(row)], lambda _: came)

    def _decoded(self, rows: str) -> Batch:
        """Return rows: JSON objects with commas between them.

        Raises:
            msgspec.DecodeError, UnicodeError, RecursionError: It is not that.
        """
        text = f"[{rows}]"
        return Batch(self._decoder.decode(text), lambda place: bytes(_RAWS.decode(text)[place]).decode())

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
            str(name): None if value == "" else _as_number(value) if name in self._numbers else value
            for name, value in row.items()
        }


def _as_number(text: str) -> Any:
    return exact_number(text) if _NUMBER.match(text) else text


class _Counted(Protocol):
    rows_read: int


class _Count:
    rows_read = 0


def iter_values(path: Path) -> Iterator[Any]:
    """Yield the values of a gzipped JSON array, whatever they are, in the file's order.

    Args:
        path: The downloaded file.

    Raises:
        BrokenPartError: The file is cut short, damaged, no gzip, no JSON, or no array. Values before the fault have been yielded by then, so
            load nothing before the end.
    """
    count = _Count()
    with _named_faults(path, count), open_part(path) as text:
        for _ in _array_items(text):
            yield text.take_value()
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
def _named_faults(path: Path, count: _Counted) -> Iterator[None]:
    """Make of whatever is wrong with a part's bytes a `BrokenPartError`."""
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
