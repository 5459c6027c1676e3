"""Temporary folders for downloads: private, and removed afterwards."""

import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread
from typing import Any, Final

from bidbeacon_pipelines.amazon_ads.errors import NotWritten
from bidbeacon_pipelines.private_files import make_private_folder

_LEFT_AFTER: Final = timedelta(hours=1)
"""A folder without changes for longer was left behind by a killed process."""
_TOUCHED_EVERY: Final = timedelta(minutes=1)
_TRIAL_BYTES: Final = 2**16


@contextmanager
def download_folder(downloads: Path, name: str) -> Iterator[Path]:
    """Yield a new private folder below `downloads`; remove folders left by killed processes.

    Raises:
        NotWritten: The folder could not be made, or the block could not write or read a file.
    """
    try:
        make_private_folder(downloads)
        with (
            TemporaryDirectory(
                prefix=f"{name}-", dir=downloads, ignore_cleanup_errors=True
            ) as folder,
            _touching(folder),
        ):
            _remove_leftovers(Path(folder))
            yield Path(folder)
    except OSError as error:
        free = usage_of_disk(downloads).free / 2**20
        reason = f"{error.strerror or error}, {free:,.0f} MiB are free"
        place = {"host": socket.gethostname(), "folder": str(downloads)}
        raise NotWritten(reason, operation="write a file", **place) from error


def check_writable(downloads: Path) -> None:
    """Write a small file and remove it; raise `NotWritten` if it can't be written."""
    with download_folder(downloads, "trial") as folder, (folder / "trial").open("wb") as file:
        file.write(os.urandom(_TRIAL_BYTES))
        file.flush()
        os.fsync(file.fileno())


def usage_of_disk(folder: Path) -> Any:
    """Return the total, used and free bytes of a folder's disk; the folder need not exist."""
    there = next(one for one in (folder, *folder.parents) if os.access(one, os.F_OK))
    return shutil.disk_usage(there)


@contextmanager
def _touching(folder: str) -> Iterator[None]:
    """Touch a folder every minute during the block, so that it isn't removed as a leftover."""
    is_over = Event()

    def touch() -> None:
        while not is_over.wait(_TOUCHED_EVERY.total_seconds()):
            with suppress(OSError):  # it was deleted: the block fails by itself
                os.utime(folder)

    thread = Thread(target=touch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def _remove_leftovers(new: Path) -> None:
    # The new folder has the time of the file system, which may differ from the host's.
    oldest = new.stat().st_mtime - _LEFT_AFTER.total_seconds()
    for folder in new.parent.iterdir():
        with suppress(OSError):  # another process has just removed it
            if max(path.stat().st_mtime for path in (folder, *folder.iterdir())) < oldest:
                shutil.rmtree(folder, ignore_errors=True)
