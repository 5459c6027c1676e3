"""What jobs add up to: how many sessions, how many of them failed, how long they took, per job and interval of time."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, RowMapping, text

from bidbeacon_sessions.tables import OUTCOME


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


@dataclass(frozen=True)
class Figures:
    """What some sessions add up to.

    Attributes:
        count: how many there are.
        failures: how many failed or crashed.
        warnings: how many have the outcome `warnings`.
        problems: how many have the outcome `problems`.
        p50: the median of their durations in seconds, None where none has ended.
        p95: the 95th percentile.
    """

    count: int = 0
    failures: int = 0
    warnings: int = 0
    problems: int = 0
    p50: float | None = None
    p95: float | None = None


# A hundred thousand durations are sorted twice: 10 MB, which would go to disk otherwise. A plan is made for each span, never kept for all.
_IN_MEMORY = text("""
    SELECT set_config('work_mem', '32MB', true), set_config('max_parallel_workers_per_gather', '0', true),
           set_config('plan_cache_mode', 'force_custom_plan', true)""")
# Job by job, each by its index: its sessions come by time, and so nearly in the order of their intervals. All at once they would have to be
# sorted by name and interval first, which takes longer than all the rest.
_ALL_JOBS = """
    SELECT min(job_name) AS job_name FROM session_headers
     UNION ALL
    SELECT (SELECT min(h.job_name) FROM session_headers h WHERE h.job_name > j.job_name) FROM jobs j WHERE j.job_name IS NOT NULL"""
_ONE_JOB = "SELECT CAST(:job AS text)"
_AGGREGATES = """
    WITH RECURSIVE jobs(job_name) AS ({jobs})
    SELECT j.job_name, f.* FROM jobs j CROSS JOIN LATERAL (
        SELECT t.at, count(*) AS count, count(*) FILTER (WHERE h.status IN ('failed', 'crashed')) AS failures,
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
    """Give each job's figures by interval, and under None those of the whole span; intervals without sessions are left out.

    Args:
        connection: where to look.
        span: when the sessions began.
        job: only this one.
        account: only sessions that worked for this account alone.
    """
    statement = _AGGREGATES.format(
        jobs=_ONE_JOB if job else _ALL_JOBS,
        more=" AND h.account_key = :account" if account else "",
        outcome=OUTCOME,
    )
    values = span.__dict__ | {"job": job, "account": account}
    connection.execute(_IN_MEMORY)
    found: dict[str, dict[datetime | None, Figures]] = {}
    for row in connection.execute(text(statement), values).mappings():
        found.setdefault(row["job_name"], {})[row["at"]] = _figures(row)
    return dict(found)


def _figures(row: RowMapping) -> Figures:
    p50, p95 = row["seconds"] or (None, None)
    return Figures(
        row["count"], row["failures"], row["warnings"], row["problems"], _rounded(p50), _rounded(p95)
    )


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(float(seconds), 3)
