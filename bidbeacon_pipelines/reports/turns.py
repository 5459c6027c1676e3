"""Whose turn it is: which country of an ads account, which dataset of an account gets a free slot, where there are too few. Pure.

Asked for by hand goes first. Then the dataset that waits for the newest day, so that yesterday of every dataset comes before last year of
any; among equals, the one that had its turn the longest time ago. No dataset is passed over more than ten times.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from bidbeacon_pipelines.reports.planning import OLDEST_WAITS_AT_MOST, PlannedRequest

_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Queue:
    """What one dataset of an account would ask for.

    Attributes:
        dataset: Its name.
        requests: In its own order, as `planning.plan_requests` gives them.
        last_asked_at: When a report of it was last asked for; None where none ever was.
        passed_over: How many reports of the account's other datasets were asked for since then, while something of it was due.
    """

    dataset: str
    requests: tuple[PlannedRequest, ...]
    last_asked_at: datetime | None = None
    passed_over: int = 0


def share_slots(countries: Sequence[str], country: str, free_slots: int, slots: int) -> int:
    """Give how many free slots of its ads account a country may take; while others have something to ask for too, they take turns.

    So the backlog of one doesn't keep the yesterday of another waiting. Where no slot is taken at all, the country that asks gets one in
    any case: nobody waits for one that has its turn and never comes.

    Args:
        countries: Those of the ads account that have something to ask for; the one that asked the longest time ago first.
        country: The one that asks, one of these.
        free_slots: How many are free.
        slots: How many there are.
    """
    turns = len(range(countries.index(country), free_slots, len(countries)))
    return max(turns, 1) if free_slots == slots else turns


def take_turns(queues: Sequence[Queue], free_slots: int) -> list[tuple[str, PlannedRequest]]:
    """Give the requests to make now, in order, each with its dataset; of each dataset the first ones of its queue.

    Args:
        queues: One a dataset, in the registry's order, which decides where nothing else does.
        free_slots: How many requests may be made.
    """
    waiting = list(queues)
    turns: list[tuple[str, PlannedRequest]] = []
    while len(turns) < free_slots and any(queue.requests for queue in waiting):
        chosen = min((queue for queue in waiting if queue.requests), key=_urgency)
        turns.append((chosen.dataset, chosen.requests[0]))
        waiting = [_served(queue) if queue is chosen else _passed(queue) for queue in waiting]
    return turns


def _urgency(queue: Queue) -> tuple[bool, bool, int, datetime]:
    """Rank a queue; the lowest goes first."""
    newest = max(request.end for request in queue.requests)
    return (
        not queue.requests[0].by_hand,
        queue.passed_over < OLDEST_WAITS_AT_MOST,
        -newest.toordinal(),
        queue.last_asked_at or _NEVER,
    )


def _served(queue: Queue) -> Queue:
    just_now = datetime.max.replace(tzinfo=UTC)
    return replace(queue, requests=queue.requests[1:], last_asked_at=just_now, passed_over=0)


def _passed(queue: Queue) -> Queue:
    return replace(queue, passed_over=queue.passed_over + 1)
