"""Build the statements that find sessions that match a filter; `queries.py` executes them.

Sessions are read newest first, by an index on the start time, until the list is full. The index of
words is used only if too few of the newest sessions contain the text.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from bidbeacon_sessions import tables
from bidbeacon_sessions.filters import SessionFilter

Place = tuple[datetime, UUID]
"""Start and id of a session: its place in a list."""
Condition = sa.ColumnElement[bool] | sa.TextClause
Keys = Sequence[str] | Sequence[sa.ColumnElement[str]]

WALKED_FOR_TEXT = 500
"""The number of newest sessions that are searched one by one, without the index of words."""

H = tables.SessionHeader.__table__.alias("h")
OUTCOME_OF: sa.ColumnElement[str] = sa.literal_column(tables.OUTCOME)
"""The outcome of the session `h`; of a running session, its outcome so far."""
MARK_OF: sa.ColumnElement[str] = sa.literal_column(tables.MARK)

_A = tables.SessionAction.__table__.alias("f")
_R, _OWN = tables.SessionReference.__table__, tables.SessionHeader.__table__
_ABOUT = sa.union_all(
    sa.select(
        _R.c.started_at,
        _R.c.session_id.label("id"),
        _R.c.account_key,
        _R.c.dataset,
        _R.c.window_key,
    ),
    sa.select(_OWN.c.started_at, _OWN.c.id, _OWN.c.account_key, sa.null(), sa.null()),
).subquery("about")
"""The subjects of sessions: the references of their actions, and their own accounts."""
_FOR_ACCOUNT = sa.table(
    "job_session_accounts", *map(sa.column, ("session_id", "account_key", "outcome"))
)


def find_newest(
    wanted: SessionFilter, accounts: Sequence[str], older_than: Place | None, limit: int
) -> sa.Select[Any]:
    """Return the statement that finds the newest matching sessions: `started_at` and `id`.

    `accounts` are the filter's accounts; `older_than` is the last session of the previous page.
    """
    if wanted.text is None:
        return _walk(wanted, accounts, older_than, limit)
    recent = _walk(wanted, accounts, older_than, WALKED_FOR_TEXT).cte("recent")
    of_recent = sa.select(recent.c.started_at, recent.c.id)
    last = _newest_first(of_recent, recent).offset(WALKED_FOR_TEXT - 1).subquery("last")
    among_recent = of_recent.join(H, H.c.id == recent.c.id).where(_has_text(wanted.text))
    by_index = sessions_with_text(wanted.text)
    older = (
        sa.select(H.c.started_at, H.c.id)
        .select_from(last.join(H, sa.tuple_(H.c.started_at, H.c.id) < sa.tuple_(*last.c)))
        .where(H.c.id.in_(sa.select(by_index.c.id)), *conditions(wanted.without("text"), accounts))
    )
    # The server executes the second part only if the first has too few.
    found = sa.union_all(
        _newest_first(among_recent, recent).limit(limit), _newest_first(older, H).limit(limit)
    ).subquery("found")
    return sa.select(found.c.started_at, found.c.id).limit(limit)


def conditions(
    wanted: SessionFilter, accounts: Sequence[str], older_than: Place | None = None
) -> list[Condition]:
    """Return the SQL conditions under which a session (table alias `h`) matches the filter.

    They are fast if the statement also selects sessions by id, or if nearly all sessions match.
    """
    given = [*_of_time(wanted, H, older_than), *_of_header(wanted, accounts)]
    if wanted.text is not None:
        given.append(_has_text(wanted.text))
    if about := _about(wanted, accounts):
        given.append(sa.exists().where(_ABOUT.c.id == H.c.id, *about))
    return given


def conditions_that_pass(wanted: SessionFilter, keys: Keys) -> list[Condition]:
    """Return the filter's conditions on status and outcome.

    Only these can become false when a session changes. `keys` are the filter's accounts.
    """
    given: list[Condition] = [] if wanted.status is None else [H.c.status == wanted.status]
    if wanted.outcome is None:
        return given
    if wanted.account is None:  # two conditions, so that the index on ended sessions is used
        so_far: Condition = sa.literal_column(tables.OUTCOME_SO_FAR) == wanted.outcome
        has_outcome = sa.or_(H.c.outcome == wanted.outcome, sa.and_(H.c.outcome.is_(None), so_far))
        return [*given, has_outcome]
    # No account has a worse outcome than its session, which is faster to check.
    outcomes = tables.SESSION_OUTCOMES
    may_have = H.c.outcome.in_(outcomes[outcomes.index(wanted.outcome) :])
    has_outcome = sa.exists().where(
        _FOR_ACCOUNT.c.session_id == H.c.id,
        _FOR_ACCOUNT.c.account_key.in_(keys),
        _FOR_ACCOUNT.c.outcome == wanted.outcome,
    )
    return [*given, sa.or_(H.c.outcome.is_(None), may_have), has_outcome]


def place_tuple(started_at: datetime, session_id: UUID) -> sa.Tuple:
    """Return a session's start and id as an SQL tuple, to compare with other sessions' tuples."""
    return sa.tuple_(
        sa.literal(started_at, H.c.started_at.type), sa.literal(session_id, H.c.id.type)
    )


def _walk(
    wanted: SessionFilter, accounts: Sequence[str], older_than: Place | None, limit: int
) -> sa.Select[Any]:
    """Return the statement that finds the newest matching sessions, ignoring `wanted.text`."""
    if wanted.account is None and wanted.window is None:
        given = conditions(wanted.without("text"), (), older_than)
        found = sa.select(H.c.started_at, H.c.id).where(*given)
        return _newest_first(found, H).limit(limit)
    if wanted.account is None:
        return _walk_about(wanted, (), older_than, limit)
    named = sa.func.unnest(sa.cast(list(accounts), sa.ARRAY(sa.Text))).table_valued("key")
    named = named.render_derived(name="named")
    key: sa.ColumnElement[str] = sa.literal_column("named.key")
    of_each = _walk_about(wanted, [key], older_than, limit).lateral("each")
    of_all: sa.Select[Any] = sa.select(of_each.c.started_at, of_each.c.id).distinct()
    return _newest_first(of_all.select_from(named.join(of_each, sa.true())), of_each).limit(limit)


def _walk_about(
    wanted: SessionFilter, keys: Keys, older_than: Place | None, limit: int
) -> sa.Select[Any]:
    """Return the statement of `_walk` for a filter with an account or a window.

    `keys` are the keys of the filter's accounts, or one column with such a key. They are empty if
    the filter has no account.
    """
    walk: sa.Select[Any] = sa.select(_ABOUT.c.started_at, _ABOUT.c.id).distinct()
    walk = walk.where(*_about(wanted, keys), *_of_time(wanted, _ABOUT, older_than))
    walk = _newest_first(walk, _ABOUT)
    others = _of_header(wanted, keys)
    if not others:
        return walk.limit(limit)
    walked = walk.offset(0).subquery("walked")
    found = sa.select(walked.c.started_at, walked.c.id).join(H, H.c.id == walked.c.id)
    return _newest_first(found.where(*others), walked).limit(limit)


def _newest_first(found: sa.Select[Any], source: sa.FromClause) -> sa.Select[Any]:
    return found.order_by(source.c.started_at.desc(), source.c.id.desc())


def _of_header(wanted: SessionFilter, keys: Keys) -> list[Condition]:
    given = conditions_that_pass(wanted, keys)
    if wanted.job is not None:
        given.append(H.c.job_name == wanted.job)
    if wanted.run is not None:
        given.append(H.c.run_id == wanted.run)
    if wanted.type is not None:
        given.append(sa.exists().where(_A.c.session_id == H.c.id, _A.c.type == wanted.type))
    return given


def _of_time(
    wanted: SessionFilter, source: sa.FromClause, older_than: Place | None
) -> list[Condition]:
    given: list[Condition] = []
    if wanted.since is not None:
        given.append(source.c.started_at >= wanted.since)
    if wanted.before is not None:
        given.append(source.c.started_at < wanted.before)
    if older_than is not None:
        given.append(sa.tuple_(source.c.started_at, source.c.id) < place_tuple(*older_than))
    return given


def _about(wanted: SessionFilter, keys: Keys) -> list[Condition]:
    given: list[Condition] = []
    if wanted.account is not None:
        given.append(_ABOUT.c.account_key.in_(keys))
    if wanted.dataset is not None:
        given.append(_ABOUT.c.dataset == wanted.dataset)
    if wanted.window is not None:
        given.append(_ABOUT.c.window_key == wanted.window)
    return given


# All words must occur, in any order; each may be the beginning of a word. A text without words
# matches no action.
_QUERY = (
    "CAST(regexp_replace(CAST(plainto_tsquery('simple', :text) AS text), '''( &|$)', ''':*\\1', "
    "'g') AS tsquery)"
)
_SHOWN = (
    "h.job_name",
    "h.account_key",
    "h.error ->> 'message'",
    "h.error ->> 'type'",
    "CAST(h.input AS text)",
)
_IN_HEADER = " OR ".join(f"position(lower(:text) IN lower({shown})) > 0" for shown in _SHOWN)
_IN_HEADER += " OR h.run_id = :text OR CAST(h.id AS text) = :text"
# Parsing the words of an action costs ten times as much as the LIKE before it. `count` keeps the
# server from finding all actions with the text first, and the empty tsvector from querying the
# index of words once a session.
_HAS_TEXT = f"""({_IN_HEADER} OR 0 < (SELECT count(*) FROM (
    SELECT
      FROM session_actions f
     WHERE f.session_id = h.id
       AND lower(f.type || ' ' || CAST(f.payload AS text)) LIKE ALL (ARRAY(
           SELECT '%' || lexeme || '%' FROM unnest(to_tsvector('simple', :text))))
       AND ({tables.ACTION_WORDS} || CAST('' AS tsvector)) @@ ({_QUERY})
     LIMIT 1) one))"""
_WITH_TEXT = f"""
    SELECT h.id FROM session_headers h WHERE {_IN_HEADER}
     UNION
    SELECT f.session_id FROM session_actions f WHERE {tables.ACTION_WORDS} @@ ({_QUERY})"""


def _has_text(wanted: str) -> Condition:
    return sa.text(_HAS_TEXT).bindparams(text=wanted)


def sessions_with_text(wanted: str) -> sa.CTE:
    """Return a CTE with the ids of all sessions whose header or actions contain a text."""
    found = sa.text(_WITH_TEXT).bindparams(text=wanted).columns(sa.column("id", sa.Uuid()))
    return found.cte("with_text").prefix_with("MATERIALIZED")
