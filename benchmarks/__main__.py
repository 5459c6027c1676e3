"""Measure all suites or one; print the figures, store them as JSON, check their bounds."""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.database import RESULTS
from benchmarks.figures import Figure, Result, describe_machine, judge, show, write_page
from benchmarks.ingest import ingest
from benchmarks.page import page
from benchmarks.planning import planning
from benchmarks.sessions import sessions
from benchmarks.stream import stream
from benchmarks.yardstick import measure_yardstick

FILE = Path(sys.prefix) / "benchmarks.json"
"""In the folder of the environment, which git ignores."""
CONSOLE = Console(highlight=False)
Suite = Callable[[], Iterator[Figure]]


def main() -> int:
    """Run the suites named on the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    suites: Mapping[str, Callable[..., Iterator[Figure]]]
    suites = {one.__name__: one for one in (ingest, page, planning, sessions, stream)}
    parser.add_argument("suite", nargs="?", choices=suites, help="only this one")
    parser.add_argument(
        "--keep",
        choices=["results"],
        help="also write figures and query plans to benchmarks/results",
    )
    parser.add_argument("--json", type=Path, default=FILE, metavar="FILE", help="for the figures")
    given = parser.parse_args()
    if given.keep:
        RESULTS.mkdir(exist_ok=True)
    report: dict[str, Any] = {"machine": describe_machine(), "suites": {}}
    results: list[Result] = []
    for name in [given.suite] if given.suite else suites:
        keeps = given.keep and name in {"planning", "sessions"}
        suite = partial(suites[name], keep_plans=True) if keeps else suites[name]
        report["suites"][name], found = run(name, suite)
        results += found
        if given.keep:
            (RESULTS / f"{name}.md").write_text(write_page(name, report, found))
        given.json.write_text(json.dumps(report, indent=1) + "\n")
    CONSOLE.print(show(results), f"These figures as JSON: {given.json}")
    missed = [result.name for result in results if not result.passed]
    if missed:
        CONSOLE.print(f"Missed: {'; '.join(missed)}.", style="bold red")
    return 1 if missed else 0


def run(name: str, suite: Suite) -> tuple[dict[str, Any], list[Result]]:
    """Run a suite between two timings of the yardstick; return its record and results."""
    began, before, figures = time.perf_counter(), measure_yardstick(), []
    for figure in suite():
        CONSOLE.print(f"{name}: {figure.name}: {figure.value:g} {figure.unit}")
        figures.append(figure)
    yardstick = before.mean(measure_yardstick())
    CONSOLE.print(
        f"{name}: this machine takes {yardstick.cpu:.2f} × the CPU time and "
        f"{yardstick.elapsed:.2f} × the time of the machine of the bounds, "
        f"and syncs to disk in {yardstick.sync_ms:.2f} ms"
    )
    results = [judge(figure, yardstick) for figure in figures]
    seconds = round(time.perf_counter() - began)
    kept = {"yardstick": asdict(yardstick), "seconds": seconds}
    return kept | {"figures": [asdict(result) for result in results]}, results


if __name__ == "__main__":
    sys.exit(main())
