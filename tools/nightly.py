"""Run all checks that are too slow for the gate, and print a table at the end.

`make nightly` runs the fault suites, the worked examples, the cluster, Dagster's pages, the oldest
and newest versions, one instant of the clock, branch coverage and a sample of mutants. `make
weekly` runs the whole clock and all mutants. A step that has passed is not run again on the same
tree, so an interrupted night can be resumed. The output of each step is in a file beside the
results.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
RESULTS = Path(sys.prefix) / "nightly"


class Step(NamedTuple):
    """A target of make, with its variables."""

    name: str
    target: str
    variables: Sequence[str] = ()


NIGHTLY = (
    Step("faults: ads", "test-faults", ["SUITE=ads", "WORKERS=2"]),
    *(
        Step(f"faults: {suite}", "test-faults", [f"SUITE={suite}"])
        for suite in ("contract", "frozen", "ingest", "runs", "sessions", "stream")
    ),
    Step("worked examples", "test-examples"),
    Step("cluster", "test-cluster"),
    Step("Dagster's pages", "test-ui"),
    Step("oldest PostgreSQL", "test-oldest"),
    Step("newest Dagster", "test-newest"),
    Step("summer time begins in Europe", "test-clock", ["AT=2027-03-28T00:57"]),
    Step("branch coverage", "coverage", ["FLOOR=97"]),
    Step("100 mutants", "mutants", ["SAMPLE=100"]),
)
WEEKLY = (Step("the whole clock", "test-clock"), Step("all mutants", "mutants", ["SAMPLE=all"]))


@dataclass(frozen=True)
class Result:
    """The result of a step."""

    passed: bool
    seconds: int


class Night:
    """The results of steps on one tree, kept in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._file = folder / "results.json"
        kept = json.loads(self._file.read_text()) if self._file.exists() else {}
        self.results = {name: Result(**result) for name, result in kept.items()}

    def run(self, steps: Sequence[Step]) -> bool:
        """Run the steps that have not passed yet; return whether all have passed now."""
        for step in steps:
            if not self._has_passed(step):
                self._keep(step, self._run(step))
        return all(self._has_passed(step) for step in steps)

    def _has_passed(self, step: Step) -> bool:
        result = self.results.get(step.name)
        return result is not None and result.passed

    def _run(self, step: Step) -> Result:
        log = self.folder / f"{step.name.replace(' ', '-').replace(':', '')}.log"
        sys.stdout.write(f"{time.strftime('%H:%M')}  {step.name}: output in {log}\n")
        sys.stdout.flush()
        began = time.monotonic()
        with log.open("w") as output:
            command = ["make", "--no-print-directory", step.target, *step.variables]
            done = subprocess.run(
                command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT, check=False
            )
        return Result(done.returncode == 0, round(time.monotonic() - began))

    def _keep(self, step: Step, result: Result) -> None:
        self.results[step.name] = result
        kept = {name: asdict(each) for name, each in self.results.items()}
        self._file.write_text(json.dumps(kept, indent=1))


def make_table(steps: Sequence[Step], results: Mapping[str, Result]) -> str:
    """Return a table of the steps' results, in Markdown."""
    lines = ["| step | result | time |", "|---|---|---:|"]
    for step in steps:
        result = results[step.name]
        word = "passed" if result.passed else "**failed**"
        lines.append(f"| {step.name} | {word} | {timedelta(seconds=result.seconds)} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Run the steps of a night or a week on a tree without uncommitted changes."""
    parser = argparse.ArgumentParser(prog="python -m tools.nightly", description=__doc__)
    parser.add_argument("--weekly", action="store_true", help="the steps of a week")
    steps = WEEKLY if parser.parse_args().weekly else NIGHTLY
    if _git("status", "--porcelain"):
        sys.stderr.write(
            "There are uncommitted changes: commit them, since results are of a tree.\n"
        )
        return 2
    tree = _git("rev-parse", "HEAD^{tree}")
    night = Night(RESULTS / tree[:12])
    passed = night.run(steps)
    sys.stdout.write(f"\nTree {tree[:12]}\n\n{make_table(steps, night.results)}")
    return 0 if passed else 1


def _git(*arguments: str) -> str:
    command = ["git", *arguments]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return done.stdout.strip()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted: the next call continues with this step.\n")
        sys.exit(130)
