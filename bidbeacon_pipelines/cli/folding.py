"""Folds runs of actions of one type into one sentence, and many names into a list, for terminals.

The page folds by the same rules, in `web/folding.js`.

On the page, where a run can be opened, what promises work folds too, with what became of all the
promises.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from itertools import groupby
from typing import Any

from bidbeacon_sessions.actions import action_classes
from bidbeacon_sessions.sentences import Part, Piece, Template

SHORTEST_RUN = 3
MOST_NAMES = 3
_NAMES = frozenset({"badge", "account", "windows"})
_LISTED = frozenset({"badge", "account"})
_MERGED = _NAMES | {"count", "total"}

Values = Mapping[str, Any]
"""An action's payload as Python values, by field."""


def fold_runs(actions: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Yield actions (as `presentation.action_json`), which are in order, with each run of three and more as one.

    Such a run differs in counts, names and days only. It has the time of its first action, the
    `parts` of a sentence about all of them, and how many there are as `folded`. Errors never fold,
    nor does what promises work or can't be read.
    """
    templates = {name: action_class.template for name, action_class in action_classes().items()}
    read = [(action, _read(action)) for action in actions]
    for key, group in groupby(read, key=lambda item: _key(item[0], item[1], templates)):
        run = list(group)
        if key is not None and len(run) >= SHORTEST_RUN:
            yield _merged(
                [action for action, _ in run], [values for _, values in run if values], templates
            )
        else:
            yield from (action for action, _ in run)


def _read(action: Mapping[str, Any]) -> Values | None:
    """Return the values of an action that may fold; None of one that stands alone."""
    if action["tone"] == "error" or not action["known"] or action.get("promises"):
        return None
    try:
        return action_classes()[action["type"]].model_validate(action["payload"]).__dict__
    except ValueError:  # stored by an earlier version, or cut
        return None


def _key(
    action: Mapping[str, Any], values: Values | None, templates: Mapping[str, Template]
) -> Any:
    """Return what the actions of a run share: type, and all fields but counts, names and days, which have to be there in all or in none."""
    if values is None:
        return None
    fields = {piece.name: piece.kind for piece in templates[action["type"]].fields if piece.name}
    shared = {
        name: bool(values[name]) if kind in _MERGED else values[name]
        for name, kind in fields.items()
    }
    return action["type"], action["tone"], shared


def _merged(
    run: Sequence[Mapping[str, Any]], read: Sequence[Values], templates: Mapping[str, Template]
) -> dict[str, Any]:
    template = templates[run[0]["type"]]
    merged = {
        piece.name: _merge(piece.kind, [values[piece.name] for values in read])
        for piece in template.fields
        if piece.name
    }
    parts = template.render({**read[-1], **merged, **_range_of_days(template.fields, read)})
    labels = {
        part["value"]: part["text"]
        for action in run
        for part in action["parts"]
        if part["kind"] == "account"
    }
    for part in parts:
        if part["kind"] == "account":
            part["text"] = labels[part["value"]]
    accounts = {account["key"]: account for action in run for account in action["accounts"]}
    return {**run[0], "parts": parts, "accounts": list(accounts.values()), "folded": len(run)}


def _merge(kind: str, values: Sequence[Any]) -> Any:
    """Return counts added up, all names and days once, and of anything else the last."""
    if kind == "count":
        return _total(values)
    return list(dict.fromkeys(_flat(values))) if kind in _NAMES else values[-1]


def _total(values: Sequence[Any]) -> int:
    """Return numbers and lengths of lists added up; of mappings, the number of different keys."""
    if all(isinstance(value, Mapping) for value in values):
        return len({key for value in values for key in value})
    return sum(len(value) if isinstance(value, (list, tuple)) else value or 0 for value in values)


def _flat(values: Iterable[Any]) -> Iterator[Any]:
    for value in values:
        yield from value if isinstance(value, (list, tuple)) else () if value is None else (value,)


def _range_of_days(fields: Sequence[Piece], read: Sequence[Values]) -> dict[str, date]:
    """Return the first and last day of all if the sentence has a range: two fields of a single day."""
    days = [
        piece.name
        for piece in fields
        if piece.kind == "windows" and isinstance(read[0][piece.name or ""], date)
    ]
    if len(days) != 2:  # noqa: PLR2004 - its beginning and its end
        return {}
    first, last = (name or "" for name in days)
    return {
        first: min(values[first] for values in read),
        last: max(values[last] for values in read),
    }


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
