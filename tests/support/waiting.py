"""The one way in which tests wait for something that happens elsewhere."""

import inspect
import time
from collections.abc import Callable


def wait_until(
    condition: Callable[[], object],
    what: str = "",
    seconds: float = 30,
    *,
    found: Callable[[], object] | None = None,
    pause: float = 0.02,
) -> float:
    """Wait until a condition holds, and return how many seconds that took.

    Raises:
        AssertionError: The condition did not hold in time. The message has `what` was waited for,
            by default the source of the condition, and what `found` then returns, by default the
            condition's last value.
    """
    began = time.monotonic()
    while not (value := condition()):
        if time.monotonic() - began > seconds:
            expected = what or inspect.getsource(condition).strip()
            last = repr(value) if found is None else found()
            raise AssertionError(f"not true after {seconds:g} s: {expected}; found: {last}")
        time.sleep(pause)
    return time.monotonic() - began
