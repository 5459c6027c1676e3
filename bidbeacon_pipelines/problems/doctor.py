"""Checks everything that has to work, one thing after another; changes nothing."""

import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from bidbeacon_pipelines.accounts.pause import is_credential_error
from bidbeacon_pipelines.accounts.queries import list_accounts
from bidbeacon_pipelines.amazon_ads.api_ledger import PostgresCallLog
from bidbeacon_pipelines.amazon_ads.call_queries import summarize_calls
from bidbeacon_pipelines.amazon_ads.client import AdsApiClient, Waiting, connect
from bidbeacon_pipelines.amazon_ads.credentials import REGIONS
from bidbeacon_pipelines.amazon_ads.errors import AdsApiError, AuthError
from bidbeacon_pipelines.amazon_ads.rate_limits import CallIntervals
from bidbeacon_pipelines.amazon_ads.shared_rate_limits import PostgresRateLimits
from bidbeacon_pipelines.amazon_ads.transport import Answer, ApiCall
from bidbeacon_pipelines.database.clock import read_now
from bidbeacon_pipelines.database.processes import list_processes
from bidbeacon_pipelines.database.schema import schema_problem
from bidbeacon_pipelines.datasets.override_queries import list_overrides
from bidbeacon_pipelines.problems.alert_queries import read_delivery
from bidbeacon_pipelines.problems.health_checks import (
    OVERDUE_AFTER,
    AmazonState,
    Check,
    Level,
    cannot_see,
    check_accounts,
    check_alerts,
    check_amazon,
    check_calls,
    check_contract,
    check_dagster,
    check_database,
    check_disk,
    check_gates,
    check_jobs,
    check_partitions,
    check_processes,
    check_requests,
    check_sessions,
    check_windows,
    database_away,
)
from bidbeacon_pipelines.problems.health_queries import (
    find_daemon_heartbeat,
    find_last_activity,
    find_missing_grant,
    list_failed_windows,
    read_requests,
    read_server,
)
from bidbeacon_pipelines.problems.throttling_queries import list_throttled
from bidbeacon_pipelines.requests.gate_queries import list_gates
from bidbeacon_pipelines.settings import Region, Settings
from bidbeacon_pipelines.windows.resumed import list_resumed
from bidbeacon_sessions.leases import list_dead_sessions
from bidbeacon_sessions.settings import get_session_settings

RESUMED_WITHIN = timedelta(hours=24)
"""So long after an account was resumed it is said what is planned for it."""
_LONGEST_WAIT_SECONDS = 2.0


class _NotNowError(Exception):
    """A call would have to wait too long for an interactive command."""


def examine(settings: Settings, engine: Engine | None, why_no_engine: str = "") -> Iterator[Check]:
    """Yield all checks; each depends on those before it.

    Args:
        settings: What is set.
        engine: Our database; None where there is none.
        why_no_engine: Why there is none, and what to do.
    """
    first = database_away(why_no_engine) if engine is None else _look_at_database(engine)
    yield first
    usable = None if first.level is Level.FAILURE else engine
    yield check_amazon(_call_amazon(settings, usable))
    if usable is not None:
        yield from _look_into_database(usable, settings)
    yield look_at_disk(settings.scratch_folder)


def _look_at_database(engine: Engine) -> Check:
    try:
        with engine.begin() as connection:
            server = read_server(connection)
        problem = schema_problem(server.revision, oldest_program=server.oldest_program)
        return check_database(server, problem)
    except SQLAlchemyError as error:
        return database_away(_first_line(error))


def _look_into_database(engine: Engine, settings: Settings) -> Iterator[Check]:
    try:
        with engine.begin() as connection:
            now = read_now(connection, settings)
            yield from look_into_tables(connection, settings, now)
    except SQLAlchemyError as error:
        yield database_away(_first_line(error))


