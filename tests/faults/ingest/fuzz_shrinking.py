"""Makes a document that shows a fault as small as it gets, and shows it to a person."""

import gzip
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from tests.faults.ingest.fuzz_documents import Document

MOST_TRIES = 300
SHOWN_BYTES = 3_000
Rows = Sequence[Sequence[str]]


def shrunk(document: Document, is_faulty: Callable[[Document], bool]) -> Document:
    """Take away what the fault doesn't need: earlier rows, parts, rows.

    A document that was spoiled as a whole only loses earlier rows.

    Args:
        document: It shows a fault.
        is_faulty: Says whether another one shows it too.
    """
    tries = 0
    smaller: Document | None = document
    while smaller is not None:
        document, smaller = smaller, None
        for one in islice(_smaller(document), MOST_TRIES - tries):
            tries += 1
            if is_faulty(one):
                smaller = one
                break
    return document


def _smaller(document: Document) -> Iterator[Document]:
    """Yield documents with something less, those with much less first."""
    if document.before is not None:
        yield replace(document, before=None)
        for fewer in _without_some([document.before]):
            yield replace(document, before=tuple(fewer[0]))
    if document.rows is None:
        return
    if len(document.rows) > 1:
        yield document.with_rows([[row for part in document.rows for row in part]])
    for fewer in _without_some(document.rows):
        yield document.with_rows(fewer)


def _without_some(rows: Rows) -> Iterator[Rows]:
    """Leave out each half, quarter, eighth … of each part's rows."""
    for place, part in enumerate(rows):
        size = (len(part) + 1) // 2
        while size and part:
            for start in range(0, len(part), size):
                yield [*rows[:place], [*part[:start], *part[start + size :]], *rows[place + 1 :]]
            size = 0 if size == 1 else (size + 1) // 2


def shown(document: Document, folder: Path) -> str:
    """Return a document as a person can read it, and where its files are kept whole."""
    folder.mkdir(exist_ok=True)
    lines = [
        f"{document.dataset.name} of {', '.join(document.report.ad_products)}, windows {', '.join(map(str, document.days))}, bad rows up to {document.bad_row_share:.0%}",
        f"spoiled by: {'; '.join(document.spoiled_by)}",
        f"rows before: {_cut('; '.join(document.before)) if document.before is not None else 'never loaded'}",
    ]
    for number, part in enumerate(document.parts):
        (folder / f"part-{number}.json.gz").write_bytes(part)
        lines.append(f"part {number}: {_cut(ascii(_text(part)))}")
    return "\n".join([*lines, f"files: {folder}"])


def _text(part: bytes) -> str | bytes:
    """Return a part's text where it has one."""
    try:
        return gzip.decompress(part).decode()
    except (EOFError, OSError, ValueError, zlib.error):
        return part


def _cut(text: str) -> str:
    return (
        text if len(text) <= SHOWN_BYTES else f"{text[:SHOWN_BYTES]} … of {len(text):,} characters"
    )
