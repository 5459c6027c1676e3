"""Errors raised where a person asks for something of an account that would come to nothing now."""

from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_sessions.errors import UsageError
from bidbeacon_sessions.sentences import join_sentences


class CannotAskError(UsageError):
    """Nothing is asked of Amazon for a person, since a run would do nothing.

    Attributes:
        what_to_do: What helps.
    """

    def __init__(self, message: str, what_to_do: str) -> None:
        self.what_to_do = what_to_do
        super().__init__(message)


class AccountStoppedError(CannotAskError):
    """No reports are requested for this account: it is paused, disabled by Amazon, or needs attention."""

    def __init__(self, account: Account) -> None:
        self.failure_cause = account.stop_cause
        stopped = f"No reports are requested for {account.label}: {account.stop_reason}"
        super().__init__(join_sentences(stopped), "Resume the account first.")


def check_active(account: Account) -> None:
    """Raise if no reports are requested for an account.

    Raises:
        AccountStoppedError: it is paused, disabled or needs attention.
    """
    if account.stop_reason is not None:
        raise AccountStoppedError(account)
