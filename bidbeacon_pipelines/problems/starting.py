"""The text that Home shows before the first data is loaded: the current step, and when to expect data. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from bidbeacon_pipelines.problems.overview import DatasetSummary, Group
from bidbeacon_pipelines.windows.coverage_rules import WindowState


@dataclass(frozen=True)
class Progress:
    """How far the start is.

    Attributes:
        accounts: How many accounts are known.
        refreshed: For how many of them reports are requested.
        is_synced: Whether accounts were ever listed completely.
        windows: How many windows there are.
        planned: How many reports wait to be created.
        in_flight: How many reports Amazon works on.
        is_sandbox: Whether the sandbox answers instead of Amazon.
    """

    accounts: int
    refreshed: int
    is_synced: bool
    windows: int
    planned: int
    in_flight: int
    is_sandbox: bool


@dataclass(frozen=True)
class Start:
    """The start in two sentences: what happens now, and when the first data comes."""

    now: str
    first_data: str


def has_data(summaries: Iterable[DatasetSummary], groups: Iterable[Group]) -> bool:
    """Return whether any window is loaded."""
    return any(one.states.get(WindowState.FRESH) for one in summaries) or any(
        group.signs.status == "loaded" for group in groups
    )


def describe_start(progress: Progress) -> Start | None:
    """Describe the start of an installation without data; None if nothing is being started."""
    takes = (
        "within a minute or two"
        if progress.is_sandbox
        else "usually within half an hour, as Amazon takes 1 to 20 minutes for a report"
    )
    if not progress.accounts:
        return None if progress.is_synced else Start(*_WAITS_FOR_ACCOUNTS)
    if not progress.refreshed:
        return None
    if not progress.windows:
        accounts = _count(progress.refreshed, "account")
        now = (
            f"Campaigns, ads and targets of {accounts} are being synced; then reports are planned."
        )
        return Start(now, f"The first data comes {takes} after that.")
    return Start(_now(progress), f"The first data comes with the first report, {takes}.")


_WAITS_FOR_ACCOUNTS = (
    "Accounts are read from Amazon as soon as Dagster runs.",
    "Then campaigns are synced, reports are requested, and the first data comes with the first report.",
)


def _now(progress: Progress) -> str:
    days = f"{_count(progress.windows, 'day')} of data"
    if progress.in_flight:
        more = f"; {progress.planned:,} more planned" if progress.planned else ""
        return f"Amazon is making {_count(progress.in_flight, 'report')} of {days}{more}."
    if progress.planned:
        are = "is" if progress.planned == 1 else "are"
        reports = _count(progress.planned, "report")
        return f"{reports} of {days} {are} planned, and about to be requested."
    return f"Reports of {days} are being planned."


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
