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


class AccountSyncFailed(Action):
    """Amazon did not list its accounts, in any region; those that are stored stay as they are."""

    sentence = "The accounts could not be synced: {reason}"
    tone = "error"

    reason: str


class AccountNeedsPerson(Action):
    """Amazon refuses the account's authorisation; nothing more is asked until a person acts."""

    sentence = "{account:account} needs a person: {reason}"
    tone = "error"

    account: str
    reason: str

    def touches(self) -> list[Touch]:
        """The account."""
        return [Touch(self.account, "needs-person")]


class CredentialsRefused(Action):
    """Amazon refuses our credentials; nothing more is asked for any account until a person acts."""

    sentence = "Stopped asking for {accounts:count:account}, which need a person: {reason}"
    tone = "error"

    reason: str
    accounts: int
    keys: tuple[str, ...]

    def touches(self) -> list[Touch]:
        """One touch an account that was not waiting for a person before."""
        return [Touch(key, "needs-person") for key in self.keys]


class CredentialsAccepted(Action):
    """Amazon accepts our credentials again; accounts that only waited for that go on."""

    sentence = "Amazon accepts our credentials again: {accounts:count:account} can go on"
    tone = "success"

    accounts: int
    keys: tuple[str, ...]

    def touches(self) -> list[Touch]:
        """One touch an account that goes on."""
        return [Touch(key, "goes-on") for key in self.keys]
