"""Findings about BidBeacon itself: jobs, processes, disks, partitions, delivery of alerts."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import Connection, RowMapping, text

from bidbeacon_pipelines.amazon_ads.download_folders import usage_of_disk
from bidbeacon_pipelines.causes import Severity, cause, explain
from bidbeacon_pipelines.database.clock import CLOCKS_DIFFER_BY
from bidbeacon_pipelines.database.processes import list_processes
from bidbeacon_pipelines.database.unwritable_folders import list_unwritable, place_of
from bidbeacon_pipelines.datasets.partition_months import (
    MOST_PARTITIONS,
    NEARLY_FULL,
    count_partition_days,
    find_months_with_room,
)
from bidbeacon_pipelines.problems.alert_store import find_failing_receiver
from bidbeacon_pipelines.problems.findings import (
    NOTHING_HAPPENS,
    RECENTLY,
    Effect,
    Finding,
    Findings,
    counted,
    facts_of,
    finding_key,
    found,
)
from bidbeacon_pipelines.problems.receivers import list_receivers
from bidbeacon_pipelines.requests.queue_queries import count_complete
from bidbeacon_pipelines.settings import Settings
from bidbeacon_sessions.leases import find_last_sign
from bidbeacon_sessions.queries import UNRECOVERED_SESSIONS
from bidbeacon_sessions.sentences import format_duration

_DAEMON_STARTS = timedelta(minutes=10)
"""The delay of alerts: the process that sends them may start before Dagster's first run."""
_NEXT_RUN = timedelta(minutes=15)
"""The delay of alerts about failed runs: the next run, within minutes, may succeed."""
_OVERDUE_AFTER = timedelta(minutes=15)
_LONG_OVERDUE_AFTER = timedelta(hours=2)
_LOW_DISK, _FULL_DISK = 5 * 2**30, 2**30
_TRIAL_BYTES = 2**16
_PROCESS_SILENT_AFTER = timedelta(seconds=100)
_NOT_DELIVERED_AFTER = timedelta(minutes=5)
_UPGRADE_TAKES = timedelta(hours=1)
_NEVER = timedelta(days=36_500)

# Sessions are stored with their host's time; those of the future, by a wrong clock, are ignored.
_LATEST = f"now() + interval '{CLOCKS_DIFFER_BY.seconds} seconds'"


def silent_jobs(connection: Connection, settings: Settings, now: datetime) -> list[Finding]:
    """Return a finding if no job ran for `settings.silent_after`; jobs start at least hourly."""
    last = find_last_sign(connection, ahead=CLOCKS_DIFFER_BY)
    if last is None or now - last <= settings.silent_after:
        return []
    detail = {"time": format_duration((now - last).total_seconds())}
    nothing = cause(NOTHING_HAPPENS, detail=detail)
    return [found(nothing, since=last, alert_after=_DAEMON_STARTS)]


_NOT_POLLED = text("""
    SELECT count(*) AS reports, min(due_at) AS since
      FROM (SELECT coalesce(r.next_step_at, r.created_at) AS due_at
              FROM report_requests r
              JOIN ads_accounts o USING (account_id)
             WHERE (r.status = 'in_flight' OR r.status = 'completed' AND NOT :is_busy)
               AND o.needs_attention IS NULL) due
     WHERE due_at < :before
    HAVING count(*) > 0""")


def unpolled_reports(connection: Connection, settings: Settings, now: datetime) -> list[Finding]:
    """Return a finding if reports wait too long to be polled or loaded.

    Complete reports may wait while as many loads run as `settings.loads_at_once` allows.
    """
    running, _ = count_complete(connection)
    values = {"before": now - _OVERDUE_AFTER, "is_busy": running >= settings.loads_at_once}
    row = connection.execute(_NOT_POLLED, values).mappings().first()
    if row is None:
        return []
    effect = Effect(f"{counted(row['reports'], 'report')} waiting", "/coverage", row["reports"])
    is_long = now - row["since"] > _LONG_OVERDUE_AFTER
    severity = Severity.ERROR if is_long else Severity.WARNING
    faults = unwritable_folders(connection, settings, now)
    because = (NOTHING_HAPPENS, *(fault.key for fault in faults))
    not_polled = cause("reports-not-polled")
    return [found(not_polled, effect, severity=severity, because=because, since=row["since"])]


