"""How slow this machine is against the one of the bounds."""

import os
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from statistics import median
from tempfile import TemporaryFile

from benchmarks.processes import run_at_once

REFERENCE_SECONDS = 0.11
"""Seconds of CPU that the fixed piece of work takes on the machine of the bounds."""
COMMIT_WORK_MS, COMMIT_SYNC_MS = 0.3, 0.15
"""How long an append takes there without its sync to disk, and how long the sync."""
CORES = 2
_ROUNDS, _SYNCS = 7, 200


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


def measure_yardstick() -> Yardstick:
    """Time the fixed piece of work, alone and then in two processes at once, and syncs."""
    cpu = median(used for used, _ in _work()) / REFERENCE_SECONDS
    rounds = run_at_once(CORES, _work_beside, seconds=60)
    waits = [seconds / used for each in rounds for used, seconds in each]
    return Yardstick(cpu, cpu * max(1, median(waits)), _sync_ms())


def _work() -> list[tuple[float, float]]:
    """Return the CPU time and the time by the clock of each round."""
    times = []
    for _ in range(_ROUNDS):
        used, began = time.process_time(), time.perf_counter()
        sorted(str(number * number) for number in range(500_000))
        times.append((time.process_time() - used, time.perf_counter() - began))
    return times


def _work_beside(pipe: Connection) -> None:
    pipe.send("ready")
    pipe.recv()
    pipe.send(_work())


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
