"""`make test-clock`: run tests at the instants where clocks and calendars change, and at every second hour of a day.

`faketime` moves the clock of pytest and of all that it starts, the embedded server too. Time passes at its usual speed, so
a run that begins three minutes before a change goes through it. Chromium keeps the real clock, because it hangs under
libfaketime; its tabs get the moved one from `tests/browser/conftest.py`.

    python -m tests.at_other_times                                        # all instants
    python -m tests.at_other_times --at 2026-03-29T00:57 tests/unit       # one instant, some tests
"""

import argparse
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from bidbeacon_pipelines.settings import PROJECT_ROOT

BOUND_TO_CPU_TIME = "tests/postgres/test_sixty_days.py"
"""Its clock is simulated anyway, and libfaketime makes each look at the real one expensive."""
EVERYTHING = ["-m", "not faults", f"--deselect={BOUND_TO_CPU_TIME}"]
WITHOUT_DAGSTER = [*EVERYTHING, "--ignore=tests/dagster"]
QUICK = ["tests/unit", "tests/stream"]
"""Run at every second hour, since what depends on the hour alone needs neither Amazon nor Dagster; all is run at 22:00."""
HOUR_OF_EVERYTHING = 22

CHANGES = {
    "2026-03-08T09:57": ("clocks go forward in Los Angeles", EVERYTHING),
    "2026-03-29T00:57": ("clocks go forward in Europe", EVERYTHING),
    "2026-10-25T00:57": ("clocks go back in Europe", EVERYTHING),
    "2026-11-01T08:57": ("clocks go back in Los Angeles", EVERYTHING),
    "2025-12-31T23:57": ("the year ends", EVERYTHING),
    "2024-02-28T23:57": ("29 February begins", WITHOUT_DAGSTER),
    "2024-02-29T23:57": ("29 February ends", WITHOUT_DAGSTER),
    "2028-02-28T23:57": ("29 February begins", ["tests/dagster"]),
}
"""All in the past, because timeouts of PostgreSQL never fire under a libfaketime whose clock is ahead: its signal handlers see
the real time. Dagster's partitions begin in August 2025, and the tests of Dagster need no such timeout.
"""


def main() -> int:
    """Run the tests at each instant, print at the end how each went, and return 1 where any test failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.at_other_times", description=__doc__)
    parser.add_argument("--at", type=datetime.fromisoformat, help="only this instant, UTC")
    parser.add_argument("arguments", nargs="*", help="only these tests; options of pytest after `--`")
    given = parser.parse_args()
    plan = [(given.at.replace(tzinfo=UTC), "", EVERYTHING)] if given.at else list(instants())
    results = {
        f"{at:%Y-%m-%d %H:%M} {why}": passes(at, given.arguments or arguments) for at, why, arguments in plan
    }
    for name, passed in results.items():
        sys.stdout.write(f"{'passed' if passed else 'FAILED'}  {name}\n")
    return 0 if all(results.values()) else 1


def instants() -> Iterator[tuple[datetime, str, Sequence[str]]]:
    """Give each instant, what happens then, and what is run."""
    for at, (why, arguments) in CHANGES.items():
        yield datetime.fromisoformat(at).replace(tzinfo=UTC), why, arguments
    yesterday = datetime.now(UTC) - timedelta(days=1)
    for hour in range(0, 24, 2):
        at_hour = yesterday.replace(hour=hour, minute=5, second=0, microsecond=0)
        yield at_hour, f"{hour}:00", EVERYTHING if hour == HOUR_OF_EVERYTHING else QUICK


def passes(at: datetime, arguments: Sequence[str]) -> bool:
    """Run tests in processes whose clock starts at an instant, and return whether all passed."""
    faketime = shutil.which("faketime")
    assert faketime is not None, "make test-clock needs faketime: apt-get install faketime"
    # Relative to the real clock, so that all processes agree, whenever they start and whoever runs them.
    ahead = round((at - datetime.now(UTC)).total_seconds())
    moved = [faketime, "-m", "--disable-shm", "--exclude-monotonic", "-f", f"{ahead:+d}s"]
    pytest = [sys.executable, "-m", "pytest", "-n", "3", "--dist", "worksteal", "-q", "--tb=short"]
    return subprocess.run([*moved, *pytest, *arguments], cwd=PROJECT_ROOT, check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
