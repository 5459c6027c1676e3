"""Processes that tests start."""

import subprocess
from contextlib import suppress

import psutil


def is_alive(process: psutil.Process) -> bool:
    """Return whether a process runs; a zombie only waits for its parent."""
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def family_of(process: "subprocess.Popen[bytes]") -> list[psutil.Process]:
    """Return a process and all that it has started."""
    parent = psutil.Process(process.pid)
    return [parent, *parent.children(recursive=True)]


def kill_family(process: "subprocess.Popen[bytes]") -> None:
    """Kill a process and all that it has started."""
    for each in family_of(process):
        with suppress(psutil.NoSuchProcess):  # it ended with its parent
            each.kill()
    process.wait()
