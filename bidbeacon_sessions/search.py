"""Builds the statements that find the sessions a filter means; `queries.py` executes them.

A list is found by walking from the newest session on, by an index on the start, until it is full.
Only a text that the newest sessions don't have is looked up in the index of words.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    CTE,
    ColumnElement,
    CompoundSelect,
    FromClause,
    Select,
    Text,
    TextClause,
    Tuple,
    Uuid,
    and_,
    cast,
    column,
    desc,
    exists,
    func,
    literal,
    literal_column,
    or_,
    select,
    table,
    text,
    true,
    tuple_,
    union,
    union_all,
)

from bidbeacon_sessions.filters import SessionFilter
from bidbeacon_sessions.tables import (
    ACTION_WORDS,
    MARK,
    OUTCOME,
    OUTCOME_SO_FAR,
    SessionAction,
    SessionHeader,
    SessionReference,
)

Place = tuple[datetime, UUID]
"""Start and id of a session: its place in a list."""
Condition = ColumnElement[bool] | TextClause
Keys = Sequence[str] | ColumnElement[str]

WALKED_FOR_TEXT = 500
"""So many sessions are searched one by one before the index of words is used."""

H = SessionHeader.__table__.alias("h")
_A = SessionAction.__table__.alias("f")
_T = SessionReference.__table__.alias("t")
_FOR_ACCOUNT = table(
    "job_session_accounts", column("session_id"), column("account_key"), column("outcome")
)
_NEWEST_FIRST = (desc("started_at"), desc("id"))

OUTCOME_OF: ColumnElement[str] = literal_column(OUTCOME)
"""The outcome of the session `h`; so far, for one that runs."""
MARK_OF: ColumnElement[str] = literal_column(MARK)


def find_newest(
    wanted: SessionFilter, accounts: Sequence[str], older_than: Place | None, limit: int
) -> Select[Any]:
    """Return the statement that finds the newest matching sessions: `started_at` and `id`.

    Args:
        wanted: the filter.
        accounts: the keys of the accounts that its `account` means.
        older_than: the last session of the page before.
        limit: how many.
    """
    if wanted.text is None:
        return _walk(wanted, accounts, older_than, limit)
    recent = _walk(wanted, accounts, older_than, WALKED_FOR_TEXT).cte("recent")
    among_recent = (
        select(recent.c.started_at, recent.c.id)
        .join(H, H.c.id == recent.c.id)
        .where(_has_text(wanted.text))
        .order_by(recent.c.started_at.desc(), recent.c.id.desc())
        .limit(limit)
    )
    last = (
        select(recent.c.started_at, recent.c.id)
        .order_by(recent.c.started_at.desc(), recent.c.id.desc())
        .offset(WALKED_FOR_TEXT - 1)
        .subquery("last")
    )
    by_index = sessions_with_text(wanted.text)
    older = (
        select(H.c.started_at, H.c.id)
        .select_from(last.join(H, tuple_(H.c.started_at, H.c.id) < tuple_(*last.c)))
        .where(H.c.id.in_(select(by_index.c.id)), *conditions(wanted.without("text"), accounts))
        .order_by(H.c.started_at.desc(), H.c.id.desc())
        .limit(limit)
    )
    # The server executes the second part only where the first has too few.
    found = union_all(among_recent, older).subquery("found")
    return select(found.c.started_at, found.c.id).limit(limit)


def conditions(wanted: SessionFilter, accounts: Sequence[str]) -> list[Condition]:
    """Return the conditions on the session `h`: quick for known sessions, or where nearly all match."""
    given = _of_header(wanted, accounts)
    if wanted.text is not None:
        given.append(_has_text(wanted.text))
    refers = _refers(wanted, accounts)
    if wanted.dataset is not None or wanted.window is not None:
        given.append(refers)
    elif wanted.account is not None:
        given.append(or_(H.c.account_key.in_(accounts), refers))
    return given


def conditions_that_pass(wanted: SessionFilter, keys: Keys) -> list[Condition]:
    """Return those conditions on the session `h` that it may meet now and not later: its status and outcome."""
    given: list[Condition] = [] if wanted.status is None else [H.c.status == wanted.status]
    if wanted.outcome is not None:
        given.append(_has_outcome(wanted, keys))
    return given


def place_tuple(started_at: datetime, session_id: UUID) -> Tuple:
    """Return a session's place as SQL that places can be compared with."""
    return tuple_(literal(started_at, H.c.started_at.type), literal(session_id, H.c.id.type))


def _walk(
    wanted: SessionFilter, accounts: Sequence[str], older_than: Place | None, limit: int
) -> Select[Any]:
    """Return the newest sessions that match, their text left aside."""
    if wanted.account is None:
        if wanted.window is not None:
            return _walk_references(wanted, (), older_than, limit)
        refers = [_refers(wanted, ())] if wanted.dataset is not None else []
        return _walk_headers(wanted, (), older_than, limit, *refers)
    named = func.unnest(cast(list(accounts), ARRAY(Text))).table_valued("key")
    named = named.render_derived(name="named")
    key: ColumnElement[str] = literal_column("named.key")
    of_each: Select[Any] | CompoundSelect[Any]
    of_each = _walk_references(wanted, key, older_than, limit)
    if wanted.dataset is None and wanted.window is None:
        is_own = H.c.account_key == key
        own = _walk_headers(wanted, key, older_than, limit, is_own)
        of_each = union(own, of_each).order_by(*_NEWEST_FIRST).limit(limit)
    each = of_each.lateral("each")
    return (
        select(each.c.started_at, each.c.id)
        .select_from(named.join(each, true()))
        .distinct()
        .order_by(each.c.started_at.desc(), each.c.id.desc())
        .limit(limit)
    )


