"""The slowness of this machine, relative to the machine of the bounds."""

import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass
from statistics import fmean, median
from tempfile import TemporaryFile

REFERENCE_SECONDS = 0.6
"""Seconds of CPU that `WORK` takes on the machine of the bounds."""
WORK = (sys.executable, "-W", "ignore", "-c", "import dagster")
"""Import Dagster in a new process: like most measured work, it reads much code and memory."""
COMMIT_WORK_MS, COMMIT_SYNC_MS = 0.3, 0.15
"""The times of an append without its sync to disk, and of the sync, on that machine."""
CORES = 2
_ROUNDS, _SYNCS = 3, 200


@dataclass(frozen=True)
class Yardstick:
    """Times of a piece of work, divided by those on the machine of the bounds.

    Attributes:
        cpu: Its CPU time.
        elapsed: Its time by the clock while both cores have work. It is longer than the CPU time if
            other programs use the machine, or if a limit leaves less than two cores.
        sync_ms: The time of a write of a page that is synced to disk.
    """

    cpu: float
    elapsed: float
    sync_ms: float

    def commit(self, at_once: int) -> float:
        """Return the relative time of a commit when `at_once` commits share a sync."""
        here = COMMIT_WORK_MS * self.elapsed + self.sync_ms / at_once
        return here / (COMMIT_WORK_MS + COMMIT_SYNC_MS / at_once)

    def mean(self, other: "Yardstick") -> "Yardstick":
        """Return the mean of two yardsticks."""
        both = zip(astuple(self), astuple(other), strict=True)
        return Yardstick(*(fmean(pair) for pair in both))


def measure_yardstick() -> Yardstick:
    """Time the work, alone and then in two processes at the same time, and time syncs."""
    _time_work()  # from then on its files are in memory
    cpu = median(_time_work()[0] for _ in range(_ROUNDS)) / REFERENCE_SECONDS
    with ThreadPoolExecutor(CORES) as threads:
        beside = threads.map(lambda _: _time_work(), range(CORES * _ROUNDS))
        waits = [seconds / used for used, seconds in beside]
    return Yardstick(cpu, cpu * max(1, median(waits)), _sync_ms())


def _time_work() -> tuple[float, float]:
    began = time.perf_counter()
    process = os.posix_spawn(sys.executable, WORK, os.environ)
    _, status, usage = os.wait4(process, 0)
    assert status == 0, f"expected {WORK} to pass, got status {status}"
    return usage.ru_utime + usage.ru_stime, time.perf_counter() - began


def _sync_ms() -> float:
    took = []
    with TemporaryFile(prefix="bidbeacon-bench-", buffering=0) as file:
        for _ in range(_SYNCS):
            file.seek(0)
            began = time.perf_counter()
            file.write(bytes(8192))
            os.fsync(file.fileno())
            took.append((time.perf_counter() - began) * 1000)
    return median(took)
