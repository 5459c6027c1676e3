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
    """A text is no array of objects; the message says what was found instead."""


def exact_number(number: str) -> Decimal:
    """Return a number with every digit; one beyond every range becomes infinite, which no field accepts."""
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


def read_object(text: str) -> dict[str, Any]:
    """Return the object that a text is, every number exact.

    Raises:
        ValueError: it is no JSON, or not an object.
        RecursionError: it is nested too deeply.
    """
    found = _DECODER.decode(text)
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
        """Skip blanks and return the next character without using it up; empty at the end."""
        while True:
            blanks = _BLANKS.match(self._held, self._at)
            self._at = blanks.end() if blanks else self._at
            if self._at < len(self._held):
                return self._held[self._at]
            if self._ended:
                return ""
            self._fill()

    def expect(self, allowed: str) -> str:
        """Use up the next character, which must be one of these, and return it."""
        char = self.next_char()
        if not char or char not in allowed:
            raise NotAnArrayError(f"{self._shown()} where {' or '.join(allowed)} should be")
        self._at += 1
        return char

    def take_object(self) -> tuple[dict[str, Any], str]:
        """Use up the object that begins at the next character; return it, and its text as it came."""
        if self.next_char() != "{":
            raise NotAnArrayError(f"{self._shown()} where an object should be")
        return self.take_value()

    def take_value(self) -> tuple[Any, str]:
        """Use up the value that begins at the next character, whatever it is; return it, and its text as it came."""
        self.next_char()
        while True:
            try:
                value, end = _DECODER.raw_decode(self._held, self._at)
            except json.JSONDecodeError as error:
                self._read_on(error)
            else:
                if end < len(self._held) or self._ended:
                    came, self._at = self._held[self._at : end], end
                    return value, came
                self._fill(len(self._held) - self._at)  # a number may go on

    def peek_objects(self, chars: int) -> str:
        """Return at most `chars` characters, from the next one on, that may be whole objects with commas between them; or nothing.

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
            raise NotAnArrayError(
                f"an object that is no JSON, {error.msg}: {self._shown()}"
            ) from error
        self._fill(
            length
        )  # twice as much each time, or a long row would be scanned a hundred times

    def _fill(self, at_least: int = 0) -> None:
        chunk = self._text.read(max(CHUNK_CHARS, at_least))
        self._ended = not chunk
        self._held = self._held[self._at :] + chunk
        self._at = 0

    def _shown(self) -> str:
        return repr(self._held[self._at : self._at + 40]) if self.next_char() else "the end"
