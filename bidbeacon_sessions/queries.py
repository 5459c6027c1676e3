"""All SQL that reads sessions: lists, one session, what stands around it, and figures over many.

What writes them is in `writes.py`.

The change log and leases have their own modules of SQL.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg.errors import QueryCanceled
from sqlalchemy import Connection, RowMapping, text
from sqlalchemy.exc import OperationalError

from bidbeacon_sessions.filters import SessionFilter, suited_to
from bidbeacon_sessions.tables import OUTCOME

_ACTIONS = text("""
    SELECT session_id, ord, type, tone, at, payload
      FROM session_actions WHERE session_id = :id AND ord > :after ORDER BY ord LIMIT :limit""")


def list_actions(
    connection: Connection, session_id: UUID, *, after: int = 0, limit: int = 10_000
) -> Sequence[RowMapping]:
    """Return a session's actions in order, from `ord` on: session_id, ord, type, tone, at, payload."""
    values = {"id": session_id, "after": after, "limit": limit}
    return connection.execute(_ACTIONS, values).mappings().all()


HEADER_COLUMNS = f"""
    h.id, h.job_name, h.run_id, h.step_key, h.retry_number, h.account_key, h.status, {OUTCOME} AS outcome, h.recovered_by,
    (SELECT n.label FROM session_subjects n WHERE n.key = h.account_key) AS account_label,
    h.started_at, h.finished_at, h.error, h.input, h.labels, counted.action_count,
    h.revision + counted.action_count AS revision,
    h.status = 'succeeded' AND counted.action_count > 0
      AND NOT EXISTS (SELECT FROM session_actions s WHERE s.session_id = h.id AND s.type NOT LIKE '%-skipped') AS skipped_only"""

ACTIONS_COUNTED = (
    "(SELECT count(*) AS action_count FROM session_actions s WHERE s.session_id = h.id) counted"
)
HEADERS_WITH_COUNTS = f"session_headers h CROSS JOIN LATERAL {ACTIONS_COUNTED}"


# What a filter finds differs a hundredfold from one value to the next: a plan is made for each,
# never kept for all. It reads little.
_PLAN_EACH = text("""
    SELECT set_config('plan_cache_mode', 'force_custom_plan', true), set_config('max_parallel_workers_per_gather', '0', true)""")


# A key that sessions have means itself. Anything else is looked for in all names and keys, whatever
# its case, blanks and punctuation.
_NAMED = text("""
    SELECT :given AS key
     WHERE EXISTS (SELECT FROM session_subjects WHERE key = :given)
        OR EXISTS (SELECT FROM session_headers WHERE account_key = :given)
        OR EXISTS (SELECT FROM session_references WHERE account_key = :given)""")
_PLAIN = r"trim('-' FROM regexp_replace(lower({}), '\W+', '-', 'g'))"
_CALLED = text(f"""
    SELECT key FROM session_subjects
     WHERE CASE WHEN {_PLAIN.format(":given")} = '' THEN position(lower(:given) IN lower(label)) > 0
                ELSE position({_PLAIN.format(":given")} IN {_PLAIN.format("label || ' ' || key")}) > 0 END
     ORDER BY key""")


def find_accounts(connection: Connection, given: str) -> tuple[str, ...]:
    """Return the keys of the accounts that a reader means: the one with this key, else all whose name or key contains the text."""
    for statement in (_NAMED, _CALLED):
        if found := tuple(connection.execute(statement, {"given": given}).scalars()):
            return found
    return ()


def with_accounts(connection: Connection, wanted: SessionFilter) -> SessionFilter:
    """Return a filter by keys, for one that was given the name of an account, or a part of it; one that names nobody finds nothing."""
    if wanted.account is None or wanted.accounts:
        return wanted
    found = find_accounts(connection, wanted.account)
    if len(found) == 1:
        return replace(wanted, account=found[0])
    return replace(wanted, accounts=found)


