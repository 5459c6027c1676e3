"""What the pipelines' jobs record: the catalogue of action classes, by subject.

Importing this package registers all of them, and what explains their causes: a process that shows
sessions needs both.
"""

from bidbeacon_pipelines.actions.accounts import (
    AccountAssigned,
    AccountNeedsAttention,
    AccountPaused,
    AccountRenamed,
    AccountResumed,
    AccountsSynced,
    AccountSyncFailed,
    CadenceChanged,
    CredentialsAccepted,
    CredentialsRefused,
    RegionNotListed,
)
from bidbeacon_pipelines.actions.entities import (
    EntitiesMisread,
    EntitiesSynced,
    EntitySyncRequested,
    ExportFailed,
    ExportPending,
    ExportRequested,
    ExportsSkipped,
    PortfoliosNotListed,
)
from bidbeacon_pipelines.actions.reports import (
    CreatesPaused,
    LoadRequested,
    LoadsRecorded,
    OtherProductsReported,
    QuarantineReplayed,
    RegistryOverridden,
    ReportAdopted,
    ReportFailed,
    ReportPending,
    ReportProcessed,
    ReportRequested,
    ReportsPlanned,
    ReportSplit,
    ReportSuspicious,
    RequestRetried,
    SilenceAccepted,
    SkipReason,
    WaitGivenUp,
    WindowsExpired,
    WindowSkipped,
    WindowsPlanned,
    WindowsQueued,
    WindowsReopened,
    WindowsUnconfirmed,
)
from bidbeacon_pipelines.actions.summaries import DatasetChecked
from bidbeacon_pipelines.actions.upkeep import OldRecordsDeleted
from bidbeacon_pipelines.causes import explain_as_json
from bidbeacon_sessions.causes import explain_causes_with

explain_causes_with(explain_as_json)

__all__ = [
    "AccountAssigned",
    "AccountNeedsAttention",
    "AccountPaused",
    "AccountRenamed",
    "AccountResumed",
    "AccountSyncFailed",
    "AccountsSynced",
    "CadenceChanged",
    "CreatesPaused",
    "CredentialsAccepted",
    "CredentialsRefused",
    "DatasetChecked",
    "EntitiesMisread",
    "EntitiesSynced",
    "EntitySyncRequested",
    "ExportFailed",
    "ExportPending",
    "ExportRequested",
    "ExportsSkipped",
    "LoadRequested",
    "LoadsRecorded",
    "OldRecordsDeleted",
    "OtherProductsReported",
    "PortfoliosNotListed",
    "QuarantineReplayed",
    "RegionNotListed",
    "RegistryOverridden",
    "ReportAdopted",
    "ReportFailed",
    "ReportPending",
    "ReportProcessed",
    "ReportRequested",
    "ReportSplit",
    "ReportSuspicious",
    "ReportsPlanned",
    "RequestRetried",
    "SilenceAccepted",
    "SkipReason",
    "WaitGivenUp",
    "WindowSkipped",
    "WindowsExpired",
    "WindowsPlanned",
    "WindowsQueued",
    "WindowsReopened",
    "WindowsUnconfirmed",
]
