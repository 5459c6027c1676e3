"""Change the code in small ways, one at a time, and count the changes that fail no test.

`python -m tools.mutants` runs mutmut on a seeded sample of the decisions and of the row checks
with their unit tests, and on all of the change log with its Postgres tests. It prints a page
of Markdown, which `make mutants KEEP=results` writes to `tests/results/mutants.md`. The survivors'
names go to the standard error.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tools.temporary_postgres import temporary_postgres

ROOT = Path(__file__).resolve().parent.parent
SAMPLE, SEED = 400, 1
# Few examples, the same each time; simulations of whole days take minutes and check figures of docs
PYTEST_OPTIONS = (
    "-p",
    "no:cacheprovider",
    "--hypothesis-profile=mutants",
    "--ignore=tests/unit/reports/test_planning_figures.py",
)
# Copied by mutmut itself, so that the tests run on the changed code
COPIED_BY_MUTMUT = frozenset(
    {"bidbeacon_pipelines", "bidbeacon_sessions", "pyproject.toml", "tests"}
)
# Verdicts of mutmut on changes that made a test fail or exceed its timeout
NOTICED = frozenset({"killed", "timeout", "suspicious", "segfault"})


class Subject(NamedTuple):
    """Source files to mutate, and the tests that should fail for a mutant."""

    name: str
    sources: tuple[str, ...]
    tests: tuple[str, ...]
    is_sampled: bool = False
    first: str = ""


SUBJECTS = (
    Subject(
        "decisions and row checks",
        sources=(
            "bidbeacon_pipelines/*/*rules.py",
            "bidbeacon_pipelines/datasets/derived.py",
            "bidbeacon_pipelines/datasets/fields.py",
            "bidbeacon_pipelines/datasets/registry.py",
            "bidbeacon_pipelines/datasets/digests.py",
            "bidbeacon_pipelines/loading/acceptance.py",
            "bidbeacon_pipelines/loading/rows.py",
            "bidbeacon_pipelines/requests/refusals.py",
        ),
        tests=("tests/unit",),
        is_sampled=True,
        first="bidbeacon_pipelines.datasets.digests.*",
    ),
    Subject(
        "change log",
        sources=("bidbeacon_sessions/change_log.py",),
        tests=("tests/stream/test_change_log.py",),
        first="bidbeacon_sessions.change_log.*",
    ),
)


def main() -> int:
    """Measure each subject and print the table."""
    parser = argparse.ArgumentParser(prog="python -m tools.mutants", description=__doc__)
    parser.add_argument(
        "--sample", default=str(SAMPLE), help=f"how many, or all; {SAMPLE} as a rule"
    )
    given = parser.parse_args().sample
    sample = None if given == "all" else int(given)
    print("# Changes of the code that no test detects\n\nPrinted by `make mutants KEEP=results`.\n")
    print("| module | mutants tried | survived | reached by no test | share that survived |")
    print("|---|---|---|---|---|")
    for subject in SUBJECTS:
        started = time.monotonic()
        with _copy_of_project(subject) as folder, _test_server(folder):
            verdicts = _try_mutants(folder, subject, sample)
        for line in _rows(subject, verdicts):
            print(line, flush=True)
        for name in sorted(name for name in verdicts if verdicts[name] not in NOTICED):
            print(f"{verdicts[name]}: {name}", file=sys.stderr)
        minutes = (time.monotonic() - started) / 60
        print(f"{subject.name}: {minutes:.1f} minutes", file=sys.stderr)
    return 0


@contextmanager
def _copy_of_project(subject: Subject) -> Iterator[Path]:
    """Yield a copy of the tracked files, with mutmut's settings in its pyproject.toml."""
    folder = Path(tempfile.mkdtemp(prefix="bidbeacon-mutants-"))
    try:
        tracked = subprocess.run(
            ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
        )
        for name in filter(None, tracked.stdout.split("\0")):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
        others = {path.name for path in folder.iterdir()} - COPIED_BY_MUTMUT
        with (folder / "pyproject.toml").open("a") as settings:
            settings.write(_mutmut_settings(subject, sorted(others)))
        yield folder
    finally:
        shutil.rmtree(folder)


@contextmanager
def _test_server(folder: Path) -> Iterator[None]:
    """Run the server of the tests, which must start none: mutmut waits for its children only."""
    with temporary_postgres(folder / "cluster") as url:
        os.environ["BIDBEACON_TEST_CLUSTER_URL"] = url
        yield


def _mutmut_settings(subject: Subject, others: Sequence[str]) -> str:
    """Return the section `[tool.mutmut]`; a list in JSON is one in TOML."""
    settings = {
        "source_paths": ["bidbeacon_pipelines", "bidbeacon_sessions"],
        "only_mutate": subject.sources,
        "also_copy": others,
        "pytest_add_cli_args_test_selection": subject.tests,
        "pytest_add_cli_args": [*PYTEST_OPTIONS],
        "timeout_constant": 10.0,
    }
    lines = (f"{name} = {json.dumps(value)}" for name, value in settings.items())
    return "\n[tool.mutmut]\n" + "\n".join(lines) + "\n"


def _try_mutants(folder: Path, subject: Subject, sample: int | None) -> dict[str, str]:
    """Return mutmut's verdict on each mutant that was tried."""
    _mutmut(folder, "run", subject.first)  # makes all mutants, so that their names are known
    names = [line.split(": ")[0] for line in _verdict_lines(folder)]
    if subject.is_sampled and sample is not None and sample < len(names):
        names = sorted(random.Random(SEED).sample(sorted(names), sample))
        _mutmut(folder, "run", *names)
    verdicts = dict(line.split(": ") for line in _verdict_lines(folder))
    return {name: verdicts[name] for name in names}


def _verdict_lines(folder: Path) -> Iterable[str]:
    output = _mutmut(folder, "results", "--all", "true")
    return (line.strip() for line in output.splitlines() if ": " in line)


def _mutmut(folder: Path, *arguments: str) -> str:
    """Run mutmut; if it fails, print its output and raise `CalledProcessError`."""
    command = [sys.executable, "-m", "mutmut", *arguments]
    done = subprocess.run(
        command,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        print(done.stdout[-5000:], file=sys.stderr)
        done.check_returncode()
    return done.stdout


def _rows(subject: Subject, verdicts: dict[str, str]) -> Iterator[str]:
    by_module: dict[str, Counter[str]] = {}
    for name, verdict in verdicts.items():
        by_module.setdefault(name.rpartition(".")[0], Counter())[verdict] += 1
    for module, counts in sorted(by_module.items()):
        yield _row(f"`{module}`", counts)
    if len(by_module) > 1:
        yield _row(f"**{subject.name}**", sum(by_module.values(), Counter()))


def _row(title: str, counts: Counter[str]) -> str:
    unreached = counts["no tests"]
    survived = counts.total() - unreached - sum(counts[verdict] for verdict in NOTICED)
    share = (survived + unreached) / counts.total()
    return f"| {title} | {counts.total()} | {survived} | {unreached} | {share:.0%} |"


if __name__ == "__main__":
    sys.exit(main())
