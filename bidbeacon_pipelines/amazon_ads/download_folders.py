"""Temporary folders for downloads: private, locked while used, removed afterwards."""

import fcntl
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bidbeacon_pipelines.amazon_ads.download_rules import not_written
from bidbeacon_pipelines.private_files import make_private_folder

_LOCK: Final = "lock"
_NEW_SECONDS: Final = 60
"""A folder is locked right after it is made; one this young may not be locked yet."""


@contextmanager
def download_folder(downloads: Path, name: str) -> Iterator[Path]:
    """Yield a private folder, and remove those that killed processes of this machine left behind.

    Args:
        downloads: The folder for all downloads.
        name: What the folder's name begins with.

    Raises:
        NotWritten: The disk is full or not writable.
    """
    try:
        make_private_folder(downloads)
        remove_leftovers(downloads)
        folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=downloads))
        (folder / _LOCK).touch(mode=0o600)
    except OSError as error:
        raise not_written(error, downloads / name) from error
    try:
        with (folder / _LOCK).open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_leftovers(downloads: Path) -> None:
    """Remove folders that no process has locked: the system unlocks those of a process that dies, however it dies."""
    for folder in downloads.iterdir():
        try:
            if time.time() - folder.stat().st_mtime > _NEW_SECONDS and not _is_used(folder):
                shutil.rmtree(folder, ignore_errors=True)
        except FileNotFoundError:  # its owner, or another sweeper, has just removed it
            continue


def _is_used(folder: Path) -> bool:
    try:
        with (folder / _LOCK).open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:  # its owner was killed before it was locked
        return False
    except OSError:  # locked, or not ours
        return True
    return False
