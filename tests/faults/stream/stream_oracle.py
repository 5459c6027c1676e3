"""What must be true at the end: of the writers' own lists, the tables, the log, and what each reader shows. It uses none of our SQL."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from tests.stream.view import Json, Place, View


@dataclass
class Acknowledged:
    """What writers know of their commits: by place (session, `ord`; 0 is the session itself), the last word about it.

    A place whose last word is `tried` may have been committed or not: its writer was killed, or cut
    off, before it was told.
    """

    words: dict[Place, str] = field(default_factory=dict)

    def read(self, journals: Iterable[Path]) -> None:
        """Read the writers' lists; a line that its writer's death has cut is no word."""
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
    """What the tables hold."""

    sessions: dict[str, Json]
    actions: dict[Place, Any]

    @classmethod
    def read(cls, url: str) -> "Stored":
        """Read it in one moment."""
        with psycopg.connect(url) as connection:
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            headers = connection.execute(
                "SELECT CAST(id AS text), job_name, status, revision, action_count FROM job_sessions"
            )
            sessions = {
                row[0]: dict(
                    zip(("id", "job_name", "status", "revision", "action_count"), row, strict=True)
                )
                for row in headers
            }
            rows = connection.execute(
                "SELECT CAST(session_id AS text), ord, payload FROM session_actions"
            )
            return cls(sessions, {(row[0], row[1]): row[2] for row in rows})


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
    wanted = {id_: one for id_, one in stored.sessions.items() if _matches(one, filters)}
    faults = [f"session {id_} never arrived" for id_ in wanted.keys() - view.sessions.keys()]
    faults += [f"session {id_} is a ghost" for id_ in view.sessions.keys() - wanted.keys()]
    for id_ in wanted.keys() & view.sessions.keys():
        faults += _session_faults(view.sessions[id_], wanted[id_])
    expected = {place: payload for place, payload in stored.actions.items() if place[0] in wanted}
    shown = {place: one["payload"] for place, one in view.actions.items() if place[0] in wanted}
    faults += [f"action {place} never arrived" for place in expected.keys() - shown.keys()]
    faults += [f"action {place} is not stored" for place in shown.keys() - expected.keys()]
    faults += [
        f"action {place} differs"
        for place in expected.keys() & shown.keys()
        if expected[place] != shown[place]
    ]
    return view.faults + faults


def _matches(session: Json, filters: dict[str, str]) -> bool:
    columns = {"job": "job_name", "status": "status"}
    return all(session[columns[name]] == value for name, value in filters.items())


def _session_faults(shown: Json, stored: Json) -> list[str]:
    return [
        f"session {stored['id']} shows {name} {shown[name]}, not {stored[name]}"
        for name in ("status", "revision", "action_count")
        if shown[name] != stored[name]
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
