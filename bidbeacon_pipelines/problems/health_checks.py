"""The checks of `bidbeacon doctor`: pure functions from facts to results, each with what to do."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import RowMapping

from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.amazon_ads.call_queries import CallSummary
from bidbeacon_pipelines.datasets.partition_months import (
    MOST_PARTITIONS,
    NEARLY_FULL,
    count_partition_days,
    find_months_with_room,
)
from bidbeacon_pipelines.problems.alert_queries import Delivery
from bidbeacon_pipelines.problems.health_queries import FailedWindows, RequestsState, ServerState
from bidbeacon_pipelines.problems.problem_rules import shape_of
from bidbeacon_pipelines.problems.throttling import TO_DO as THROTTLED_TO_DO
from bidbeacon_pipelines.problems.throttling import throttled_json, throttled_line
from bidbeacon_pipelines.problems.throttling_queries import ThrottledCalls
from bidbeacon_pipelines.requests.gate_queries import GateState
from bidbeacon_pipelines.windows.resumed import ResumedAccount
from bidbeacon_sessions.sentences import format_duration

OVERDUE_AFTER = timedelta(minutes=15)
_NOBODY_WORKS_AFTER = timedelta(hours=2)
_OLD_REPORT = timedelta(hours=6)
_DAEMON_SILENT_AFTER = timedelta(minutes=5)
_PROCESS_SILENT_AFTER = timedelta(seconds=100)
_MOST_DETAILS = 5
_LOW_DISK, _FULL_DISK = 5 * 2**30, 2**30
_MANY_FAILED, _ENOUGH_CALLS = 0.2, 20
_UNDELIVERED_AFTER = timedelta(minutes=5)
_NOT_WATCHED_AFTER = timedelta(minutes=5)
JOBS = "jobs"
PARTITIONS = "partitions"
_START_ALL = "`make dev` or `bidbeacon dev` starts everything."


class Level(StrEnum):
    """How a check went."""

    OK = "ok"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True)
class Check:
    """One thing that was looked at: what was found, and what to do about it.

    `facts` is the same as data.
    """

    name: str
    level: Level
    found: str
    to_do: str | None = None
    details: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class AmazonState:
    """The API's address, and the problem of each region: None if it answered."""

    address: str
    is_sandbox: bool
    regions: Mapping[str, str | None] = field(default_factory=dict)
    credential_problem: str | None = None


def database_away(reason: str) -> Check:
    """Return the check of a missing database; the reason says what to do."""
    return Check("database", Level.FAILURE, reason)


def check_database(state: ServerState, problem: str | None) -> Check:
    """Check the server and the version of its tables; `problem` says what is wrong, and what to do."""
    tables = f"tables are at {state.revision}" if state.revision else "and has no tables"
    found = f"PostgreSQL {state.version} answers, {tables}"
    facts = {
        "version": state.version,
        "revision": state.revision,
        "newest_revision": state.newest_revision,
    }
    if problem is None:
        return Check("database", Level.OK, found, facts=facts)
    return Check("database", Level.FAILURE, found, problem, facts=facts)


def check_amazon(state: AmazonState) -> Check:
    """Check that Amazon, or the sandbox, accepts our token and answers in each region."""
    name = "sandbox" if state.is_sandbox else "Amazon"
    facts = {
        "is_sandbox": state.is_sandbox,
        "address": state.address,
        "regions": {region: problem is None for region, problem in state.regions.items()},
        "credential_problem": state.credential_problem,
    }
    if state.credential_problem is not None:
        return Check(name, Level.FAILURE, state.credential_problem, facts=facts)
    problems = tuple(f"{region}: {problem}" for region, problem in state.regions.items() if problem)
    if not problems:
        sentence = f"{state.address} accepts our token and answers for {' '.join(state.regions)}"
        return Check(name, Level.OK, sentence, facts=facts)
    if len(problems) < len(state.regions):
        sentence = f"{len(problems)} of {len(state.regions)} regions don't answer"
        return Check(
            name, Level.WARNING, sentence, "Their accounts wait. Try again later.", problems, facts
        )
    to_do = _START_ALL if state.is_sandbox else "Check the network, then try again."
    return Check(
        name,
        Level.FAILURE,
        f"{state.address} does not answer for any region",
        to_do,
        problems[:1],
        facts,
    )


