import subprocess
from pathlib import Path

import pytest

from tools.nightly import Night, Result, Step, make_table

STEPS = (Step("one", "first"), Step("two: a", "second", ["SUITE=a"]))


@pytest.fixture
def targets(monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], set[str]]:
    """Return the targets that were made, in order, and those that fail."""
    made: list[str] = []
    failing: set[str] = set()

    def run(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        made.append(command[2])
        return subprocess.CompletedProcess(command, int(command[2] in failing))

    monkeypatch.setattr(subprocess, "run", run)
    return made, failing


def test_night_runs_only_what_has_not_passed(
    targets: tuple[list[str], set[str]], tmp_path: Path
) -> None:
    """A second call on the same tree repeats the failed step alone."""
    made, failing = targets
    failing.add("second")
    assert not Night(tmp_path).run(STEPS)
    failing.clear()
    assert Night(tmp_path).run(STEPS)
    assert ["first", "second", "second"] == made


def test_interrupted_step_is_not_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Ctrl-C leaves the steps before it, and the next call begins with the interrupted one."""

    def interrupt(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        if command[2] == "second":
            raise KeyboardInterrupt
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(subprocess, "run", interrupt)
    with pytest.raises(KeyboardInterrupt):
        Night(tmp_path).run(STEPS)
    assert ["one"] == list(Night(tmp_path).results)


def test_table_names_what_failed() -> None:
    """Each step has a row with its result and time."""
    results = {"one": Result(passed=True, seconds=61), "two: a": Result(passed=False, seconds=5)}
    table = make_table(STEPS, results)
    assert "| one | passed | 0:01:01 |\n| two: a | **failed** | 0:00:05 |\n" in table
