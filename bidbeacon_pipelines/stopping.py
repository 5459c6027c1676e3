"""Tells the runs of a worker that the worker is being stopped, so that they begin nothing more."""

from multiprocessing.sharedctypes import RawValue

_stopping = RawValue("b", 0)
"""Shared with the processes that are forked later, which get no signal of their own."""


def stop() -> None:
    """Note that this process, with those it has forked, is being stopped; for signal handlers too."""
    _stopping.value = 1


def is_stopping() -> bool:
    """Return whether this process, or the one it was forked from, is being stopped."""
    return bool(_stopping.value)
