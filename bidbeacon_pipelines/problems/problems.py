"""What is wrong now: read once from the database, for the first page and for alerts alike, so that the two never disagree."""

import builtins
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import Connection, RowMapping

from bidbeacon_pipelines.accounts.queries import list_subjects
from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.datasets.registry import DATASETS
from bidbeacon_pipelines.loading.acceptance import is_refusal
from bidbeacon_pipelines.problems.doctor import RESUMED_WITHIN, look_at_disk, look_into_tables
from bidbeacon_pipelines.problems.health_checks import (
    JOBS,
    PARTITIONS,
    Check,
    Level,
    describe_resumed,
)
from bidbeacon_pipelines.problems.home_queries import (
    list_silent,
    list_stopped,
    list_unlisted_regions,
    list_unsettled,
    list_unsettled_windows,
)
from bidbeacon_pipelines.problems.overview import (
    Group,
    WindowProblem,
    find_problem,
    find_problems,
)
from bidbeacon_pipelines.problems.problem_rules import (
    NAMES_SHOWN,
    SETTLES_AFTER,
    Problem,
    first_sentence,
    headline,
    merge,
    shape_of,
)
from bidbeacon_pipelines.problems.session_failures import list_failures, list_lost_by_job
from bidbeacon_pipelines.problems.throttling import find_throttled, throttling_problems
from bidbeacon_pipelines.problems.throttling_queries import ThrottledCalls
from bidbeacon_pipelines.requests.backfill import WindowNotLoadedError, split_reasons
from bidbeacon_pipelines.settings import Settings
from bidbeacon_pipelines.windows.coverage_rules import WindowSigns, WindowState, late_if_sent_before
from bidbeacon_pipelines.windows.resumed import ResumedAccount, list_resumed

RECENTLY = timedelta(hours=24)
_ALL_DAYS = 731
_LONGEST_KEY = 300
_MOST_FAILURES = 100
_MINOR = frozenset({WindowState.SUSPICIOUS, WindowState.UNCONFIRMED})
"""A second report is asked for by itself after a quarter of an hour, and settles it as a rule."""
_NEXT_OF_WINDOWS = {
    WindowState.FAILED: "Open it to see when a new report is requested, or to load it again now.",
    WindowState.LATE: "Open it to see what it waits for.",
    WindowState.SUSPICIOUS: "A second report is requested automatically, and decides.",
    WindowState.UNCONFIRMED: "A second report is requested automatically, and decides.",
}
_IN_QUARANTINE = "The rows are in quarantine: `bidbeacon quarantine list` shows them."
_SECOND_REPORT = timedelta(minutes=45)
_NEXT_RUN = timedelta(minutes=15)
"""A run that failed is followed by another within minutes."""
_NEXT_SYNC = timedelta(minutes=65)
"""Accounts are listed once an hour, and one bad answer is no news."""
_DAEMON_STARTS = timedelta(minutes=10)
"""After a weekend, the process that watches is up before Dagster has started its first run."""
_SINCE = {JOBS: "last_at", "requests": "overdue_since"}
"""Which fact of a check says since when it is so."""
_KINDS = {
    JOBS: "no job runs",
    "requests": "reports wait",
    "disk": "disk nearly full",
    PARTITIONS: "many partitions",
}
"""The kind of problem that a failed check is, where its name does not say it."""

Naming = Callable[[Sequence[str] | None], tuple[str, ...]]


@dataclass(frozen=True)
class Survey:
    """The state of everything at one instant.

    Attributes:
        groups: Windows that are not simply loaded and fresh.
        checks: What `bidbeacon doctor` finds in the database and on the disk, but for failed
            windows.
        problems: What is wrong, the worst first.
        throttled: What Amazon throttles; empty where the role may not see it, which a check says.
    """

    groups: Sequence[Group]
    checks: Sequence[Check]
    problems: Sequence[Problem]
    throttled: Sequence[ThrottledCalls]


def survey(connection: Connection, settings: Settings, now: datetime) -> Survey:
    """Look at everything, and return what is wrong by cause."""
    groups = list_groups(connection, settings, now)
    checks = [
        *look_into_tables(connection, settings, now, with_windows=False),
        look_at_disk(settings.scratch_folder),
    ]
    since, named = now - RECENTLY, _naming(connection)
    stopped = _of_stopped(list_stopped(connection), named)
    windows = [_of_windows(problem, named) for problem in find_problems(groups)]
    failures = list_failures(connection, since=since, most=_MOST_FAILURES)
    throttled = find_throttled(connection, now)
    others = [
        *windows,
        *map(_of_resumed, list_resumed(connection, since=now - RESUMED_WITHIN, now=now)),
        *throttling_problems(throttled, now),
        *map(_of_unlisted_region, list_unlisted_regions(connection)),
        *_of_silence(list_silent(connection, since=since), named),
        *(_of_promises(row, named) for row in list_lost_by_job(connection, since=since, now=now)),
        *(_of_failures(row, named) for row in failures if not _is_shown(row, windows)),
    ]
    problems = [*map(_of_check, _failed(checks)), *stopped, *_without_consequences(others, stopped)]
    return Survey(groups, checks, merge(problems), throttled)


