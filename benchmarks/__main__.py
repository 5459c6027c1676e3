"""`python -m benchmarks`: measure all suites or one, print the figures, keep them in benchmarks/results.json; exits 1 where a bound is missed."""

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import chain

from rich.console import Console

from benchmarks.figures import Figure, judge, keep, show, told
from benchmarks.ingest import ingest
from benchmarks.page import page
from benchmarks.planning import planning
from benchmarks.sessions import sessions
from benchmarks.stream import stream
from benchmarks.yardstick import measure_slowness

SUITES: Mapping[str, Callable[..., Iterator[Figure]]] = {
    "ingest": ingest,
    "page": page,
    "planning": planning,
    "sessions": sessions,
    "stream": stream,
}


def main() -> int:
    """Run the suites that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("suite", nargs="?", choices=SUITES, help="only this one")
    parser.add_argument("--keep", choices=["plans"], help="also write the query plans to docs/")
    parser.add_argument(
        "--runs", type=int, default=6, help="time so many runs of an account; 150 is a whole beat"
    )
    given = parser.parse_args()
    suites: dict[str, Callable[..., Iterator[Figure]]]
    suites = dict(SUITES) if given.suite is None else {given.suite: SUITES[given.suite]}
    for name in suites.keys() & {"planning", "sessions"}:
        suites[name] = partial(suites[name], keep_plans=given.keep == "plans")
    if "planning" in suites:
        suites["planning"] = partial(suites["planning"], runs=given.runs)
    console, figures = Console(), list[Figure]()
    for name, suite in suites.items():
        slowness = measure_slowness()
        yardstick = told("this machine against that of the bounds", slowness, "× as slow")
        for measured in chain([yardstick], suite()):
            figure = judge(measured, slowness)
            console.print(f"{name}: {figure.name}: {figure.value:g} {figure.unit}", highlight=False)
            figures.append(figure)
    show(figures, console)
    keep(figures)
    missed = [figure.name for figure in figures if not figure.ok]
    if missed:
        console.print(f"Missed: {'; '.join(missed)}.", style="bold red", highlight=False)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
