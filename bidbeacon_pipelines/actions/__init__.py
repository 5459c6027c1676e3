"""What the pipelines' jobs record: the catalogue of action classes, by subject.

Importing this package registers all of them, which is what a process that shows sessions needs.
"""

from bidbeacon_pipelines.actions.accounts import (
    AccountNeedsPerson,
    AccountsSynced,
    AccountSyncFailed,
    CredentialsAccepted,
    CredentialsRefused,
)
from bidbeacon_pipelines.actions.entities import (
    EntitiesSynced,
    ExportFailed,
    ExportPending,
    ExportRequested,
    ExportsSkipped,
    TargetsResolved,
)
from bidbeacon_pipelines.actions.reports import (
    LoadsRecorded,
    OtherProductsReported,
    QuarantineReplayed,
    ReportAdopted,
    ReportFailed,
    ReportHeld,
    ReportPending,
    ReportProcessed,
    ReportRequested,
    ReportSplit,
    RequestRetried,
    SilenceAccepted,
    SkipReason,
    WaitedForAmazon,
    WaitGivenUp,
    WindowsExpired,
    WindowSkipped,
    WindowsPlanned,
    WindowsQueued,
    WindowsReopened,
    WindowsUnconfirmed,
)
from bidbeacon_pipelines.actions.summaries import ClaimsChecked, SummaryUpdated
from bidbeacon_pipelines.actions.upkeep import OldRecordsDeleted

__all__ = [
    "AccountNeedsPerson",
    "AccountSyncFailed",
    "AccountsSynced",
    "ClaimsChecked",
    "CredentialsAccepted",
    "CredentialsRefused",
    "EntitiesSynced",
    "ExportFailed",
    "ExportPending",
    "ExportRequested",
    "ExportsSkipped",
    "LoadsRecorded",
    "OldRecordsDeleted",
    "OtherProductsReported",
    "QuarantineReplayed",
    "ReportAdopted",
    "ReportFailed",
    "ReportHeld",
    "ReportPending",
    "ReportProcessed",
    "ReportRequested",
    "ReportSplit",
    "RequestRetried",
    "SilenceAccepted",
    "SkipReason",
    "SummaryUpdated",
    "TargetsResolved",
    "WaitGivenUp",
    "WaitedForAmazon",
    "WindowSkipped",
    "WindowsExpired",
    "WindowsPlanned",
    "WindowsQueued",
    "WindowsReopened",
    "WindowsUnconfirmed",
]
