"""Requests for loads of all windows that a problem on Home names, in however many datasets and accounts."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Connection

from bidbeacon_pipelines.accounts.queries import Account, list_accounts
from bidbeacon_pipelines.datasets.registry import get_dataset
from bidbeacon_pipelines.problems.problems import find_windows
from bidbeacon_pipelines.requests.load_checks import AccountStoppedError
from bidbeacon_pipelines.requests.run_request_queries import list_waiting_requests
from bidbeacon_pipelines.requests.run_requests import request_load
from bidbeacon_pipelines.settings import Settings
from bidbeacon_pipelines.windows.rules import is_served, local_date

MOST_DAYS = 100
"""Days of one run."""
MOST_RUNS = 50
"""Runs that are requested at once; the days that are left wait for the next request."""

Window = tuple[str, str, date]
"""Account key, dataset and day."""


class ProblemIsOverError(LookupError):
    """No window has the problem any more."""

    def __init__(self) -> None:
        super().__init__("This problem is over.")


@dataclass(frozen=True)
class ProblemLoad:
    """The loads that were requested for a problem.

    Attributes:
        runs: How many runs.
        windows: How many windows they load.
        left: How many windows of the problem were too many for one request.
        stopped: Labels of the accounts for which nothing is requested, since they are stopped.
    """

    runs: int
    windows: int
    left: int
    stopped: Sequence[str]


@dataclass(frozen=True)
class _Run:
    account_key: str
    dataset: str
    days: Sequence[date]


def request_problem_load(
    connection: Connection, settings: Settings, key: str, *, by: str, now: datetime
) -> ProblemLoad:
    """Request loads of all windows of a problem that Amazon serves, the newest first.

    Windows that wait for their run already are left out.

    Raises:
        DaysNotServedError: Amazon no longer serves any of the windows.
        ProblemIsOverError: there is no such problem.
        AccountStoppedError: the accounts of all of its windows are stopped.
    """
    windows = find_windows(connection, settings, now, key)
    if not windows:
        raise ProblemIsOverError
    accounts = {account.account_key: account for account in list_accounts(connection)}
    stopped = _stopped({account: accounts[account] for account, _, _ in windows})
    waiting = _waiting(connection)
    wanted = [one for one in windows if one[0] not in stopped and one not in waiting]
    served = [one for one in wanted if _is_served(accounts[one[0]], one, now)]
    runs = _plan_runs(served or wanted)
    for run in runs[:MOST_RUNS]:
        account, dataset = accounts[run.account_key], get_dataset(run.dataset)
        request_load(connection, account, dataset, run.days, by=by, now=now)
    requested = sum(len(run.days) for run in runs[:MOST_RUNS])
    return ProblemLoad(
        len(runs[:MOST_RUNS]), requested, len(served) - requested, sorted(stopped.values())
    )


def _is_served(account: Account, window: Window, now: datetime) -> bool:
    _, dataset, day = window
    return is_served(get_dataset(dataset), day, local_date(now, account.time_zone))


def _stopped(accounts: Mapping[str, Account]) -> dict[str, str]:
    """Return the labels of accounts that are stopped, by key.

    Raises:
        AccountStoppedError: all are.
    """
    stopped = {key: one for key, one in accounts.items() if one.reason_to_skip is not None}
    if len(stopped) == len(accounts):
        raise AccountStoppedError(next(iter(stopped.values())))
    return {key: account.label for key, account in stopped.items()}


def _waiting(connection: Connection) -> set[Window]:
    """Return the windows that are requested and whose run has not begun."""
    return {
        (request.account_key, request.dataset, day)
        for request in list_waiting_requests(connection)
        for day in request.windows
    }


def _plan_runs(windows: Iterable[Window]) -> list[_Run]:
    """Return runs of at most `MOST_DAYS` days of a dataset of an account, those with the newest days first."""
    days: dict[tuple[str, str], list[date]] = defaultdict(list)
    for account, dataset, day in windows:
        days[account, dataset].append(day)
    runs = [
        _Run(account, dataset, newest[start : start + MOST_DAYS])
        for (account, dataset), found in days.items()
        for newest in [sorted(found, reverse=True)]
        for start in range(0, len(newest), MOST_DAYS)
    ]
    return sorted(runs, key=lambda run: run.days[0], reverse=True)
