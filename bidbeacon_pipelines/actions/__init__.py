"""What the pipelines' jobs record: the catalogue of action classes, by subject.

Importing this package registers all of them, which is what a process that shows sessions needs.
"""

from bidbeacon_pipelines.actions.accounts import (
    AccountNeedsPerson,
    AccountsSynced,
    CredentialsAccepted,
    CredentialsRefused,
)
from bidbeacon_pipelines.actions.entities import (
    EntitiesSynced,
    ExportFailed,
    ExportRequested,
    TargetsResolved,
)
from bidbeacon_pipelines.actions.reports import (
    LoadsRecorded,
    QuarantineReplayed,
    ReportAdopted,
    ReportFailed,
    ReportHeld,
    ReportPending,
    ReportProcessed,
    ReportRequested,
    RequestRetried,
    SkipReason,
    WaitedForAmazon,
    WindowsExpired,
    WindowSkipped,
    WindowsPlanned,
    WindowsQueued,
)
from bidbeacon_pipelines.actions.summaries import ClaimsChecked, SummaryUpdated
from bidbeacon_pipelines.actions.upkeep import OldRecordsDeleted

__all__ = [
    "AccountNeedsPerson",
    "AccountsSynced",
    "ClaimsChecked",
    "CredentialsAccepted",
    "CredentialsRefused",
    "EntitiesSynced",
    "ExportFailed",
    "ExportRequested",
    "LoadsRecorded",
    "OldRecordsDeleted",
    "QuarantineReplayed",
    "ReportAdopted",
    "ReportFailed",
    "ReportHeld",
    "ReportPending",
    "ReportProcessed",
    "ReportRequested",
    "RequestRetried",
    "SkipReason",
    "SummaryUpdated",
    "TargetsResolved",
    "WaitedForAmazon",
    "WindowSkipped",
    "WindowsExpired",
    "WindowsPlanned",
    "WindowsQueued",
]
