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
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from bidbeacon_pipelines.settings import PROJECT_ROOT

CHANGES = {
    "2026-03-08T09:57": "clocks go forward in Los Angeles",
    "2026-03-29T00:57": "clocks go forward in Europe",
    "2026-10-25T00:57": "clocks go back in Europe",
    "2026-11-01T08:57": "clocks go back in Los Angeles",
    "2026-12-31T23:57": "the year ends",
    "2028-02-28T23:57": "29 February begins",
    "2028-02-29T23:57": "29 February ends",
}
QUICK = ["tests/unit", "tests/stream"]
"""Run at every second hour: what depends on the hour alone needs no Amazon and no Dagster."""
ALL = ["-m", "not faults"]
"""Run at the changes, and at 22:00, when an evening in Los Angeles is a morning in Tokyo."""
HOUR_OF_ALL = 22


def main() -> int:
    """Run the tests at each instant, print a line for each, and return 1 where any test failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.at_other_times", description=__doc__)
    parser.add_argument("--at", type=datetime.fromisoformat, help="only this instant, UTC")
    parser.add_argument("arguments", nargs="*", help="only these tests; options of pytest after `--`")
    given = parser.parse_args()
    plan = [(given.at.replace(tzinfo=UTC), ALL)] if given.at else list(instants())
    failed = [at for at, arguments in plan if not passes(at, given.arguments or arguments)]
    return 1 if failed else 0


def instants() -> Iterator[tuple[datetime, Sequence[str]]]:
    """Give each instant with what is run then."""
    for at in CHANGES:
        yield datetime.fromisoformat(at).replace(tzinfo=UTC), ALL
    for hour in range(0, 24, 2):
        today = datetime.now(UTC).replace(hour=hour, minute=5, second=0, microsecond=0)
        yield today, ALL if hour == HOUR_OF_ALL else QUICK


def passes(at: datetime, arguments: Sequence[str]) -> bool:
    """Run tests in processes whose clock starts at an instant, and return whether all passed."""
    faketime = shutil.which("faketime")
    assert faketime is not None, "make test-clock needs faketime: apt-get install faketime"
    # Relative to the real clock, so that all processes agree, whenever they start and whoever runs them.
    ahead = round((at - datetime.now(UTC)).total_seconds())
    moved = [faketime, "-m", "--disable-shm", "--exclude-monotonic", "-f", f"{ahead:+d}s"]
    pytest = [sys.executable, "-m", "pytest", "-n", "3", "--dist", "worksteal", "-q", "--tb=short"]
    began = time.monotonic()
    command = [*moved, *pytest, *arguments]
    run = subprocess.run(command, cwd=PROJECT_ROOT, stdout=subprocess.PIPE, text=True, check=False)
    if run.returncode != 0:
        sys.stdout.write(run.stdout)
    result = run.stdout.strip().rpartition("\n")[2]
    why = CHANGES.get(f"{at:%Y-%m-%dT%H:%M}", "")
    sys.stdout.write(
        f"{at:%Y-%m-%d %H:%M} {why}: {result} ({time.monotonic() - began:.0f} s, {' '.join(arguments)})\n"
    )
    sys.stdout.flush()
    return run.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