def check_jobs(last: datetime | None, now: datetime, *, silent_after: timedelta) -> Check:
    """Check that jobs run: accounts are synced once an hour, so a session starts at least hourly."""
    facts = {"last_at": last}
    if last is None:
        return Check(JOBS, Level.OK, "no job has run yet", facts=facts)
    silent = now - last
    if silent <= silent_after:
        return Check(JOBS, Level.OK, f"a job ran {_ago(silent)} ago", facts=facts)
    found = f"nothing happens: no job has run for {_ago(silent)}"
    return Check(JOBS, Level.FAILURE, found, f"Is Dagster running? {_START_ALL}", facts=facts)


def check_alerts(delivery: Delivery, now: datetime, *, is_set_up: bool) -> Check:
    """Check that problems are watched, and that alerts reach their receivers."""
    facts = {
        name: getattr(delivery, name)
        for name in ("watched_at", "waiting", "waiting_since", "error")
    }
    if not is_set_up:
        return Check("alerts", Level.OK, "no receiver is set (BIDBEACON_ALERT_URLS)", facts=facts)
    if delivery.watched_at is None or now - delivery.watched_at > _NOT_WATCHED_AFTER:
        seen = (
            "never run"
            if delivery.watched_at is None
            else f"not run for {_ago(now - delivery.watched_at)}"
        )
        found = f"`bidbeacon stream`, which watches for problems, has {seen}"
        return Check("alerts", Level.WARNING, found, f"Start it. {_START_ALL}", facts=facts)
    if delivery.waiting_since and now - delivery.waiting_since > _UNDELIVERED_AFTER:
        late = _ago(now - delivery.waiting_since)
        found = (
            f"can't be delivered: {_count(delivery.waiting, 'message')} wait, the first for {late}"
        )
        details = () if delivery.error is None else (delivery.error,)
        return Check("alerts", Level.WARNING, found, "Run `bidbeacon alerts test`.", details, facts)
    return Check("alerts", Level.OK, "watched for and delivered", facts=facts)


def check_accounts(accounts: Sequence[Account], resumed: Sequence[ResumedAccount] = ()) -> Check:
    """Check which accounts are refreshed, which need manual action, and what is planned for those that were resumed."""
    waiting = [account for account in accounts if account.needs_attention]
    active = sum(account.stop_reason is None for account in accounts)
    paused = sum(account.paused for account in accounts)
    disabled = sum(not account.paused and account.is_disabled for account in accounts)
    facts = {
        "known": len(accounts),
        "active": active,
        "paused": paused,
        "disabled_at_amazon": disabled,
        "need_attention": {account.account_key: account.needs_attention for account in waiting},
    }
    if not accounts:
        to_do = "Run `bidbeacon accounts sync` to read them from Amazon."
        return Check("accounts", Level.WARNING, "none is known", to_do, facts=facts)
    found = f"{len(accounts):,} known, {active:,} refreshed"
    found += f", {paused:,} paused" if paused else ""
    found += f", {disabled:,} disabled" if disabled else ""
    lines = tuple(f"{one.label} {describe_resumed(one)}" for one in resumed)
    if not waiting:
        return Check("accounts", Level.OK, found, details=_shortened(lines), facts=facts)
    found += f", {len(waiting):,} {'needs' if len(waiting) == 1 else 'need'} attention"
    to_do = "Then run `bidbeacon accounts sync` after new credentials, otherwise `bidbeacon accounts resume ACCOUNT`."
    level = Level.WARNING if active else Level.FAILURE
    return Check("accounts", level, found, to_do, (*_reasons(waiting), *_shortened(lines)), facts)


