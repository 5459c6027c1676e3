"""Everything at a glance, as data for the first page: what is fresh, what is wrong and why, what Amazon's limits cost, what was promised."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import Connection, RowMapping

from bidbeacon_pipelines.reports.coverage import WindowSigns, WindowState, late_if_sent_before
from bidbeacon_pipelines.reports.datasets import DATASETS
from bidbeacon_pipelines.reports.overview import (
    DatasetSummary,
    Group,
    WindowProblem,
    find_problems,
    summarize_datasets,
)
from bidbeacon_pipelines.services.doctor import look_at_disk, look_into_tables
from bidbeacon_pipelines.services.verdicts import Check, Level, gate_facts
from bidbeacon_pipelines.settings import Settings
from bidbeacon_pipelines.store.accounts import list_accounts
from bidbeacon_pipelines.store.api_calls import summarize_calls
from bidbeacon_pipelines.store.gates import list_gates
from bidbeacon_pipelines.store.health import find_missing_grant
from bidbeacon_pipelines.store.home import count_windows, list_put_off, list_stopped, list_unsettled
from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.clock import Clock, utc_now
from bidbeacon_sessions.presentation import instant
from bidbeacon_sessions.promises import count_unkept, list_lost
from bidbeacon_sessions.queries import list_failures

RECENTLY = timedelta(hours=24)
MOST_PROBLEMS = 20
MOST_LOST = 5
COUNT_AGAIN_AFTER = timedelta(minutes=1)
_ALL_DAYS = 731
_MINOR = frozenset({WindowState.HELD, WindowState.UNCONFIRMED})


class Home:
    """Reads the state of everything from the store's database.

    Args:
        store: whose database.
        settings: of the pipelines.
        clock: gives the instant that everything is true as of.
    """

    def __init__(self, store: SessionStore, settings: Settings, *, clock: Clock = utc_now) -> None:
        self._store = store
        self._settings = settings
        self._clock = clock
        self._counted: tuple[datetime, dict[str, int]] | None = None

    def read(self) -> dict[str, Any]:
        """Return it as plain data; `docs/page.md` describes the fields."""
        now = self._clock()
        with self._store.snapshot() as connection:
            groups = self._list_groups(connection, now)
            windows = self._count_windows(connection, now)
            problems = [
                *map(_stopped_json, list_stopped(connection)),
                *map(_windows_json, find_problems(groups)),
                *(_failure_json(row) for row in list_failures(connection, since=now - RECENTLY)),
            ]
            checks = [
                *look_into_tables(connection, now, with_windows=False),
                look_at_disk(self._settings.home),
            ]
            return {
                "at": instant(now),
                "is_sandbox": self._settings.uses_sandbox,
                "accounts": _accounts_json(connection),
                "datasets": [_dataset_json(one) for one in summarize_datasets(windows, groups)],
                "problems": problems[:MOST_PROBLEMS],
                "more_problems": max(0, len(problems) - MOST_PROBLEMS),
                "throttling": _throttling_json(connection, now),
                "promises": _promises_json(connection),
                "checks": [_check_json(one) for one in checks],
            }

    def _count_windows(self, connection: Connection, now: datetime) -> dict[str, int]:
        """Count all windows by dataset: at most once a minute, since it reads an index of all of them, and they are created once a day."""
        if self._counted is None or now - self._counted[0] >= COUNT_AGAIN_AFTER:
            counted = count_windows(connection)
            self._counted = now, {name: counted.get(name, 0) for name in DATASETS}
        return self._counted[1]

    def _list_groups(self, connection: Connection, now: datetime) -> list[Group]:
        rows = list_unsettled(
            connection,
            now=now,
            overdue_before=now - self._settings.late_after,
            late_if_sent_before={one.name: late_if_sent_before(one, now) for one in DATASETS.values()},
        )
        return [_group(row) for row in rows]


def _group(row: RowMapping) -> Group:
    signs = {name: row[name] for name in ("status", "is_due", "is_overdue", "is_held", "request_is_late")}
    others = {name: row[name] for name in Group.__dataclass_fields__ if name != "signs"}
    return Group(signs=WindowSigns(**signs), **others)


def _accounts_json(connection: Connection) -> dict[str, int]:
    accounts = list_accounts(connection)
    return {
        "accounts": len(accounts),
        "ads_accounts": len({account.account_id for account in accounts}),
        "countries": len({account.country_code for account in accounts}),
        "refreshed": sum(account.reason_to_skip is None for account in accounts),
    }


def _dataset_json(summary: DatasetSummary) -> dict[str, Any]:
    return {
        "name": summary.dataset,
        "title": DATASETS[summary.dataset].title,
        "windows": summary.windows,
        "states": {str(state): summary.states[state] for state in WindowState if summary.states.get(state)},
    }


def _windows_json(problem: WindowProblem) -> dict[str, Any]:
    return {
        "kind": str(problem.state),
        "level": Level.WARNING if problem.state in _MINOR else Level.FAILURE,
        "cause": problem.cause,
        "count": problem.windows,
        "noun": "window",
        "accounts": problem.accounts,
        "datasets": list(problem.datasets),
        "since": instant(problem.since),
        "link": _coverage_link(problem),
    }


def _coverage_link(problem: WindowProblem) -> str:
    dataset = next(iter(problem.datasets))
    if problem.account_key is not None:
        chosen = {"account": problem.account_key, "window": str(problem.window_date)}
        return f"/coverage?{urlencode({'dataset': dataset} | chosen)}"
    return f"/coverage?{urlencode({'dataset': dataset, 'state': str(problem.state), 'days': _ALL_DAYS})}"


def _stopped_json(row: RowMapping) -> dict[str, Any]:
    of_credentials = row["needs_person_for"] == "credentials"
    asked = {"type": "credentials-refused" if of_credentials else "account-needs-person"}
    return {
        "kind": "needs a person",
        "level": Level.FAILURE,
        "cause": row["reason"],
        "count": row["ads_accounts"],
        "noun": "ads account",
        "accounts": row["ads_accounts"],
        "datasets": [],
        "since": None,
        "link": f"/sessions?{urlencode(asked)}",
    }


def _failure_json(row: RowMapping) -> dict[str, Any]:
    asked = {"job": row["job_name"], "status": row["status"], "since": "24h"}
    error = ": ".join(filter(None, [row["type"], row["message"]]))
    return {
        "kind": f"{row['job_name']} {row['status']}",
        "level": Level.FAILURE,
        "cause": error or "No error is known",
        "count": row["sessions"],
        "noun": "session",
        "accounts": None,
        "datasets": [],
        "since": instant(row["since"]),
        "link": f"/sessions/{row['last_id']}" if row["sessions"] == 1 else f"/sessions?{urlencode(asked)}",
    }


def _throttling_json(connection: Connection, now: datetime) -> dict[str, Any]:
    """Return what Amazon's limits cost: at each gate, in the calls of the last 24 hours, and the reports that wait for their turn."""
    return {
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
        **count_unkept(connection),
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
    return {name: instant(value) if isinstance(value, datetime) else value for name, value in values.items()}
