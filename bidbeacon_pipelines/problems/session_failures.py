"""SQL on failed sessions and lost promises: for Home, alerts and sensors."""

from datetime import datetime

from sqlalchemy import Connection, RowMapping, text

# A job that has since succeeded for the same account has recovered.
_IS_RECOVERED = """
    CASE WHEN h.account_key IS NULL
         THEN EXISTS (SELECT FROM session_headers s WHERE s.job_name = h.job_name AND s.account_key IS NULL
                         AND s.started_at > h.started_at AND s.status = 'succeeded')
         ELSE EXISTS (SELECT FROM session_headers s WHERE s.job_name = h.job_name AND s.account_key = h.account_key
                         AND s.started_at > h.started_at AND s.status = 'succeeded') END"""
# A load by hand is done once each day that it asked for was loaded after it began, by whichever
# session.
_IS_LOADED_SINCE = """
    coalesce((SELECT bool_and(EXISTS (
                  SELECT FROM session_references t
                   WHERE t.account_key = r.account_key AND t.dataset = r.dataset AND t.window_key = r.window_key
                     AND t.effect = 'loaded' AND t.id > r.id))
                FROM session_references r WHERE r.session_id = h.id AND r.effect = 'asked-for'), false)"""
_FAILURES = text(f"""
    SELECT job_name, status, type, count(*) AS sessions, min(started_at) AS since, max(started_at) AS last_at,
           (array_agg(id ORDER BY started_at DESC))[1] AS last_id, (array_agg(message ORDER BY started_at DESC))[1] AS message,
           bool_and(is_recovered) AS is_recovered, count(DISTINCT account_key) AS accounts,
           (array_agg(DISTINCT account_key) FILTER (WHERE account_key IS NOT NULL))[1:3] AS account_keys
      FROM (SELECT id, job_name, account_key, status, started_at, error ->> 'type' AS type, left(error ->> 'message', 1000) AS message,
                   {_IS_RECOVERED} AS is_recovered
              FROM session_headers h WHERE status IN ('failed', 'crashed') AND outcome = 'problems' AND started_at >= :since
                 AND NOT {_IS_LOADED_SINCE}) failed
     GROUP BY job_name, status, type, regexp_replace(message, '\\S*\\d\\S*', '#', 'g')
     ORDER BY is_recovered, last_at DESC LIMIT :most""")


def list_failures(connection: Connection, *, since: datetime, most: int = 20) -> list[RowMapping]:
    """Return sessions that failed or crashed since an instant by job and error, whatever the numbers in its message.

    Those whose work a later attempt did are left out, and loads by hand whose days have all been
    loaded since. Those that are not recovered come first, then
    the newest. Columns: job_name, status, type, sessions, since, last_at; last_id and message of
    the newest session; is_recovered, whether each of them was followed by one that succeeded for
    the same account; accounts, and account_keys of at most three.
    """
    return list(connection.execute(_FAILURES, {"since": since, "most": most}).mappings())


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


_LOST = text("""
    SELECT p.session_id, p.key, p.deadline_at, h.job_name, h.account_key
      FROM session_promises p JOIN session_headers h ON h.id = p.session_id
     WHERE p.fulfilled_by IS NULL AND p.deadline_at < now() ORDER BY p.deadline_at DESC LIMIT :most""")


def list_lost(connection: Connection, *, most: int) -> list[RowMapping]:
    """Return the promises lost last: session_id, key, deadline_at, job_name, account_key."""
    return list(connection.execute(_LOST, {"most": most}).mappings())


_LOST_BY_JOB = text("""
    SELECT h.job_name, count(*) AS promises, min(p.deadline_at) AS since, count(DISTINCT h.account_key) AS accounts,
           (array_agg(DISTINCT h.account_key) FILTER (WHERE h.account_key IS NOT NULL))[1:3] AS account_keys,
           (array_agg(p.session_id ORDER BY p.deadline_at DESC))[1] AS last_id
      FROM session_promises p JOIN session_headers h ON h.id = p.session_id
     WHERE p.fulfilled_by IS NULL AND p.deadline_at >= :since AND p.deadline_at < :now GROUP BY h.job_name ORDER BY promises DESC, h.job_name""")


def list_lost_by_job(connection: Connection, *, since: datetime, now: datetime) -> list[RowMapping]:
    """Return the promises that were lost between two instants, by the job that made them.

    Columns: job_name, promises, since, accounts, account_keys of at most three, and last_id of the
        session that lost one last.
    """
    return list(connection.execute(_LOST_BY_JOB, {"since": since, "now": now}).mappings())