def describe_resumed(one: ResumedAccount) -> str:
    """Return that an account was resumed, and what is planned for it, as the end of a sentence."""
    planned = (
        "reports for them are planned within a minute"
        if not one.reports
        else f"{_count(one.reports, 'report')} of its ads account {'is' if one.reports == 1 else 'are'} planned or being made"
    )
    due = f"{_count(one.windows, 'window')} {'is' if one.windows == 1 else 'are'} still to load"
    return f"was resumed at {one.resumed_at:%Y-%m-%d %H:%M} UTC ({one.by}): {due}, {planned}"


def check_requests(state: RequestsState, now: datetime) -> Check:
    """Check that reports complete, and that they are polled."""
    facts = {
        "in_flight": state.in_flight,
        "oldest_since": state.oldest_since,
        "overdue": state.overdue,
        "overdue_since": state.overdue_since,
    }
    if not state.in_flight or state.oldest_since is None:
        return Check("requests", Level.OK, "no report is in flight", facts=facts)
    age = now - state.oldest_since
    found = f"{_count(state.in_flight, 'report')} in flight, the oldest for {_ago(age)}"
    if state.overdue_since is not None:
        late = now - state.overdue_since
        found += f"; {state.overdue:,} {'is' if state.overdue == 1 else 'are'} overdue for a check, by {_ago(late)}"
        level = Level.FAILURE if late > _NOBODY_WORKS_AFTER else Level.WARNING
        return Check("requests", level, found, f"Is Dagster running? {_START_ALL}", facts=facts)
    if age > _OLD_REPORT:
        to_do = "Amazon is slow. After a day, a report is given up and requested again."
        return Check("requests", Level.WARNING, found, to_do, facts=facts)
    return Check("requests", Level.OK, found, facts=facts)


def check_gates(gates: Sequence[GateState], now: datetime) -> Check:
    """Check whether planned reports can be created, and how long throttling (429) has delayed them."""
    facts = {"gates": [gate_facts(gate, now) for gate in gates]}
    planned, closed = sum(gate.planned for gate in gates), [g for g in gates if g.closed_until(now)]
    if not gates:
        return Check("gates", Level.OK, "no report was created yet", facts=facts)
    details = tuple(_gate_line(gate, now) for gate in gates)
    found = f"{_count(planned, 'report')} planned"
    if not closed:
        return Check(
            "gates", Level.OK, f"{found}, no region is closed", details=details, facts=facts
        )
    regions = " ".join(dict.fromkeys(state.gate.region for state in closed))
    to_do = "Creation resumes automatically. If this lasts, ask Amazon for higher limits by ticket."
    return Check("gates", Level.WARNING, f"{found}, {regions} refused (429)", to_do, details, facts)


def gate_facts(state: GateState, now: datetime) -> dict[str, Any]:
    """Return a gate as data, the same for `bidbeacon doctor --json` and `GET /api/coverage`."""
    return {
        "client_id": state.gate.client_id,
        "region": state.gate.region,
        "in_flight": state.in_flight,
        "places": int(state.gate.in_flight_limit),
        "planned": state.planned,
        "pace_seconds": state.gate.pace.total_seconds(),
        "closed_until": state.closed_until(now),
        "refused": state.gate.refused_count,
        "last_refused_at": state.gate.last_refused_at,
        "closed_seconds": state.gate.closed_for.total_seconds(),
    }


def _gate_line(state: GateState, now: datetime) -> str:
    until = state.closed_until(now)
    sentence = f"{state.gate.region}: {state.in_flight} of {int(state.gate.in_flight_limit)} in flight, {state.planned:,} planned"
    cost = f", {state.gate.refused_count:,} × 429 so far, closed for {_ago(state.gate.closed_for)} in all"
    closed = f", nothing created before {until:%Y-%m-%d %H:%M} UTC" if until else ""
    return sentence + closed + (cost if state.gate.refused_count else "")


