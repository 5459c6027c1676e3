"""A memory limit of the kernel's, as a container has one: a control group, version 1 or 2, that one process is put into."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_CONTROLLERS = Path("/sys/fs/cgroup")


class MemoryLimit:
    """A control group with a limit."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def count_kills(self) -> int:
        """Return how many processes the kernel has killed in it because there was no memory left."""
        for name in ("memory.events", "memory.oom_control"):
            if (self.folder / name).exists():
                counts = dict(
                    line.split() for line in (self.folder / name).read_text().splitlines()
                )
                return int(counts["oom_kill"])
        raise LookupError(f"{self.folder} does not say how many processes were killed")


@contextmanager
def memory_limit(size: int) -> Iterator[MemoryLimit | None]:
    """Yield a group with a limit of so many bytes; None where this machine does not let us make one."""
    parent = _CONTROLLERS / "memory" if (_CONTROLLERS / "memory").is_dir() else _CONTROLLERS
    folder = parent / f"bidbeacon-test-{os.getpid()}"
    try:
        folder.mkdir()
    except OSError:
        yield None
        return
    try:
        yield MemoryLimit(folder) if _set_limit(folder, size) else None
    finally:
        folder.rmdir()


def _set_limit(folder: Path, size: int) -> bool:
    for name in ("memory.max", "memory.limit_in_bytes"):
        if (folder / name).exists():
            (folder / name).write_text(str(size))
            return True
    return False
