"""Temporary folders for downloads: private, and removed afterwards."""

import os
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from bidbeacon_pipelines.amazon_ads.errors import NotWritten
from bidbeacon_pipelines.private_files import make_private_folder

_LEFT_AFTER: Final = timedelta(hours=1)
"""A folder that nothing was written to for so long was left by a process that was killed: a transfer
takes at most half an hour, and a load reads its files within minutes."""
_TRIAL_BYTES: Final = 2**16


@contextmanager
def download_folder(downloads: Path, name: str) -> Iterator[Path]:
    """Yield a new private folder below `downloads`, and remove those that killed processes left.

    Raises:
        NotWritten: The folder, or a file in it, could not be written or read: inside the block, too.
    """
    try:
        make_private_folder(downloads)
        _remove_leftovers(downloads)
        with TemporaryDirectory(
            prefix=f"{name}-", dir=downloads, ignore_cleanup_errors=True
        ) as folder:
            yield Path(folder)
    except OSError as error:
        free = usage_of_disk(downloads).free / 2**20
        reason = f"{error.strerror or error}, {free:,.0f} MiB are free"
        place = {"host": socket.gethostname(), "folder": str(downloads)}
        raise NotWritten(reason, operation="write a file", **place) from error


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


def _remove_leftovers(downloads: Path) -> None:
    oldest = time.time() - _LEFT_AFTER.total_seconds()
    for folder in downloads.iterdir():
        with suppress(OSError):  # another process has just removed it
            if max(path.stat().st_mtime for path in (folder, *folder.iterdir())) < oldest:
                shutil.rmtree(folder, ignore_errors=True)
