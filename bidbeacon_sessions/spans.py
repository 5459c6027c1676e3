"""Divide the time of a session into steps of own work and of waiting.

A step ends with an action, or with the session. If the action's class has `ends_wait_for`, the
session waited before the action, else it worked.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from bidbeacon_sessions.actions import Action, action_classes

MOST_STEPS = 12
SHORTEST_SECONDS = 0.05
"""Shorter steps are left out, since they would be shown as 0.0 s."""


class Step(NamedTuple):
    """A part of a session's time.

    Args:
        waits_for: what the session waited for; None for own work.
        start: seconds after the session began.
        seconds: the length of the step.
        ord: the `ord` of the action that ended the step; None if the session's end did.
    """

    waits_for: str | None
    start: float
    seconds: float
    ord: int | None


def describe_time(
    session: Mapping[Any, Any], actions: Iterable[Mapping[Any, Any]]
) -> dict[str, Any]:
    """Return how long a session worked and waited, as JSON.

    ```json
    {"seconds": 190.2,
     "sums": [{"waits_for": null, "seconds": 3.1}, {"waits_for": "Amazon", "seconds": 187.1}],
     "steps": [{"waits_for": "Amazon", "start": 1.2, "seconds": 180.0, "ord": 4}],
     "more": {"steps": 5, "seconds": 7.1}}
    ```

    `sums` has an entry for own work and for each `ends_wait_for` of the action classes, in the same
    order for all sessions. `steps` has the longest steps in order of time, and `more` sums
    up the other steps. The time of a running session ends with its last action.

    Args:
        session: a header, with `started_at` and `finished_at`.
        actions: all actions of the session in order, with ord, type, at and payload.
    """
    steps = list(divide_time(session["started_at"], session["finished_at"], actions))
    longest = sorted(steps, key=lambda step: step.seconds, reverse=True)[:MOST_STEPS]
    shown = [step for step in steps if step in longest and step.seconds >= SHORTEST_SECONDS]
    kinds = {each.ends_wait_for for each in action_classes().values() if each.ends_wait_for}
    return {
        "seconds": _total(steps),
        "sums": [
            {"waits_for": kind, "seconds": _total(step for step in steps if step.waits_for == kind)}
            for kind in (None, *sorted(kinds))
        ],
        "steps": [step._asdict() for step in shown],
        "more": {
            "steps": len(steps) - len(shown),
            "seconds": round(_total(steps) - _total(shown), 3),
        },
    }


def divide_time(
    started_at: datetime, finished_at: datetime | None, actions: Iterable[Mapping[Any, Any]]
) -> Iterator[Step]:
    """Yield the steps of a session in order, without gaps; each has a length above 0."""
    classes = action_classes()
    end = 0.0
    for action in actions:
        start, end = end, max(end, (action["at"] - started_at).total_seconds())
        kind, own = _waiting(classes.get(action["type"]), action["payload"], end - start)
        yield from _not_empty(
            Step(kind, start, end - own - start, action["ord"]),
            Step(None, end - own, own, action["ord"]),
        )
    if finished_at is not None:
        seconds = (finished_at - started_at).total_seconds() - end
        yield from _not_empty(Step(None, end, seconds, None))


def _waiting(
    action_class: type[Action] | None, payload: Mapping[str, Any], seconds: float
) -> tuple[str | None, float]:
    """Return what a session waited for before an action, or None, and how long it then worked.

    `seconds` is the time since the previous action. If the session did not wait, it worked for this
    time. If it waited, the action's payload may have the seconds of work, else they are 0.
    """
    if action_class is None or action_class.ends_wait_for is None:
        return None, seconds
    own = payload.get(action_class.own_seconds or "")
    return action_class.ends_wait_for, min(seconds, own) if isinstance(own, int | float) else 0.0


def _not_empty(*steps: Step) -> Iterator[Step]:
    for step in steps:
        if step.seconds > 0:
            yield step._replace(start=round(step.start, 3), seconds=round(step.seconds, 3))


def _total(steps: Iterable[Step]) -> float:
    return round(sum(step.seconds for step in steps), 3)
