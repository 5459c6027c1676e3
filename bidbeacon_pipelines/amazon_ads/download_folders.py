"""Temporary folders for downloads: private, locked while used, removed afterwards."""

import fcntl
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from bidbeacon_pipelines.amazon_ads.errors import NotWritten
from bidbeacon_pipelines.private_files import make_private_folder

_LOCK: Final = "lock"
_DRAFT: Final = "."
"""How the name of a folder begins that is not locked yet."""
_DRAFT_SECONDS: Final = 60
"""A draft that is older was left by a killed process."""
_TRIAL_BYTES: Final = 2**16


@contextmanager
def download_folder(downloads: Path, name: str) -> Iterator[Path]:
    """Yield a private folder below `downloads`, and remove those that killed processes of this machine left behind.

    Raises:
        NotWritten: The folder, or a file in it, could not be written or read: inside the block, too.
    """
    try:
        with _locked_folder(downloads, name) as folder:
            yield folder
    except OSError as error:
        free = usage_of_disk(downloads).free / 2**20
        reason = f"{error.strerror or error}, {free:,.0f} MiB are free"
        place = {"host": socket.gethostname(), "folder": str(downloads)}
        raise NotWritten(reason, operation="write a file", **place) from error


@contextmanager
def _locked_folder(downloads: Path, name: str) -> Iterator[Path]:
    make_private_folder(downloads)
    remove_leftovers(downloads)
    folder = Path(tempfile.mkdtemp(prefix=f"{_DRAFT}{name}-", dir=downloads))
    try:
        (folder / _LOCK).touch(mode=0o600)
        with (folder / _LOCK).open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            folder = folder.rename(downloads / folder.name.removeprefix(_DRAFT))
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def check_writable(downloads: Path) -> None:
    """Write a small file, and remove it.

    Raises:
        NotWritten: The file can't be written.
    """
    with download_folder(downloads, "trial") as folder, (folder / "trial").open("wb") as file:
        file.write(os.urandom(_TRIAL_BYTES))
        file.flush()
        os.fsync(file.fileno())


def usage_of_disk(folder: Path) -> Any:
    """Return the total, used and free bytes of the disk that a folder is on, or will be on."""
    there = next(one for one in (folder, *folder.parents) if os.access(one, os.F_OK))
    return shutil.disk_usage(there)


def remove_leftovers(downloads: Path) -> None:
    """Remove folders that no process has locked: the system unlocks those of a process that dies, however it dies."""
    for folder in downloads.glob("*"):
        with suppress(OSError):  # it is locked, or has just been removed
            age = time.time() - folder.stat().st_mtime
            if not folder.name.startswith(_DRAFT) or age > _DRAFT_SECONDS:
                with (folder / _LOCK).open("a") as lock:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(folder, ignore_errors=True)
