"""Makes files and folders that only their owner can read, even with an open umask."""

import os
from pathlib import Path

PRIVATE = 0o700
PASSAGE = 0o711
"""The mode of folders that others may enter but not list; PostgreSQL needs it if root starts it."""


def make_new_files_private() -> None:
    """Make new files of this process and its children private; call it at the process's start."""
    os.umask(0o077)


def make_private_folder(folder: Path, mode: int = PRIVATE) -> None:
    """Create a folder with `mode` and missing parents with 0o711; skip existing folders."""
    if folder.is_dir():
        return
    make_private_folder(folder.parent, PASSAGE)
    folder.mkdir(mode=PRIVATE, exist_ok=True)
    folder.chmod(mode)
