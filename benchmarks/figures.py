"""A figure: what was measured, its bound and whether it holds; how figures are shown and kept."""

import json
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parent / "results.json"
TIMES = frozenset({"µs a row", "ms", "s"})
"""Units of figures that depend on how fast the machine is; shares and multiples do not."""


@dataclass(frozen=True)
class Figure:
    """One measured value.

    Attributes:
        name: What was measured.
        value: How much.
        unit: Of what.
        bound: How much it may be at most, or must be at least; None for a value that is only told.
        ok: Whether it holds.
        least: Whether the bound is what it must be at least.
        judged: The value as it would be on the machine of the bounds, where it is a time; what the
            bound is compared with.
    """

    name: str
    value: float
    unit: str
    bound: float | None
    ok: bool
    least: bool = False
    judged: float | None = None


def at_most(name: str, value: float, unit: str, bound: float) -> Figure:
    """Return a figure with a bound."""
    return Figure(name, round(value, 3), unit, bound, value <= bound)


def at_least(name: str, value: float, unit: str, bound: float) -> Figure:
    """Return a figure that must not be smaller than its bound."""
    return Figure(name, round(value, 3), unit, bound, value >= bound, least=True)


def told(name: str, value: float, unit: str) -> Figure:
    """Return a figure without one."""
    return Figure(name, round(value, 3), unit, None, ok=True)


def judge(figure: Figure, slowness: float) -> Figure:
    """Return a figure whose bound, if it is one of time, is judged as on the machine of the bounds."""
    if figure.bound is None or figure.least or figure.unit not in TIMES:
        return figure
    judged = figure.value / slowness
    return replace(figure, judged=round(judged, 3), ok=judged <= figure.bound)


def milliseconds(call: Callable[[], object]) -> float:
    """Return how long a call takes."""
    began = time.perf_counter()
    call()
    return (time.perf_counter() - began) * 1000


def median_milliseconds(call: Callable[[], object], times: int = 9) -> float:
    """Return the median of several calls, after one that warms up."""
    call()
    return statistics.median(milliseconds(call) for _ in range(times))


def interleaved(
    calls: Mapping[str, Callable[[], object]], rounds: int = 25
) -> dict[str, list[float]]:
    """Return how many milliseconds each of several calls took in each round; in turns, so that a busy moment of the machine meets all of them alike."""
    for call in calls.values():
        call()
    took: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            took[name].append(milliseconds(call))
    return took


def p95_milliseconds(call: Callable[[], object], times: int = 20) -> float:
    """Return the 95th percentile of several calls, after one that warms up."""
    call()
    return statistics.quantiles((milliseconds(call) for _ in range(times)), n=20)[-1]


def show(figures: Sequence[Figure], console: Console) -> None:
    """Print figures as a table."""
    table = Table("figure", "measured", "judged", "unit", "bound", "ok")
    for figure in figures:
        bound = "" if figure.bound is None else f"{'≥' if figure.least else '≤'} {figure.bound:g}"
        table.add_row(
            figure.name,
            f"{figure.value:g}",
            "" if figure.judged is None else f"{figure.judged:g}",
            figure.unit,
            bound,
            "yes" if figure.ok else "NO",
            style=None if figure.ok else "bold red",
        )
    console.print(table)


def keep(figures: Iterable[Figure]) -> None:
    """Write figures to benchmarks/results.json, one entry each."""
    entries = [asdict(figure) for figure in figures]
    RESULTS.write_text(json.dumps(entries, indent=2) + "\n")
