"""Read sessions: lists, one session, its neighbors, references and counts.

`writes.py` writes sessions; `change_log.py` and `leases.py` have their own SQL.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from bidbeacon_sessions import search
from bidbeacon_sessions.filters import SessionFilter
from bidbeacon_sessions.search import H
from bidbeacon_sessions.tables import MARK, SessionAction, SessionSubject

_A = SessionAction.__table__.alias("s")
_S = SessionSubject.__table__
_OF_SESSION = _A.c.session_id == H.c.id
_COUNTED = sa.select(sa.func.count().label("action_count")).where(_OF_SESSION).lateral("counted")
_DID_MORE_THAN_SKIP = sa.exists().where(_OF_SESSION, _A.c.type.not_like("%-skipped"))
_ONLY_SKIPPED = sa.and_(
    search.MARK_OF == "succeeded", _COUNTED.c.action_count > 0, ~_DID_MORE_THAN_SKIP
)
_LABEL = sa.select(_S.c.label).where(_S.c.key == H.c.account_key).scalar_subquery()
_HEADERS = sa.select(
    *(column for column in H.c if column.name not in {"outcome", "revision", "changed_xid"}),
    _LABEL.label("account_label"),
    search.OUTCOME_OF.label("outcome"),
    _COUNTED.c.action_count,
    (H.c.revision + _COUNTED.c.action_count).label("revision"),
    sa.case((_ONLY_SKIPPED, "skipped"), else_=search.MARK_OF).label("mark"),
).join_from(H, _COUNTED, sa.true())
"""Columns: those of `session_headers`, account_label, outcome (of a running session: so far),
action_count, revision, and mark: the word for its icon and color (running, succeeded, warnings,
problems, skipped, failed, retried, crashed, cancelled)."""

_ACTIONS = sa.select(*(_A.c.session_id, _A.c.ord, _A.c.type, _A.c.tone, _A.c.at, _A.c.payload))


def list_actions(
    connection: sa.Connection, session_id: UUID, *, after: int = 0, limit: int = 10_000
) -> Sequence[sa.RowMapping]:
    """Return a session's actions whose number `ord` is greater than `after`.

    Columns: session_id, ord, type, tone, at, payload.
    """
    of_session = _ACTIONS.where(_A.c.session_id == session_id, _A.c.ord > after)
    return connection.execute(of_session.order_by(_A.c.ord).limit(limit)).mappings().all()


def list_actions_at(
    connection: sa.Connection, places: Collection[tuple[UUID, int]]
) -> Sequence[sa.RowMapping]:
    """Return the actions at the given places (session id, ord), in order of `ord`."""
    wanted = sa.func.unnest(
        sa.cast([place[0] for place in places], sa.ARRAY(sa.Uuid)),
        sa.cast([place[1] for place in places], sa.ARRAY(sa.BigInteger)),
    )
    at = wanted.table_valued("session_id", "ord", name="wanted").render_derived()
    found = _ACTIONS.join(at, sa.and_(_A.c.session_id == at.c.session_id, _A.c.ord == at.c.ord))
    return connection.execute(found.order_by(_A.c.ord)).mappings().all()


_ABOUT = sa.text(f"""
    SELECT * FROM (
        SELECT t.id AS reference_id, t.effect, a.session_id, a.ord, a.type, a.tone, a.at, a.payload,
               h.job_name, h.status AS session_status, {MARK} AS session_mark
          FROM session_references t
          JOIN session_actions a ON a.session_id = t.session_id AND a.ord = t.ord
          JOIN session_headers h ON h.id = t.session_id
         WHERE t.account_key = :account
           AND (t.dataset = :dataset AND t.window_key = :window
                OR t.dataset IS NULL AND t.effect = ANY(:effects))
         ORDER BY t.id DESC
         LIMIT 200) newest
     ORDER BY reference_id""")


def list_actions_about(
    connection: sa.Connection,
    account: str,
    dataset: str,
    window: str,
    *,
    effects: Sequence[str],
) -> Sequence[sa.RowMapping]:
    """Return the newest 200 actions on a window, or on its whole account, oldest first.

    Actions on the whole account are included only if their effect is one of `effects`.

    Columns: effect, job_name, session_status, session_mark (see `tables.MARK`), and those of
        `list_actions`.
    """
    names = {"account": account, "dataset": dataset, "window": window}
    return connection.execute(_ABOUT, {**names, "effects": list(effects)}).mappings().all()


# A key of a session means itself. Any other text is searched in all names and keys, ignoring case,
# blanks and punctuation.
_NAMED = sa.text("""
    SELECT :given AS key
     WHERE EXISTS (SELECT FROM session_subjects WHERE key = :given)
        OR EXISTS (SELECT FROM session_headers WHERE account_key = :given)
        OR EXISTS (SELECT FROM session_references WHERE account_key = :given)""")
_PLAIN = r"trim('-' FROM regexp_replace(lower({}), '\W+', '-', 'g'))"
_CALLED = sa.text(f"""
    SELECT key FROM session_subjects
     WHERE CASE WHEN {_PLAIN.format(":given")} = ''
                THEN position(lower(:given) IN lower(label)) > 0
                ELSE position({_PLAIN.format(":given")}
                              IN {_PLAIN.format("label || ' ' || key")}) > 0 END
     ORDER BY key""")


def find_accounts(connection: sa.Connection, given: str | None) -> tuple[str, ...]:
    """Return the key `given` if an account has it, else the keys of similar accounts.

    Similar accounts contain `given` in their name or key. If `given` is None, return no key.
    """
    for statement in () if given is None else (_NAMED, _CALLED):
        if found := tuple(connection.execute(statement, {"given": given}).scalars()):
            return found
    return ()


# The rows that match a filter differ a hundredfold from one value to the next, so that each
# statement is planned anew. It reads few rows, so parallel workers would not help.
_PLAN_EACH = sa.text("""
    SELECT set_config('plan_cache_mode', 'force_custom_plan', true),
           set_config('max_parallel_workers_per_gather', '0', true)""")


def list_sessions(
    connection: sa.Connection,
    wanted: SessionFilter,
    *,
    limit: int = 50,
    older_than: UUID | None = None,
) -> Sequence[sa.RowMapping]:
    """Return the headers (see `_HEADERS`) of matching sessions, newest first."""
    place: search.Place | None = None
    if older_than is not None:
        of_last = sa.select(H.c.started_at, H.c.id).where(H.c.id == older_than)
        if (last := connection.execute(of_last).first()) is None:
            return ()
        place = (last.started_at, last.id)
    accounts = find_accounts(connection, wanted.account)
    newest = search.find_newest(wanted, accounts, place, limit).cte("newest")
    newest = newest.prefix_with("MATERIALIZED")
    found = _HEADERS.join(newest, newest.c.id == H.c.id)
    connection.execute(_PLAN_EACH)
    ordered = found.order_by(H.c.started_at.desc(), H.c.id.desc())
    return connection.execute(ordered).mappings().all()


def list_sessions_by_id(connection: sa.Connection, ids: Sequence[UUID]) -> Sequence[sa.RowMapping]:
    """Return the headers of the given sessions."""
    return connection.execute(_HEADERS.where(_among(ids))).mappings().all()


def find_session(connection: sa.Connection, session_id: UUID) -> sa.RowMapping | None:
    """Return one session's header, or None."""
    return next(iter(list_sessions_by_id(connection, [session_id])), None)


