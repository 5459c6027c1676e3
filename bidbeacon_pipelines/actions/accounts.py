"""Actions on accounts."""

from pydantic import Field

from bidbeacon_pipelines.causes import Cause
from bidbeacon_sessions import Action, Reference


class AccountsSynced(Action):
    """The accounts that Amazon lists were stored.

    `problems` has only the first problems; `problem_count` is the number of all problems.
    """

    sentence = (
        "Synced {accounts:count:account}[, {added} new][, {disabled} disabled]"
        "[: {added_keys:account}][, {problem_count:count:problem}]"
    )
    tone = "success"
    ends_wait_for = "Amazon"

    accounts: int
    added: int = 0
    disabled: int = 0
    added_keys: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    problem_count: int = Field(default_factory=lambda data: len(data.get("problems", ())))

    def references(self) -> list[Reference]:
        """Return one reference per new account."""
        return [Reference(key, "added") for key in self.added_keys]


class AccountSyncFailed(Action):
    """Amazon listed no accounts of a credential in any region; stored accounts are kept."""

    sentence = "The accounts[ of credential {credential_name}] could not be synced: {cause:cause}"
    tone = "error"
    ends_wait_for = "Amazon"

    credential_name: str | None
    cause: Cause


class RegionNotListed(Action):
    """Amazon did not list a credential's accounts in one region; stored accounts are kept."""

    sentence = (
        "Accounts of region {region} could not be listed[ for credential {credential_name}]: "
        "{cause:cause}"
    )
    tone = "error"
    ends_wait_for = "Amazon"

    region: str
    credential_name: str | None
    cause: Cause


class AccountNeedsAttention(Action):
    """Amazon refuses an account. No requests are sent for it until a person resumes it."""

    sentence = "{account:account} needs attention: {cause:cause}"
    tone = "error"
    ends_wait_for = "Amazon"

    account: str
    cause: Cause

    def references(self) -> list[Reference]:
        """Return a reference to the account."""
        return [Reference(self.account, "needs-attention")]


class AccountPaused(Action):
    """A person paused an account: no reports are requested for it."""

    sentence = "Paused {account:account}, by {by}"
    tone = "warning"

    account: str
    by: str

    def references(self) -> list[Reference]:
        """Return a reference to the account."""
        return [Reference(self.account, "paused")]


class AccountResumed(Action):
    """A person resumed an account that was paused or needed attention."""

    sentence = "Resumed {account:account}, by {by}"
    tone = "success"

    account: str
    by: str

    def references(self) -> list[Reference]:
        """Return a reference to the account."""
        return [Reference(self.account, "resumed")]


class CadenceChanged(Action):
    """A person changed how often an ads account is refreshed."""

    sentence = "Changed the cadence of {account:account} to: {cadence}, by {by}"

    account: str
    cadence: str
    by: str

    def references(self) -> list[Reference]:
        """Return a reference to the ads account."""
        return [Reference(self.account, "cadence-changed")]


class AccountRenamed(Action):
    """A person set or removed the alias of an ads account."""

    sentence = "Renamed {account:account}: {before:badge} is now {name:badge}, by {by}"

    account: str
    before: str
    name: str
    by: str

    def references(self) -> list[Reference]:
        """Return a reference to the ads account."""
        return [Reference(self.account, "renamed")]


class AccountAssigned(Action):
    """An ads account was assigned to another credential, or a person confirmed its credential."""

    sentence = (
        "{account:account} now belongs to credential {credential_name}[, not to {before}]"
        "[, by {by}]"
    )

    account: str
    credential_name: str
    before: str | None = None
    by: str | None = None

    def references(self) -> list[Reference]:
        """Return a reference to the ads account."""
        return [Reference(self.account, "assigned")]


class CredentialsRefused(Action):
    """Amazon refuses a credential; requests stop for all of its accounts."""

    sentence = (
        "Stopped requests for {accounts:count:account}[ of credential {credential_name}]: "
        "{cause:cause}"
    )
    tone = "error"
    ends_wait_for = "Amazon"

    cause: Cause
    credential_name: str | None
    accounts: int
    keys: tuple[str, ...]

    def references(self) -> list[Reference]:
        """Return one reference per newly stopped account."""
        return [Reference(key, "needs-attention") for key in self.keys]


class CredentialsAccepted(Action):
    """Amazon accepts a credential again; requests resume for the accounts that were stopped."""

    sentence = (
        "Amazon accepts the credential[ {credential_name}] again: "
        "resumed requests for {accounts:count:account}"
    )
    tone = "success"

    credential_name: str | None
    accounts: int
    keys: tuple[str, ...]

    def references(self) -> list[Reference]:
        """Return one reference per resumed account."""
        return [Reference(key, "goes-on") for key in self.keys]
