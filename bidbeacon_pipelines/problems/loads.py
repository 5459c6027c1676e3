"""Asks for loads of all windows that a problem on Home names, in however many datasets and accounts."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Connection

from bidbeacon_pipelines.accounts.queries import list_accounts
from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.datasets.registry import get_dataset
from bidbeacon_pipelines.problems.problems import find_windows
from bidbeacon_pipelines.requests.wanted import (
    AccountStoppedError,
    DaysNotLoadableError,
    list_loadable,
)
from bidbeacon_pipelines.requests.wanted_queries import list_wanted
from bidbeacon_pipelines.settings import Settings
from bidbeacon_pipelines.windows.queries import want_windows


class ProblemIsOverError(LookupError):
    """No window has the problem any more."""

    def __init__(self) -> None:
        super().__init__("This problem is over.")


@dataclass(frozen=True)
class ProblemLoad:
    """The loads that were asked for.

    Attributes:
        runs: How many runs will load them, one for each dataset of an account.
        windows: How many windows they load.
        stopped: Labels of the accounts for which nothing is asked, since they are stopped.
    """

    runs: int
    windows: int
    stopped: Sequence[str]


def want_problem_load(
    connection: Connection, settings: Settings, key: str, *, by: str, now: datetime
) -> ProblemLoad:
    """Ask for loads of all windows of a problem that Amazon serves.

    Windows that are wanted already are left out.

    Raises:
        DaysNotLoadableError: Amazon no longer serves any of the windows.
        ProblemIsOverError: there is no such problem.
        AccountStoppedError: the accounts of all of its windows are stopped.
    """
    days: dict[tuple[str, str], list[date]] = defaultdict(list)
    for account_key, dataset, day in find_windows(connection, settings, now, key):
        days[account_key, dataset].append(day)
    if not days:
        raise ProblemIsOverError
    accounts = {account.account_key: account for account in list_accounts(connection)}
    stopped = _stopped({key: accounts[key] for key, _ in days})
    wanted = {
        (row["account_key"], row["dataset"], day)
        for row in list_wanted(connection)
        for day in row["windows"]
    }
    new = {
        (key, name): [day for day in found if (key, name, day) not in wanted]
        for (key, name), found in days.items()
        if key not in stopped
    }
    loadable = {
        (key, name): list_loadable(accounts[key], get_dataset(name), found, now)
        for (key, name), found in new.items()
    }
    loads = {group: found for group, found in loadable.items() if found}
    if not loads and any(new.values()):
        (key, name), found = next((group, found) for group, found in new.items() if found)
        raise DaysNotLoadableError(accounts[key], get_dataset(name), found, now)
    for (key, name), found in loads.items():
        want_windows(connection, accounts[key], name, found, by)
    return ProblemLoad(len(loads), sum(map(len, loads.values())), sorted(stopped.values()))


def _stopped(accounts: Mapping[str, Account]) -> dict[str, str]:
    """Return the labels of accounts that are stopped, by key.

    Raises:
        AccountStoppedError: all are.
    """
    stopped = {key: one for key, one in accounts.items() if one.stop_reason is not None}
    if len(stopped) == len(accounts):
        raise AccountStoppedError(next(iter(stopped.values())))
    return {key: account.label for key, account in stopped.items()}
