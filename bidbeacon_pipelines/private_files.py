"""Make files and folders that only their owner can read, whatever the umask of the shell is."""

import os
from pathlib import Path

PRIVATE = 0o700
PASSAGE = 0o711
"""Others can pass through such a folder and can't list it: the account of the embedded server has to get to its data."""


def keep_new_files_private() -> None:
    """Let this process, and those that it starts, make files that only their owner can read.

    Called where a process begins: by the command line, and where Dagster loads its instance.
    """
    os.umask(0o077)


def make_private_folder(folder: Path, mode: int = PRIVATE) -> None:
    """Make a folder that others can't enter, and the missing ones above it; one that is there keeps its mode."""
    if folder.is_dir():
        return
    make_private_folder(folder.parent, PASSAGE)
    folder.mkdir(mode=PRIVATE, exist_ok=True)
    folder.chmod(mode)
