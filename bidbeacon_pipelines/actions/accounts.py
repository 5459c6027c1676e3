"""What syncing accounts records."""

from bidbeacon_sessions import Action, Touch


class AccountsSynced(Action):
    """The accounts that Amazon lists were stored."""

    sentence = "Synced {accounts:count:account}[, {added} new][, {disabled} disabled at Amazon][: {added_keys:account}][, {problems:count:problem}]"
    tone = "success"

    accounts: int
    added: int = 0
    disabled: int = 0
    added_keys: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()

    def touches(self) -> list[Touch]:
        """One touch an account that is new."""
        return [Touch(key, "added") for key in self.added_keys]


class AccountNeedsPerson(Action):
    """Amazon refuses the account's authorisation; nothing more is asked until a person acts."""

    sentence = "{account:account} needs a person: {reason}"
    tone = "error"

    account: str
    reason: str

    def touches(self) -> list[Touch]:
        """The account."""
        return [Touch(self.account, "needs-person")]