# Left out are sessions
# - of loads by hand of which each day was loaded since, or its rows kept by a person;
# - of loads by hand that we refuse, since the session reports that to the user.
# The next attempt: accounts are synced hourly; entities within five minutes, or as soon as Amazon
# allows exports.
_FAILED = text(f"""
    SELECT job_name, status, cause - 'detail' AS shape, count(*) AS sessions,
           min(started_at) AS since,
           (array_agg(id ORDER BY started_at DESC))[1] AS last_id,
           (array_agg(cause ORDER BY started_at DESC))[1] AS cause,
           count(DISTINCT account_key) AS accounts, min(next_at) AS next_at,
           (array_agg(DISTINCT coalesce(label, account_key))
                FILTER (WHERE account_key IS NOT NULL))[1:3] AS names
      FROM (SELECT h.id, h.job_name, h.account_key, h.label, h.status, h.started_at,
                   CASE h.job_name
                   WHEN 'sync-accounts' THEN h.finished_at + interval '1 hour'
                   WHEN 'sync-entities' THEN greatest(h.finished_at + interval '5 minutes', (
                        SELECT max(l.next_start_at)
                          FROM rate_limits l
                          JOIN advertiser_accounts a USING (account_id)
                         WHERE a.account_key = h.account_key AND l.call_class = 'exports'))
                   END AS next_at,
                   coalesce(h.error -> 'cause', jsonb_build_object(
                       'code', 'unexpected-error', 'type', h.error ->> 'type',
                       'detail', jsonb_build_object(
                           'message', left(h.error ->> 'message', 1000)))) AS cause
              FROM ({UNRECOVERED_SESSIONS}) h
             WHERE h.started_at BETWEEN :since AND {_LATEST}
               AND NOT coalesce((
                   SELECT bool_and(EXISTS (
                              SELECT FROM report_windows w
                               WHERE w.account_id = b.account_id AND w.country_code = b.country_code
                                 AND w.dataset = b.dataset AND w.window_date = day
                                 AND (w.last_loaded_at > b.requested_at
                                      OR w.decision = 'keep' AND w.decided_at > b.requested_at)))
                     FROM loads_by_hand b
                    CROSS JOIN unnest(b.days) day
                    WHERE b.session_id = h.id), false)
               AND NOT (
                   EXISTS (SELECT FROM loads_by_hand b WHERE b.session_id = h.id)
                   AND coalesce(h.error #> '{{cause,causes}}',
                                jsonb_build_array((h.error -> 'cause') - 'detail'))
                       <@ '[{{"code": "account-paused"}}, {{"code": "account-disabled"}},
                            {{"code": "account-refused"}}, {{"code": "day-not-served"}},
                            {{"code": "day-not-over"}}]')) failed
     GROUP BY 1, 2, 3
     ORDER BY max(started_at) DESC
     LIMIT 100""")


def failed_sessions(connection: Connection, settings: Settings, now: datetime) -> Findings:
    """Yield findings about sessions of the last 24 hours that failed without a later success."""
    for row in connection.execute(_FAILED, {"since": now - RECENTLY}).mappings():
        chosen = {"job": row["job_name"], "status": row["status"], "since": "24h"}
        which = f"/{row['last_id']}" if row["sessions"] == 1 else f"?{urlencode(chosen)}"
        link = f"/sessions{which}"
        effect = f"{counted(row['sessions'], 'session')} of {row['job_name']} {row['status']}"
        facts = facts_of(row)
        if explain(row["cause"]).severity is not Severity.WARNING:  # it does not recover by itself
            facts.pop("next_at", None)
        yield found(
            row["cause"],
            Effect(effect, link, row["sessions"]),
            severity=Severity.ERROR,
            link=link,
            because=tuple(map(finding_key, row["cause"].get("causes", ()))),
            alert_after=_NEXT_RUN,
            **facts,
        )


def unwritable_folders(connection: Connection, settings: Settings, now: datetime) -> Findings:
    """Yield a finding for each host whose loads pause because it can't write downloads."""
    for row in list_unwritable(connection, now):
        detail = {"reason": row["reason"]}
        why = cause("file-not-written", host=row["host"], folder=row["folder"], detail=detail)
        yield found(why, since=row["since"])


def unwritable_logs(connection: Connection, settings: Settings, now: datetime) -> list[Finding]:
    """Return a finding if this host can't write the logs of runs.

    In a cluster (with Redis) there is no finding, since the workers write the logs.
    """
    return [] if settings.redis_url is not None else judge_logs(settings.compute_logs)


def judge_logs(folder: Path) -> list[Finding]:
    """Return a finding if a folder, or its parent if the folder is missing, isn't writable."""
    try:
        place = folder if folder.exists() else folder.parent
        if place.exists():
            with TemporaryFile(dir=place) as file:
                file.write(bytes(_TRIAL_BYTES))
    except OSError as error:
        detail = {"folder": str(folder), "reason": error.strerror or str(error)}
        return [found(cause("logs-not-written", detail=detail))]
    return []


def full_disk(connection: Connection, settings: Settings, now: datetime) -> list[Finding]:
    """Return a finding if the disk for downloads is nearly full."""
    disk = usage_of_disk(settings.scratch_folder)
    return judge_disk(settings.scratch_folder, disk.free, disk.total)


