"""`make test-clock`: run tests at the instants where clocks and calendars change, and at every second hour of a day.

`faketime` moves the clock of pytest and of all that it starts, the embedded server too. Time passes
at its usual speed, so a run that begins three minutes before a change goes through it. Chromium
keeps the real clock, because it hangs under libfaketime; its pages get the moved one from
`tests/browser/conftest.py`.

    python -m tests.at_other_times                                        # all instants
    python -m tests.at_other_times --at 2027-03-28T00:57 tests/unit       # one instant, some tests
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from bidbeacon_pipelines.settings import PROJECT_ROOT

BOUND_TO_CPU_TIME = "tests/faults/ads/test_sixty_days.py"
"""Its clock is simulated anyway, and libfaketime makes each look at the real one expensive."""
SET_CLOCKS = ("tests/dagster/test_daemon_clock.py", "tests/dagster/test_wrong_host_clock.py")
"""They move the clocks of processes themselves, against the real time."""
EVERYTHING = [
    "-m",
    "not faults and not dagster_ui and not deploy and not examples",
    *(f"--deselect={left_out}" for left_out in (BOUND_TO_CPU_TIME, *SET_CLOCKS)),
]
QUICK = ["tests/unit", "tests/stream", "tests/web"]
"""Run at every second hour."""
HOURS_OF_EVERYTHING = (2, 22)
"""Los Angeles still has the day before UTC's, Tokyo the day after it."""

CHANGES = {
    "2026-12-31T23:57": "the year ends",
    "2027-03-14T09:57": "clocks go forward in Los Angeles",
    "2027-03-28T00:57": "clocks go forward in Europe",
    "2027-10-31T00:57": "clocks go back in Europe",
    "2027-11-07T08:57": "clocks go back in Los Angeles",
    "2028-02-28T23:57": "29 February begins",
    "2028-02-29T23:57": "29 February ends",
}
"""All after the days that tests write down, of 2026."""


def main() -> int:
    """Run the tests at each instant, print at the end how each went, and return 1 where any test failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.at_other_times", description=__doc__)
    parser.add_argument("--at", type=datetime.fromisoformat, help="only this instant, UTC")
    parser.add_argument(
        "arguments", nargs="*", help="only these tests; options of pytest after `--`"
    )
    given = parser.parse_args()
    plan = [(given.at.replace(tzinfo=UTC), "", EVERYTHING)] if given.at else list(instants())
    with preloaded() as library:
        results = {
            f"{at:%Y-%m-%d %H:%M} {why}": passes(at, library, given.arguments or arguments)
            for at, why, arguments in plan
        }
    for name, passed in results.items():
        sys.stdout.write(f"{'passed' if passed else 'FAILED'}  {name}\n")
    return 0 if all(results.values()) else 1


def instants() -> Iterator[tuple[datetime, str, Sequence[str]]]:
    """Yield each instant, what happens then, and what is run."""
    for at, why in CHANGES.items():
        yield datetime.fromisoformat(at).replace(tzinfo=UTC), why, EVERYTHING
    for hour in range(0, 24, 2):
        today = datetime.now(UTC).replace(hour=hour, minute=5, second=0, microsecond=0)
        yield today, f"{hour}:00", EVERYTHING if hour in HOURS_OF_EVERYTHING else QUICK


@contextmanager
def preloaded() -> Iterator[Path]:
    """Compile `real_epoll.c` into a library that the embedded server's account can read as well."""
    compiler = shutil.which("cc")
    assert compiler is not None, "make test-clock needs a C compiler: apt-get install gcc libc6-dev"
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        library = Path(folder) / "real_epoll.so"
        source = Path(__file__).with_name("real_epoll.c")
        subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source], check=True)
        library.chmod(0o755)
        yield library


def passes(at: datetime, library: Path, arguments: Sequence[str]) -> bool:
    """Run tests in processes whose clock starts at an instant, and return whether all passed.

    Args:
        at: The instant.
        library: Loaded before libfaketime.
        arguments: What pytest is given.
    """
    faketime = shutil.which("faketime")
    assert faketime is not None, "make test-clock needs faketime: apt-get install faketime"
    # Relative to the real clock, so that all processes agree, whenever they start and whoever runs
    # them.
    ahead = round((at - datetime.now(UTC)).total_seconds())
    moved = [faketime, "-m", "--disable-shm", "--exclude-monotonic", "-f", f"{ahead:+d}s"]
    pytest = [sys.executable, "-m", "pytest", "-n", "3", "--dist", "worksteal", "-q", "--tb=short"]
    environment = os.environ | {"LD_PRELOAD": str(library)}
    run = subprocess.run(
        [*moved, *pytest, *arguments], cwd=PROJECT_ROOT, env=environment, check=False
    )
    return run.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
