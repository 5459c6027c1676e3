"""Reads one part of a report: a gzipped JSON array of flat objects, streamed with bounded memory.

Numbers keep every digit: whole ones become `int`, others `Decimal`, never a float. `NaN` and `Infinity`, which are no JSON but
are written by some, become non-finite Decimals, so that they spoil their own row only.

The array is cut into objects here and each object is read by the standard library's JSON decoder. The streaming parser ijson is
not used: its C backend kills the process on a number of 4,301 digits or more, and on deep nesting. Rows of a report are read
much faster, many at a time, by `ingest.wire`; what that does not take is read the way it is here.
"""

import gzip
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from isal import isal_zlib

from bidbeacon_pipelines.ingest.part_text import PartText, open_part


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


_DAMAGED: Any = (EOFError, gzip.BadGzipFile, zlib.error, isal_zlib.error)  # the last one has no type


class Counted(Protocol):
    """Something that knows how many rows it has read of a part."""

    rows_read: int


class _Count:
    rows_read = 0


def iter_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of one part, in the file's order.

    Args:
        path: The downloaded file.

    Raises:
        BrokenPartError: The file is cut short, damaged, no gzip, no JSON, or no array of objects. Rows before the fault have
            been yielded by then, so load nothing before the end.
    """
    count = _Count()
    with named_faults(path, count), open_part(path) as text:
        for _ in array_items(text):
            yield text.take_object()[0]
            count.rows_read += 1


def iter_values(path: Path) -> Iterator[Any]:
    """Yield the values of an array in a file, whatever they are, in the file's order.

    Raises:
        BrokenPartError: as `iter_rows` does, but for values that are no objects.
    """
    count = _Count()
    with named_faults(path, count), open_part(path) as text:
        for _ in array_items(text):
            yield text.take_value()
            count.rows_read += 1


def array_items(text: PartText) -> Iterable[None]:
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
def named_faults(path: Path, count: Counted) -> Iterator[None]:
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
    except ValueError as error:
        raise BrokenPartError(path.name, count.rows_read, str(error)) from error
