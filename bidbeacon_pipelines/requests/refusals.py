"""Which refusals of a report are believed at once, and which only when repeated. Pure.

A faulty gateway may refuse what Amazon would accept. A believed refusal gives up the data of up to
120 days, so an implausible one has to be confirmed: the report is requested once more, later.
"""

from dataclasses import replace
from datetime import date, timedelta

from bidbeacon_pipelines.datasets.registry import Dataset
from bidbeacon_pipelines.requests.rules import Failure, FailureKind
from bidbeacon_pipelines.windows.rules import is_served

SURELY_SERVED = timedelta(days=7)
"""A day that is younger than the oldest one that Amazon serves by so much is one that it serves, whatever calendar it counts in."""

_REFUSED_FIELDS = frozenset({"field-refused", "fields-refused-together"})
"""The report names fields that Amazon doesn't know, that exclude each other or lack a companion: that stays true."""

_DOUBTED = {
    FailureKind.REJECTED: FailureKind.REJECTED_ONCE,
    FailureKind.TOO_OLD: FailureKind.TOO_OLD_ONCE,
    FailureKind.NOT_AUTHORIZED: FailureKind.NOT_AUTHORIZED_ONCE,
}


def is_surely_served(dataset: Dataset, start: date, today: date) -> bool:
    """Return whether Amazon certainly still serves this account-local day, so that a refusal as too old is implausible."""
    return is_served(dataset, start - SURELY_SERVED, today)


def doubted(failure: Failure) -> Failure:
    """Return the failure marked as to be confirmed: the report is requested again, later."""
    return replace(failure, kind=_DOUBTED.get(failure.kind, failure.kind))


def weighed(failure: Failure, before: Failure | None, *, surely_served: bool) -> Failure:
    """Return a failure to create a report, marked as to be confirmed if it is implausible.

    Args:
        failure: The failure.
        before: What the attempt before it failed with, if it did.
        surely_served: Whether the days asked for are well inside of what Amazon serves.
    """
    again = before is not None and before.kind == _DOUBTED.get(failure.kind)
    if again or not _is_doubtful(failure, surely_served=surely_served):
        return failure
    return doubted(failure)


def _is_doubtful(failure: Failure, *, surely_served: bool) -> bool:
    if failure.kind is FailureKind.REJECTED:
        return failure.cause["code"] not in _REFUSED_FIELDS
    return failure.kind is FailureKind.TOO_OLD and surely_served
