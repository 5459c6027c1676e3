"""What creates of reports have to keep to, as seen on the wire: no more than needed, none beyond the gate, none while it is closed."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from bidbeacon_sandbox.reports import Reports
from tests.faults.ads.month_faults import Struck

LEFT_ALONE = timedelta(minutes=10)
"""For so long at least a create whose outcome nobody knows is not sent again."""
LONGEST_PENDING = timedelta(hours=24)
SHORTEST_PACE = timedelta(seconds=1)
FIRST_CLOSURE = timedelta(minutes=2)
LONGEST_CLOSURE = timedelta(hours=1)
THROTTLED = 429
SAME_ATTEMPT = frozenset((400, 207))
"""A create that is refused so may be sent again at once, with a field's other name."""


@dataclass(frozen=True, kw_only=True)
class SentCreate:
    """A create of a report as it went out.

    Attributes:
        at: When.
        region: Whose gate.
        request_id: For which request.
        account_id: Of which ads account.
        places: Reports that the gate allowed in flight, at that moment.
        counted: Other reports in flight by our own tables, at that moment.
        at_amazon: Other reports in flight at the sandbox that we know of, or may know of, at that
            moment.
        due_windows: Windows that wait for the request and were due, or wanted by hand, or that no
            report has brought since a longer one was refused.
        status: The answer's HTTP status; None where none came.
        retry_after: The seconds that the answer asks for.
        is_told: Whether the answer says what became of it: a report, or a refusal.
        report_id: The report that the answer names.
        made_id: The report that the sandbox made, whether we know of it or not.
    """

    at: datetime
    region: str
    request_id: int
    account_id: str
    places: int
    counted: int
    at_amazon: int
    due_windows: int
    status: int | None = None
    retry_after: float | None = None
    is_told: bool = False
    report_id: str | None = None
    made_id: str | None = None


def count_at_amazon(
    creates: Iterable[SentCreate],
    region: str,
    reports: Reports,
    now: datetime,
    open_requests: set[int],
) -> int:
    """Count the reports of a region that the sandbox makes and that the product has to reckon with.

    These are the last ones of open requests: those whose id it was told, and those of creates
    without an answer for as long as they are left alone. A report that was given up, or requested
    once more, is nobody's: the product can't know whether it is still made.
    """
    last = {create.request_id: create for create in creates if create.region == region}
    return sum(
        _is_made(create, reports, now)
        for create in last.values()
        if create.request_id in open_requests
        and (create.report_id is not None or now < create.at + LEFT_ALONE)
    )


def _is_made(create: SentCreate, reports: Reports, now: datetime) -> bool:
    made = reports.find(create.made_id or create.report_id or "")
    return made is not None and made.is_in_flight(now)


def over_the_gate(creates: Sequence[SentCreate]) -> list[SentCreate]:
    """Return the creates that went out though as many reports were in flight as the gate allowed at that very moment."""
    return [one for one in creates if max(one.counted, one.at_amazon) >= one.places]


def through_closed_gates(creates: Sequence[SentCreate]) -> list[tuple[SentCreate, SentCreate]]:
    """Return the creates that went out sooner after the one before them than the gate of their region allows, each with that one.

    After a 429 it is closed for two minutes at least, after each further one in a row for twice as
    long, up to an hour, and for as long as `Retry-After` says; between two requests a second
    passes.
    """
    found = []
    for region in {create.region for create in creates}:
        refused = 0
        for before, after in pairwise(one for one in creates if one.region == region):
            refused = refused + 1 if before.status == THROTTLED else 0
            if after.at - before.at < _pause(before, after, refused):
                found.append((before, after))
    return found


def _pause(before: SentCreate, after: SentCreate, refused: int) -> timedelta:
    if refused:
        closure = min(FIRST_CLOSURE * (1 << min(refused - 1, 10)), LONGEST_CLOSURE)
        return max(closure, timedelta(seconds=before.retry_after or 0))
    is_same = before.request_id == after.request_id and before.status in SAME_ATTEMPT
    return timedelta(0) if is_same else SHORTEST_PACE


def early_creates(creates: Sequence[SentCreate]) -> list[SentCreate]:
    """Return the creates that went out too soon after one for the same request whose outcome nobody knew."""
    return [
        after
        for before, after in _again(creates)
        if not before.is_told and after.at - before.at < LEFT_ALONE
    ]


def needless_requests(creates: Sequence[SentCreate]) -> list[SentCreate]:
    """Return the first creates of requests for which no window was due or wanted."""
    return [create for create in _first(creates) if not create.due_windows]


def count_reasons(
    creates: Sequence[SentCreate], reports: Reports, struck: Sequence[Struck]
) -> tuple[Counter[str], list[SentCreate]]:
    """Count why each create went out, and return those that had no reason to.

    The first create of a request is planned. Each further one has its own cause in what came of the
    one before it: no report in the answer, a report that ended without rows or took longer than a
    day, or a report whose files were struck since.
    """
    of_files: dict[str | None, list[datetime]] = defaultdict(list)
    for strike in struck:
        if strike.operation in {"download", "retrieve_report"}:
            of_files[strike.account].append(strike.at)
    reasons, without = Counter({"planned": len(_first(creates))}), []
    for before, after in _again(creates):
        reason = _reason(before, after, reports, of_files[after.account_id])
        reasons[reason or "none"] += 1
        if reason is None:
            without.append(after)
    return reasons, without


def _reason(
    before: SentCreate, after: SentCreate, reports: Reports, struck_at: Sequence[datetime]
) -> str | None:
    if before.report_id is None:
        return "no report in the answer"
    report = reports.find(before.report_id)
    if report is None or report.end(after.at) not in {None, "COMPLETED"}:
        return "report without rows"
    if report.end(after.at) is None:
        return "report too slow" if after.at - before.at >= LONGEST_PENDING else None
    return "unreadable files" if any(before.at <= at <= after.at for at in struck_at) else None


def _by_request(creates: Sequence[SentCreate]) -> list[list[SentCreate]]:
    groups: dict[int, list[SentCreate]] = defaultdict(list)
    for create in creates:
        groups[create.request_id].append(create)
    return list(groups.values())


def _first(creates: Sequence[SentCreate]) -> list[SentCreate]:
    return [group[0] for group in _by_request(creates)]


def _again(creates: Sequence[SentCreate]) -> list[tuple[SentCreate, SentCreate]]:
    """Return each create that is not the first of its request, behind the one before it."""
    return [pair for group in _by_request(creates) for pair in pairwise(group)]
