"""Read a downloaded file, which is one gzipped JSON array, with bounded memory.

A file is complete if the checksum of the gzip stream is right and the array is closed. Some 150
objects are decoded at a time. If msgspec refuses an object (a bare `NaN`, half a surrogate pair),
the standard library parses only this object. Numbers keep every digit: whole numbers become `int`,
others `Decimal`, never a float. If an object has a field twice, the last value is used.
"""

import codecs
import gzip
import json
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import IO, Any, Final

import msgspec
from isal import igzip, isal_zlib
from msgspec import UNSET, Raw

from bidbeacon_pipelines.causes import cause
from bidbeacon_sessions.errors import ExpectedError

CHUNK_BYTES: Final = 1 << 16
"""Bytes decoded at a time: some 150 rows, so that a bad row slows down only a few others."""
LONGEST_VALUE_BYTES: Final = 1 << 23
"""A value still incomplete after so many bytes is invalid; a usual row has some 500 bytes."""
MOST_INFLATED_BYTES: Final = 64 * 1024**3
"""A file with more unpacked bytes is a gzip bomb. Nothing is unpacked onto the disk."""
LONGEST_INTEGER: Final = 4_300
"""The most digits that Python's `int` parses by default."""

Values = dict[str, Any]
"""The values of a row by Amazon's field names. The value of a missing field is `UNSET`."""


class BrokenPartError(ExpectedError):
    """A file is not a gzipped JSON array of objects.

    Attributes:
        part: The file's name.
        rows_read: The number of rows read before the fault. They must not be loaded.
        found: A description of the fault.
    """

    def __init__(self, part: str, rows_read: int, found: str) -> None:
        super().__init__(
            f"{part}: expected a gzipped JSON array of objects, "
            f"got: {found} (after {rows_read} rows)"
        )
        self.part = part
        self.rows_read = rows_read
        self.found = found
        self.failure_cause = cause("file-incomplete", detail={"reason": str(self)})


def exact_number(number: str) -> Decimal:
    """Parse a number exactly; a number out of range becomes infinite, which is invalid."""
    try:
        return Decimal(number)
    except ArithmeticError:
        return Decimal("-Infinity" if number.startswith("-") else "Infinity")


def _whole(number: str) -> int | Decimal:
    return int(number) if len(number) <= LONGEST_INTEGER else exact_number(number)


_EXACT = json.JSONDecoder(parse_float=exact_number, parse_int=_whole, parse_constant=Decimal)
_ANY = msgspec.json.Decoder(list[Any], float_hook=exact_number)
_VALUES = msgspec.json.Decoder(dict[str, Any], float_hook=exact_number)
_RAWS = msgspec.json.Decoder(list[Raw])
_ENCODER = msgspec.json.Encoder()
_UNREADABLE: Final = (msgspec.DecodeError, UnicodeError, RecursionError)
_DAMAGED: Any = (EOFError, gzip.BadGzipFile, zlib.error, isal_zlib.error)  # the last has no type
_BLANKS = re.compile(rb"[ \t\n\r]*")


@dataclass(frozen=True)
class Batch:
    """Consecutive values of a file; `text_of` returns the JSON text of a value by its index."""

    rows: Sequence[Any]
    text_of: Callable[[int], str]


def read_object(text: str) -> dict[str, Any]:
    """Parse a JSON object, without rounding any number.

    Raises:
        ValueError: The text is not a JSON object.
        RecursionError: The object is nested too deeply.
    """
    found = _EXACT.decode(text)
    if not isinstance(found, dict):
        raise ValueError(f"{text[:40]!r} where an object should be")  # noqa: TRY004 - bad text
    return found


def iter_values(path: Path) -> Iterator[Any]:
    """Yield the values of a file in their order.

    Raises:
        BrokenPartError: For the same reasons as `iter_batches`.
    """
    for batch in iter_batches(path, _ANY):
        yield from batch.rows


def iter_batches(
    path: Path, decoder: "msgspec.json.Decoder[Any]", *, only_objects: bool = False
) -> Iterator[Batch]:
    """Yield batches of a file's values, in order; the file may have several gzip members.

    Args:
        path: The file.
        decoder: The decoder of a list of objects.
        only_objects: Whether a value that is not an object is an error.

    Raises:
        BrokenPartError: The file is truncated, damaged, not gzip, not JSON or not an array. The
            values before the fault were already yielded, so don't load them before the end.
    """
    count = _Count()
    with _named_faults(path, count), igzip.open(path, "rb") as file:
        window = _Window(file)
        for _ in window.places():
            batch = window.take(decoder, only_objects=only_objects)
            yield batch
            count.rows_read += len(batch.rows)


class _Count:
    rows_read = 0


@contextmanager
def _named_faults(path: Path, count: _Count) -> Iterator[None]:
    try:
        yield
    except _DAMAGED as error:
        raise BrokenPartError(path.name, count.rows_read, f"damaged gzip: {error}") from error
    except UnicodeDecodeError as error:
        found = f"bytes that are not UTF-8: {error.reason}"
        raise BrokenPartError(path.name, count.rows_read, found) from error
    except RecursionError as error:
        raise BrokenPartError(path.name, count.rows_read, "an object nested too deeply") from error
    except ValueError as error:
        raise BrokenPartError(path.name, count.rows_read, str(error)) from error


