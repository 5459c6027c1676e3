"""What must be true at the end: of the writers' own lists, the tables, the log, and what each reader shows. It uses none of our SQL."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from tests.stream.view import Json, Place, View

COMPARED = ("status", "revision", "action_count")


class Acknowledged:
    """What writers know of their commits: by place (session, `ord`; 0 is the session itself), the last word about it.

    A place whose last word is `tried` may have been committed or not: its writer was killed, or cut
    off, before it was told.
    """

    def __init__(self, journals: Iterable[Path]) -> None:
        self.words: dict[Place, str] = {}
        for journal in journals:
            for line in journal.read_text().splitlines():
                session, place, word = json.loads(line)
                if self.words.get((session, place)) != "acknowledged":
                    self.words[session, place] = word

    def places(self, word: str) -> set[Place]:
        """Return the places with this last word."""
        return {place for place, last in self.words.items() if last == word}


@dataclass(frozen=True)
class Stored:
    """The contents of the tables at one moment."""

    sessions: Mapping[str, Json]
    actions: Mapping[Place, Json]

    @classmethod
    def read(cls, url: str) -> "Stored":
        """Read all sessions and actions of a database."""
        with psycopg.connect(url, row_factory=dict_row) as connection:
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            headers = connection.execute(
                "SELECT CAST(id AS text) AS id, job_name, status, revision, action_count FROM job_sessions"
            )
            sessions = {row["id"]: row for row in headers}
            rows = connection.execute(
                "SELECT CAST(session_id AS text) AS session_id, ord, payload FROM session_actions"
            )
            actions = {(row["session_id"], row["ord"]): row["payload"] for row in rows}
        return cls(sessions, actions)


def writers_faults(acknowledged: Acknowledged, stored: Stored) -> list[str]:
    """Compare the tables with the writers' lists: this is about PostgreSQL and the writers, and holds before anything is said of the stream."""
    there = set(stored.actions) | {(session, 0) for session in stored.sessions}
    lost = acknowledged.places("acknowledged") - there
    invented = {place for place in acknowledged.places("undone") & there if place[1]}
    return [f"{place} was acknowledged and is not stored" for place in lost] + [
        f"{place} was rolled back and is stored" for place in invented
    ]


def view_faults(view: View, stored: Stored, filters: dict[str, str]) -> list[str]:
    """Compare what a reader shows with the tables."""
    columns = {"job": "job_name", "status": "status"}
    wanted = {
        id_: [one[name] for name in COMPARED]
        for id_, one in stored.sessions.items()
        if all(one[columns[name]] == value for name, value in filters.items())
    }
    shown = {id_: [one[name] for name in COMPARED] for id_, one in view.sessions.items()}
    actions = {place: payload for place, payload in stored.actions.items() if place[0] in wanted}
    shown_actions = {
        place: one["payload"] for place, one in view.actions.items() if place[0] in wanted
    }
    return [
        *view.faults,
        *_differences("session", wanted, shown),
        *_differences("action", actions, shown_actions),
    ]


def _differences(what: str, stored: Mapping[Any, Any], shown: Mapping[Any, Any]) -> list[str]:
    return [
        *(f"{what} {key} never arrived" for key in stored.keys() - shown.keys()),
        *(f"{what} {key} is a ghost" for key in shown.keys() - stored.keys()),
        *(
            f"{what} {key} is shown as {shown[key]}, not {stored[key]}"
            for key in stored.keys() & shown.keys()
            if stored[key] != shown[key]
        ),
    ]


_LOG = """
    SELECT c.position, count(l.position), coalesce(max(l.position), c.position),
           coalesce(max(l.position) - min(l.position) + 1, 0)
      FROM session_change_cursor c LEFT JOIN session_changes l ON true GROUP BY c.position"""
_TWICE = (
    "SELECT session_id, ord FROM session_changes WHERE ord > 0 GROUP BY 1, 2 HAVING count(*) > 1"
)


def log_faults(url: str) -> list[str]:
    """Tell what is wrong with the log itself: gaps, a cursor beside its end, an action published twice."""
    with psycopg.connect(url) as connection:
        position, rows, newest, spanned = connection.execute(_LOG).fetchall()[0]
        twice = connection.execute(_TWICE).fetchall()
    faults = [f"{place} was published twice" for place in twice]
    if rows != spanned:
        faults.append(f"the log has {rows} rows over {spanned} positions")
    if newest != position:
        faults.append(f"the log ends at {newest}, its cursor says {position}")
    return faults


def summary(faults: list[str]) -> str:
    """Count faults of the same kind, with the first of each."""
    kinds: dict[str, list[str]] = {}
    for fault in faults:
        kinds.setdefault(re.sub(r"[0-9a-f-]{36}|\d+", "…", fault), []).append(fault)
    return "\n".join(f"{len(same)} × {same[0]}" for same in kinds.values())