def _among(ids: Sequence[UUID]) -> sa.ColumnElement[bool]:
    return H.c.id == sa.any_(sa.literal(list(ids), sa.ARRAY(sa.Uuid)))


def match_sessions(
    connection: sa.Connection, ids: Sequence[UUID], wanted: SessionFilter
) -> dict[UUID, bool]:
    """Return the given sessions that match a filter, ignoring its status and outcome.

    The value is True if status and outcome match too. A session that matches can stop matching only
    because its status or outcome changes.
    """
    accounts = find_accounts(connection, wanted.account)
    lasting = search.conditions(wanted.without("status", "outcome"), accounts)
    is_kept = sa.and_(sa.true(), *search.conditions_that_pass(wanted, accounts)).label("is_kept")
    rows = connection.execute(sa.select(H.c.id, is_kept).where(_among(ids), *lasting))
    return {row.id: row.is_kept for row in rows}


_EXCERPTS = sa.text("""
    SELECT a.session_id, a.ord, a.type, a.tone, a.at, a.payload
      FROM unnest(CAST(:ids AS uuid[])) AS wanted(id)
     CROSS JOIN LATERAL (
           (SELECT ord FROM session_actions s
             WHERE s.session_id = wanted.id
             ORDER BY ord LIMIT :first)
           UNION
           (SELECT ord FROM session_actions s
             WHERE s.session_id = wanted.id
             ORDER BY ord DESC LIMIT :last)
           UNION
           (SELECT ord FROM session_actions s
             WHERE s.session_id = wanted.id AND s.tone = 'error'
             ORDER BY ord DESC LIMIT :errors)
           UNION
           (SELECT DISTINCT ord FROM session_references t
             WHERE t.session_id = wanted.id AND t.account_key = ANY(:accounts)
             ORDER BY ord DESC LIMIT :last)) shown
      JOIN session_actions a ON a.session_id = wanted.id AND a.ord = shown.ord
     ORDER BY a.session_id, a.ord""")


