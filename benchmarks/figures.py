"""Figures with their bounds: timing, judging and printing."""

import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psutil
from rich.table import Table

from benchmarks.yardstick import Yardstick

Call = Callable[[], object]
RATE = "appends/s"


@dataclass(frozen=True)
class Figure:
    """One measured value, with its upper or lower bound, if any."""

    name: str
    value: float
    unit: str
    bound: float | None = None
    is_least: bool = False


@dataclass(frozen=True)
class Result(Figure):
    """A figure that was judged.

    Attributes:
        judged: The value compared with the bound: times and rates of a slower machine as they would
            be on the machine of the bounds, anything else as measured.
        passed: Whether the bound holds; True without a bound.
    """

    judged: float = 0
    passed: bool = True


def at_most(name: str, value: float, unit: str, bound: float) -> Figure:
    """Return a figure that may not be larger than its bound."""
    return Figure(name, round(value, 3), unit, bound)


def at_least(name: str, value: float, unit: str, bound: float) -> Figure:
    """Return a figure that may not be smaller than its bound."""
    return Figure(name, round(value, 3), unit, bound, is_least=True)


def without_bound(name: str, value: float, unit: str) -> Figure:
    """Return a figure without a bound, which explains another one."""
    return Figure(name, round(value, 3), unit)


def judge(figure: Figure, yardstick: Yardstick) -> Result:
    """Compare a figure with its bound; times and rates are scaled on a slower machine only.

    On a faster one they are compared as measured, since queries and commits gain less from a faster
    processor than the yardstick does.
    """
    slower: Mapping[str, float] = {
        "ms": yardstick.elapsed,
        "s": yardstick.elapsed,
        "CPU s": yardstick.cpu,
        "CPU µs a row": yardstick.cpu,
        "ms a commit": yardstick.commit(at_once=1),
        RATE: yardstick.commit(at_once=8),
    }
    times, bound = max(1, slower.get(figure.unit, 1)), figure.bound
    judged = figure.value * times if figure.unit == RATE else figure.value / times
    passed = bound is None or (judged >= bound if figure.is_least else judged <= bound)
    return Result(**vars(figure), judged=round(judged, 3), passed=passed)


HEADS = ("figure", "measured", "judged", "unit", "bound", "ok")


def show(results: Sequence[Result]) -> Table:
    """Return results as a table for the terminal."""
    table = Table(*HEADS)
    for each in results:
        table.add_row(*_cells(each), style=None if each.passed else "bold red")
    return table


def write_page(suite: str, report: Mapping[str, Any], results: Sequence[Result]) -> str:
    """Return the results of a suite as a page of Markdown."""
    machine, yardstick = report["machine"], report["suites"][suite]["yardstick"]
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    rows = [HEADS, ["---"] * len(HEADS), *map(_cells, results)]
    return f"""# Figures of the suite `{suite}`

Written by `make bench SUITE={suite} KEEP=results` on {today}, with
{machine["cores"]} cores and Python {machine["python"]}. The machine took
{yardstick["cpu"]:.2f} times the CPU time of the machine of the bounds.

{chr(10).join(f"| {' | '.join(row)} |" for row in rows)}
"""


def _cells(result: Result) -> Sequence[str]:
    sign = "≥" if result.is_least else "≤"
    bound = "" if result.bound is None else f"{sign} {result.bound:g}"
    figures = f"{result.value:g}", f"{result.judged:g}", result.unit, bound
    return result.name, *figures, "yes" if result.passed else "NO"


def describe_machine() -> dict[str, Any]:
    """Return facts on the machine that figures depend on, and its present load."""
    return {
        "system": platform.platform(),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "load": os.getloadavg()[0],
    }


def sample(calls: Mapping[str, Call], rounds: int) -> dict[str, list[float]]:
    """Return the milliseconds of each call in each round, after one that warms up.

    The calls take turns, so that a busy moment of the machine affects all of them alike.
    """
    for call in calls.values():
        call()
    took: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            took[name].append(milliseconds(call))
    return took


def median_milliseconds(call: Call, rounds: int) -> float:
    """Return the median time of a call over several rounds."""
    return statistics.median(sample({"": call}, rounds)[""])


def milliseconds(call: Call) -> float:
    """Return the time of a call."""
    began = time.perf_counter()
    call()
    return (time.perf_counter() - began) * 1000
