"""SQL that counts each job's runs and failures, and their durations, from its sessions."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, text

from bidbeacon_sessions.tables import OUTCOME

# With the default work_mem, sorting 100,000 durations (10 MB) would use the disk.
_IN_MEMORY = text("""
    SELECT set_config('work_mem', '32MB', true),
           set_config('plan_cache_mode', 'force_custom_plan', true)""")
_JOBS = text(f"""
    SELECT h.job_name, date_bin('1 hour', h.started_at, :since) AS at, count(*) AS count,
           count(*) FILTER (WHERE h.status IN ('failed', 'crashed')
                              AND h.outcome = 'problems') AS failures,
           count(*) FILTER (WHERE {OUTCOME} = 'problems') AS problems,
           percentile_cont(0.5) WITHIN GROUP (
               ORDER BY date_part('epoch', h.finished_at - h.started_at)) AS p50,
           percentile_cont(0.95) WITHIN GROUP (
               ORDER BY date_part('epoch', h.finished_at - h.started_at)) AS p95
      FROM session_headers h
     WHERE h.started_at >= :since AND h.started_at < :before
     GROUP BY GROUPING SETS ((1, 2), (1))
     ORDER BY 1, 2 NULLS FIRST""")


def aggregate_jobs(
    connection: Connection, since: datetime, before: datetime
) -> list[dict[str, Any]]:
    """Return the figures of each job that has sessions.

    Keys: job_name, count, failures (failed or crashed sessions without a later attempt that did
        their work), problems (sessions with that outcome), p50 and p95 (percentiles of durations in
        seconds, None if none has ended), intervals (count and failures of every hour from `since`).
    """
    connection.execute(_IN_MEMORY)
    hour = timedelta(hours=1)
    jobs: dict[str, dict[str, Any]] = {}
    for row in connection.execute(_JOBS, {"since": since, "before": before}).mappings():
        if row["at"] is None:
            figures = {name: value for name, value in row.items() if name != "at"}
            hours = [{"count": 0, "failures": 0} for _ in range(-(-(before - since) // hour))]
            jobs[row["job_name"]] = {**figures, "intervals": hours}
        else:
            counts = {"count": row["count"], "failures": row["failures"]}
            jobs[row["job_name"]]["intervals"][(row["at"] - since) // hour] = counts
    return list(jobs.values())
