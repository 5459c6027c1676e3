"""SQL on the history of single windows, from the references of actions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from bidbeacon_pipelines.store.windows import LoadedWindow
from bidbeacon_sessions.queries import list_actions_at

_MOST_ACTIONS = 12

_REFERENCES = text("""
    SELECT w.account_key, w.dataset, w.window_key, t.effect, t.session_id, t.ord
      FROM unnest(CAST(:accounts AS text[]), CAST(:datasets AS text[]), CAST(:windows AS text[])) AS w(account_key, dataset, window_key)
     CROSS JOIN LATERAL (
           SELECT id, effect, session_id, ord FROM session_references s
            WHERE s.account_key = w.account_key AND s.dataset = w.dataset AND s.window_key = w.window_key
            ORDER BY id DESC LIMIT :most) t
     ORDER BY t.id""")

_UNLOADED = text("""
    SELECT * FROM (
        SELECT DISTINCT ON (account_key, dataset, window_key) account_key, dataset, window_key, effect, session_id, ord
          FROM session_references
         WHERE session_id = :session AND window_key IS NOT NULL
           AND effect IN ('loaded', 'suspicious', 'unconfirmed', 'failed', 'expired', 'wait-given-up', 'not-asked')
         ORDER BY account_key, dataset, window_key, ord DESC) ends
     WHERE effect <> 'loaded' ORDER BY window_key DESC, account_key, dataset LIMIT :most""")

WindowKey = tuple[str, str, date]


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
    positions = {(reference.session_id, reference.ord) for reference in references}
    actions = {
        (row["session_id"], row["ord"]): row for row in list_actions_at(connection, list(positions))
    }
    return [
        UnloadedWindow(
            reference.account_key,
            reference.dataset,
            date.fromisoformat(reference.window_key),
            reference.effect,
            actions[reference.session_id, reference.ord],
        )
        for reference in references
    ]


def key_of(window: LoadedWindow) -> WindowKey:
    """Return the key of a window: its account's key, its dataset, its account-local day."""
    return window.account_key, window.dataset, window.window_date


def list_stories(
    connection: Connection, windows: Sequence[LoadedWindow]
) -> dict[WindowKey, list[Mapping[Any, Any]]]:
    """Return, for each window, the actions that led to its last load, in order: those since the load before, twelve at most.

    Actions have the columns of `bidbeacon_sessions.queries.list_actions`. Each is read once,
    however many windows it references.
    """
    values = {
        "accounts": [window.account_key for window in windows],
        "datasets": [window.dataset for window in windows],
        "windows": [window.window_date.isoformat() for window in windows],
        "most": _MOST_ACTIONS,
    }
    by_window: dict[WindowKey, list[Any]] = {key_of(window): [] for window in windows}
    for reference in connection.execute(_REFERENCES, values):
        by_window[
            reference.account_key, reference.dataset, date.fromisoformat(reference.window_key)
        ].append(reference)
    last = {key: _since_load_before(references) for key, references in by_window.items()}
    wanted = {position for story in last.values() for position in story}
    actions = {
        (row["session_id"], row["ord"]): row for row in list_actions_at(connection, list(wanted))
    }
    return {
        key: [actions[position] for position in story if position in actions]
        for key, story in last.items()
    }


def _since_load_before(references: Sequence[Any]) -> list[tuple[Any, int]]:
    """Return the positions of the actions after the last load but one, up to the last load."""
    loads = [index for index, reference in enumerate(references) if reference.effect == "loaded"]
    first = loads[-2] + 1 if len(loads) > 1 else 0
    return [
        (reference.session_id, reference.ord)
        for reference in references[first : loads[-1] + 1 if loads else None]
    ]
