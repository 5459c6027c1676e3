"""Stops an embedded server when the last process that uses it is gone, however that process ended.

Each user of a server holds a shared lock on `users.lock`, which the kernel releases when the
process ends, also by SIGKILL. A small process of its own waits for an exclusive lock on it: `python
-m bidbeacon_pipelines.dev.watcher FOLDER DATA`.
"""

import contextlib
import subprocess
import sys
from pathlib import Path
from typing import Final

import bidbeacon_pipelines
from bidbeacon_pipelines.dev.locks import FileLock
from bidbeacon_pipelines.dev.postmaster import find_postmaster, stop_postmaster

STARTING_LOCK: Final = "lock"
USERS_LOCK: Final = "users.lock"


def start_watcher(folder: Path, data: Path, environment: dict[str, str]) -> None:
    """Start the watcher of a server that runs on `data`, out of reach of the signals that end our process group.

    Args:
        folder: Where the server's locks are.
        data: The server's data directory.
        environment: All that the watcher sees of our environment.
    """
    with contextlib.suppress(
        OSError
    ):  # without it the server works as well; it only stays behind when all is killed
        subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-m", __name__, str(folder), str(data)],
            cwd=Path(bidbeacon_pipelines.__file__).parents[1],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )


def stop_if_unused(folder: Path, data: Path) -> bool:
    """Stop the server unless a process uses it, and return whether it was stopped."""
    users = FileLock(folder / USERS_LOCK)
    with FileLock(folder / STARTING_LOCK):
        if not users.acquire(wait=False):
            return False
        stop_postmaster(data)
        users.release()
    return True


def watch(folder: Path, data: Path) -> None:
    """Wait until no process uses the server, then stop it; return when it has ended, by us or otherwise."""
    while find_postmaster(data) is not None:
        with contextlib.suppress(FileNotFoundError):  # the folder was removed meanwhile
            with FileLock(folder / USERS_LOCK):
                pass
            stop_if_unused(folder, data)


if __name__ == "__main__":
    watch(Path(sys.argv[1]), Path(sys.argv[2]))
