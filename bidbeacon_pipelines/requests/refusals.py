"""Which refusals of a report are believed at once, and which only when repeated. Pure.

A faulty gateway may refuse what Amazon would accept, and a believed refusal postpones the data by a
day. So an implausible one has to be confirmed: the report is requested once more, later.
"""

from dataclasses import replace

from bidbeacon_pipelines.requests.rules import Failure, FailureKind

_REFUSED_FIELDS = frozenset({"field-refused", "fields-refused-together"})
"""The report names fields that Amazon doesn't know, that exclude each other or lack a companion: that stays true."""

_DOUBTED = {
    FailureKind.REJECTED: FailureKind.REJECTED_ONCE,
    FailureKind.TOO_OLD: FailureKind.TOO_OLD_ONCE,
    FailureKind.NOT_AUTHORIZED: FailureKind.NOT_AUTHORIZED_ONCE,
}


def doubted(failure: Failure) -> Failure:
    """Return the failure marked as to be confirmed: the report is requested again, later."""
    return replace(failure, kind=_DOUBTED.get(failure.kind, failure.kind))


def weighed(failure: Failure, before: Failure | None, *, is_part: bool) -> Failure:
    """Return a failure to create a report, marked as to be confirmed if it is implausible.

    Args:
        failure: The failure.
        before: What the attempt before it failed with, if it did.
        is_part: Whether the report is a part of one that was refused.
    """
    again = before is not None and before.kind == _DOUBTED.get(failure.kind)
    if again or not _is_doubtful(failure, is_part=is_part):
        return failure
    return doubted(failure)


def _is_doubtful(failure: Failure, *, is_part: bool) -> bool:
    if failure.kind is FailureKind.REJECTED:
        return failure.cause["code"] not in _REFUSED_FIELDS
    return failure.kind is FailureKind.TOO_OLD and not is_part