def list_sessions(
    connection: Connection, wanted: SessionFilter, *, limit: int = 50
) -> list[RowMapping]:
    """Return the headers of matching sessions, newest first: HEADER_COLUMNS."""
    wanted = with_accounts(connection, wanted)
    newest = suited_to(connection, wanted.text, wanted.newest())
    statement = text(f"""
        WITH chosen AS MATERIALIZED ({newest})
        SELECT {HEADER_COLUMNS} FROM chosen c JOIN session_headers h ON h.id = c.id
         CROSS JOIN LATERAL {ACTIONS_COUNTED} ORDER BY h.started_at DESC, h.id DESC""")
    connection.execute(_PLAN_EACH)
    return list(connection.execute(statement, wanted.values() | {"limit": limit}).mappings())


_BY_ID = text(f"SELECT {HEADER_COLUMNS} FROM {HEADERS_WITH_COUNTS} WHERE h.id = ANY(:ids)")


def list_sessions_by_id(connection: Connection, ids: Sequence[UUID]) -> list[RowMapping]:
    """Return the headers of the given sessions: HEADER_COLUMNS."""
    return list(connection.execute(_BY_ID, {"ids": list(ids)}).mappings())


def find_session(connection: Connection, session_id: UUID) -> RowMapping | None:
    """Return one session's header, or None."""
    return next(iter(list_sessions_by_id(connection, [session_id])), None)


def find_matching_ids(
    connection: Connection, ids: Sequence[UUID], wanted: SessionFilter
) -> set[UUID]:
    """Return those of the given sessions that match."""
    wanted = with_accounts(connection, wanted)
    statement = text(
        f"SELECT h.id FROM session_headers h WHERE h.id = ANY(:ids) AND {wanted.conditions()}"
    )
    return set(connection.execute(statement, wanted.values() | {"ids": list(ids)}).scalars())


_ACTIONS_AT = text("""
    SELECT a.session_id, a.ord, a.type, a.tone, a.at, a.payload
      FROM unnest(CAST(:ids AS uuid[]), CAST(:ords AS bigint[])) AS wanted(session_id, ord)
      JOIN session_actions a ON a.session_id = wanted.session_id AND a.ord = wanted.ord""")


def list_actions_at(connection: Connection, places: Sequence[tuple[UUID, int]]) -> list[RowMapping]:
    """Return the actions at the given places (session id, ord), in any order."""
    values = {"ids": [place[0] for place in places], "ords": [place[1] for place in places]}
    return list(connection.execute(_ACTIONS_AT, values).mappings())


_EXCERPTS = text("""
    SELECT a.session_id, a.ord, a.type, a.tone, a.at, a.payload
      FROM unnest(CAST(:ids AS uuid[])) AS wanted(id)
     CROSS JOIN LATERAL (
           (SELECT ord FROM session_actions s WHERE s.session_id = wanted.id ORDER BY ord LIMIT :first)
           UNION
           (SELECT ord FROM session_actions s WHERE s.session_id = wanted.id ORDER BY ord DESC LIMIT :last)
           UNION
           (SELECT ord FROM session_actions s WHERE s.session_id = wanted.id AND s.tone = 'error'
             ORDER BY ord DESC LIMIT :errors)
           UNION
           (SELECT DISTINCT ord FROM session_references t WHERE t.session_id = wanted.id AND t.account_key = ANY(:accounts)
             ORDER BY ord DESC LIMIT :last)) shown
      JOIN session_actions a ON a.session_id = wanted.id AND a.ord = shown.ord
     ORDER BY a.session_id, a.ord""")


def list_excerpts(
    connection: Connection,
    ids: Sequence[UUID],
    *,
    last: int,
    first: int = 0,
    errors: int = 0,
    accounts: Sequence[str] = (),
) -> list[RowMapping]:
    """Return actions of several sessions, each session's in order: the first and the last ones, the last errors, and the last ones that refer to the accounts."""
    values = {
        "ids": list(ids),
        "first": first,
        "last": last,
        "errors": errors,
        "accounts": list(accounts),
    }
    return list(connection.execute(_EXCERPTS, values).mappings())


