"""`--every-action`: the run fails if the product never recorded one of its actions, or one of the reasons to skip a window.

Only calls from `bidbeacon_pipelines` count: an action that a test records itself proves nothing.
Each process of pytest-xdist counts its own; the controller adds them up.
"""

import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bidbeacon_pipelines.actions import SkipReason, WindowSkipped
from bidbeacon_sessions import Action, SessionRecorder
from bidbeacon_sessions.actions import action_classes

PRODUCT = "bidbeacon_pipelines"
REPAIR = (
    "Write a test that makes the product record it (single branches: "
    "tests/postgres/test_every_branch_is_told.py), or delete it from bidbeacon_pipelines/actions/."
)
_OUTPUT = "recorded_actions"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option; it makes sense for a run of all tests only."""
    parser.addoption("--every-action", action="store_true", help="fail if an action is untested")


def pytest_configure(config: pytest.Config) -> None:
    """Count from now on, if that was asked for."""
    if config.option.every_action:
        config.pluginmanager.register(RecordedActions(), "recorded_actions")


class RecordedActions:
    """Collects what the product has recorded in this process, and in those that report to it."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self._missing: list[str] = []
        for method in ("add", "add_in"):
            setattr(SessionRecorder, method, self._counting(getattr(SessionRecorder, method)))

    def _counting(self, record: Callable[..., None]) -> Callable[..., None]:
        def recorded(session: SessionRecorder, *arguments: Any) -> None:
            record(session, *arguments)
            caller = sys._getframe(1).f_globals["__name__"]
            if caller.partition(".")[0] == PRODUCT:
                self.names.add(name_of(arguments[-1]))

        return recorded

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Add what a process of pytest-xdist has counted."""
        self.names.update(getattr(node, "workeroutput", {}).get(_OUTPUT, ()))

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Report to the controller, or fail the run if anything is missing."""
        if hasattr(session.config, "workeroutput"):
            session.config.workeroutput[_OUTPUT] = sorted(self.names)
            return
        self._missing = sorted(set(all_names()) - self.names)
        if self._missing and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """List what is missing, and what to do."""
        if self._missing:
            terminalreporter.section("actions that no test makes the product record", red=True)
            terminalreporter.write_line("\n".join([*self._missing, REPAIR]))


def name_of(action: Action) -> str:
    """Return the type of an action, with its reason if it skips a window."""
    return f"{action.type}: {action.reason}" if isinstance(action, WindowSkipped) else action.type


def all_names() -> Iterator[str]:
    """Yield the names of all actions of the product."""
    for name, kind in action_classes().items():
        if kind.__module__.partition(".")[0] == PRODUCT and kind is not WindowSkipped:
            yield name
    yield from (f"{WindowSkipped.type}: {reason}" for reason in SkipReason)
