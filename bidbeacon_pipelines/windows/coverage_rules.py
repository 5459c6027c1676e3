"""The state of a window by its signs, as Home shows it until it reads `window_states`. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from bidbeacon_pipelines.datasets.registry import Dataset
from bidbeacon_pipelines.requests.rules import LATE_AFTER, LATE_AFTER_USUAL


class WindowState(StrEnum):
    """How a window looks on the map; the order is from fine to worst."""

    FRESH = "fresh"
    """The last refresh that was due is loaded."""
    NOT_DUE = "not due"
    """It has no data, as it should: its first refresh is not due."""
    DUE = "due"
    """It should be asked for, and will be."""
    REQUESTED = "requested"
    """It was asked for, and Amazon works on it or it is being loaded."""
    LATE = "late"
    """It is due for longer than the tolerance, or Amazon takes far longer than usual."""
    SUSPICIOUS = "suspicious"
    """A report lost nearly all rows, and waits for a second one that says the same."""
    UNCONFIRMED = "unconfirmed"
    """Its report had no rows of a country with deliverable campaigns, and is requested once more."""
    FAILED = "failed"
    """Its report was given up or refused."""
    EXPIRED = "expired"
    """It was never loaded while Amazon served it."""


@dataclass(frozen=True)
class WindowSigns:
    """What is read of a window.

    Attributes:
        status: Its status as stored.
        is_due: Whether a refresh is due, or it was requested manually.
        is_overdue: Whether one of an active account fell due longer ago than it should wait.
        is_suspicious: Whether its last report was suspicious.
        request_is_late: Whether Amazon works on its request for far longer than usual.
    """

    status: str
    is_due: bool = False
    is_overdue: bool = False
    is_suspicious: bool = False
    request_is_late: bool = False


_OF_STATUS = {
    "unconfirmed": WindowState.UNCONFIRMED,
    "failed": WindowState.FAILED,
    "expired": WindowState.EXPIRED,
}


def is_late(signs: WindowSigns) -> bool:
    """Return whether a window is late: due for longer than the tolerance or, once it was asked for, at Amazon for far longer than usual."""
    return signs.request_is_late if signs.status == "requested" else signs.is_overdue


def window_state(signs: WindowSigns) -> WindowState:
    """Return the state of a window on the map."""
    if signs.status in _OF_STATUS:
        return _OF_STATUS[signs.status]
    if signs.status == "requested":
        return WindowState.LATE if is_late(signs) else WindowState.REQUESTED
    if signs.status == "loaded" and signs.is_suspicious:
        return WindowState.SUSPICIOUS
    if signs.is_due:
        return WindowState.LATE if is_late(signs) else WindowState.DUE
    return WindowState.FRESH if signs.status == "loaded" else WindowState.NOT_DUE


def late_if_sent_before(dataset: Dataset, now: datetime) -> datetime:
    """Return the instant before which a request still in flight was sent if it is late."""
    usual: timedelta = LATE_AFTER_USUAL * dataset.usual_latency
    return now - max(LATE_AFTER, usual)