_LABELS = text("SELECT key, label FROM session_subjects WHERE key = ANY(:keys)")


def find_labels(connection: Connection, keys: Collection[str]) -> dict[str, str]:
    """Return what people call subjects, by key; those without a label are missing."""
    if not keys:
        return {}
    return {row.key: row.label for row in connection.execute(_LABELS, {"keys": list(keys)})}


MOST_REFERENCES = 1_000

# The same job and the same account, or none in both; two texts, since `IS NOT DISTINCT FROM` uses
# no index.
_SAME = {
    True: "h.job_name = :job AND h.account_key = :account",
    False: "h.job_name = :job AND h.account_key IS NULL",
}
_EARLIER = "(h.started_at, h.id) < (:started_at, :id) ORDER BY h.started_at DESC, h.id DESC LIMIT 1"
_NEAR = {
    "previous": _EARLIER,
    "next": "(h.started_at, h.id) > (:started_at, :id) ORDER BY h.started_at, h.id LIMIT 1",
    "last_good": f"h.status = 'succeeded' AND h.outcome <> 'problems' AND {_EARLIER}",
}


def find_near(connection: Connection, session: Mapping[Any, Any]) -> dict[str, RowMapping | None]:
    """Return the sessions of the same job and account before and after a session (a row of HEADER_COLUMNS), each a header or None.

    They are `previous`, `next`, and `last_good`: the newest one before it that succeeded without
    problems.
    """
    same = _SAME[session["account_key"] is not None]
    values = {
        "job": session["job_name"],
        "account": session["account_key"],
        "started_at": session["started_at"],
        "id": session["id"],
    }
    headers = f"SELECT {HEADER_COLUMNS} FROM {HEADERS_WITH_COUNTS} WHERE {same}"
    return {
        name: connection.execute(text(f"{headers} AND {where}"), values).mappings().first()
        for name, where in _NEAR.items()
    }


_REFERENCES = text("""
    SELECT t.account_key, n.label AS account_label, t.dataset, t.effect,
           array_agg(DISTINCT t.window_key ORDER BY t.window_key) FILTER (WHERE t.window_key IS NOT NULL) AS windows
      FROM session_references t LEFT JOIN session_subjects n ON n.key = t.account_key WHERE t.session_id = :id
     GROUP BY t.account_key, n.label, t.dataset, t.effect ORDER BY min(t.ord), t.account_key, t.dataset LIMIT :most""")


def list_references(connection: Connection, session_id: UUID) -> list[RowMapping]:
    """Return what a session refers to, in the order in which it first did: account_key, account_label, dataset, effect, windows (or None)."""
    return list(
        connection.execute(_REFERENCES, {"id": session_id, "most": MOST_REFERENCES}).mappings()
    )


_BY_TYPE = text("""
    SELECT type, count(*) AS actions FROM session_actions WHERE session_id = :id GROUP BY type ORDER BY min(ord)""")


def count_actions_by_type(connection: Connection, session_id: UUID) -> dict[str, int]:
    """Return how many actions of each type a session recorded, in the order of their first one."""
    rows = connection.execute(_BY_TYPE, {"id": session_id}).mappings()
    return {row["type"]: row["actions"] for row in rows}