def look_into_tables(
    connection: Connection, settings: Settings, now: datetime, *, with_windows: bool = True
) -> Iterator[Check]:
    """Yield the checks of our tables; `with_windows` counts failed windows, which reads all of them."""
    resumed = list_resumed(connection, since=now - RESUMED_WITHIN, now=now)
    accounts = list_accounts(connection)
    yield check_accounts(accounts, resumed)
    yield check_requests(read_requests(connection, late_since=now - OVERDUE_AFTER), now)
    yield check_gates(list_gates(connection, now=now), now)
    if with_windows:
        yield check_windows(list_failed_windows(connection))
    yield check_contract(list_overrides(connection))
    lease = get_session_settings().lease_seconds
    silent = list_dead_sessions(connection, silent_for=timedelta(seconds=lease))
    yield check_sessions(silent, now)
    yield _look_at_calls(connection, now)
    yield check_jobs(find_last_activity(connection), now, silent_after=settings.silent_after)
    yield _look_at_dagster(connection, now)
    yield _look_at_processes(connection)
    yield check_alerts(
        read_delivery(connection, now), now, is_set_up=settings.alert_urls is not None
    )
    shown = sum(account.is_active for account in accounts)
    yield check_partitions(shown, settings.partition_months, now.date())


def _look_at_calls(connection: Connection, now: datetime) -> Check:
    for table in ("api_calls", "rate_limits"):
        grant = find_missing_grant(connection, table)
        if grant is not None:
            return cannot_see("calls", table, grant)
    calls = summarize_calls(connection, now - timedelta(hours=24))
    return check_calls(calls, list_throttled(connection, now), now)


def _look_at_dagster(connection: Connection, now: datetime) -> Check:
    grant = find_missing_grant(connection, "daemon_heartbeats", "dagster")
    if grant is not None:
        return cannot_see("Dagster", "dagster.daemon_heartbeats", grant)
    return check_dagster(find_daemon_heartbeat(connection), now)


def _look_at_processes(connection: Connection) -> Check:
    grant = find_missing_grant(connection, "processes")
    if grant is not None:
        return cannot_see("processes", "processes", grant)
    return check_processes(list_processes(connection, within=timedelta(days=1)))


def _call_amazon(settings: Settings, engine: Engine | None) -> AmazonState:
    """Call each region once, without retries."""
    address = settings.sandbox_url if settings.uses_sandbox else "Amazon"
    try:
        if engine is None:
            with connect(settings, on_wait=_do_not_wait) as client:
                return _call_regions(client, address, is_sandbox=settings.uses_sandbox)
        rate_limits = PostgresRateLimits(engine, CallIntervals())
        with (
            PostgresCallLog(engine) as log,
            connect(settings, on_wait=_do_not_wait, rate_limits=rate_limits, log=log) as client,
        ):
            return _call_regions(client, address, is_sandbox=settings.uses_sandbox)
    except AuthError as error:  # of the credentials, which concern all regions
        return AmazonState(address, settings.uses_sandbox, credential_problem=str(error))


def _call_regions(client: AdsApiClient, address: str, *, is_sandbox: bool) -> AmazonState:
    return AmazonState(
        address, is_sandbox, {region: _call_region(client, region) for region in REGIONS}
    )


def _call_region(client: AdsApiClient, region: Region) -> str | None:
    """Make a cheap call to a region; return what went wrong.

    Raises:
        AuthError: the credentials are refused.
    """
    call = ApiCall(
        name="list_profiles",
        operation="list the profiles",
        method="GET",
        region=region,
        path="/v2/profiles",
    )
    try:
        client.call(call, _read)
    except AuthError as error:
        if is_credential_error(error):
            raise
        return str(error)
    except (AdsApiError, _NotNowError) as error:
        return str(error)
    return None


def _read(answer: Answer) -> Any:
    return answer.get_json()


def _do_not_wait(waiting: Waiting) -> None:
    if waiting.seconds > _LONGEST_WAIT_SECONDS or waiting.attempt > 1:
        raise _NotNowError(waiting.reason)


def look_at_disk(scratch: Path) -> Check:
    """Check the free disk space for downloads."""
    usage = next(usage for folder in (scratch, *scratch.parents) if (usage := _find_usage(folder)))
    return check_disk(str(scratch), usage.free, usage.total)


def _find_usage(folder: Path) -> Any:
    """Return the disk usage at a folder; None where it can't be looked at."""
    try:
        return shutil.disk_usage(folder)
    except OSError:
        return None


def _first_line(error: Exception) -> str:
    return str(getattr(error, "orig", error)).strip().partition("\n")[0]
