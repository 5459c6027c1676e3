"""Summary of the windows of all accounts: how many of each dataset are fresh, late or failed, and the problems by cause. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime

from bidbeacon_pipelines.problems.problem_rules import NAMES_SHOWN, headline, shape_of
from bidbeacon_pipelines.windows.coverage_rules import WindowSigns, WindowState, window_state

PROBLEMS = (WindowState.FAILED, WindowState.LATE, WindowState.SUSPICIOUS, WindowState.UNCONFIRMED)
"""The states that somebody should know of, the worst first. What is expired is counted only: it stays so for good, and nothing can be done."""
_CAUSES = {
    WindowState.LATE: "Overdue, and no report has been requested",
    WindowState.FAILED: "Their report gave no data",
}
_SLOW = "Amazon is taking far longer than usual to create the reports"


@dataclass(frozen=True)
class Group:
    """Windows of one dataset with the same signs and the same cause.

    Attributes:
        dataset: Its name.
        signs: How they all are.
        windows: How many.
        accounts: Of how many accounts.
        since: Since when the first of them is so; None where that is not known.
        account_keys: Some of the accounts, those with the most windows first.
        window_date: The newest day.
        reason: The newest one's reason.
        is_stopped: Whether their accounts are paused, or disabled at Amazon.
    """

    dataset: str
    signs: WindowSigns
    windows: int
    accounts: int
    since: datetime | None
    account_keys: Sequence[str]
    window_date: date
    reason: str | None = None
    is_stopped: bool = False


@dataclass(frozen=True)
class DatasetSummary:
    """How many windows of a dataset are in each state, over all of history; those without a sign of trouble are fresh."""

    dataset: str
    windows: int
    states: Mapping[WindowState, int]


@dataclass(frozen=True)
class WindowProblem:
    """Windows that are in one bad state for one cause.

    Attributes:
        state: Theirs.
        cause: In one sentence.
        windows: How many, of all datasets.
        accounts: Of how many accounts at least.
        since: Since when the first of them is so.
        datasets: Their number of windows by dataset, the most first.
        account_keys: Some of the accounts, at most `NAMES_SHOWN`.
        window_date: The window, where there is only one.
    """

    state: WindowState
    cause: str
    windows: int = 0
    accounts: int = 0
    since: datetime | None = None
    datasets: Mapping[str, int] = field(default_factory=dict)
    account_keys: Sequence[str] = ()
    window_date: date | None = None


def summarize_datasets(windows: Mapping[str, int], groups: Iterable[Group]) -> list[DatasetSummary]:
    """Return each dataset's windows by state; `windows` has how many there are in all, by dataset in the order to return."""
    counted: dict[str, Counter[WindowState]] = {name: Counter() for name in windows}
    for group in groups:
        counted[group.dataset][window_state(group.signs)] += group.windows
    for name, total in windows.items():
        counted[name][WindowState.FRESH] += total - counted[name].total()
    return [DatasetSummary(name, total, counted[name]) for name, total in windows.items()]


def find_problems(groups: Iterable[Group]) -> list[WindowProblem]:
    """Return what is wrong, by state and cause: the worst state first, and of each the cause with the most windows.

    Windows of paused and disabled accounts are left out: nothing is to be done about them.
    """
    found: dict[tuple[WindowState, str], WindowProblem] = {}
    for group in groups:
        problem = None if group.is_stopped else find_problem(group.signs, group.reason)
        if problem is not None:
            state, cause = problem
            key = state, shape_of(cause)
            found[key] = _with(found.get(key, WindowProblem(state, cause)), group)
    return sorted(
        found.values(),
        key=lambda problem: (PROBLEMS.index(problem.state), -problem.windows, problem.cause),
    )


def find_problem(signs: WindowSigns, reason: str | None) -> tuple[WindowState, str] | None:
    """Return the bad state of a window and its cause; None where nothing is wrong."""
    state = window_state(signs)
    if state not in PROBLEMS:
        return None
    if state is WindowState.LATE:
        return state, _SLOW if signs.status == "requested" else _CAUSES[state]
    return state, headline(reason or _CAUSES.get(state, "No reason is known"))


def _with(problem: WindowProblem, group: Group) -> WindowProblem:
    datasets = Counter(problem.datasets)
    datasets[group.dataset] += group.windows
    windows = problem.windows + group.windows
    keys = dict.fromkeys([*problem.account_keys, *group.account_keys])
    return replace(
        problem,
        windows=windows,
        accounts=max(problem.accounts, group.accounts, len(keys)),
        since=min(filter(None, [problem.since, group.since]), default=None),
        datasets=dict(datasets.most_common()),
        account_keys=tuple(keys)[:NAMES_SHOWN],
        window_date=group.window_date if windows == 1 else None,
    )
