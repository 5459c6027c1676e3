"""SQL on what sessions recorded about single windows, from the references of actions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from bidbeacon_pipelines.windows.queries import LoadedDay
from bidbeacon_sessions.queries import list_actions_at

MOST_ACTIONS = 3

# The last actions of the session that loaded a window, up to the load.
_OF_LOADS = text("""
    SELECT w.place, t.ord
      FROM unnest(CAST(:sessions AS uuid[]), CAST(:accounts AS text[]), CAST(:datasets AS text[]),
                  CAST(:windows AS text[])) WITH ORDINALITY
           AS w(session_id, account_key, dataset, window_key, place)
     CROSS JOIN LATERAL (
           SELECT s.ord FROM session_references s
            WHERE s.account_key = w.account_key AND s.dataset = w.dataset
              AND s.window_key = w.window_key AND s.session_id = w.session_id
            GROUP BY s.ord ORDER BY bool_or(s.effect = 'loaded') DESC, s.ord DESC LIMIT :most) t
     ORDER BY w.place, t.ord""")

_UNLOADED = text("""
    SELECT * FROM (
        SELECT DISTINCT ON (account_key, dataset, window_key)
               account_key, dataset, window_key, effect, session_id, ord
          FROM session_references
         WHERE session_id = :session AND window_key IS NOT NULL
           AND effect IN ('loaded', 'suspicious', 'unconfirmed', 'failed', 'expired',
                          'wait-given-up', 'not-asked')
         ORDER BY account_key, dataset, window_key, ord DESC) ends
     WHERE effect <> 'loaded' ORDER BY window_key DESC, account_key, dataset LIMIT :most""")


@dataclass(frozen=True)
class UnloadedWindow:
    """A window that a session handled and did not load: the outcome, and the stored action."""

    account_key: str
    dataset: str
    window_date: date
    outcome: str
    action: Mapping[Any, Any]


def list_unloaded_windows(
    connection: Connection, session_id: UUID, *, most: int = 500
) -> list[UnloadedWindow]:
    """Return the windows that a session did not load, newest days first: suspicious, failed, expired, not requested, or given up.

    The last outcome counts: a window that was suspicious and then loaded is not included.
    """
    references = connection.execute(_UNLOADED, {"session": session_id, "most": most}).all()
    actions = _actions_at(connection, {(row.session_id, row.ord) for row in references})
    return [
        UnloadedWindow(
            row.account_key,
            row.dataset,
            date.fromisoformat(row.window_key),
            row.effect,
            actions[row.session_id, row.ord],
        )
        for row in references
    ]


def list_actions_of_loads(
    connection: Connection, days: Sequence[LoadedDay]
) -> list[list[Mapping[Any, Any]]]:
    """Return, for each day, the last actions about it of the session that loaded it last, in order, at most three.

    Each action is read once, however many days it is about.
    """
    values = {
        "sessions": [day.session_id for day in days],
        "accounts": [day.account_key for day in days],
        "datasets": [day.dataset for day in days],
        "windows": [day.window_date.isoformat() for day in days],
        "most": MOST_ACTIONS,
    }
    found = [
        (row.place - 1, (days[row.place - 1].session_id, row.ord))
        for row in connection.execute(_OF_LOADS, values)
    ]
    actions = _actions_at(connection, {position for _, position in found})
    by_day: list[list[Mapping[Any, Any]]] = [[] for _ in days]
    for place, position in found:
        if position in actions:
            by_day[place].append(actions[position])
    return by_day


def _actions_at(connection: Connection, positions: set[Any]) -> dict[Any, Mapping[Any, Any]]:
    rows = list_actions_at(connection, list(positions))
    return {(row["session_id"], row["ord"]): row for row in rows}
