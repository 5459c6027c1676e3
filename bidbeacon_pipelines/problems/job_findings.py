"""Findings on jobs: nothing happens, a run failed, queued work was not done."""

from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlencode

from sqlalchemy import Connection, RowMapping, text

from bidbeacon_pipelines.causes import Severity
from bidbeacon_pipelines.problems.findings import (
    Effect,
    Finding,
    counted,
    facts_of,
    finding_key,
    found,
)
from bidbeacon_pipelines.settings import Settings
from bidbeacon_sessions.sentences import format_duration

RECENTLY: Final = timedelta(hours=24)
NOTHING_HAPPENS: Final = "nothing-happens"
DAEMON_STARTS: Final = timedelta(minutes=10)
"""After a weekend, the process that watches is up before Dagster has started its first run."""
_NEXT_RUN = timedelta(minutes=15)
"""A run that failed is followed by another within minutes."""
_OVERDUE_AFTER = timedelta(minutes=15)
_LONG_OVERDUE_AFTER = timedelta(hours=2)

_LAST_ACTIVITY = text("""
    SELECT greatest((SELECT max(started_at) FROM session_headers),
                    (SELECT max(heartbeat_at) FROM session_leases))""")


def find_silence_of_jobs(
    connection: Connection, settings: Settings, now: datetime
) -> list[Finding]:
    """Return that no job has run for long; accounts are synced once an hour, so a session starts at least hourly."""
    last = connection.execute(_LAST_ACTIVITY).scalar()
    if last is None or now - last <= settings.silent_after:
        return []
    cause = {"code": NOTHING_HAPPENS, "detail": {"time": ago(now - last)}}
    return [found(cause, since=last, tell_after=DAEMON_STARTS)]


_NOT_POLLED = text("""
    SELECT count(*) AS reports, min(due_at) AS since
      FROM (SELECT coalesce(r.next_step_at, r.created_at) AS due_at
              FROM report_requests r JOIN ads_accounts o USING (account_id)
             WHERE r.status IN ('in_flight', 'completed') AND o.needs_attention IS NULL) due
     WHERE due_at < :before HAVING count(*) > 0""")


def find_not_polled(connection: Connection, settings: Settings, now: datetime) -> list[Finding]:
    """Return the reports that nobody has polled or loaded for long though it was due."""
    row = connection.execute(_NOT_POLLED, {"before": now - _OVERDUE_AFTER}).mappings().first()
    if row is None:
        return []
    effect = Effect(f"{counted(row['reports'], 'report')} waiting", "/coverage", row["reports"])
    is_long = now - row["since"] > _LONG_OVERDUE_AFTER
    severity = Severity.ERROR if is_long else Severity.WARNING
    facts = {"since": row["since"], "because": (NOTHING_HAPPENS,)}
    return [found({"code": "reports-not-polled"}, effect, severity=severity, **facts)]


# A job that has since succeeded for the same account has recovered.
_IS_RECOVERED = """
    EXISTS (SELECT FROM session_headers s WHERE s.job_name = h.job_name AND s.account_key IS NOT DISTINCT FROM h.account_key
               AND s.started_at > h.started_at AND s.status = 'succeeded')"""
# A load by hand is done once each day that it asked for was loaded after it began, by whichever
# session.
_IS_LOADED_SINCE = """
    coalesce((SELECT bool_and(EXISTS (
                  SELECT FROM session_references t
                   WHERE t.account_key = r.account_key AND t.dataset = r.dataset AND t.window_key = r.window_key
                     AND t.effect = 'loaded' AND t.id > r.id))
                FROM session_references r WHERE r.session_id = h.id AND r.effect = 'asked-for'), false)"""
_FAILED = text(f"""
    SELECT job_name, status, cause - 'detail' AS shape, count(*) AS sessions, min(started_at) AS since,
           (array_agg(id ORDER BY started_at DESC))[1] AS last_id, (array_agg(cause ORDER BY started_at DESC))[1] AS cause,
           bool_and(is_recovered) AS is_recovered, count(DISTINCT account_key) AS accounts,
           (array_agg(DISTINCT coalesce(label, account_key)) FILTER (WHERE account_key IS NOT NULL))[1:3] AS names
      FROM (SELECT h.id, h.job_name, h.account_key, s.label, h.status, h.started_at, {_IS_RECOVERED} AS is_recovered,
                   coalesce(h.error -> 'cause', jsonb_build_object('code', 'unexpected-error', 'type', h.error ->> 'type',
                            'detail', jsonb_build_object('message', left(h.error ->> 'message', 1000)))) AS cause
              FROM session_headers h LEFT JOIN session_subjects s ON s.key = h.account_key
             WHERE h.status IN ('failed', 'crashed') AND h.outcome = 'problems' AND h.started_at >= :since AND NOT {_IS_LOADED_SINCE}) failed
     GROUP BY 1, 2, 3 ORDER BY is_recovered, max(started_at) DESC LIMIT 100""")


def find_failed_sessions(
    connection: Connection, settings: Settings, now: datetime
) -> list[Finding]:
    """Return why sessions of the last 24 hours failed or crashed, unless a later attempt did their work or their days were loaded since."""
    rows = connection.execute(_FAILED, {"since": now - RECENTLY}).mappings()
    return [_failed(row) for row in rows]


def _failed(row: RowMapping) -> Finding:
    asked = {"job": row["job_name"], "status": row["status"], "since": "24h"}
    one, many = f"/sessions/{row['last_id']}", f"/sessions?{urlencode(asked)}"
    link = one if row["sessions"] == 1 else many
    again = ", and succeeded since" if row["is_recovered"] else ""
    effect = f"{counted(row['sessions'], 'session')} of {row['job_name']} {row['status']}{again}"
    recovered = {"severity": Severity.WARNING, "action": None}
    return found(
        row["cause"],
        Effect(effect, link, row["sessions"]),
        link=link,
        because=tuple(map(finding_key, row["cause"].get("causes", ()))),
        tell_after=_NEXT_RUN,
        **facts_of(row),
        **recovered if row["is_recovered"] else {"severity": Severity.ERROR},
    )


_LOST = text("""
    SELECT h.job_name, count(*) AS promises, min(p.deadline_at) AS since, count(DISTINCT h.account_key) AS accounts,
           (array_agg(DISTINCT coalesce(s.label, h.account_key)) FILTER (WHERE h.account_key IS NOT NULL))[1:3] AS names,
           (array_agg(p.session_id ORDER BY p.deadline_at DESC))[1] AS last_id
      FROM session_promises p JOIN session_headers h ON h.id = p.session_id LEFT JOIN session_subjects s ON s.key = h.account_key
     WHERE p.fulfilled_by IS NULL AND p.deadline_at >= :since AND p.deadline_at < :now GROUP BY h.job_name ORDER BY promises DESC, h.job_name""")


def find_lost_work(connection: Connection, settings: Settings, now: datetime) -> list[Finding]:
    """Return the work of the last 24 hours that a session had queued and nobody did in time."""
    rows = connection.execute(_LOST, {"since": now - RECENTLY, "now": now}).mappings()
    return [_lost(row) for row in rows]


def _lost(row: RowMapping) -> Finding:
    promises = row["promises"]
    kept = f"{counted(promises, 'promise')} not kept"
    effect = Effect(kept, f"/sessions/{row['last_id']}", promises)
    return found({"code": "work-not-done", "job": row["job_name"]}, effect, **facts_of(row))


def ago(time: timedelta) -> str:
    """Return a duration for people; none is negative."""
    return format_duration(max(0.0, time.total_seconds()))
