"""How slow this machine is against the one of the bounds."""

import statistics
import time

REFERENCE_SECONDS = 0.11
"""Seconds of CPU that the fixed piece of work takes on the machine of the bounds."""
_ROUNDS = 5


def measure_slowness() -> float:
    """Return the CPU time of a fixed piece of work, in the time that the reference machine takes."""
    times = []
    for _ in range(_ROUNDS):
        began = time.process_time()
        sorted(str(number * number) for number in range(500_000))
        times.append(time.process_time() - began)
    return statistics.median(times) / REFERENCE_SECONDS
