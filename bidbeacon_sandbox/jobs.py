"""Accepted reports and exports, and their files with signed URLs."""

import asyncio
import gzip
import io
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, islice
from math import ceil
from secrets import token_hex
from typing import Generic, TypeVar

from bidbeacon_sandbox.rules import Limits

_Rule = TypeVar("_Rule", bound=Limits)
_CACHE_BYTES = 1 << 27
"""Maximum size of all cached files, in bytes; evicted files are made again on demand."""
_BATCH = 1000


@dataclass(frozen=True, kw_only=True)
class Job:
    """A report or an export, with the rules that applied when it was created; immutable.

    A report covers all countries of its account, so its `country` is None. `ready_at` is when
    the job completes or fails; None means never.
    """

    id: str
    account_id: str
    country: str | None = None
    created_at: datetime
    ready_at: datetime | None
    rules: tuple[Limits, ...] = ()

    @property
    def datasets(self) -> tuple[str, ...]:
        """The datasets (names in `datasets.json`) that a report matches; empty for an export."""
        return ()

    @property
    def part_count(self) -> int | None:
        """The number of the job's files; None means as many as its rows need."""
        return 1

    def rules_of(self, kind: type[_Rule]) -> tuple[_Rule, ...]:
        """Return the job's rules of one kind."""
        return tuple(rule for rule in self.rules if isinstance(rule, kind))


_Job = TypeVar("_Job", bound=Job)


class Jobs(Generic[_Job]):
    """All reports, or all exports, of a sandbox, oldest first."""

    def __init__(self) -> None:
        self._jobs: dict[str, _Job] = {}

    def keep(self, job: _Job) -> _Job:
        """Add a job, and return it."""
        self._jobs[job.id] = job
        return job

    def delete(self, job: _Job) -> None:
        """Delete a job."""
        del self._jobs[job.id]

    def find(self, job_id: str) -> _Job | None:
        """Return the job with this id, if any."""
        return self._jobs.get(job_id)

    def rows(self, job: _Job) -> Iterator[str]:
        """Return the rows of a job's files, as JSON texts."""
        raise NotImplementedError

    def __len__(self) -> int:
        return len(self._jobs)

    def __iter__(self) -> Iterator[_Job]:
        return iter(list(self._jobs.values()))


class Files:
    """A cache of jobs' gzipped files; evicts the files of the least recently used job."""

    def __init__(self, part_rows: int) -> None:
        self._part_rows = part_rows
        self._kept: OrderedDict[str, list[bytes]] = OrderedDict()
        self._turn = asyncio.Lock()

    async def parts(self, jobs: Jobs[_Job], job: _Job) -> list[bytes]:
        """Return a job's files; if not cached, make them in a thread, one job at a time."""
        if job.id not in self._kept:
            async with self._turn:
                if job.id not in self._kept:
                    self._kept[job.id] = await asyncio.to_thread(self._write, jobs, job)
        parts = self._kept[job.id]
        self._kept.move_to_end(job.id)
        while len(self._kept) > 1 and self._size() > _CACHE_BYTES:
            self._kept.popitem(last=False)
        return parts

    def _write(self, jobs: Jobs[_Job], job: _Job) -> list[bytes]:
        """Return a job's gzipped files; if the job has a fixed `part_count`, some may be empty."""
        texts, count = jobs.rows(job), job.part_count
        if count is None:
            parts = [write_part(islice(texts, self._part_rows))]
            while first := list(islice(texts, 1)):
                parts.append(write_part(chain(first, islice(texts, self._part_rows - 1))))
            return parts
        known = list(texts)
        size = ceil(len(known) / count)
        return [write_part(known[size * part : size * (part + 1)]) for part in range(count)]

    def _size(self) -> int:
        return sum(len(part) for parts in self._kept.values() for part in parts)


def write_part(texts: Iterable[str]) -> bytes:
    """Return JSON texts as one gzipped JSON array; the same texts give the same bytes."""
    whole = io.BytesIO()
    with gzip.GzipFile("", "wb", 1, whole, mtime=0) as file:
        file.write(b"[")
        separator = b""
        for batch in _batches(texts):
            file.write(separator + ",".join(batch).encode())
            separator = b",\n"
        file.write(b"]")
    return whole.getvalue()


def _batches(texts: Iterable[str]) -> Iterator[list[str]]:
    iterator = iter(texts)
    while batch := list(islice(iterator, _BATCH)):
        yield batch


class SignedUrls:
    """All issued download URLs, without host; they become invalid when the sandbox restarts."""

    def __init__(self) -> None:
        self._known: dict[str, datetime] = {}
        self.first: dict[str, tuple[str, datetime]] = {}
        """The first URL of each path, with its expiry."""

    def sign(self, path: str, expires_at: datetime) -> tuple[str, datetime]:
        """Return a new signed URL for a path, with its expiry (UTC)."""
        url = f"{path}?X-Amz-Signature={token_hex(32)}"
        self._known[url] = expires_at
        self.first.setdefault(path, (url, expires_at))
        return url, expires_at

    def find_expiry(self, url: str) -> datetime | None:
        """Return when a URL expires (UTC); None if it was never issued."""
        return self._known.get(url)
