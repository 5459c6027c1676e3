"""Print two tables of the code by folder: its length, and its parts that no test reaches.

`make coverage` writes the report of coverage.py that the second table is made from. `KEEP=results`
writes both tables to `tests/results/coverage.md`. Lines are counted as ruff formats them, blank
ones and comments included.
A missed branch is a jump from one line to another that no test takes.
"""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    """Print the table of lines and, given a JSON report of coverage.py, that of branches."""
    print("# Lines of code, and what no test reaches\n\nPrinted by `make coverage KEEP=results`.\n")
    print_lines()
    if len(sys.argv) > 1:
        print()
        print_branches(json.loads(Path(sys.argv[1]).read_text())["files"])
    return 0


def print_lines() -> None:
    """Print files and lines of Python of each folder that git tracks."""
    listed = subprocess.run(
        ["git", "ls-files", "*.py"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    rooms: dict[str, Counter[str]] = {}
    for file in listed.stdout.splitlines():
        lines = (ROOT / file).read_text().splitlines()
        add(rooms, file, {"files": 1, "lines": len(lines)})
    print("| folder | files | lines |")
    print("|---|---|---|")
    for room, count in sorted(rooms.items()):
        print(f"| {room} | {count['files']} | {count['lines']:,} |")


def print_branches(report: Mapping[str, Mapping[str, Any]]) -> None:
    """Print statements and branches of each folder, and how many of them no test reaches."""
    rooms: dict[str, Counter[str]] = {}
    for file, figures in report.items():
        add(rooms, file, figures["summary"])
    print("| folder | statements | missed | branches | missed | share missed |")
    print("|---|---|---|---|---|---|")
    for room, count in sorted(rooms.items()):
        branches, missed = count["num_branches"], count["missing_branches"]
        share = missed / branches if branches else 0
        statements = f"{count['num_statements']:,} | {count['missing_lines']:,}"
        print(f"| {room} | {statements} | {branches:,} | {missed:,} | {share:.1%} |")


def add(rooms: dict[str, Counter[str]], file: str, numbers: Mapping[str, int]) -> None:
    """Add the numbers of a file to its folder and to the folder at the top."""
    folders = file.split("/")[:-1] or ["."]
    for room in {"/".join(folders[:2]), folders[0] + "/ in all"}:
        rooms.setdefault(f"`{room}`", Counter()).update(
            {name: number for name, number in numbers.items() if isinstance(number, int)}
        )


if __name__ == "__main__":
    sys.exit(main())