@dataclass(frozen=True)
class Span:
    """A stretch of time that is looked at in equal intervals: from `since` on, before `before`."""

    since: datetime
    before: datetime
    interval: timedelta

    @property
    def intervals(self) -> list[datetime]:
        """The beginning of each interval."""
        count = -(-(self.before - self.since) // self.interval)
        return [self.since + number * self.interval for number in range(count)]


MOST_VALUES = 2_000
LONGEST_COUNT = "4s"
_BOUND = text("SELECT set_config('statement_timeout', :longest, true)")


def count_by_interval(
    connection: Connection, wanted: SessionFilter, span: Span
) -> list[RowMapping] | None:
    """Return how many matching sessions began in each interval of a span, by mark: place, mark, sessions.

    The mark is the session's status, the outcome of one that succeeded with warnings or problems,
    or `retried` for an attempt whose failure is no problem since another one took up its work.
    `place` counts intervals from 0; those without sessions are not among the rows. The filter's own
    `since` and `before` are left aside. None where counting takes longer than four seconds; the
    transaction is aborted then.
    """
    unbounded = replace(with_accounts(connection, wanted), since=None, before=None)
    statement = f"""
        SELECT CAST(floor((extract(epoch FROM h.started_at) - extract(epoch FROM CAST(:begin AS timestamptz))) / :seconds) AS integer) AS place,
               CASE WHEN h.status = 'succeeded' AND h.outcome <> 'ok' THEN h.outcome
                    WHEN h.status IN ('failed', 'crashed') AND h.outcome <> 'problems' THEN 'retried' ELSE h.status END AS mark,
               count(*) AS sessions
          FROM session_headers h
         WHERE h.started_at >= :begin AND h.started_at < :end AND {unbounded.conditions()}
         GROUP BY 1, 2 ORDER BY 1, 2"""
    bounds = {"begin": span.since, "end": span.before, "seconds": span.interval.total_seconds()}
    values = unbounded.values() | bounds
    connection.execute(_BOUND, {"longest": LONGEST_COUNT})
    try:
        suited = text(suited_to(connection, wanted.text, statement))
        return list(connection.execute(suited, values).mappings())
    except OperationalError as error:
        if isinstance(error.orig, QueryCanceled):
            return None
        raise


# Each step of the recursion jumps to the next value by the index, however many rows have the same
# one.
_VALUES = """
    WITH RECURSIVE found AS (
        (SELECT {column} AS value FROM {table} WHERE {column} IS NOT NULL ORDER BY {column} LIMIT 1)
        UNION ALL
        SELECT (SELECT t.{column} FROM {table} t WHERE t.{column} > found.value ORDER BY t.{column} LIMIT 1)
          FROM found WHERE found.value IS NOT NULL)
    SELECT value FROM found WHERE value IS NOT NULL LIMIT :most"""
_DATASETS = """
    WITH RECURSIVE found AS (
        (SELECT account_key, coalesce(dataset, '') AS value FROM session_references ORDER BY account_key, dataset LIMIT 1)
        UNION ALL
        SELECT n.account_key, n.value FROM found CROSS JOIN LATERAL (
            SELECT t.account_key, coalesce(t.dataset, '') AS value FROM session_references t
             WHERE (t.account_key, t.dataset) > (found.account_key, found.value) ORDER BY t.account_key, t.dataset LIMIT 1) n)
    SELECT DISTINCT value FROM (SELECT value FROM found LIMIT :most) listed WHERE value <> '' ORDER BY value"""
_STATEMENTS: Mapping[str, str] = {
    "job": _VALUES.format(column="job_name", table="session_headers"),
    "account": _VALUES.format(column="account_key", table="session_headers"),
    "type": _VALUES.format(column="type", table="session_actions"),
    "dataset": _DATASETS,
}


def list_filter_values(connection: Connection) -> dict[str, list[str]]:
    """Return, for `job`, `account`, `type` and `dataset`, the values that sessions have, in order, at most 2,000 each."""
    return {
        name: list(connection.execute(text(statement), {"most": MOST_VALUES}).scalars())
        for name, statement in _STATEMENTS.items()
    }


_RUNNING = text("""
    SELECT job_name, count(*) AS sessions, CAST(extract(epoch FROM clock_timestamp() - min(started_at)) AS float8) AS seconds
      FROM session_headers WHERE status = 'running' GROUP BY job_name ORDER BY job_name""")


def count_running(connection: Connection) -> list[RowMapping]:
    """Return per job how many of its sessions run, and for how many seconds the oldest one has."""
    return list(connection.execute(_RUNNING).mappings())


@dataclass(frozen=True)
class Figures:
    """How many sessions there are, failed or crashed without a later attempt that did their work, and have the outcomes `warnings` and `problems`.

    `p50` and `p95` are percentiles of their durations in seconds, None where none has ended.
    """

    count: int = 0
    failures: int = 0
    warnings: int = 0
    problems: int = 0
    p50: float | None = None
    p95: float | None = None


# A hundred thousand durations are sorted twice: 10 MB, which would go to disk otherwise. A plan is
# made for each span, never kept for all.
_IN_MEMORY = text("""
    SELECT set_config('work_mem', '32MB', true), set_config('max_parallel_workers_per_gather', '0', true),
           set_config('plan_cache_mode', 'force_custom_plan', true)""")
# Job by job, each by its index: its sessions come by time, and so nearly in the order of their
# intervals. All at once they would have to be sorted by name and interval first, which takes longer
# than all the rest.
_ALL_JOBS = """
    SELECT min(job_name) AS job_name FROM session_headers
     UNION ALL
    SELECT (SELECT min(h.job_name) FROM session_headers h WHERE h.job_name > j.job_name) FROM jobs j WHERE j.job_name IS NOT NULL"""
_ONE_JOB = "SELECT CAST(:job AS text)"
_AGGREGATES = """
    WITH RECURSIVE jobs(job_name) AS ({jobs})
    SELECT j.job_name, f.* FROM jobs j CROSS JOIN LATERAL (
        SELECT t.at, count(*) AS count, count(*) FILTER (WHERE h.status IN ('failed', 'crashed') AND h.outcome = 'problems') AS failures,
               count(*) FILTER (WHERE {outcome} = 'warnings') AS warnings, count(*) FILTER (WHERE {outcome} = 'problems') AS problems,
               percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY date_part('epoch', h.finished_at - h.started_at)) AS seconds
          FROM session_headers h
         CROSS JOIN LATERAL (SELECT date_bin(:interval, h.started_at, :since) AS at) t
         WHERE h.job_name = j.job_name AND h.started_at >= :since AND h.started_at < :before{more}
         GROUP BY GROUPING SETS ((t.at), ())) f
     WHERE f.count > 0
     ORDER BY j.job_name, f.at NULLS FIRST"""


def aggregate_jobs(
    connection: Connection, span: Span, *, job: str | None = None, account: str | None = None
) -> dict[str, Mapping[datetime | None, Figures]]:
    """Return each job's figures by interval, and under None those of the whole span; intervals without sessions are left out.

    `account` restricts them to sessions that worked for one account with this key, or whose name
    contains it.
    """
    statement = _AGGREGATES.format(
        jobs=_ONE_JOB if job else _ALL_JOBS,
        more=" AND h.account_key = ANY(:accounts)" if account else "",
        outcome=OUTCOME,
    )
    accounts = list(find_accounts(connection, account)) if account else []
    values = span.__dict__ | {"job": job, "accounts": accounts}
    connection.execute(_IN_MEMORY)
    found: dict[str, dict[datetime | None, Figures]] = {}
    for row in connection.execute(text(statement), values).mappings():
        found.setdefault(row["job_name"], {})[row["at"]] = _figures(row)
    return dict(found)


def _figures(row: RowMapping) -> Figures:
    p50, p95 = (seconds and round(float(seconds), 3) for seconds in row["seconds"] or (None, None))
    return Figures(row["count"], row["failures"], row["warnings"], row["problems"], p50, p95)


_FAILED_TWICE = text("""
    SELECT account FROM (
        SELECT coalesce(account_key, '') AS account, status, finished_at,
               row_number() OVER (PARTITION BY account_key ORDER BY started_at DESC) AS place
          FROM session_headers
         WHERE job_name = :job AND started_at >= CAST(:since AS timestamptz) - interval '1 day') AS sessions
     WHERE place <= 2 GROUP BY account
    HAVING count(*) = 2 AND bool_and(status = 'failed') AND max(finished_at) >= :since""")


def list_accounts_failed_twice(
    connection: Connection, job_name: str, *, since: datetime
) -> set[str]:
    """Return the accounts (`""` for none) of which the last two sessions of a job failed, the later one since an instant."""
    return set(connection.execute(_FAILED_TWICE, {"job": job_name, "since": since}).scalars())
