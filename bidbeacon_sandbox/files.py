"""Files on disk: generated parts of reports and exports, records kept over a restart, and signed urls."""

import asyncio
import gzip
import hmac
import shutil
import tempfile
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import chain, islice
from pathlib import Path
from threading import Lock
from typing import Generic, TypeVar
from urllib.parse import parse_qs, urlencode

from pydantic import BaseModel

from bidbeacon_sandbox.seeded import digest
from bidbeacon_sandbox.settings import StateFolderError

_Record = TypeVar("_Record", bound=BaseModel)


def make_private_folder(folder: Path) -> None:
    """Make a folder that others can't enter; one that is there keeps its mode."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def open_state_folder(folder: Path | None) -> Path | None:
    """Make the folder in which the state is kept, if there is to be one.

    Raises:
        StateFolderError: it can't be made or written.
    """
    if folder is None:
        return None
    try:
        make_private_folder(folder)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        raise StateFolderError(
            f"--state-dir: expected a folder that can be written, got: {folder} ({error.strerror})."
        ) from error


class Journal(Generic[_Record]):
    """An append-only file of records of one model; without a folder it keeps nothing."""

    def __init__(self, folder: Path | None, name: str, model: type[_Record]) -> None:
        self._path = None if folder is None else folder / f"{name}.jsonl"
        self._model = model

    def read(self) -> list[_Record]:
        """Return the records of earlier runs, oldest first.

        Raises:
            StateFolderError: the file can't be read, or a line isn't such a record (of another
                version, say).
        """
        if self._path is None or not self._path.exists():
            return []
        try:
            lines = self._path.read_text().splitlines()
            return [self._model.model_validate_json(line) for line in lines]
        except (OSError, ValueError) as error:
            raise StateFolderError(
                f"{self._path} holds something else than {self._path.stem}: remove it, and start again."
            ) from error

    def append(self, record: _Record) -> None:
        """Add a record; it is on disk when this returns."""
        if self._path is None:
            return
        make_private_folder(self._path.parent)
        self._path.touch(mode=0o600)
        with self._path.open("a") as file:
            file.write(record.model_dump_json() + "\n")


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
        place: Folder of this sandbox alone, where they are kept; absent: the system's temporary
            folder.
    """

    def __init__(self, part_rows: int, cache_bytes: int, place: Path | None = None) -> None:
        self._part_rows = part_rows
        self._cache_bytes = cache_bytes
        self._place = place
        self._making_folder = Lock()
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._kept: OrderedDict[str, list[Path]] = OrderedDict()
        self._making: dict[str, asyncio.Task[list[Path]]] = {}
        self._workers = ThreadPoolExecutor(max_workers=3, thread_name_prefix="sandbox-files")

    async def parts(self, key: str, rows: Rows, count: int | None = None) -> list[Path]:
        """Return the part files of a key, making them in a thread where they aren't there.

        There are exactly `count` parts, the last ones empty where rows are few; absent: as many as
        the rows need. Callers of one key at the same time share one making.
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
        """Return the part files of a key; None where making them takes longer (it goes on meanwhile)."""
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
        while len(self._kept) > 1 and self._size() > self._cache_bytes:
            _, oldest = self._kept.popitem(last=False)
            shutil.rmtree(oldest[0].parent, ignore_errors=True)
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
                    for leftover in self._place.glob(f"{_FOLDER}*"):  # of a sandbox that was killed
                        shutil.rmtree(leftover, ignore_errors=True)
                self._folder = tempfile.TemporaryDirectory(prefix=_FOLDER, dir=self._place)
            return Path(self._folder.name)

    def _size(self) -> int:
        return sum(path.stat().st_size for paths in self._kept.values() for path in paths)


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


_STAMP = "%Y%m%dT%H%M%S.%fZ"


@dataclass(frozen=True, slots=True)
class SignedUrl:
    """A url and the instant (UTC) from which it is refused."""

    url: str
    expires_at: datetime


class Signer:
    """Signs download paths and tells whether a signature is right and fresh; the key comes from the seed."""

    def __init__(self, seed: int) -> None:
        self._key = digest(seed, "download key")
        self._first: dict[str, SignedUrl] = {}

    def sign(self, base_url: str, path: str, now: datetime, seconds: float) -> SignedUrl:
        """Sign a path for a number of seconds from now; no seconds make a url that is expired already."""
        expires_at = now + timedelta(seconds=seconds)
        stamp = expires_at.strftime(_STAMP)
        query = urlencode({"X-Amz-Expires": stamp, "X-Amz-Signature": self._signature(path, stamp)})
        signed = SignedUrl(f"{base_url}{path}?{query}", expires_at)
        self._first.setdefault(path, signed)
        return signed

    def find_first(self, path: str) -> SignedUrl | None:
        """Return what a path was signed as first; None where it never was (or not since a restart)."""
        return self._first.get(path)

    def find_expiry(self, path: str, query: str) -> datetime | None:
        """Return when a signed url expires (UTC); None where the signature isn't that of the path."""
        values = {key: items[0] for key, items in parse_qs(query).items()}
        stamp, signature = values.get("X-Amz-Expires", ""), values.get("X-Amz-Signature", "")
        if not hmac.compare_digest(signature.encode(), self._signature(path, stamp).encode()):
            return None
        return datetime.strptime(stamp, _STAMP).replace(tzinfo=UTC)

    def _signature(self, path: str, stamp: str) -> str:
        return hmac.new(self._key, f"{path}\n{stamp}".encode(), sha256).hexdigest()