def check_windows(failed: Sequence[FailedWindows]) -> Check:
    """Check for windows whose last report failed, with one detail for each cause."""
    total = sum(group.windows for group in failed)
    facts = {"failed": total, "by_dataset": [dict(group.__dict__) for group in failed]}
    if not total:
        return Check("windows", Level.OK, "none has failed", facts=facts)
    by_cause: dict[str, list[FailedWindows]] = {}
    for group in failed:
        by_cause.setdefault(shape_of(group.reason or ""), []).append(group)
    details = tuple(map(_failed_line, by_cause.values()))
    found = f"{_count(total, 'window')} failed"
    to_do = "Days that Amazon still serves are requested again automatically. To do it now: `bidbeacon load --account ACCOUNT --window DAY`."
    return Check("windows", Level.WARNING, found, to_do, _shortened(details), facts)


def check_contract(overrides: Sequence[RowMapping | Mapping[str, Any]]) -> Check:
    """Return what is overridden of the registry."""
    facts = {"overrides": [dict(one) for one in overrides]}
    if not overrides:
        return Check("contract", Level.OK, "nothing of the registry is overridden", facts=facts)
    found = f"{_count(len(overrides), 'override')} of the registry: `bidbeacon contract list`"
    return Check(
        "contract", Level.OK, found, details=tuple(map(override_line, overrides)), facts=facts
    )


def override_line(one: RowMapping | Mapping[str, Any]) -> str:
    """Return an override in a line."""
    of = "" if one["ads_account_key"] is None else f" of {one['ads_account_key']}"
    by = f"{one['set_by']}, {one['set_at']:%Y-%m-%d}"
    return f"{one['region']} {one['dataset']}{of}: {one['what']} {one['value']} ({by})"


def _failed_line(groups: Sequence[FailedWindows]) -> str:
    """Return the cause of failed windows, with how many there are, in which datasets and of which accounts."""
    windows = _count(sum(group.windows for group in groups), "window")
    datasets = _named(list(dict.fromkeys(group.dataset for group in groups)))
    labels = _named(list(dict.fromkeys(group.account_label for group in groups)))
    return f"{windows} in {datasets} of {labels}: {groups[0].reason or 'no reason is known'}"


def check_sessions(silent: Sequence[RowMapping | Mapping[str, Any]], now: datetime) -> Check:
    """Check for running sessions without a heartbeat."""
    facts = {
        "silent": [
            {"id": str(session["id"]), "job_name": session["job_name"]} for session in silent
        ]
    }
    if not silent:
        return Check("sessions", Level.OK, "all running sessions send heartbeats", facts=facts)
    details = tuple(
        f"{session['job_name']} {session['id']}, silent for {_ago(now - (session['heartbeat_at'] or session['started_at']))}"
        for session in silent
    )
    found = f"{_count(len(silent), 'session')} without a heartbeat"
    to_do = f"Dagster's sensor close_crashed_sessions closes them while it runs. {_START_ALL}"
    return Check("sessions", Level.WARNING, found, to_do, _shortened(details), facts)


def check_calls(
    calls: Sequence[CallSummary], throttled: Sequence[ThrottledCalls], now: datetime
) -> Check:
    """Check the calls to Amazon of the last 24 hours, the time lost to throttling, and what it delays now."""
    total, failed, refused = (
        sum(getattr(call, name) for call in calls) for name in ("calls", "failed", "throttled")
    )
    waited = sum((call.waited for call in calls), timedelta(0))
    queued = sum((call.queued for call in calls), timedelta(0))
    facts = {
        "calls": total,
        "failed": failed,
        "throttled": refused,
        "waited_seconds": waited.total_seconds(),
        "queued_seconds": queued.total_seconds(),
        "by_call": [_call_facts(call) for call in calls],
        "throttled_now": [throttled_json(one) for one in throttled],
    }
    if not total and not throttled:
        return Check("calls", Level.OK, "none in the last 24 hours", facts=facts)
    found = (
        f"{_count(total, 'call')} in the last 24 hours, {failed / max(1, total):.1%} failed, {refused:,} × 429; "
        f"waited {_ago(waited)} for Amazon, {_ago(queued)} in our own queue"
    )
    details = (*map(_call_line, calls), *_shortened([throttled_line(one) for one in throttled]))
    if any(one.delays_work(now) for one in throttled):
        found += ". Amazon throttles us now"
        return Check("calls", Level.WARNING, found, THROTTLED_TO_DO, details, facts)
    if total >= _ENOUGH_CALLS and failed / total > _MANY_FAILED:
        to_do = (
            "`select * from api_calls order by id desc limit 20` shows which: `bidbeacon db shell`."
        )
        return Check("calls", Level.WARNING, found, to_do, details, facts)
    return Check("calls", Level.OK, found, details=details, facts=facts)


