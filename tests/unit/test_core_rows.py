"""Tests that tests and benchmarks write the rows of five core tables in one place."""

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
ROOT = TESTS.parent
WRITES = re.compile(
    r"\b(?:INSERT\s+INTO|UPDATE|DELETE\s+FROM)\s+"
    r"(?:ads_accounts|advertiser_accounts|report_windows|report_requests|session_headers)\b"
)
KEPT = {
    "postgres/test_store_constraints.py": "tries the constraints with values that no class allows",
    "postgres/test_schema_versions.py": "writes on a connection of psycopg while tables change",
    "postgres/test_rare_queries.py": "needs hundreds of thousands of rows, which the server makes",
    "faults/ads/test_oracle_can_fail.py": "breaks tables in ways that the product cannot",
    "support/frozen_worker.py": "names the statement of the product at which it halts",
    "benchmarks/bulk_rows.py": "needs hundreds of thousands of rows, which the server makes",
}
"""The files that write them by SQL of their own, and why."""


def writing_files() -> set[str]:
    """Return the files that write the core tables by SQL, those of tests without the folder's name."""
    folders = {TESTS: TESTS, ROOT / "benchmarks": ROOT}
    return {
        str(path.relative_to(base))
        for folder, base in folders.items()
        for path in folder.rglob("*.py")
        if WRITES.search(path.read_text())
    }


def test_core_tables_are_written_by_the_factory() -> None:
    """A new column of accounts, windows, requests or sessions then breaks `tests/support/rows.py` only."""
    own = writing_files() - KEPT.keys()
    assert not own, f"use the functions of tests/support/rows.py instead of SQL in: {sorted(own)}"


def test_list_of_exceptions_names_no_file_without_need() -> None:
    """A file that has no such statement any more is to be taken off its list."""
    needless = KEPT.keys() - writing_files()
    assert not needless, f"take off the list of {Path(__file__).name}: {sorted(needless)}"


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT {} INTO report_windows",
        "UPDATE {} ads_accounts SET",
        "DELETE {} FROM report_requests",
    ],
)
def test_statements_over_several_lines_are_found(statement: str) -> None:
    """As they stand in triple quotes."""
    assert WRITES.search(statement.format("\n   "))
