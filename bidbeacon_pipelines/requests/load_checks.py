"""Checks a manual load before its session begins: the account must be active, and Amazon must serve the days."""

from collections.abc import Sequence
from datetime import date

from bidbeacon_pipelines.accounts.queries import Account
from bidbeacon_pipelines.datasets.registry import Dataset
from bidbeacon_pipelines.windows.rules import oldest_served
from bidbeacon_sessions.sentences import join_sentences


class AccountStoppedError(RuntimeError):
    """An account is paused, disabled or suspended, so a run would do nothing."""

    def __init__(self, account: Account) -> None:
        super().__init__(
            join_sentences(
                f"No reports are requested for {account.label}: {account.reason_to_skip}"
            )
        )


class DaysNotServedError(ValueError):
    """Amazon no longer serves some of the requested days.

    Attributes:
        days: These days.
    """

    def __init__(
        self, dataset: Dataset, asked: Sequence[date], days: Sequence[date], oldest: date
    ) -> None:
        self.days = days
        some = "this day is" if len(asked) == 1 else f"{len(days):,} of {len(asked):,} days are"
        super().__init__(
            f"Amazon serves {dataset.name} from {oldest} on, {some} older: request later days only."
        )


class DaysNotOverError(RuntimeError):
    """Requested days are not over in the account's time zone, so they are not loaded.

    Attributes:
        days: These days.
    """

    def __init__(self, account: Account, days: Sequence[date]) -> None:
        self.days = days
        some = "1 day is" if len(days) == 1 else f"{len(days):,} days are"
        super().__init__(
            f"{some} not loaded, since not over in the account's time zone ({account.time_zone}): "
            f"{days[0]}{'' if len(days) == 1 else f' to {days[-1]}'}."
        )


def check_active(account: Account) -> None:
    """Raise if no reports are requested for an account.

    Raises:
        AccountStoppedError: it is paused, disabled by Amazon, or suspended.
    """
    if account.reason_to_skip is not None:
        raise AccountStoppedError(account)


def check_served(dataset: Dataset, days: Sequence[date], today: date) -> None:
    """Raise if a day is older than what Amazon serves on the account-local day `today`.

    Raises:
        DaysNotServedError: one is.
    """
    oldest = oldest_served(dataset, today)
    if older := [day for day in days if day < oldest]:
        raise DaysNotServedError(dataset, days, older, oldest)


def split_at_today(days: Sequence[date], today: date) -> tuple[list[date], list[date]]:
    """Return the days that are over on the account-local day `today`, and those that are not."""
    return [day for day in days if day < today], [day for day in days if day >= today]
