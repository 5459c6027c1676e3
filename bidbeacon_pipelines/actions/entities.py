"""What syncing campaigns, ad groups, ads and targets records."""

from bidbeacon_sessions import Action, Touch


class _EntityAction(Action):
    account: str


class ExportRequested(_EntityAction):
    """An export was asked of Amazon, or one in flight taken over."""

    sentence = "[Took over{adopted:flag} ]Export {export_id:badge} of {kind} for {account:account}"
    tone = "progress"

    kind: str
    export_id: str
    adopted: bool = False


class ExportFailed(_EntityAction):
    """An export ended without a file."""

    sentence = "Export of {kind} for {account:account} failed: {reason}"
    tone = "error"

    kind: str
    export_id: str | None = None
    reason: str

    def touches(self) -> list[Touch]:
        """The account."""
        return [Touch(self.account, "export-failed")]


class EntitiesSynced(_EntityAction):
    """Entities were stored as an export told them; recorded in the transaction that wrote them."""

    sentence = "Synced {rows:count:row} of {kind} for {account:account}[, {bad} could not be read]"
    tone = "success"

    kind: str
    rows: int
    bad: int = 0

    def touches(self) -> list[Touch]:
        """The account."""
        return [Touch(self.account, "entities-synced")]


class TargetsResolved(_EntityAction):
    """Rows that had an unknown target belong to a known one now."""

    sentence = "Resolved {rows:count:row} of {account:account} that had an unknown target"
    tone = "success"

    rows: int
