"""Reads one part of a report: a gzipped JSON array of flat objects, streamed with bounded memory.

Numbers keep every digit: whole ones become `int`, others `Decimal`, never a float. `NaN` and `Infinity`, which are no JSON but
are written by some, become non-finite Decimals, so that they spoil their own row only.

The array is cut into objects here and each object is read by the standard library's JSON decoder. The streaming parser ijson is
not used: its C backend kills the process on a number of 4,301 digits or more, and on deep nesting.
"""

import gzip
import json
import re
import zlib
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, TextIO

CHUNK_CHARS = 1 << 16
LONGEST_ROW_CHARS = 1 << 20
"""A row is some 500 characters; what reaches this without an end is no row."""

_BLANKS = re.compile(r"[ \t\n\r]*")
_DECODER = json.JSONDecoder(parse_float=Decimal, parse_constant=Decimal)


class BrokenPartError(ValueError):
    """A part is no gzipped JSON array of objects; the message says which part and what was found.

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


class _NotAnArrayError(ValueError):
    """What was found instead."""


def iter_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of one part, in the file's order.

    Args:
        path: The downloaded file.

    Raises:
        BrokenPartError: The file is cut short, damaged, no gzip, no JSON, or no array of objects. Rows before the fault have
            been yielded by then, so load nothing before the end.
    """
    count = 0
    try:
        with gzip.open(path, "rt", encoding="utf-8-sig", newline="") as text:
            for row in _iter_objects(_Buffer(text)):
                yield row
                count += 1
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise BrokenPartError(path.name, count, f"damaged gzip: {error}") from error
    except UnicodeDecodeError as error:
        raise BrokenPartError(path.name, count, f"bytes that are not UTF-8: {error.reason}") from error
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise BrokenPartError(path.name, count, _told(error)) from error


def _told(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "an object nested too deeply"
    if isinstance(error, ArithmeticError):
        return "a number out of every range"
    return str(error)


class _Buffer:
    """A sliding window over a text: what is read and not yet used."""

    def __init__(self, text: TextIO) -> None:
        self._text = text
        self._held = ""
        self._at = 0
        self.ended = False

    def next_char(self) -> str:
        """Skip blanks and give the next character without using it up; empty at the end."""
        while True:
            blanks = _BLANKS.match(self._held, self._at)
            self._at = blanks.end() if blanks else self._at
            if self._at < len(self._held):
                return self._held[self._at]
            if self.ended:
                return ""
            self._fill()

    def expect(self, allowed: str) -> str:
        """Use up the next character, which must be one of these; give it."""
        char = self.next_char()
        if not char or char not in allowed:
            raise _NotAnArrayError(f"{self._shown()} where {' or '.join(allowed)} should be")
        self._at += 1
        return char

    def take_object(self) -> dict[str, Any]:
        """Use up one object that begins at the next character."""
        if self.next_char() != "{":
            raise _NotAnArrayError(f"{self._shown()} where an object should be")
        while True:
            try:
                found, self._at = _DECODER.raw_decode(self._held, self._at)
            except json.JSONDecodeError as error:
                self._read_on(error)
            else:
                row: dict[str, Any] = found
                return row

    def _read_on(self, error: json.JSONDecodeError) -> None:
        """Read more of an object that does not decode, as long as it may only be cut by the window's edge."""
        if self.ended or len(self._held) - self._at > LONGEST_ROW_CHARS:
            raise _NotAnArrayError(f"an object that is no JSON, {error.msg}: {self._shown()}") from error
        self._fill()

    def _fill(self) -> None:
        chunk = self._text.read(CHUNK_CHARS)
        self.ended = not chunk
        self._held = self._held[self._at :] + chunk
        self._at = 0

    def _shown(self) -> str:
        return repr(self._held[self._at : self._at + 40]) if self.next_char() else "the end"


def _iter_objects(buffer: _Buffer) -> Iterator[dict[str, Any]]:
    buffer.expect("[")
    if buffer.next_char() == "]":
        buffer.expect("]")
    else:
        yield buffer.take_object()
        while buffer.expect(",]") == ",":
            yield buffer.take_object()
    if buffer.next_char():
        raise _NotAnArrayError("more text after the array")