def list_excerpts(
    connection: sa.Connection,
    ids: Sequence[UUID],
    *,
    last: int,
    first: int = 0,
    errors: int = 0,
    accounts: Sequence[str] = (),
) -> Sequence[sa.RowMapping]:
    """Return some actions of several sessions, in order within each session.

    For each session, the result has the first `first` actions, the last `last` actions, the last
    `errors` actions with an error, and the last `last` actions that refer to one of `accounts`.
    """
    values = {"first": first, "last": last, "errors": errors, "accounts": list(accounts)}
    return connection.execute(_EXCERPTS, values | {"ids": list(ids)}).mappings().all()


def read_subject_labels(connection: sa.Connection, keys: Collection[str]) -> dict[str, str]:
    """Return the labels of subjects, by key; subjects without a label are left out."""
    if not keys:
        return {}
    named = sa.select(_S.c.key, _S.c.label).where(_S.c.key.in_(keys))
    return {row.key: row.label for row in connection.execute(named)}


def find_near(
    connection: sa.Connection, session: Mapping[Any, Any]
) -> dict[str, sa.RowMapping | None]:
    """Return the headers of a session's neighbors among the sessions of its job and account.

    The keys are `previous`, `next`, and `last_good`: the newest earlier session that succeeded
    without problems.
    """
    same = _HEADERS.where(
        H.c.job_name == session["job_name"], H.c.account_key == session["account_key"]
    )
    place = sa.tuple_(H.c.started_at, H.c.id)
    here = search.place_tuple(session["started_at"], session["id"])
    earlier = same.where(place < here).order_by(H.c.started_at.desc(), H.c.id.desc()).limit(1)
    later = same.where(place > here).order_by(H.c.started_at, H.c.id).limit(1)
    good = earlier.where(H.c.status == "succeeded", H.c.outcome != "problems")
    near = {"previous": earlier, "next": later, "last_good": good}
    return {name: connection.execute(found).mappings().first() for name, found in near.items()}


MOST_REFERENCES = 1_000
_REFERENCES = sa.text("""
    SELECT t.account_key, n.label AS account_label, t.dataset, t.effect,
           array_agg(DISTINCT t.window_key ORDER BY t.window_key)
               FILTER (WHERE t.window_key IS NOT NULL) AS windows
      FROM session_references t
      LEFT JOIN session_subjects n ON n.key = t.account_key
     WHERE t.session_id = :id
     GROUP BY t.account_key, n.label, t.dataset, t.effect
     ORDER BY min(t.ord), t.account_key, t.dataset
     LIMIT :most""")


def list_references(connection: sa.Connection, session_id: UUID) -> Sequence[sa.RowMapping]:
    """Return a session's references by account, dataset and effect, in order of first use.

    Columns: account_key, account_label, dataset, effect, windows (or None).
    """
    values = {"id": session_id, "most": MOST_REFERENCES}
    return connection.execute(_REFERENCES, values).mappings().all()


def count_actions_by_type(connection: sa.Connection, session_id: UUID) -> dict[str, int]:
    """Return the number of a session's actions by type, in order of first appearance."""
    by_type = sa.select(_A.c.type, sa.func.count().label("actions")).group_by(_A.c.type)
    in_order = by_type.where(_A.c.session_id == session_id).order_by(sa.func.min(_A.c.ord))
    return {row.type: row.actions for row in connection.execute(in_order)}


UNRECOVERED_SESSIONS = """
    SELECT h.*, n.label
      FROM session_headers h
      LEFT JOIN session_subjects n ON n.key = h.account_key
     WHERE h.status IN ('failed', 'crashed') AND h.outcome = 'problems'
       AND NOT EXISTS (
           SELECT FROM session_headers s
            WHERE s.job_name = h.job_name AND s.account_key IS NOT DISTINCT FROM h.account_key
              AND s.started_at > h.started_at AND s.status = 'succeeded')"""
"""SQL for failed or crashed sessions without a later success of the same job and account.

Columns: those of `session_headers`, and the account's `label`."""

_FAILED_TWICE = sa.text("""
    SELECT account FROM (
        SELECT coalesce(account_key, '') AS account, status, finished_at,
               row_number() OVER (PARTITION BY account_key ORDER BY started_at DESC) AS place
          FROM session_headers
         WHERE job_name = :job
           AND started_at BETWEEN CAST(:since AS timestamptz) - interval '1 day'
                              AND CAST(:since AS timestamptz) + interval '1 hour') AS sessions
     WHERE place <= 2
     GROUP BY account
    HAVING count(*) = 2 AND bool_and(status = 'failed')
       AND max(finished_at) BETWEEN :since AND CAST(:since AS timestamptz) + interval '1 hour'""")


def list_accounts_failed_twice(
    connection: sa.Connection, job_name: str, *, since: datetime
) -> set[str]:
    """Return the accounts (`""`: no account) whose last two sessions of a job both failed.

    Only sessions that started between a day before and an hour after `since` are read. Of the two
    sessions, the one that ended last must have ended within the hour after `since`.
    """
    return set(connection.execute(_FAILED_TWICE, {"job": job_name, "since": since}).scalars())