def judge_disk(folder: Path, free: int, total: int) -> list[Finding]:
    """Return a finding if fewer than 5 GiB are free; sizes are in bytes."""
    if free >= _LOW_DISK:
        return []
    place, severity = place_of(folder), Severity.ERROR if free < _FULL_DISK else Severity.WARNING
    sizes = {"free": f"{free / 2**30:,.1f}", "total": f"{total / 2**30:,.0f}"}
    nearly_full = cause("disk-nearly-full", detail={"folder": str(folder), **sizes})
    unwritable = cause("file-not-written", host=place["host"], folder=place["folder"])
    return [found(nearly_full, severity=severity, because=(finding_key(unwritable),))]


# Disabled accounts keep the partitions that they had while they were synced.
_HAVE_PARTITIONS = text("""
    SELECT count(*)
      FROM advertiser_accounts
     WHERE amazon_status <> 'DISABLED' OR entities_synced_at IS NOT NULL""")


def too_many_partitions(connection: Connection, settings: Settings, now: datetime) -> list[Finding]:
    """Return a finding if partitions exceed 80 % of the number that Dagster's UI can show."""
    accounts = connection.execute(_HAVE_PARTITIONS).scalar_one()
    return judge_partitions(accounts, settings.partition_months, now)


def judge_partitions(accounts: int, months: int, now: datetime) -> list[Finding]:
    """Return a finding if these accounts and months need almost too many Dagster partitions."""
    days = count_partition_days(now.date(), months)
    if accounts * days < NEARLY_FULL:
        return []
    fitting = find_months_with_room(accounts, now.date(), months)
    detail = {"accounts": accounts, "days": days, "partitions": accounts * days, "months": fitting}
    return [found(cause("many-partitions", detail=detail | {"most": MOST_PARTITIONS}))]


def unhealthy_processes(connection: Connection, settings: Settings, now: datetime) -> list[Finding]:
    """Return findings about the long-running processes that were seen in the last day."""
    return judge_processes(list_processes(connection, within=timedelta(days=1)))


def judge_processes(processes: Sequence[RowMapping | Mapping[str, Any]]) -> list[Finding]:
    """Return findings about stopped processes, extra daemons, mixed versions, wrong clocks.

    If all processes run on one host, a stopped process is a finding only if it is the daemon, since
    users stop the others at will. A daemon that was last seen before the newest daemon started does
    not count as an extra one.
    """
    living = [one for one in processes if one["silent_for"] <= _PROCESS_SILENT_AFTER]
    daemons = [one for one in living if one["kind"] == "daemon"]
    last = max((one["started_at"] for one in daemons), default=None)
    hosts = [one["host"] for one in daemons if one["seen_at"] >= last]
    versions = sorted({one["version"] for one in living})
    silent = {one["kind"] for one in processes} - {one["kind"] for one in living}
    if len({one["host"] for one in processes}) == 1:
        silent &= {"daemon"}
    causes = [cause("several-daemons", detail={"hosts": hosts})] if len(hosts) > 1 else []
    if len(versions) > 1:
        causes.append(cause("versions-differ", detail={"versions": versions}))
    facts: dict[str, Any] = {"alert_after": _DAEMON_STARTS, "because": (NOTHING_HAPPENS,)}
    clocks = _wrong_clocks(living)
    return [
        *([found(cause("clocks-differ", detail={"clocks": clocks}))] if clocks else []),
        *(found(one, alert_after=_UPGRADE_TAKES) for one in causes),
        *(found(cause("process-silent", kind=kind), **facts) for kind in sorted(silent)),
    ]


def _wrong_clocks(processes: Sequence[RowMapping | Mapping[str, Any]]) -> list[str]:
    wrong = {}
    for one in processes:
        ahead_by = one["clock_ahead_by"]
        if abs(ahead_by) > CLOCKS_DIFFER_BY:
            direction = "ahead" if ahead_by > timedelta() else "behind"
            wrong[one["host"]] = f"{format_duration(abs(ahead_by).total_seconds())} {direction}"
    return [f"{host} is {how_far}" for host, how_far in sorted(wrong.items())]


def undelivered_alerts(connection: Connection, settings: Settings, now: datetime) -> list[Finding]:
    """Return a finding if alerts are not sent or not delivered; no alert is sent about it."""
    if settings.alert_urls is None:
        return []
    living = list_processes(connection, within=_PROCESS_SILENT_AFTER)
    if not any(one["kind"] == "stream" for one in living):
        return [found(cause("alerts-not-watched"), alert_after=_NEVER)]
    failing = find_failing_receiver(connection, len(list_receivers(settings)))
    if failing is None or now - failing["failing_since"] <= _NOT_DELIVERED_AFTER:
        return []
    not_delivered = cause("alerts-not-delivered", detail={"reason": failing["error"]})
    return [found(not_delivered, since=failing["failing_since"], alert_after=_NEVER)]
