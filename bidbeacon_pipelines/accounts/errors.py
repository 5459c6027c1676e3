"""Errors raised when a user's request for an account would have no effect."""

from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_sessions.errors import UsageError
from bidbeacon_sessions.sentences import join_sentences


class CannotAskError(UsageError):
    """A user's request is refused because a run would do nothing; `what_to_do` is the remedy."""

    def __init__(self, message: str, what_to_do: str) -> None:
        self.what_to_do = what_to_do
        super().__init__(message)


class AccountStoppedError(CannotAskError):
    """The account is paused, disabled by Amazon, or needs attention."""

    def __init__(self, account: Account) -> None:
        self.failure_cause = account.stop_cause
        stopped = f"No reports are requested for {account.label}: {account.stop_reason}"
        super().__init__(join_sentences(stopped), "Resume the account first.")


def check_active(account: Account) -> None:
    """Raise `AccountStoppedError` if no reports are requested for an account."""
    if account.stop_reason is not None:
        raise AccountStoppedError(account)