class _Window:
    """The bytes of a file that are decompressed and not yet decoded."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._held = b""
        self._at = 0
        self._inflated = 0
        self._ended = False
        self._fill()
        self._at = len(codecs.BOM_UTF8) if self._held.startswith(codecs.BOM_UTF8) else 0

    def places(self) -> Iterator[None]:
        """Yield before each value or batch of the array; the caller then takes it with `take`."""
        self._expect(b"[")
        if self._next() == b"]":
            self._expect(b"]")
        else:
            yield
            while self._expect(b",]") == b",":
                yield
        if self._next():
            raise ValueError("more text after the array")

    def take(self, decoder: "msgspec.json.Decoder[Any]", *, only_objects: bool) -> Batch:
        """Take and decode the next batch; on failure, halve it until it is one bad object."""
        size = CHUNK_BYTES
        while some := self._objects(size):
            text = b"[%b]" % some
            try:
                text.decode()  # msgspec does not check the bytes of values that it keeps raw
                rows = decoder.decode(text)
            except _UNREADABLE:
                size = len(some) // 2
            else:
                self._at += len(some)
                return Batch(rows, partial(_text_of, text))
        if only_objects and self._next() != b"{":
            raise ValueError(f"{self._shown()} where an object should be")
        value, text_of_value = self._value()
        return Batch([value], lambda _: text_of_value)

    def _objects(self, size: int) -> bytes:
        """Return at most `size` bytes, from the next object to the last closing brace.

        The brace may be part of a string, so only decoding shows whether the objects are complete.
        Return b"" if the next value is not an object.
        """
        if self._next() != b"{":
            return b""
        if len(self._held) - self._at < size and not self._ended:
            self._fill()
        return self._held[self._at : self._held.rfind(b"}", self._at, self._at + size) + 1]

    def _value(self) -> tuple[Any, str]:
        """Take the next value, which may have any type; return the value and its text."""
        while True:
            held = self._held[self._at :]
            text = codecs.getincrementaldecoder("utf-8")().decode(held, final=self._ended)
            try:
                value, end = _EXACT.raw_decode(text)
            except json.JSONDecodeError as error:
                if self._ended or len(held) > LONGEST_VALUE_BYTES:
                    found = f"an object that is not valid JSON, {error.msg}: {self._shown()}"
                    raise ValueError(found) from error
            else:
                if end < len(text) or self._ended:
                    self._at += len(text[:end].encode())
                    return value, text[:end]
            # Twice as much each time, or a long value would be scanned a hundred times.
            self._fill(len(held))

    def _next(self) -> bytes:
        """Skip whitespace and return the next byte without taking it; b"" at the end."""
        while True:
            blanks = _BLANKS.match(self._held, self._at)
            self._at = blanks.end() if blanks else self._at
            if self._at < len(self._held) or self._ended:
                return self._held[self._at : self._at + 1]
            self._fill()

    def _expect(self, allowed: bytes) -> bytes:
        """Take and return the next byte, which must be one of `allowed`."""
        byte = self._next()
        if not byte or byte not in allowed:
            expected = " or ".join(allowed.decode())
            raise ValueError(f"{self._shown()} where {expected} should be")
        self._at += 1
        return byte

    def _fill(self, at_least: int = 0) -> None:
        chunk = self._file.read(max(CHUNK_BYTES, at_least))
        self._ended = not chunk
        self._inflated += len(chunk)
        if self._inflated > MOST_INFLATED_BYTES:
            raise ValueError(f"more JSON than the allowed {MOST_INFLATED_BYTES:,} bytes")
        self._held = self._held[self._at :] + chunk
        self._at = 0

    def _shown(self) -> str:
        shown = self._held[self._at :][:40].decode(errors="replace")
        return repr(shown) if self._next() else "the end"


def _text_of(array: bytes, place: int) -> str:
    return bytes(_RAWS.decode(array)[place]).decode()


_MISSING: Final = Raw(b"\\N")
"""The value of a missing field in a `WireRow`. It is not JSON, so no real value equals it."""


class WireRow(msgspec.Struct):
    """A row with values as raw bytes; each `RowDecoder` makes a subclass with its own fields."""


Row = WireRow | dict[str, Any]
"""A row with raw bytes, or a decoded row if msgspec could not read it."""


def _decoded(row: WireRow) -> dict[str, Any]:
    text = _ENCODER.encode(row)
    try:
        return _VALUES.decode(text)
    except _UNREADABLE:  # a number of thousands of digits
        return read_object(text.decode())


class RowDecoder:
    """Reads the rows of a report; values stay raw bytes, since most are never decoded.

    `other_names` maps some names in `fields` to their names in other versions of Amazon's API.
    """

    def __init__(self, fields: Sequence[str], other_names: Mapping[str, str]) -> None:
        self.fields = tuple(fields)
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
        self._decoder = msgspec.json.Decoder(list[row])  # type: ignore[valid-type] # made at run time

    def batches(self, path: Path) -> Iterator[Batch]:
        """Yield the rows of a file, as `iter_batches` does."""
        return iter_batches(path, self._decoder, only_objects=True)

    def picker(self, fields: Iterable[str]) -> Callable[[WireRow], tuple[Raw, ...]]:
        """Return a function that returns a row's raw values of `fields`.

        After these come the values under the other names that `other_names` has for these fields.
        """
        names = [*fields]
        names += [self._other_names[name] for name in names if name in self._other_names]
        pick: Callable[[WireRow], Any] = attrgetter(*(self._attributes[name] for name in names))
        return pick if len(names) > 1 else lambda row: (pick(row),)

    def values_of(self, row: Row) -> Values:
        """Return a row's values by field name; a field may be in the row under its other name."""
        found = row if isinstance(row, dict) else _decoded(row)
        values = {name: found.get(name, UNSET) for name in self.fields}
        for name, other in self._other_names.items():
            if name not in found and other in found:
                values[name] = found[other]
        return values
