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
_DRAFT: Final = "."
"""How the name of a folder begins that is not locked yet."""
_DRAFT_SECONDS: Final = 60
"""A draft that is older was left by a killed process."""


@contextmanager
def download_folder(downloads: Path, name: str) -> Iterator[Path]:
    """Yield a private folder below `downloads`, and remove those that killed processes of this machine left behind.

    Raises:
        AdsApiError: The disk is full or not writable.
    """
    try:
        make_private_folder(downloads)
        remove_leftovers(downloads)
        draft = Path(tempfile.mkdtemp(prefix=f"{_DRAFT}{name}-", dir=downloads))
        (draft / _LOCK).touch(mode=0o600)
        lock = (draft / _LOCK).open("r+")
    except OSError as error:
        raise not_written(error, downloads / name) from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder = draft.rename(downloads / draft.name.removeprefix(_DRAFT))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def remove_leftovers(downloads: Path) -> None:
    """Remove folders that no process has locked: the system unlocks those of a process that dies, however it dies."""
    for folder in downloads.glob("*"):
        with suppress(OSError):  # it is locked, or has just been removed
            age = time.time() - folder.stat().st_mtime
            if not folder.name.startswith(_DRAFT) or age > _DRAFT_SECONDS:
                with (folder / _LOCK).open("a") as lock:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(folder, ignore_errors=True)
