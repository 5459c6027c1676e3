"""Reads one part of a report: a gzipped JSON array of flat objects, or gzipped CSV, streamed with bounded memory.

Numbers keep every digit: whole ones become `int`, others `Decimal`, never a float. A decoder is compiled from the dataset and reads some 150
rows at a time. It takes strict JSON only; what it refuses (a bare `NaN`, half a surrogate pair) is read object by object by the
standard library, so that it spoils its own row only.
"""

import csv
import gzip
import json
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec
from isal import igzip, isal_zlib
from msgspec import UNSET

from bidbeacon_pipelines.ingest.part_text import CHUNK_CHARS, PartText, exact_number, open_part

_CSV_ROWS: Final = 150
_UNREADABLE: Final = (msgspec.DecodeError, UnicodeError, RecursionError)
_NUMBER = re.compile(r"-?[0-9]+(?P<decimals>\.[0-9]+)?\Z")
_RAWS = msgspec.json.Decoder(list[msgspec.Raw])
_DAMAGED: Any = (EOFError, gzip.BadGzipFile, zlib.error, isal_zlib.error)  # the last one has no type

Values = tuple[Any, ...]


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
        rows: Their values, in the order of the decoder's fields; `UNSET` where a row has not the field.
        text_of: Returns the text that a row came as, by its place.
    """

    rows: Sequence[Values]
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
        self._others = tuple(
            (self.fields.index(one), other) for one, other in other_names.items() if one in fields
        )
        self._names = (*self.fields, *(other for _, other in self._others))
        self._no_others = (UNSET,) * len(self._others)
        members = [(f"f{place}", Any, UNSET) for place in range(len(self._names))]
        rename = {f"f{place}": name for place, name in enumerate(self._names)}
        struct = msgspec.defstruct("Row", members, rename=rename, gc=False)
        self._decoder = msgspec.json.Decoder(list[struct], float_hook=exact_number)  # type: ignore[valid-type] # made when the program runs

    def values_of(self, row: dict[str, Any]) -> Values:
        """Return the values of a row that is decoded already."""
        return self._merged(tuple([row.get(name, UNSET) for name in self._names]))

    def decode(self, rows: str) -> list[Values]:
        """Return the values of rows: JSON objects with commas between them.

        Raises:
            msgspec.DecodeError, UnicodeError, RecursionError: It is not that.
        """
        return [self._merged(msgspec.structs.astuple(row)) for row in self._decoder.decode(f"[{rows}]")]

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
                rows = self.decode(some)
            except _UNREADABLE:
                chars = len(some) // 2
            else:
                text.use_up(some)
                return Batch(rows, lambda place: bytes(_RAWS.decode(f"[{some}]")[place]).decode())
        row, came = text.take_object()
        return Batch([self.values_of(row)], lambda _: came)

    def _csv_batches(self, path: Path) -> Iterator[Batch]:
        with igzip.open(path, "rt", encoding="utf-8-sig", newline="") as text:  # type: ignore[no-untyped-call]
            lines = csv.DictReader(text, strict=True)
            if set(self.fields).isdisjoint(lines.fieldnames or ()):
                raise ValueError(f"{','.join(lines.fieldnames or ())[:40]!r} where [ should be")
            rows: list[dict[str, Any]] = []
            for row in lines:
                rows.append(self._typed(row))
                if len(rows) == _CSV_ROWS:
                    yield self._batch(rows)
                    rows = []
            yield self._batch(rows)

    def _batch(self, rows: Sequence[dict[str, Any]]) -> Batch:
        return Batch([self.values_of(row) for row in rows], lambda place: _as_json(rows[place]))

    def _typed(self, row: dict[str | None, Any]) -> dict[str, Any]:
        """Return a row of CSV as JSON has it: empty is null, and numbers are numbers."""
        if None in row or None in row.values():
            raise ValueError("a line that has not as many values as the header")
        return {
            str(name): None if value == "" else _as_number(value) if name in self._numbers else value
            for name, value in row.items()
        }

    def _merged(self, values: Values) -> Values:
        """Return a row's values with those of renamed fields in their place."""
        if not self._others:
            return values
        own, others = values[: len(self.fields)], values[len(self.fields) :]
        if others == self._no_others:
            return own
        merged = list(own)
        for (place, _), value in zip(self._others, others, strict=True):
            if merged[place] is UNSET:
                merged[place] = value
        return tuple(merged)


def _as_json(row: dict[str, Any]) -> str:
    told = [
        f"{json.dumps(name)}: {value if isinstance(value, Decimal) else json.dumps(value)}"
        for name, value in row.items()
    ]
    return f"{{{', '.join(told)}}}"


def _as_number(text: str) -> Any:
    found = _NUMBER.match(text)
    if found is None:
        return text
    return exact_number(text) if found["decimals"] else int(text)


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
