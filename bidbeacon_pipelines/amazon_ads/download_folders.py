"""Temporary folders for downloads: private, locked while used, removed afterwards."""

import fcntl
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from bidbeacon_pipelines.amazon_ads.downloads import not_written
from bidbeacon_pipelines.private_files import make_private_folder

_LOCK: Final = "lock"
_NEW_SECONDS: Final = 60
"""A folder is locked right after it is made; one this young may not be locked yet."""


@contextmanager
def download_folder(downloads: Path, name: str) -> Iterator[Path]:
    """Yield a private folder below `downloads`, and remove those that killed processes of this machine left behind.

    Raises:
        AdsApiError: The disk is full or not writable.
    """
    try:
        make_private_folder(downloads)
        _remove_leftovers(downloads)
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


def _remove_leftovers(downloads: Path) -> None:
    """Remove folders that no process has locked: the system unlocks those of a process that dies, however it dies."""
    for folder in downloads.iterdir():
        with suppress(OSError):  # it is locked, or has just been removed
            if time.time() - folder.stat().st_mtime > _NEW_SECONDS:
                with (folder / _LOCK).open("a") as lock:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(folder, ignore_errors=True)
