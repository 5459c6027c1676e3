"""Child processes of the supervisor: each a process group with a log, marked so that a later start knows it again."""

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import psutil

from bidbeacon_pipelines.dev.services import Service

MARK: Final = "BIDBEACON_DEV_ID"
"""Variable in the environment of all that one `bidbeacon dev` starts, and of what that starts in turn."""

COLOURS: Final = re.compile(r"\x1b\[[0-9;]*m")
LOG_TAIL_LINES: Final = 12
KILL_SECONDS: Final = 5


class Child:
    """One running service.

    Args:
        service: What to run.
        log: File its output is appended to.
        environment: Variables on top of our own; secrets belong here, never on the command line.
    """

    def __init__(self, service: Service, log: Path, environment: Mapping[str, str]) -> None:
        self.service = service
        self.log = log
        self._gone = False
        with log.open("ab") as output:
            self._log_offset = output.tell()
            self._process = subprocess.Popen(  # noqa: S603 - our own commands
                service.command,
                cwd=service.folder,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def exit_code(self) -> int | None:
        """How its main process ended; `None` while it lives."""
        return self._process.poll()

    def has_members(self) -> bool:
        """Return whether any process of its group lives."""
        if not self._gone:
            self._process.poll()  # takes away the main process's remains
            self._gone = not any(_is_member(pid, self._process.pid) for pid in psutil.pids())
        return not self._gone

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to all its processes."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    def last_lines(self) -> str:
        """Return the end of what this process wrote."""
        with self.log.open("rb") as file:
            file.seek(self._log_offset)
            lines = COLOURS.sub("", file.read().decode(errors="replace")).splitlines()
        return "\n".join(lines[-LOG_TAIL_LINES:])


def stop_children(
    children: Sequence[Child], *, patience: float, hurried: Callable[[], bool]
) -> None:
    """End all processes of all children: as Ctrl-C would, then more firmly; returns when they are gone.

    Args:
        children: What to end, all at once.
        patience: Seconds for an orderly end.
        hurried: Asked again and again; once it says so, everything is killed at once.
    """
    stages = (
        (signal.SIGINT, patience),
        (signal.SIGTERM, patience / 4),
        (signal.SIGKILL, KILL_SECONDS),
    )
    for number, seconds in stages:
        alive = [child for child in children if child.has_members()]
        if not alive:
            return
        if hurried() and number is not signal.SIGKILL:
            continue
        for child in alive:
            child.signal(number)
        _wait(alive, seconds, hurried if number is not signal.SIGKILL else lambda: False)


def kill_marked(mark: str, *, patience: float = KILL_SECONDS) -> int:
    """End every process that carries `mark`, in whatever group it is, and return how many there were.

    A process is known by its environment, never by its number, which may be another program's by
    now.
    """
    found = [process for process in psutil.process_iter() if _has_mark(process, mark)]
    for process in found:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    _, alive = psutil.wait_procs(found, timeout=patience)
    for process in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, timeout=patience)
    return len(found)


def _wait(children: Sequence[Child], seconds: float, hurried: Callable[[], bool]) -> None:
    deadline = time.monotonic() + seconds
    while (
        any(child.has_members() for child in children)
        and time.monotonic() < deadline
        and not hurried()
    ):
        time.sleep(0.05)


def _is_member(pid: int, group: int) -> bool:
    try:
        return os.getpgid(pid) == group and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except (ProcessLookupError, PermissionError, psutil.Error):
        return False


def _has_mark(process: psutil.Process, mark: str) -> bool:
    try:
        return process.environ().get(MARK) == mark
    except (psutil.Error, OSError):
        return False
