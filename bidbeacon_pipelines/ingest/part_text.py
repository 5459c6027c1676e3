"""The text of one part of a report: inflated while it is read, and cut into the objects of its array; never whole in memory."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, TextIO

from isal import igzip

CHUNK_CHARS: Final = 1 << 16
"""What is read at a time: some 150 rows, so that a bad one costs few good ones the quick way."""
LONGEST_ROW_CHARS: Final = 1 << 23
"""A row is some 500 characters, one with a name of a megabyte is read as well; what reaches this without an end is no row."""
LONGEST_INTEGER: Final = 4_000
"""Digits; Python makes no `int` of more than 4,300."""

_BLANKS = re.compile(r"[ \t\n\r]*")


class NotAnArrayError(ValueError):
    """What was found instead."""


def exact_number(number: str) -> Decimal:
    """Give a number with every digit; one beyond every range becomes infinite, which no field takes."""
    try:
        return Decimal(number)
    except ArithmeticError:
        return Decimal("-Infinity" if number.startswith("-") else "Infinity")


def _whole(number: str) -> int | Decimal:
    return int(number) if len(number) <= LONGEST_INTEGER else exact_number(number)


_DECODER = json.JSONDecoder(parse_float=exact_number, parse_int=_whole, parse_constant=Decimal)


@contextmanager
def open_part(path: Path) -> Iterator["PartText"]:
    """Open a downloaded file; several gzip members one after another are one file."""
    with igzip.open(path, "rt", encoding="utf-8-sig", newline="") as text:  # type: ignore[no-untyped-call]
        yield PartText(text)


def read_value(text: str) -> Any:
    """Return the value that a text is, every number exact.

    Raises:
        ValueError: it is no JSON.
        RecursionError: it is nested too deeply.
    """
    return _DECODER.decode(text)


def read_object(text: str) -> dict[str, Any]:
    """Return the object that a text is, every number exact.

    Raises:
        ValueError: it is no JSON, or not an object.
        RecursionError: it is nested too deeply.
    """
    found = read_value(text)
    if not isinstance(found, dict):
        raise NotAnArrayError(f"{text[:40]!r} where an object should be")
    return found


class PartText:
    """A sliding window over a text: what is read and not yet used."""

    def __init__(self, text: TextIO) -> None:
        self._text = text
        self._held = ""
        self._at = 0
        self._ended = False

    def next_char(self) -> str:
        """Skip blanks and give the next character without using it up; empty at the end."""
        while True:
            blanks = _BLANKS.match(self._held, self._at)
            self._at = blanks.end() if blanks else self._at
            if self._at < len(self._held):
                return self._held[self._at]
            if self._ended:
                return ""
            self._fill()

    def expect(self, allowed: str) -> str:
        """Use up the next character, which must be one of these; give it."""
        char = self.next_char()
        if not char or char not in allowed:
            raise NotAnArrayError(f"{self._shown()} where {' or '.join(allowed)} should be")
        self._at += 1
        return char

    def take_object(self) -> tuple[dict[str, Any], str]:
        """Use up one object that begins at the next character; return it, and its text as it came."""
        if self.next_char() != "{":
            raise NotAnArrayError(f"{self._shown()} where an object should be")
        while True:
            try:
                found, end = _DECODER.raw_decode(self._held, self._at)
            except json.JSONDecodeError as error:
                self._read_on(error)
            else:
                came = self._held[self._at : end]
                self._at = end
                return found, came

    def take_value(self) -> Any:
        """Use up the value that begins at the next character, whatever it is, and return it."""
        if self.next_char() == "{":
            return self.take_object()[0]
        while True:
            try:
                found, end = _DECODER.raw_decode(self._held, self._at)
            except json.JSONDecodeError as error:
                self._read_on(error)
            else:
                if end < len(self._held) or self._ended:  # else a number may go on after the window's edge
                    self._at = end
                    return found
                self._fill(len(self._held) - self._at)

    def peek_objects(self, chars: int) -> str:
        """Give what may be whole objects with commas between them, from the next character on and of at most so many; maybe nothing.

        Only decoding proves it: a brace may also stand in a text.
        """
        if self.next_char() != "{":
            return ""
        if len(self._held) - self._at < chars and not self._ended:
            self._fill()
        return self._held[self._at : self._held.rfind("}", self._at, self._at + chars) + 1]

    def use_up(self, proven: str) -> None:
        """Use up what was peeked and has been proven to be whole."""
        self._at += len(proven)

    def _read_on(self, error: json.JSONDecodeError) -> None:
        """Read more of an object that does not decode, as long as it may only be cut by the window's edge."""
        length = len(self._held) - self._at
        if self._ended or length > LONGEST_ROW_CHARS:
            raise NotAnArrayError(f"an object that is no JSON, {error.msg}: {self._shown()}") from error
        self._fill(length)  # twice as much each time, or a long row would be looked at a hundred times

    def _fill(self, at_least: int = 0) -> None:
        chunk = self._text.read(max(CHUNK_CHARS, at_least))
        self._ended = not chunk
        self._held = self._held[self._at :] + chunk
        self._at = 0

    def _shown(self) -> str:
        return repr(self._held[self._at : self._at + 40]) if self.next_char() else "the end"
