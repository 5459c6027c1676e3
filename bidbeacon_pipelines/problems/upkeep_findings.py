"""Findings on what BidBeacon runs on: disk, processes, delivery of alerts, rights, and the number of partitions."""

import re
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, RowMapping, text

from bidbeacon_pipelines.accounts.queries import IS_ACTIVE
from bidbeacon_pipelines.causes import Cause, Severity, cause
from bidbeacon_pipelines.database.processes import list_processes
from bidbeacon_pipelines.datasets.partition_months import (
    MOST_PARTITIONS,
    NEARLY_FULL,
    count_partition_days,
    find_months_with_room,
)
from bidbeacon_pipelines.problems.alert_store import read_delivery
from bidbeacon_pipelines.problems.findings import Finding, found
from bidbeacon_pipelines.problems.grants import find_missing_grant
from bidbeacon_pipelines.problems.job_findings import ago
from bidbeacon_pipelines.settings import Settings

_LOW_DISK, _FULL_DISK = 5 * 2**30, 2**30
_PROCESS_SILENT_AFTER = timedelta(seconds=100)
_NOT_DELIVERED_AFTER = timedelta(minutes=5)
_NOT_WATCHED_AFTER = timedelta(minutes=5)
_UPGRADE_TAKES = timedelta(hours=1)
_NEVER = timedelta(days=36_500)
_READ_BY_FINDINGS = (
    ("api_calls", None),
    ("rate_limits", None),
    ("processes", None),
    ("daemon_heartbeats", "dagster"),
)


def find_unreadable(connection: Connection, settings: Settings, now: datetime) -> list[Finding]:
    """Return the tables that this role may not read, whose findings are missing for that."""
    grants = {
        table: grant
        for table, schema in _READ_BY_FINDINGS
        if (grant := find_missing_grant(connection, table, schema)) is not None
    }
    return [
        found(cause("not-readable", table=table, detail={"grant": grant}))
        for table, grant in grants.items()
    ]


def find_disk(connection: Connection, settings: Settings, now: datetime) -> list[Finding]:
    """Return that the disk for downloads is nearly full."""
    folder = settings.scratch_folder
    usage = next(one for place in (folder, *folder.parents) if (one := _usage(place)))
    return judge_disk(str(folder), usage.free, usage.total)


def judge_disk(folder: str, free: int, total: int) -> list[Finding]:
    """Return whether so many bytes are too few."""
    if free >= _LOW_DISK:
        return []
    said = {"folder": folder, "free": f"{free / 2**30:,.1f}", "total": f"{total / 2**30:,.0f}"}
    severity = Severity.ERROR if free < _FULL_DISK else Severity.WARNING
    return [found(cause("disk-nearly-full", detail=said), severity=severity)]


def _usage(folder: Path) -> Any:
    """Return the disk usage at a folder; None where it can't be looked at."""
    try:
        return shutil.disk_usage(folder)
    except OSError:
        return None


def find_partitions(connection: Connection, settings: Settings, now: datetime) -> list[Finding]:
    """Return that Dagster's UI soon can't show the partitions of all accounts, 20 % before it can't."""
    active = text(f"SELECT count(*) FROM advertiser_accounts a WHERE {IS_ACTIVE}")
    accounts = connection.execute(active).scalar_one()
    return judge_partitions(accounts, settings.partition_months, now)


def judge_partitions(accounts: int, months: int, now: datetime) -> list[Finding]:
    """Return whether so many accounts have too many partitions."""
    days = count_partition_days(now.date(), months)
    if accounts * days < NEARLY_FULL:
        return []
    fitting = find_months_with_room(accounts, now.date(), months)
    said = {"accounts": accounts, "days": days, "partitions": accounts * days, "months": fitting}
    said["most"] = MOST_PARTITIONS
    return [found(cause("many-partitions", detail=said))]


def find_processes(connection: Connection, settings: Settings, now: datetime) -> list[Finding]:
    """Return what is wrong with the long-lived processes of the last day.

    On a single host silence says nothing: `bidbeacon dev` is stopped and started at will.
    """
    if find_missing_grant(connection, "processes") is not None:
        return []
    return judge_processes(list_processes(connection, within=timedelta(days=1)))


def judge_processes(processes: Sequence[RowMapping | Mapping[str, Any]]) -> list[Finding]:
    """Return what is wrong with processes: two daemons, several versions, or kinds that are silent everywhere."""
    living = [one for one in processes if one["silent_for"] <= _PROCESS_SILENT_AFTER]
    hosts = [one["host"] for one in living if one["kind"] == "daemon"]
    causes: list[Cause] = []
    if len(hosts) > 1:
        causes.append(cause("several-daemons", detail={"hosts": hosts}))
    running = Counter(one["version"] for one in living)
    if len(running) > 1:
        newest = max(running, key=_version_key)
        old = sum(count for version, count in running.items() if version != newest)
        said = {"old": old, "all": len(living), "newest": newest}
        causes.append(cause("versions-differ", detail=said))
    if len({one["host"] for one in processes}) > 1:
        silent = {one["kind"] for one in processes} - {one["kind"] for one in living}
        causes += [cause("process-silent", kind=kind) for kind in sorted(silent)]
    return [found(one, tell_after=_UPGRADE_TAKES) for one in causes]


def _version_key(version: str) -> list[int]:
    return [int(digits) for digits in re.findall(r"\d+", version)]


def find_delivery(connection: Connection, settings: Settings, now: datetime) -> list[Finding]:
    """Return that nobody watches for findings though there are receivers, or that one does not take its alerts; no alert says so."""
    if settings.alert_urls is None:
        return []
    state = read_delivery(connection)
    watched, failing = state["watched_at"], state["failing_since"]
    if watched is None or now - watched > _NOT_WATCHED_AFTER:
        time = None if watched is None else ago(now - watched)
        not_watched = cause("alerts-not-watched", detail={"time": time})
        return [found(not_watched, since=watched, tell_after=_NEVER)]
    if failing is None or now - failing <= _NOT_DELIVERED_AFTER:
        return []
    not_delivered = cause("alerts-not-delivered", detail={"reason": state["error"]})
    return [found(not_delivered, since=failing, tell_after=_NEVER)]
