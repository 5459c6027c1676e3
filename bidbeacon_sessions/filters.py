"""Which sessions are meant by a filter, and the SQL that finds the newest of them, however rare or common what is asked for is.

Only texts are made here; `queries.py` sends them. Fields are bound parameters of their own names.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from bidbeacon_sessions.tables import ACTION_WORDS, OUTCOME_SO_FAR

MOST_RARE = 20_000

# All words, in any order, each may be a beginning. A text without words finds nothing among the
# actions.
_WORDS = "plainto_tsquery('simple', :text)"
_QUERY = f"CAST(regexp_replace(CAST({_WORDS} AS text), '''( &|$)', ''':*\\1', 'g') AS tsquery)"
_CONTAINS = "position(lower(:text) IN lower({})) > 0"
_IN_HEADER = " OR ".join(
    [
        *(
            _CONTAINS.format(column)
            for column in ("h.job_name", "h.account_key", "h.error ->> 'message'")
        ),
        *(_CONTAINS.format(column) for column in ("h.error ->> 'type'", "CAST(h.input AS text)")),
        "h.run_id = :text",
        "CAST(h.id AS text) = :text",
    ]
)

# Making the words of an action costs ten times as much as looking whether their letters are in it.
_MAY_HAVE = """lower(f.type || ' ' || CAST(f.payload AS text)) LIKE ALL (ARRAY(
    SELECT '%' || lexeme || '%' FROM unnest(to_tsvector('simple', :text))))"""

HAS_TEXT = f"""({_IN_HEADER} OR 0 < (SELECT count(*) FROM (
    SELECT FROM session_actions f WHERE f.session_id = h.id AND {_MAY_HAVE} AND {ACTION_WORDS} @@ ({_QUERY}) LIMIT 1) one))"""
"""Looks into one session after the other: quick where many have the text, or where the sessions are few already."""

HAS_TEXT_BY_INDEX = f"({_IN_HEADER} OR h.id IN (SELECT f.session_id FROM session_actions f WHERE {ACTION_WORDS} @@ ({_QUERY})))"
"""Finds all actions with the text first: quick where few have it."""

# The server's own estimate, from its statistics of words: counting would take as long as finding
# them. A wrong one costs time only.
_ESTIMATE = text(
    f"EXPLAIN (FORMAT JSON) SELECT FROM session_actions WHERE {ACTION_WORDS} @@ ({_QUERY})"
)


def suited_to(connection: Connection, wanted: str | None, statement: str) -> str:
    """Return a statement that looks for a text (or for none) the way that is quicker: by `HAS_TEXT`, as it comes, or by the index."""
    if wanted is None:
        return statement
    plan = connection.execute(_ESTIMATE, {"text": wanted}).scalar_one()
    is_rare = int(plan[0]["Plan"]["Plan Rows"]) < MOST_RARE
    return statement.replace(HAS_TEXT, HAS_TEXT_BY_INDEX) if is_rare else statement


@dataclass(frozen=True)
class SessionFilter:
    """Which sessions are meant; a field that is None does not restrict.

    `since` and `before` are UTC instants of the start.

    `older_than` is a session: those after it in a list, newest first, are meant, also where some
    began at the same instant. `text` is looked for in what the session is called and in the words
    of its actions, each of which may be a beginning. Account, dataset and window together mean one
    reference that is of all three; an account alone also means the session's own. `outcome` is that
    of the whole session, or together with an account what the session achieved for it. `account` is
    a key. Where a reader gave a part of a name, `accounts` has the keys of all that are called so
    (see `queries.with_accounts`), and `account` does not count.
    """

    job: str | None = None
    account: str | None = None
    status: str | None = None
    outcome: str | None = None
    type: str | None = None
    dataset: str | None = None
    window: str | None = None
    run: str | None = None
    since: datetime | None = None
    before: datetime | None = None
    older_than: UUID | None = None
    text: str | None = None
    accounts: tuple[str, ...] = ()

    def values(self) -> dict[str, Any]:
        """Return the bound parameters of the statements that this filter makes."""
        return self.__dict__ | {"accounts": list(self.accounts)}

    def conditions(self) -> str:
        """Return the WHERE clause over `session_headers h`: quick for sessions that are known, or where nearly all match."""
        given = [*_given(self, _OF_HEADER), *self._of_outcome()]
        references = _given(self, _OF_REFERENCE)
        if self.dataset is not None or self.window is not None:
            given.append(
                f"EXISTS (SELECT FROM session_references t WHERE t.session_id = h.id AND {_all(references)})"
            )
        elif self.account is not None:
            given.append(
                f"(h.account_key = :account OR EXISTS (SELECT FROM session_references t WHERE t.session_id = h.id AND {_all(references)}))"
            )
        clauses = _all(given)
        return clauses.replace(_IS_ACCOUNT, "= ANY(:accounts)") if self.accounts else clauses

    def newest(self) -> str:
        """Return the statement that finds the newest `:limit` matching sessions: `started_at` and `id`."""
        if self.accounts:
            of_each = replace(self, accounts=()).newest().replace(_IS_ACCOUNT, "= named.key")
            return f"""SELECT DISTINCT n.started_at, n.id FROM unnest(CAST(:accounts AS text[])) AS named(key)
                CROSS JOIN LATERAL ({of_each}) n {_NEWEST}"""
        if self.window is not None or (self.account is not None and self.dataset is not None):
            return self._referenced()
        if self.account is not None:
            own = f"h.account_key = :account AND {replace(self, account=None).conditions()}"
            return f"({_HEADERS} WHERE {own} {_NEWEST}) UNION ({self._referenced()}) {_NEWEST}"
        return f"{_HEADERS} WHERE {self.conditions()} {_NEWEST}"

    def _of_outcome(self) -> list[str]:
        if self.outcome is None:
            return []
        return [_OUTCOME if self.account is None else _OUTCOME_FOR_ACCOUNT]

    def _referenced(self) -> str:
        """Walk the references from the newest session on: it stops at the limit, and each session counts once."""
        times = [
            clause.replace("h.id", "t.session_id").replace("h.", "t.")
            for clause in _given(self, _OF_TIME)
        ]
        walk = f"""SELECT DISTINCT t.started_at, t.session_id AS id FROM session_references t
            WHERE {_all([*_given(self, _OF_REFERENCE), *times])} ORDER BY t.started_at DESC, t.session_id DESC"""
        others = _given(
            self, {name: clause for name, clause in _OF_HEADER.items() if name not in _OF_TIME}
        )
        others += self._of_outcome()
        if not others:
            return f"{walk} LIMIT :limit"
        return f"""SELECT w.started_at, w.id FROM ({walk} OFFSET 0) w JOIN session_headers h ON h.id = w.id
            WHERE {_all(others)} ORDER BY w.started_at DESC, w.id DESC LIMIT :limit"""


_IS_ACCOUNT = "= :account"
# Two clauses in place of one, so that the index on stored outcomes is used.
_OUTCOME = f"(h.outcome = :outcome OR h.outcome IS NULL AND {OUTCOME_SO_FAR} = :outcome)"
_OUTCOME_FOR_ACCOUNT = """EXISTS (SELECT FROM job_session_accounts o
    WHERE o.session_id = h.id AND o.account_key = :account AND o.outcome = :outcome)"""
_HEADERS = "SELECT h.started_at, h.id FROM session_headers h"
_NEWEST = "ORDER BY started_at DESC, id DESC LIMIT :limit"
_OF_TIME = {
    "since": "h.started_at >= :since",
    "before": "h.started_at < :before",
    "older_than": "(h.started_at, h.id) < (SELECT o.started_at, o.id FROM session_headers o WHERE o.id = :older_than)",
}
_OF_HEADER = {
    "job": "h.job_name = :job",
    "status": "h.status = :status",
    "type": "EXISTS (SELECT FROM session_actions f WHERE f.session_id = h.id AND f.type = :type)",
    "run": "h.run_id = :run",
    "text": HAS_TEXT,
    **_OF_TIME,
}
_OF_REFERENCE = {
    "account": "t.account_key = :account",
    "dataset": "t.dataset = :dataset",
    "window": "t.window_key = :window",
}


def _given(wanted: SessionFilter, clauses: dict[str, str]) -> list[str]:
    return [clause for name, clause in clauses.items() if getattr(wanted, name) is not None]


def _all(clauses: list[str]) -> str:
    return " AND ".join(clauses) or "true"
