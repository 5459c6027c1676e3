"""How slow this machine is against the one of the bounds."""

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
"""A new interpreter that imports Dagster, as each run and command does: like most of what is measured, it reads much code and memory."""
COMMIT_WORK_MS, COMMIT_SYNC_MS = 0.3, 0.15
"""How long an append takes there without its sync to disk, and how long the sync."""
CORES = 2
_ROUNDS, _SYNCS = 3, 200


@dataclass(frozen=True)
class Yardstick:
    """How many times as long a piece of work takes here as on the machine of the bounds.

    Attributes:
        cpu: Its CPU time.
        elapsed: Its time by the clock while both cores have work. It is longer than the CPU time if
            other programs use the machine, or if a limit leaves less than two cores.
        sync_ms: How long a write of a page takes that is synced to disk.
    """

    cpu: float
    elapsed: float
    sync_ms: float

    def commit(self, at_once: int) -> float:
        """Return how many times as long a commit takes of which so many share a sync."""
        here = COMMIT_WORK_MS * self.elapsed + self.sync_ms / at_once
        return here / (COMMIT_WORK_MS + COMMIT_SYNC_MS / at_once)

    def mean(self, other: "Yardstick") -> "Yardstick":
        """Return the mean of this one and another, which was measured after the suite."""
        both = zip(astuple(self), astuple(other), strict=True)
        return Yardstick(*(fmean(pair) for pair in both))


def measure_yardstick() -> Yardstick:
    """Time the work, alone and then in two processes at once, and syncs."""
    _time_work()  # from then on its files are in memory
    cpu = median(_time_work()[0] for _ in range(_ROUNDS)) / REFERENCE_SECONDS
    with ThreadPoolExecutor(CORES) as threads:
        beside = threads.map(lambda _: _time_work(), range(CORES * _ROUNDS))
        waits = [seconds / used for used, seconds in beside]
    return Yardstick(cpu, cpu * max(1, median(waits)), _sync_ms())


def _time_work() -> tuple[float, float]:
    """Return the CPU time of the work, and its time by the clock."""
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
