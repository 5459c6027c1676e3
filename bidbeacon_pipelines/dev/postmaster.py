"""Which server process runs on a data directory, told from `postmaster.pid` and from the processes themselves."""

import contextlib
import signal
from dataclasses import dataclass
from pathlib import Path

import psutil

PID_FILE = "postmaster.pid"
PORT_LINE = 3
STOP_SECONDS = 20
KILL_SECONDS = 10


@dataclass(frozen=True)
class Postmaster:
    """A living server; `ready` means that it takes connections."""

    pid: int
    port: int
    ready: bool


def find_postmaster(data: Path) -> Postmaster | None:
    """Return the server that runs on `data`, or `None` where there is none or only a stale `postmaster.pid`.

    The lines of the file: process id, data directory, start time, port, socket folder, address,
    shared memory, status (https://www.postgresql.org/docs/current/storage-file-layout.html).
    """
    lines = _read_pid_file(data)
    pid = _pid(lines)
    if pid is None or not serves(pid, data):
        return None
    port = int(lines[PORT_LINE]) if len(lines) > PORT_LINE and lines[PORT_LINE].strip() else 0
    return Postmaster(pid, port, ready=lines[-1].strip() == "ready")


def drop_misleading_pid_file(data: Path) -> None:
    """Remove a stale `postmaster.pid` whose number another program has by now, as after a restart of the host.

    PostgreSQL would take that program for its server and refuse to start. A stale file with a free
    number is left to PostgreSQL, which looks at the shared memory of the dead server too.
    """
    pid = _pid(_read_pid_file(data))
    if pid is not None and psutil.pid_exists(pid) and not serves(pid, data):
        (data / PID_FILE).unlink(missing_ok=True)


def stop_postmaster(data: Path) -> None:
    """Stop the server that runs on `data`, first in an orderly way, then more firmly; nothing happens where none runs."""
    for number in (signal.SIGINT, signal.SIGQUIT):  # PostgreSQL's "fast" and "immediate" shutdown
        server = find_postmaster(data)
        if server is None:
            return
        with contextlib.suppress(psutil.NoSuchProcess, psutil.TimeoutExpired):
            process = psutil.Process(server.pid)
            process.send_signal(number)
            process.wait(STOP_SECONDS)
    kill_orphans(data)


def kill_orphans(data: Path) -> None:
    """End what is left of a server whose main process was killed; no new one can start beside it."""
    orphans = [process for process in psutil.process_iter() if serves(process.pid, data)]
    for process in orphans:
        process.kill()
    psutil.wait_procs(orphans, timeout=KILL_SECONDS)


def serves(pid: int, data: Path) -> bool:
    """Return whether a process is a living PostgreSQL of `data`: all processes of a server work in that folder.

    Where the system hides the folder (root without ptrace in a container), a server is known by its
    command line.
    """
    try:
        process = psutil.Process(pid)
        if not process.name().startswith("postgres"):
            return False
        try:
            return process.cwd() == str(data)
        except psutil.AccessDenied:
            return str(data) in process.cmdline()
    except psutil.Error:
        return False


def _read_pid_file(data: Path) -> list[str]:
    try:
        return (data / PID_FILE).read_text().splitlines()
    except FileNotFoundError:
        return []


def _pid(lines: list[str]) -> int | None:
    return int(lines[0]) if lines and lines[0].strip().isdigit() else None