def check_dagster(heartbeat: datetime | None, now: datetime) -> Check:
    """Check that Dagster's daemon runs; without it, nothing starts automatically."""
    facts = {"heartbeat_at": heartbeat}
    if heartbeat is None:
        return Check(
            "Dagster",
            Level.WARNING,
            "its daemon never ran on this database",
            _START_ALL,
            facts=facts,
        )
    silent = now - heartbeat
    if silent > _DAEMON_SILENT_AFTER:
        found = f"its daemon has sent no heartbeat for {_ago(silent)}"
        return Check(
            "Dagster",
            Level.WARNING,
            found,
            f"Nothing starts automatically. {_START_ALL}",
            facts=facts,
        )
    return Check("Dagster", Level.OK, f"its daemon runs, seen {_ago(silent)} ago", facts=facts)


def check_processes(processes: Sequence[RowMapping | Mapping[str, Any]]) -> Check:
    """Check the long-lived processes of the last day: their versions, how many daemons, and which kinds are silent.

    On a single host silence says nothing: `bidbeacon dev` is stopped and started at will.
    """
    living = [one for one in processes if one["silent_for"] <= _PROCESS_SILENT_AFTER]
    hosts = {one["host"] for one in processes}
    problems = [*_version_problems(living), *_daemon_problems(living)]
    if len(hosts) > 1:
        silent = {one["kind"] for one in processes} - {one["kind"] for one in living}
        problems += [f"no {kind} is seen any more: start one" for kind in sorted(silent)]
    found = (
        f"{_count(len(living), 'process', 'processes')} seen within {_ago(_PROCESS_SILENT_AFTER)}"
    )
    if len(hosts) > 1:
        found += f", on {_count(len({one['host'] for one in living}), 'host')}"
    facts = {"processes": [dict(one) for one in processes]}
    details = tuple(map(_process_line, processes)) if len(hosts) > 1 or problems else ()
    if not problems:
        return Check("processes", Level.OK, found, details=details, facts=facts)
    return Check("processes", Level.WARNING, found, f"{'; '.join(problems)}.", details, facts)


def _version_problems(living: Sequence[RowMapping | Mapping[str, Any]]) -> list[str]:
    """Return one sentence for each version that is not the newest."""
    running = Counter(one["version"] for one in living)
    newest = max(running, key=_version_key, default=None)
    return [
        f"{count} of {len(living)} processes run {version}: upgrade them to {newest}"
        for version, count in sorted(running.items())
        if version != newest
    ]


def _version_key(version: str) -> list[int]:
    return [int(digits) for digits in re.findall(r"\d+", version)]


def _daemon_problems(living: Sequence[RowMapping | Mapping[str, Any]]) -> list[str]:
    """Return what is wrong with more daemons than the one that Dagster wants."""
    hosts = [one["host"] for one in living if one["kind"] == "daemon"]
    if len(hosts) < 2:  # noqa: PLR2004 - one is right
        return []
    return [f"{len(hosts)} daemons run ({', '.join(hosts)}): stop all but one"]


def _process_line(one: RowMapping | Mapping[str, Any]) -> str:
    return f"{one['kind']:<11} {one['host']} ({one['pid']}), {one['version']}, seen {_ago(one['silent_for'])} ago"