def _walk_headers(
    wanted: SessionFilter, keys: Keys, older_than: Place | None, limit: int, *more: Condition
) -> Select[Any]:
    return (
        select(H.c.started_at, H.c.id)
        .where(*_of_header(wanted, keys), *_older(H, H.c.id, older_than), *more)
        .order_by(H.c.started_at.desc(), H.c.id.desc())
        .limit(limit)
    )


def _walk_references(
    wanted: SessionFilter, keys: Keys, older_than: Place | None, limit: int
) -> Select[Any]:
    """Walk the references from the newest session on; each session counts once."""
    walk = (
        select(_T.c.started_at, _T.c.session_id.label("id"))
        .distinct()
        .where(
            *_referred(wanted, keys),
            *_of_time(wanted, _T),
            *_older(_T, _T.c.session_id, older_than),
        )
        .order_by(_T.c.started_at.desc(), _T.c.session_id.desc())
    )
    others = _of_header(wanted.without("since", "before"), keys)
    if not others:
        return walk.limit(limit)
    walked = walk.offset(0).subquery("walked")
    return (
        select(walked.c.started_at, walked.c.id)
        .join(H, H.c.id == walked.c.id)
        .where(*others)
        .order_by(walked.c.started_at.desc(), walked.c.id.desc())
        .limit(limit)
    )


def _of_header(wanted: SessionFilter, keys: Keys) -> list[Condition]:
    """Return the conditions on the session itself, its account and text left aside."""
    given = [*_of_time(wanted, H), *conditions_that_pass(wanted, keys)]
    if wanted.job is not None:
        given.append(H.c.job_name == wanted.job)
    if wanted.run is not None:
        given.append(H.c.run_id == wanted.run)
    if wanted.type is not None:
        given.append(exists().where(_A.c.session_id == H.c.id, _A.c.type == wanted.type))
    return given


def _has_outcome(wanted: SessionFilter, keys: Keys) -> Condition:
    if wanted.account is None:  # two conditions, so that the index on ended sessions is used
        so_far: Condition = literal_column(OUTCOME_SO_FAR) == wanted.outcome
        return or_(H.c.outcome == wanted.outcome, and_(H.c.outcome.is_(None), so_far))
    return exists().where(
        _FOR_ACCOUNT.c.session_id == H.c.id,
        _one_of(_FOR_ACCOUNT.c.account_key, keys),
        _FOR_ACCOUNT.c.outcome == wanted.outcome,
    )


def _of_time(wanted: SessionFilter, source: FromClause) -> list[Condition]:
    given: list[Condition] = []
    if wanted.since is not None:
        given.append(source.c.started_at >= wanted.since)
    if wanted.before is not None:
        given.append(source.c.started_at < wanted.before)
    return given


def _older(source: FromClause, id_: ColumnElement[UUID], place: Place | None) -> list[Condition]:
    return [] if place is None else [tuple_(source.c.started_at, id_) < place_tuple(*place)]


def _refers(wanted: SessionFilter, keys: Keys) -> Condition:
    return exists().where(_T.c.session_id == H.c.id, *_referred(wanted, keys))


def _referred(wanted: SessionFilter, keys: Keys) -> list[Condition]:
    """Return the conditions on one reference of a session."""
    given = [] if wanted.account is None else [_one_of(_T.c.account_key, keys)]
    if wanted.dataset is not None:
        given.append(_T.c.dataset == wanted.dataset)
    if wanted.window is not None:
        given.append(_T.c.window_key == wanted.window)
    return given


def _one_of(key: ColumnElement[str], keys: Keys) -> Condition:
    return key == keys if isinstance(keys, ColumnElement) else key.in_(keys)


# All words, in any order, each may be a beginning. A text without words finds no action.
_WORDS = "plainto_tsquery('simple', :text)"
_QUERY = f"CAST(regexp_replace(CAST({_WORDS} AS text), '''( &|$)', ''':*\\1', 'g') AS tsquery)"
_SHOWN = (
    "h.job_name",
    "h.account_key",
    "h.error ->> 'message'",
    "h.error ->> 'type'",
    "CAST(h.input AS text)",
)
_IN_HEADER = " OR ".join(
    [
        *(f"position(lower(:text) IN lower({shown})) > 0" for shown in _SHOWN),
        "h.run_id = :text",
        "CAST(h.id AS text) = :text",
    ]
)
# Making the words of an action costs ten times as much as checking for their letters. The count
# keeps the server from looking up all actions with the text.
_MAY_HAVE = """lower(f.type || ' ' || CAST(f.payload AS text)) LIKE ALL (ARRAY(
    SELECT '%' || lexeme || '%' FROM unnest(to_tsvector('simple', :text))))"""
_HAS_TEXT = f"""({_IN_HEADER} OR 0 < (SELECT count(*) FROM (
    SELECT FROM session_actions f
     WHERE f.session_id = h.id AND {_MAY_HAVE} AND {ACTION_WORDS} @@ ({_QUERY}) LIMIT 1) one))"""
_WITH_TEXT = f"""
    SELECT h.id FROM session_headers h WHERE {_IN_HEADER}
     UNION
    SELECT f.session_id FROM session_actions f WHERE {ACTION_WORDS} @@ ({_QUERY})"""


def _has_text(wanted: str) -> Condition:
    """Search the session `h` itself."""
    return text(_HAS_TEXT).bindparams(text=wanted)


def sessions_with_text(wanted: str) -> CTE:
    """Return the ids of all sessions with a text, found by the index of words and by looking at each header."""
    found = text(_WITH_TEXT).bindparams(text=wanted).columns(column("id", Uuid()))
    return found.cte("with_text").prefix_with("MATERIALIZED")
