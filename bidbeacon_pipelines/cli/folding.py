"""Folds runs of actions of one type into one sentence, and many names into a list, for terminals.

The page folds by the same rules, in `web/folding.js`.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from bidbeacon_sessions.sentences import Part

SHORTEST_RUN = 3
MOST_NAMES = 3
_LISTED = frozenset({"badge", "account"})


def fold_runs(actions: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Yield actions (as `presentation.action_json`), which are in order, with each run of three and more as one.

    That is the first one, and how many there are as `folded`. Errors never fold.
    """
    for _, group in groupby(actions, key=_key):
        run = list(group)
        if len(run) >= SHORTEST_RUN:
            yield {**run[0], "folded": len(run)}
        else:
            yield from run


def _key(action: Mapping[str, Any]) -> Any:
    """Return what the actions of a run share; of one that stands alone, its place."""
    if action["tone"] == "error":
        return action["ord"]
    payload = action["payload"]
    code = (payload.get("cause") or {}).get("code")
    return action["type"], action["tone"], payload.get("reason"), code


def shorten_names(parts: Sequence[Part]) -> list[Part]:
    """Return the parts with badges or accounts that stand side by side as a list; of many the first three, and how many more."""
    shown: list[Part] = []
    kinds = (_kind_around(parts, index) for index in range(len(parts)))
    for kind, group in groupby(zip(kinds, parts, strict=True), key=lambda item: item[0]):
        run = [part for _, part in group]
        names = [part for part in run if part["kind"] == kind]
        most = MOST_NAMES if len(names) > MOST_NAMES + 1 else len(names)
        shown += _listed(names[:most], len(names) - most) if kind in _LISTED else run
    return shown


def _kind_around(parts: Sequence[Part], index: int) -> str:
    """Return the kind of a part; of a blank between two of a kind, theirs."""
    part, neighbours = parts[index], parts[max(0, index - 1) : index + 2 : 2]
    kinds = {part["kind"] for part in neighbours}
    is_between = part["text"] == " " and len(neighbours) == 2 and len(kinds) == 1  # noqa: PLR2004 - one on each side
    return kinds.pop() if is_between else part["kind"]


def _listed(names: Sequence[Part], others: int) -> list[Part]:
    """Return names with what stands between them: `a`, `a and b`, `a, b, c and 6 more`."""
    listed = [*names, *([{"kind": "text", "text": f"{others} more"}] if others else [])]
    shown = listed[:1]
    for place, name in enumerate(listed[1:], start=2):
        shown += [{"kind": "text", "text": " and " if place == len(listed) else ", "}, name]
    return shown
