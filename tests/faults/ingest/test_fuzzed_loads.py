"""Reports spoiled at random, for ten minutes in all: nothing escapes but our own errors, no row is lost, no cent is changed."""

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine

from tests.faults.ingest.fuzz_documents import Document
from tests.faults.ingest.fuzz_mutations import make_document
from tests.faults.ingest.fuzz_shrinking import shown, shrunk
from tests.faults.ingest.fuzz_verdict import find_fault
from tests.faults.ingest.fuzz_world import FuzzWorld

SEEDS = (1, 2, 3, 4, 5)
logger = logging.getLogger(__name__)
SECONDS = float(os.environ.get("FUZZ_SECONDS", "120"))
"""Of each seed."""
FIRST = int(os.environ.get("FUZZ_FIRST", "0"))
"""The number of the first document: the one that a failure has named, to see it again."""


@pytest.mark.faults
@pytest.mark.timeout(SECONDS + 300)
@pytest.mark.parametrize("seed", SEEDS)
def test_spoiled_reports_are_loaded_exactly_or_refused_whole(
    seed: int,
    engine: Engine,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    """Every document is loaded, its bad rows kept aside and all others exact, or is refused with our error and changes nothing."""
    world = FuzzWorld(engine, tmp_path)
    number, until = FIRST, time.monotonic() + SECONDS
    while time.monotonic() < until:
        document = make_document(seed, number)
        fault = find_fault(world, document)
        if fault is not None:
            logger.error(
                "seed %s, FUZZ_FIRST=%s: %s", seed, number, fault
            )  # making it smaller takes its time
            pytest.fail(
                f"seed {seed}, FUZZ_FIRST={number}: {_told(world, document, fault, tmp_path)}"
            )
        number += 1
    record_property("detail", f"{number - FIRST:,} documents in {SECONDS:g} s")


def _told(world: FuzzWorld, document: Document, fault: str, folder: Path) -> str:
    """Return a fault as the smallest document shows it that has a fault of this kind, and that document."""
    kind = fault[:20]
    small = shrunk(document, lambda one: (find_fault(world, one) or "").startswith(kind))
    return f"{find_fault(world, small) or fault}\n{shown(small, folder / 'document')}"