def _without_consequences(problems: Sequence[Problem], stopped: Sequence[Problem]) -> list[Problem]:
    """Return the problems but for those whose cause is the one that has stopped an ads account."""
    roots = {first_sentence(one.cause) for one in stopped}
    return [one for one in problems if first_sentence(one.cause) not in roots]


def _is_shown(failure: RowMapping, windows: Sequence[Problem]) -> bool:
    """Return whether a session failed because of windows whose problems are shown already, with each of its reasons.

    A long message is stored shortened, so its last reason may be the beginning of a cause.
    """
    if failure["type"] != WindowNotLoadedError.__name__:
        return False
    causes = [shape_of(first_sentence(problem.cause)) for problem in windows]
    reasons = map(shape_of, split_reasons(failure["message"] or ""))
    return all(
        any(cause in reason or cause.startswith(reason) for cause in causes) for reason in reasons
    )


def _naming(connection: Connection) -> Naming:
    """Return what turns keys of accounts and ads accounts into what people call them."""
    labels = {subject.key: subject.label for subject in list_subjects(connection)}
    return lambda keys: tuple(labels.get(key) or key for key in keys or ())


def list_groups(
    connection: Connection, settings: Settings, now: datetime, account: Account | None = None
) -> list[Group]:
    """Return the windows that are not simply loaded and fresh, of all accounts or of one, by dataset, state and cause."""
    rows = list_unsettled(connection, account=account, **_late_since(settings, now))
    return [_group(row) for row in rows]


def find_windows(
    connection: Connection, settings: Settings, now: datetime, key: str
) -> list[tuple[str, str, date]]:
    """Return the account key, dataset and day of the windows whose problem has a key; none where it is over."""

    @cache
    def key_of(signs: WindowSigns, reason: str | None) -> str | None:
        problem = find_problem(signs, reason)
        return None if problem is None else _key(*problem)

    rows = list_unsettled_windows(connection, **_late_since(settings, now))
    return list(
        dict.fromkeys(
            (row["account_key"], row["dataset"], row["window_date"])
            for row in rows
            if key_of(_signs(row), row["reason"]) == key
        )
    )


def _late_since(settings: Settings, now: datetime) -> dict[str, Any]:
    """Return the instants that decide what is late, as the queries on windows take them."""
    late = {one.name: late_if_sent_before(one, now) for one in DATASETS.values()}
    return {
        "now": now,
        "overdue_before": now - settings.late_after,
        "late_if_sent_before": late,
    }


def _group(row: RowMapping) -> Group:
    others = {name: row[name] for name in Group.__dataclass_fields__ if name != "signs"}
    return Group(signs=_signs(row), **others)


def _signs(row: RowMapping) -> WindowSigns:
    names = ("status", "is_due", "is_overdue", "is_suspicious", "request_is_late")
    return WindowSigns(**{name: row[name] for name in names})


def _failed(checks: Sequence[Check]) -> list[Check]:
    """Return the checks that failed for a cause of their own, and the warning about partitions.

    Accounts are told by what they need, and where nothing happens nobody looks at reports.
    """
    failed = {
        one.name: one
        for one in checks
        if (one.level is Level.FAILURE and one.name != "accounts")
        or (one.level is Level.WARNING and one.name == PARTITIONS)
    }
    if JOBS in failed:
        failed.pop("requests", None)
    return list(failed.values())


def _of_check(check: Check) -> Problem:
    return Problem(
        key=f"check: {check.name}",
        kind=_KINDS.get(check.name, check.name),
        cause=f"{check.found[:1].upper()}{check.found[1:]}",
        to_do=check.to_do or "",
        is_minor=check.level is Level.WARNING,
        since=check.facts.get(_SINCE.get(check.name, "")),
        link="/#checks",
        tell_after=_DAEMON_STARTS if check.name == JOBS else timedelta(0),
    )


def _of_stopped(rows: Sequence[RowMapping], named: Naming) -> list[Problem]:
    is_only_one = sum(row["ads_accounts"] for row in rows) == 1
    return [
        _needs_attention(row, named, f"/accounts/{row['account_key']}" if is_only_one else None)
        for row in rows
    ]


def _needs_attention(row: RowMapping, named: Naming, link: str | None) -> Problem:
    of_credentials = row["needs_attention_for"] == "credentials"
    cause = headline(row["reason"])
    asked = {"type": "credentials-refused" if of_credentials else "account-needs-attention"}
    return Problem(
        key=_key("needs attention", row["needs_attention_for"], cause),
        kind="needs attention",
        cause=cause,
        count=row["ads_accounts"],
        noun="ads account",
        names=named(row["ads_account_keys"]),
        accounts=row["ads_accounts"],
        since=row["since"],
        link=link or f"/sessions?{urlencode(asked)}",
    )


