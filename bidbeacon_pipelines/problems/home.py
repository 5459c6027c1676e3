"""Everything at a glance, as data for the first page: what is fresh, what is wrong and why, what Amazon's limits cost, what was promised."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping

from bidbeacon_pipelines.accounts.queries import list_accounts
from bidbeacon_pipelines.amazon_ads.call_queries import summarize_calls
from bidbeacon_pipelines.datasets.registry import DATASETS
from bidbeacon_pipelines.problems.health_checks import Check, Level, gate_facts
from bidbeacon_pipelines.problems.health_queries import find_missing_grant
from bidbeacon_pipelines.problems.home_queries import (
    count_windows,
    list_put_off,
    read_windows_version,
    were_accounts_synced,
)
from bidbeacon_pipelines.problems.overview import DatasetSummary, summarize_datasets
from bidbeacon_pipelines.problems.problem_rules import Problem
from bidbeacon_pipelines.problems.problems import RECENTLY, survey
from bidbeacon_pipelines.problems.session_failures import list_lost
from bidbeacon_pipelines.problems.starting import Progress, describe_start, has_data
from bidbeacon_pipelines.problems.throttling import throttled_json
from bidbeacon_pipelines.problems.throttling_queries import ThrottledCalls
from bidbeacon_pipelines.requests.gate_queries import list_gates
from bidbeacon_pipelines.settings import Settings
from bidbeacon_pipelines.windows.coverage_rules import WindowState
from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.clock import Clock
from bidbeacon_sessions.presentation import instant
from bidbeacon_sessions.queries import count_unfulfilled

MOST_PROBLEMS = 20
MOST_LOST = 5


class Home:
    """Reads the state of everything from the store's database.

    Args:
        store: whose database.
        settings: of the pipelines.
        clock: returns the instant that everything is true as of.
    """

    def __init__(self, store: SessionStore, settings: Settings, *, clock: Clock) -> None:
        self._store = store
        self._settings = settings
        self._clock = clock
        self._counted: tuple[int, dict[str, int]] | None = None

    def read(self) -> dict[str, Any]:
        """Return it as plain data; `docs/page.md` describes the fields."""
        now = self._clock()
        with self._store.snapshot() as connection:
            state = survey(connection, self._settings, now)
            summaries = summarize_datasets(self._count_windows(connection), state.groups)
            answer = {
                "at": instant(now),
                "is_sandbox": self._settings.uses_sandbox,
                "accounts": _accounts_json(connection),
                "datasets": [dataset_json(one) for one in summaries],
                "problems": [_problem_json(one) for one in state.problems[:MOST_PROBLEMS]],
                "more_problems": max(0, len(state.problems) - MOST_PROBLEMS),
                "throttling": _throttling_json(connection, state.throttled, now),
                "promises": _promises_json(connection),
                "checks": [_check_json(one) for one in state.checks],
            }
            is_starting = not has_data(summaries, state.groups)
            return answer | {"starting": _start_json(connection, answer) if is_starting else None}

    def _count_windows(self, connection: Connection) -> dict[str, int]:
        """Count all windows by dataset; again only after some were created or deleted, since it reads an index of all of them."""
        version, known = read_windows_version(connection), self._counted
        if known is None or known[0] != version:
            counted = count_windows(connection)
            known = version, {name: counted.get(name, 0) for name in DATASETS}
            self._counted = known
        return known[1]


def _accounts_json(connection: Connection) -> dict[str, int]:
    accounts = list_accounts(connection)
    return {
        "accounts": len(accounts),
        "ads_accounts": len({account.account_id for account in accounts}),
        "countries": len({account.country_code for account in accounts}),
        "refreshed": sum(account.stop_reason is None for account in accounts),
    }


def _start_json(connection: Connection, home: Mapping[str, Any]) -> dict[str, str] | None:
    """Return what happens until the first data is loaded; None where no account is refreshed."""
    limits, accounts = home["throttling"], home["accounts"]
    progress = Progress(
        accounts=accounts["accounts"],
        refreshed=accounts["refreshed"],
        is_synced=accounts["accounts"] > 0 or were_accounts_synced(connection),
        windows=sum(one["windows"] for one in home["datasets"]),
        planned=sum(one["reports"] for one in limits["put_off"]),
        in_flight=sum(gate["in_flight"] for gate in limits["gates"]),
        is_sandbox=home["is_sandbox"],
    )
    start = describe_start(progress)
    return None if start is None else {"now": start.now, "first_data": start.first_data}


def dataset_json(summary: DatasetSummary) -> dict[str, Any]:
    """Return how many windows of a dataset are in each state."""
    return {
        "name": summary.dataset,
        "title": DATASETS[summary.dataset].title,
        "windows": summary.windows,
        "states": {
            str(state): summary.states[state] for state in WindowState if summary.states.get(state)
        },
    }


def _problem_json(problem: Problem) -> dict[str, Any]:
    return {
        "kind": problem.kind,
        "level": Level.WARNING if problem.is_minor else Level.FAILURE,
        "cause": problem.cause,
        "to_do": problem.to_do,
        "count": problem.count,
        "noun": problem.noun,
        "names": list(problem.names),
        "accounts": problem.accounts,
        "datasets": list(problem.datasets),
        "since": instant(problem.since),
        "is_recovered": problem.is_recovered,
        "link": problem.link,
        "load": problem.key if problem.is_loadable else None,
    }


def _throttling_json(
    connection: Connection, throttled: Sequence[ThrottledCalls], now: datetime
) -> dict[str, Any]:
    """Return what Amazon's limits cost: in throttled calls, at each gate, in the calls of the last 24 hours, and the reports that wait for their turn."""
    return {
        "throttled": [throttled_json(one) for one in throttled],
        "gates": [_plain(gate_facts(gate, now)) for gate in list_gates(connection, now=now)],
        "calls": _calls_json(connection, now),
        "put_off": [_plain(row) for row in list_put_off(connection)],
    }


def _calls_json(connection: Connection, now: datetime) -> dict[str, Any] | None:
    """Return what the calls of the last 24 hours cost; None where the role may not see them, which a check says."""
    if find_missing_grant(connection, "api_calls") is not None:
        return None
    calls = summarize_calls(connection, now - RECENTLY)
    return {
        "count": sum(each.calls for each in calls),
        "failed": sum(each.failed for each in calls),
        "throttled": sum(each.throttled for each in calls),
        "waited_seconds": sum(each.waited.total_seconds() for each in calls),
        "queued_seconds": sum(each.queued.total_seconds() for each in calls),
    }


def _promises_json(connection: Connection) -> dict[str, Any]:
    lost: Sequence[RowMapping] = list_lost(connection, most=MOST_LOST)
    return {
        **count_unfulfilled(connection),
        "lost_last": [_plain(row) | {"link": f"/sessions/{row['session_id']}"} for row in lost],
    }


def _check_json(check: Check) -> dict[str, Any]:
    return {
        "name": check.name,
        "level": check.level,
        "found": check.found,
        "to_do": check.to_do,
        "details": list(check.details),
    }


def _plain(values: Mapping[Any, Any]) -> dict[str, Any]:
    return {
        name: instant(value) if isinstance(value, datetime) else value
        for name, value in values.items()
    }
