"""Sessions as JSON: the list with its cursor; one session, its neighbors and references."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, RowMapping

from bidbeacon_sessions import queries
from bidbeacon_sessions.change_log import head
from bidbeacon_sessions.clock import utc_now
from bidbeacon_sessions.connections import SessionStore
from bidbeacon_sessions.filters import SessionFilter
from bidbeacon_sessions.presentation import action_json, read_labels, session_json
from bidbeacon_sessions.settings import get_session_settings
from bidbeacon_sessions.spans import describe_time

FIRST_ACTIONS = 2
LAST_ACTIONS = 10
MOST_ACTIONS = 1_000
"""The most actions of a session in one response; encoding one delays the stream by 20 µs."""
MOST_DIFFERENCES = 50
_LONGEST_VALUE = 200
_LARGE = frozenset({"error", "input", "labels"})


def read_sessions(
    store: SessionStore, wanted: SessionFilter, limit: int, older_than: UUID | None = None
) -> dict[str, Any]:
    """Return matching sessions, newest first, each with some of its actions.

    `queries.list_excerpts` selects the actions. `accounts` in the result has the keys of all
    accounts that match `wanted.account`, or `wanted.account` itself if no account matches.
    """
    with store.snapshot() as connection:
        accounts = queries.find_accounts(connection, wanted.account)
        if wanted.account is not None and not accounts:
            accounts = (wanted.account,)
        headers = queries.list_sessions(connection, wanted, limit=limit, older_than=older_than)
        rows = queries.list_excerpts(
            connection,
            [header["id"] for header in headers],
            first=FIRST_ACTIONS,
            last=LAST_ACTIONS,
            errors=LAST_ACTIONS,
            accounts=accounts,
        )
        labels = read_labels(connection, rows)
        cursor = str(head(connection).cursor)
    actions: dict[UUID, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        actions[row["session_id"]].append(action_json(row, labels))
    sessions = [session_json(header) | {"actions": actions[header["id"]]} for header in headers]
    return {"sessions": sessions, "accounts": list(accounts), **_as_of(cursor)}


def read_session(
    store: SessionStore, session_id: UUID, *, after: int = 0, most: int = 10_000
) -> dict[str, Any] | None:
    """Return a session with up to `most` of its actions, or None if the session is unknown.

    Actions are numbered by `ord` from 1; those up to `after` are skipped. `more_after` is the `ord`
    of the last returned action if there are more, else null.
    """
    with store.snapshot() as connection:
        header = queries.find_session(connection, session_id)
        if header is None:
            return None
        rows = queries.list_actions(connection, session_id, after=after, limit=most + 1)
        labels = read_labels(connection, rows[:most])
        cursor = str(head(connection).cursor)
    actions = [action_json(row, labels) for row in rows[:most]]
    more_after = rows[most - 1]["ord"] if len(rows) > most else None
    return {
        "session": session_json(header) | {"actions": actions},
        "more_after": more_after,
        **_as_of(cursor),
    }


def _as_of(cursor: str) -> dict[str, Any]:
    return {
        "cursor": cursor,
        "server_time": utc_now().isoformat(),
        "dagster_url": get_session_settings().dagster_public_url,
    }


def read_surroundings(store: SessionStore, session_id: UUID) -> dict[str, Any] | None:
    """Return a session's times, neighbors and references; None if the session is unknown.

    Also return the differences from its last good session (see `queries.find_near`).
    """
    with store.snapshot() as connection:
        session = queries.find_session(connection, session_id)
        if session is None:
            return None
        near = queries.find_near(connection, session)
        good = near["last_good"]
        here = _with_counts(connection, session)
        differences = compare(here, _with_counts(connection, good)) if good else []
        references = queries.list_references(connection, session_id)
        time = describe_time(session, queries.list_actions(connection, session_id))
    return {
        "time": time,
        "previous": _brief(near["previous"]),
        "next": _brief(near["next"]),
        "references": [dict(row) for row in references],
        "last_good": good and {"session": _brief(good), "differences": differences},
    }


def _with_counts(connection: Connection, session: RowMapping) -> dict[Any, Any]:
    return {**session, "actions": queries.count_actions_by_type(connection, session["id"])}


def compare(here: Mapping[Any, Any], there: Mapping[Any, Any]) -> list[dict[str, Any]]:
    """Return at most 50 differences between a session (`here`) and a good one (`there`).

    Only `actions` (counts by type), `input` and `labels` are compared. A difference is `{"what":
    "action", "name": "report-failed", "here": 3, "there": 0}`; a missing input or label is None.
    """
    differences = [
        *_differences("action", here["actions"], there["actions"], absent=0),
        *_differences("input", _flatten(here["input"]), _flatten(there["input"])),
        *_differences("label", _flatten(here["labels"]), _flatten(there["labels"])),
    ]
    return differences[:MOST_DIFFERENCES]


def _differences(
    what: str, here: Mapping[str, Any], there: Mapping[str, Any], *, absent: int | None = None
) -> Iterator[dict[str, Any]]:
    for name in dict.fromkeys([*there, *here]):
        one, other = here.get(name, absent), there.get(name, absent)
        if one != other:
            yield {"what": what, "name": name, "here": one, "there": other}


def _flatten(value: Any, path: str = "") -> dict[str, str]:
    """Return the values of nested objects as text, by path such as `a.b`; a list is one value."""
    if isinstance(value, Mapping) and value:
        leaves: dict[str, str] = {}
        for key, item in value.items():
            leaves |= _flatten(item, f"{path}.{key}" if path else str(key))
        return leaves
    return {path: _shown(value)} if path else {}


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"


def _brief(header: Mapping[Any, Any] | None) -> dict[str, Any] | None:
    if header is None:
        return None
    return {name: value for name, value in session_json(header).items() if name not in _LARGE}
