"""A flag that a worker is being stopped, so that its runs begin no further work."""

from multiprocessing.sharedctypes import RawValue

_stopping = RawValue("b", 0)
"""Shared with processes that are forked later, which get no signal of their own."""


def stop() -> None:
    """Set the flag for this process and its forks; safe in signal handlers."""
    _stopping.value = 1


def is_stopping() -> bool:
    """Return whether this process or its parent is being stopped."""
    return bool(_stopping.value)
