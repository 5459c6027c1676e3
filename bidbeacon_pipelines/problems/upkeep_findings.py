"""Findings on what BidBeacon runs on: disk, processes, delivery of alerts, and the number of partitions."""

import os
import shutil
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, RowMapping, text

from bidbeacon_pipelines.accounts.queries import IS_ACTIVE
from bidbeacon_pipelines.causes import Severity, cause
from bidbeacon_pipelines.database.processes import list_processes
from bidbeacon_pipelines.datasets.partition_months import (
    MOST_PARTITIONS,
    NEARLY_FULL,
    count_partition_days,
    find_months_with_room,
)
from bidbeacon_pipelines.problems.alert_store import read_delivery
from bidbeacon_pipelines.problems.findings import Finding, found
from bidbeacon_pipelines.problems.job_findings import DAEMON_STARTS, NOTHING_HAPPENS, ago
from bidbeacon_pipelines.settings import Settings

_LOW_DISK, _FULL_DISK = 5 * 2**30, 2**30
_PROCESS_SILENT_AFTER = timedelta(seconds=100)
_NOT_DELIVERED_AFTER = timedelta(minutes=5)
_UPGRADE_TAKES = timedelta(hours=1)
_NEVER = timedelta(days=36_500)


def find_disk(connection: Connection, settings: Settings, now: datetime) -> list[Finding]:
    """Return that the disk for downloads is nearly full."""
    folder = settings.scratch_folder
    disk = shutil.disk_usage(next(one for one in (folder, *folder.parents) if os.path.exists(one)))  # noqa: PTH110 - false where it may not be seen
    return judge_disk(str(folder), disk.free, disk.total)


def judge_disk(folder: str, free: int, total: int) -> list[Finding]:
    """Return whether so many bytes are too few."""
    if free >= _LOW_DISK:
        return []
    said = {"folder": folder, "free": f"{free / 2**30:,.1f}", "total": f"{total / 2**30:,.0f}"}
    severity = Severity.ERROR if free < _FULL_DISK else Severity.WARNING
    return [found(cause("disk-nearly-full", detail=said), severity=severity)]


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
    """Return what is wrong with the long-lived processes of the last day."""
    return judge_processes(list_processes(connection, within=timedelta(days=1)))


def judge_processes(processes: Sequence[RowMapping | Mapping[str, Any]]) -> list[Finding]:
    """Return what is wrong with processes: two daemons, several versions, or kinds that are silent everywhere.

    On a single host processes are stopped at will, but for the daemon, which starts everything.
    """
    living = [one for one in processes if one["silent_for"] <= _PROCESS_SILENT_AFTER]
    daemons = [one["host"] for one in living if one["kind"] == "daemon"]
    versions = sorted({one["version"] for one in living})
    silent = {one["kind"] for one in processes} - {one["kind"] for one in living}
    if len({one["host"] for one in processes}) == 1:
        silent &= {"daemon"}
    causes = [cause("several-daemons", detail={"hosts": daemons})] if len(daemons) > 1 else []
    if len(versions) > 1:
        causes.append(cause("versions-differ", detail={"versions": versions}))
    facts: dict[str, Any] = {"tell_after": DAEMON_STARTS, "because": (NOTHING_HAPPENS,)}
    return [
        *(found(one, tell_after=_UPGRADE_TAKES) for one in causes),
        *(found(cause("process-silent", kind=kind), **facts) for kind in sorted(silent)),
    ]


def find_delivery(connection: Connection, settings: Settings, now: datetime) -> list[Finding]:
    """Return that nobody watches for findings though there are receivers, or that one does not take its alerts; no alert says so."""
    if settings.alert_urls is None:
        return []
    state = read_delivery(connection)
    watched, failing = state["watched_at"], state["failing_since"]
    if watched is None or now - watched > _NOT_DELIVERED_AFTER:
        time = None if watched is None else ago(now - watched)
        not_watched = cause("alerts-not-watched", detail={"time": time})
        return [found(not_watched, since=watched, tell_after=_NEVER)]
    if failing is None or now - failing <= _NOT_DELIVERED_AFTER:
        return []
    not_delivered = cause("alerts-not-delivered", detail={"reason": state["error"]})
    return [found(not_delivered, since=failing, tell_after=_NEVER)]
