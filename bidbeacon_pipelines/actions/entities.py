"""Actions of the sync of campaigns, ad groups, ads, targets and portfolios."""

from bidbeacon_pipelines.causes import Cause
from bidbeacon_sessions import Action, Reference


class _EntityAction(Action):
    account: str


class EntitySyncRequested(_EntityAction):
    """A person requested an immediate sync of an account's entities."""

    sentence = "Requested a sync of the entities of {account:account}, by {by}"

    by: str

    def references(self) -> list[Reference]:
        """Return a reference to the account."""
        return [Reference(self.account, "sync-wanted")]


class ExportRequested(_EntityAction):
    """An export was requested from Amazon, or one that was already in flight is used instead."""

    sentence = (
        "Export {export_id:badge} of {kind} for {account:account} is in progress at Amazon"
        "[, requested earlier{adopted:flag}]"
    )
    tone = "progress"
    ends_wait_for = "Amazon"

    kind: str
    export_id: str
    adopted: bool = False


class ExportsSkipped(_EntityAction):
    """Exports were not requested again, because a recent sync loaded them before it failed."""

    sentence = (
        "Skipped {kinds:count:export} that an earlier sync of {account:account} stored: "
        "{kinds:badge}"
    )

    kinds: tuple[str, ...]


class ExportPending(_EntityAction):
    """An export is not ready, or could not be polled or stored; the next sync tries again."""

    sentence = (
        "Postponed {kind} of {account:account} to the next sync[, export {export_id:badge}]: "
        "{cause:cause}"
    )
    tone = "warning"
    ends_wait_for = "Amazon"

    kind: str
    cause: Cause
    export_id: str | None = None

    def references(self) -> list[Reference]:
        """Return a reference to the account."""
        return [Reference(self.account, "export-pending")]


class ExportFailed(_EntityAction):
    """An export failed, or could not be requested."""

    sentence = "Export of {kind} for {account:account}: {cause:cause}"
    tone = "error"
    ends_wait_for = "Amazon"

    kind: str
    export_id: str | None = None
    cause: Cause

    def references(self) -> list[Reference]:
        """Return a reference to the account."""
        return [Reference(self.account, "export-failed")]


class EntitiesSynced(_EntityAction):
    """Entities were stored as Amazon sent them. The same transaction records this action."""

    sentence = "Synced {rows:count:row} of {kind} for {account:account}"
    tone = "success"
    ends_wait_for = "Amazon"

    kind: str
    rows: int

    def references(self) -> list[Reference]:
        """Return a reference to the account."""
        return [Reference(self.account, "entities-synced")]


class EntitiesMisread(_EntityAction):
    """Some entities could not be read completely.

    `bad` is the number of entities that were not stored. `incomplete` is the number of entities
    that were stored without their unreadable fields.
    """

    sentence = (
        "Could not read some {kind} of {account:account}[, {bad} set aside]"
        "[, {incomplete} stored in part]: {cause:cause}"
    )
    tone = "warning"

    kind: str
    bad: int
    incomplete: int
    cause: Cause

    def references(self) -> list[Reference]:
        """Return a reference to the account."""
        return [Reference(self.account, "entities-misread")]


class PortfoliosNotListed(_EntityAction):
    """Amazon did not list the portfolios. Stored portfolios are kept; the next sync retries."""

    sentence = "Portfolios of {account:account} could not be listed: {cause:cause}"
    tone = "warning"
    ends_wait_for = "Amazon"

    cause: Cause
