"""The first load: sessions together with the cursor that they are true as of, from one moment of the database."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, RowMapping

from bidbeacon_sessions.actions import action_classes, stored_schema
from bidbeacon_sessions.change_log import head
from bidbeacon_sessions.clock import utc_now
from bidbeacon_sessions.filters import SessionFilter
from bidbeacon_sessions.presentation import action_json, load_labels, session_json
from bidbeacon_sessions.promises import Place, list_promises
from bidbeacon_sessions.queries import find_accounts, find_session, list_actions, list_excerpts, list_sessions
from bidbeacon_sessions.settings import get_session_settings
from bidbeacon_sessions.store import SessionStore

FIRST_ACTIONS = 2
LAST_ACTIONS = 10
MOST_ACTIONS = 1_000
"""How many actions of one session an answer holds: each costs some 20 µs, during which the stream sends nothing."""


def load_sessions(store: SessionStore, wanted: SessionFilter, limit: int) -> dict[str, Any]:
    """Return matching sessions, newest first, each with its first and last actions, and the last that are errors or refer to the accounts asked for.

    `accounts` has the keys of those: one for a key, also one that nothing is known of yet, or many for a part of a name.
    """
    with store.snapshot() as connection:
        accounts = find_accounts(connection, wanted.account) or (wanted.account,) if wanted.account else ()
        headers = list_sessions(connection, wanted, limit=limit)
        actions = _excerpts(connection, headers, accounts)
        cursor = str(head(connection).cursor)
    sessions = [session_json(row) | {"actions": actions[row["id"]]} for row in headers]
    return {"sessions": sessions, "accounts": list(accounts), **_as_of(cursor)}


def load_session(
    store: SessionStore,
    session_id: UUID,
    shape: Callable[[dict[str, Any]], Any] = dict,
    *,
    after: int = 0,
    most: int = 10_000,
) -> dict[str, Any] | None:
    """Return one session with up to `most` actions after an `ord`, each in a shape that is made as soon as it is read; None where there is none.

    Where there are more actions, `more_after` is the `ord` of the last one given, and else null.
    """
    with store.snapshot() as connection:
        header = find_session(connection, session_id)
        if header is None:
            return None
        promises = list_promises(connection, [session_id])
        rows = list_actions(connection, session_id, after=after, limit=most + 1)
        labels = load_labels(connection, rows)
        actions = [shape(_with_promises(row, promises, labels)) for row in rows[:most]]
        cursor = str(head(connection).cursor)
    more_after = rows[most - 1]["ord"] if len(rows) > most else None
    return {
        "session": session_json(header) | {"actions": actions},
        "more_after": more_after,
        **_as_of(cursor),
    }


def describe_actions() -> dict[str, Any]:
    """Return the catalogue of actions that this process knows: sentence, tone, version and JSON Schema by type."""
    return {
        name: {
            "description": (action.__doc__ or "").strip().partition("\n")[0],
            "sentence": action.sentence,
            "tone": action.tone,
            "version": action.schema_version,
            "schema": stored_schema(action),
        }
        for name, action in action_classes().items()
    }


def _excerpts(
    connection: Connection, headers: list[RowMapping], accounts: Sequence[str]
) -> dict[UUID, list[dict[str, Any]]]:
    ids = [row["id"] for row in headers]
    found: dict[UUID, list[dict[str, Any]]] = defaultdict(list)
    promises = list_promises(connection, ids)
    rows = list_excerpts(
        connection, ids, first=FIRST_ACTIONS, last=LAST_ACTIONS, errors=LAST_ACTIONS, accounts=accounts
    )
    labels = load_labels(connection, rows)
    for row in rows:
        found[row["session_id"]].append(_with_promises(row, promises, labels))
    return found


def _with_promises(
    row: Mapping[Any, Any], promises: Mapping[Place, list[dict[str, Any]]], labels: Mapping[str, str]
) -> dict[str, Any]:
    """Return an action; one that promised work shows under `promises` what became of it."""
    promised = promises.get((row["session_id"], row["ord"]))
    action = action_json(row, labels)
    if promised:
        action["promises"] = promised
    return action


def _as_of(cursor: str) -> dict[str, Any]:
    return {
        "cursor": cursor,
        "server_time": utc_now().isoformat(),
        "dagster_url": get_session_settings().dagster_public_url,
    }