def _of_resumed(one: ResumedAccount) -> Problem:
    return Problem(
        key=f"resumed: {one.account_key}"[:_LONGEST_KEY],
        kind="resumed",
        cause=f"The account {describe_resumed(one)}",
        to_do="Nothing is to be done: this is over when its windows are loaded.",
        is_minor=True,
        count=one.windows,
        noun="window",
        names=(one.label,),
        accounts=1,
        since=one.resumed_at,
        link=f"/accounts/{one.account_key}",
        tell_after=2 * RESUMED_WITHIN,
    )


def _of_unlisted_region(row: RowMapping) -> Problem:
    region, client = row["region"], row["client_id"]
    why = first_sentence(headline(row["reason"])).removeprefix("Amazon answered: ")
    missed = f"Its accounts go on, but new ones of client {client} and changes at Amazon are not seen. It is tried again each hour."
    return Problem(
        key=f"region: {region}: {client}"[:_LONGEST_KEY],
        kind="not listed",
        cause=f"Region {region} can't be listed: {why}. {missed}",
        is_minor=True,
        since=row["since"],
        link=f"/sessions/{row['session_id']}",
        tell_after=_NEXT_SYNC,
    )


def _of_windows(problem: WindowProblem, named: Naming) -> Problem:
    is_minor = problem.state in _MINOR
    return Problem(
        key=_key(problem.state, problem.cause),
        kind=str(problem.state),
        cause=problem.cause,
        to_do=_next_of_windows(problem),
        is_minor=is_minor,
        count=problem.windows,
        noun="window",
        names=named(problem.account_keys),
        accounts=problem.accounts,
        datasets=tuple(problem.datasets),
        since=problem.since,
        link=_coverage_link(problem),
        is_loadable=True,
        tell_after=_SECOND_REPORT if is_minor else timedelta(0),
        settles_after=SETTLES_AFTER,
    )


def _next_of_windows(problem: WindowProblem) -> str:
    usual = _NEXT_OF_WINDOWS[problem.state]
    is_refused = problem.state is WindowState.FAILED and is_refusal(problem.cause)
    return f"{_IN_QUARANTINE} {usual}" if is_refused else usual


def _coverage_link(problem: WindowProblem) -> str:
    dataset = next(iter(problem.datasets))
    if problem.window_date is not None:
        chosen = {"account": problem.account_keys[0], "window": str(problem.window_date)}
        return f"/coverage?{urlencode({'dataset': dataset} | chosen)}"
    return f"/coverage?{urlencode({'dataset': dataset, 'state': str(problem.state), 'days': _ALL_DAYS})}"


def _of_silence(rows: Sequence[RowMapping], named: Naming) -> list[Problem]:
    if not rows:
        return []
    keys = list(dict.fromkeys(row["account_key"] for row in rows))
    windows = Counter[str]()
    for row in rows:
        windows[row["dataset"]] += row["windows"]
    return [
        Problem(
            key="silent",
            kind="silent",
            cause="Two reports in a row have no rows of a country that has deliverable campaigns",
            to_do="These days count as days without traffic. Check in Amazon's console whether that is true.",
            is_minor=True,
            count=windows.total(),
            noun="window",
            names=named(keys[:NAMES_SHOWN]),
            accounts=len(keys),
            datasets=[name for name, _ in windows.most_common()],
            since=min(row["since"] for row in rows),
            link=f"/sessions?{urlencode({'type': 'silence-accepted', 'since': '24h'})}",
        )
    ]


def _of_promises(row: RowMapping, named: Naming) -> Problem:
    return Problem(
        key=_key("lost", row["job_name"]),
        kind="not done in time",
        cause=f"Work that {row['job_name']} had queued for later was not done in time",
        to_do="The session says what it was, and which windows it concerns.",
        count=row["promises"],
        noun="promise",
        names=named(row["account_keys"]),
        accounts=row["accounts"],
        since=row["since"],
        link=f"/sessions/{row['last_id']}",
    )


def _of_failures(row: RowMapping, named: Naming) -> Problem:
    kind = f"{row['job_name']} {row['status']}"
    asked = {"job": row["job_name"], "status": row["status"], "since": "24h"}
    error = _error_text(row["type"], row["message"])
    return Problem(
        key=_key(kind, error),
        kind=kind,
        cause=error,
        to_do=""
        if row["is_recovered"]
        else "This is over when a later run of the same job succeeds.",
        is_minor=row["is_recovered"],
        count=row["sessions"],
        noun="session",
        names=named(row["account_keys"]),
        accounts=row["accounts"] or None,
        since=row["since"],
        link=f"/sessions/{row['last_id']}"
        if row["sessions"] == 1
        else f"/sessions?{urlencode(asked)}",
        tell_after=_NEXT_RUN,
        is_recovered=row["is_recovered"],
    )


def _error_text(kind: str | None, message: str | None) -> str:
    """Return an error's message; the class stands before it where it is one of Python's, whose messages need it."""
    if message and kind and not hasattr(builtins, kind) and message[0].isupper():
        return headline(message)
    return ": ".join(filter(None, [kind, message])) or "No error is known"


def _key(*parts: Any) -> str:
    """Return what tells a cause: what went wrong, whatever its numbers, and neither what to do nor what was tried."""
    return ": ".join(shape_of(first_sentence(str(part))) for part in parts)[:_LONGEST_KEY]