def cannot_see(name: str, table: str, grant: str) -> Check:
    """Return the check of a table that this role may not read; `grant` is the SQL that allows it."""
    found = f"can't be checked: the role of BIDBEACON_DATABASE_URL may not read {table}"
    return Check(
        name, Level.WARNING, found, f"Grant it, as the owner: `{grant}`", facts={"grant": grant}
    )


def check_partitions(accounts: int, months: int, today: date) -> Check:
    """Check that Dagster's UI can show the partitions of all accounts, 20 % before it can't.

    Args:
        accounts: how many are partitions.
        months: the setting.
        today: the date in UTC.
    """
    days = count_partition_days(today, months)
    facts = {"accounts": accounts, "days": days, "months": months}
    found = (
        f"{_count(accounts, 'account')} × {days:,} days are {accounts * days:,} partitions an asset"
    )
    if accounts * days < NEARLY_FULL:
        return Check(PARTITIONS, Level.OK, found, facts=facts)
    found += f", and Dagster's UI is made for {MOST_PARTITIONS:,}"
    fitting = find_months_with_room(accounts, today, months)
    to_do = (
        "Spread the accounts over several installations."
        if fitting is None
        else f"Set BIDBEACON_PARTITION_MONTHS={fitting} and restart Dagster. Older days are still kept and refreshed in Postgres. "
        "After you set more months again, launch the job record_again, which shows Dagster the days that it missed."
    )
    return Check(PARTITIONS, Level.WARNING, found, to_do, facts=facts)


def check_disk(folder: str, free: int, total: int) -> Check:
    """Check the free disk space for downloads, in bytes."""
    found = f"{free / 2**30:,.1f} GiB free of {total / 2**30:,.0f} in {folder}"
    facts = {"folder": folder, "free_bytes": free, "total_bytes": total}
    if free >= _LOW_DISK:
        return Check("disk", Level.OK, found, facts=facts)
    level = Level.FAILURE if free < _FULL_DISK else Level.WARNING
    return Check(
        "disk",
        level,
        found,
        "Make room, or set BIDBEACON_SCRATCH_FOLDER to a larger disk.",
        facts=facts,
    )


def _reasons(waiting: Sequence[Account]) -> tuple[str, ...]:
    """Return the reasons for manual action, each once, with its accounts."""
    by_reason: dict[str, list[str]] = {}
    for account in waiting:
        by_reason.setdefault(account.needs_attention or "", []).append(account.label)
    return _shortened(tuple(f"{_named(labels)}: {reason}" for reason, labels in by_reason.items()))


def _named(labels: Sequence[str]) -> str:
    shown = 2
    more = f" and {len(labels) - shown:,} more" if len(labels) > shown else ""
    return ", ".join(labels[:shown]) + more


def _shortened(details: Sequence[str]) -> tuple[str, ...]:
    """Return the first few, and how many more there are."""
    more = len(details) - _MOST_DETAILS
    return (*details[:_MOST_DETAILS], f"… and {more:,} more") if more > 0 else tuple(details)


def _call_line(calls: CallSummary) -> str:
    line = f"{calls.call:<15} {calls.calls:>7,}  {calls.failed / calls.calls:>6.1%} failed"
    line += f", {calls.throttled:,} × 429" if calls.throttled else ""
    return line + (f", waited {_ago(calls.waited)}" if calls.waited else "")


def _call_facts(calls: CallSummary) -> dict[str, Any]:
    seconds = {
        name: getattr(calls, name).total_seconds() for name in ("waited", "queued", "slowest")
    }
    counts = {
        "call": calls.call,
        "calls": calls.calls,
        "failed": calls.failed,
        "throttled": calls.throttled,
    }
    return counts | {f"{name}_seconds": value for name, value in seconds.items()}


def _count(number: int, noun: str, plural: str = "") -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {plural or f'{noun}s'}"


def _ago(time: timedelta) -> str:
    return format_duration(max(0.0, time.total_seconds()))
