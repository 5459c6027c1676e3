"""The generated files: gzipped JSON arrays in a temporary folder, made when needed, dropped when there are too many."""

import asyncio
import gzip
import shutil
import tempfile
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, islice
from pathlib import Path
from threading import Lock

from bidbeacon_pipelines.private_files import make_private_folder

MAKING_SECONDS = 5
"""How long a call waits (real seconds) for files that are being made before it says that they aren't ready."""
_BATCH = 1000
_FOLDER = "bidbeacon-sandbox-"

Rows = Callable[[], Iterable[str]]


class PartFiles:
    """Parts of reports and exports on disk, found by key; a key's files can be dropped and made again.

    Args:
        part_rows: Rows of a part.
        cache_bytes: Files beyond this size are dropped, oldest first.
        place: Folder of this sandbox alone, where they are kept; absent: the system's temporary folder.
    """

    def __init__(self, part_rows: int, cache_bytes: int, place: Path | None = None) -> None:
        self._part_rows = part_rows
        self._cache_bytes = cache_bytes
        self._place = place
        self._making_folder = Lock()
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._kept: OrderedDict[str, list[Path]] = OrderedDict()
        self._making: dict[str, asyncio.Task[list[Path]]] = {}
        self._workers = ThreadPoolExecutor(max_workers=2, thread_name_prefix="sandbox-files")

    async def parts(self, key: str, rows: Rows, count: int | None = None) -> list[Path]:
        """Give the part files of a key, making them in a thread where they aren't there.

        There are exactly `count` parts, the last ones empty where rows are few; absent: as many as the rows need.
        Callers of one key at the same time share one making.
        """
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        if key not in self._making:
            self._making[key] = asyncio.create_task(self._make(key, rows, count))
        return await asyncio.shield(self._making[key])

    async def parts_within(
        self, seconds: float, key: str, rows: Rows, count: int | None = None
    ) -> list[Path] | None:
        """Give the part files of a key; None where making them takes longer (it goes on meanwhile)."""
        try:
            return await asyncio.wait_for(self.parts(key, rows, count), seconds)
        except TimeoutError:
            return None

    def close(self) -> None:
        """Remove every file."""
        self._workers.shutdown(wait=True, cancel_futures=True)
        if self._folder is not None:
            self._folder.cleanup()

    async def _make(self, key: str, rows: Rows, count: int | None) -> list[Path]:
        loop = asyncio.get_running_loop()
        try:
            paths = await loop.run_in_executor(self._workers, self._write, key, rows, count)
        finally:
            del self._making[key]
        self._kept[key] = paths
        self._drop_oldest()
        return paths

    def _write(self, key: str, rows: Rows, count: int | None) -> list[Path]:
        folder = self._own_folder() / key
        folder.mkdir(exist_ok=True)
        slices = _slices_of(self._part_rows, rows) if count is None else _slices(count, rows)
        paths: list[Path] = []
        for number, texts in enumerate(slices):
            path = folder / f"part-{number}.json.gz"
            write_part(path, texts)
            paths.append(path)
        return paths

    def _own_folder(self) -> Path:
        with self._making_folder:
            if self._folder is None:
                if self._place is not None:
                    make_private_folder(self._place)
                    _remove_leftovers(self._place)
                self._folder = tempfile.TemporaryDirectory(prefix=_FOLDER, dir=self._place)
            return Path(self._folder.name)

    def _drop_oldest(self) -> None:
        while len(self._kept) > 1 and self._size() > self._cache_bytes:
            _, paths = self._kept.popitem(last=False)
            shutil.rmtree(paths[0].parent, ignore_errors=True)

    def _size(self) -> int:
        return sum(path.stat().st_size for paths in self._kept.values() for path in paths)


def _remove_leftovers(place: Path) -> None:
    """Remove the files of a sandbox that was killed."""
    for folder in place.glob(f"{_FOLDER}*"):
        shutil.rmtree(folder, ignore_errors=True)


def write_part(path: Path, texts: Iterable[str]) -> None:
    """Write JSON texts as one gzipped array; the same texts make the same bytes."""
    with path.open("wb") as raw, gzip.GzipFile("", "wb", 1, raw, mtime=0) as file:
        file.write(b"[")
        separator = b""
        for batch in _batches(texts):
            file.write(separator + ",".join(batch).encode())
            separator = b",\n"
        file.write(b"]")


def _slices_of(size: int, rows: Rows) -> Iterator[Iterable[str]]:
    """Cut rows into slices of a size, each to be used up before the next; no rows are one empty slice."""
    iterator = iter(rows())
    first: list[str] | None = []
    while first is not None:
        yield chain(first, islice(iterator, size - len(first)))
        first = next(([row] for row in iterator), None)


def _slices(count: int, rows: Rows) -> Iterator[Iterable[str]]:
    """Cut rows into so many slices of the same size, or nearly so, each to be used up before the next."""
    if count == 1:
        yield rows()
        return
    total = sum(1 for _ in rows())
    iterator = iter(rows())
    for number in range(count):
        yield islice(iterator, total // count + (number < total % count))


def _batches(texts: Iterable[str]) -> Iterator[list[str]]:
    iterator = iter(texts)
    while batch := list(islice(iterator, _BATCH)):
        yield batch
