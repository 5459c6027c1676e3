"""A client of the Amazon Ads API: accounts, reports, exports, downloads; synchronous and safe between threads."""

from bidbeacon_pipelines.amazon_ads.accounts import AccountListing, AdsAccount, list_accounts
from bidbeacon_pipelines.amazon_ads.client import (
    AdsApiClient,
    Clock,
    Credentials,
    Endpoints,
    RetryPolicy,
    Waiting,
    connect,
)
from bidbeacon_pipelines.amazon_ads.downloads import download_to
from bidbeacon_pipelines.amazon_ads.exports import (
    Export,
    ExportKind,
    ExportStatus,
    create_export,
    get_export,
)
from bidbeacon_pipelines.amazon_ads.ledger import CallLog, CallRecord
from bidbeacon_pipelines.amazon_ads.portfolios import list_portfolios
from bidbeacon_pipelines.amazon_ads.rate_limits import LocalRateLimits, RateLimits
from bidbeacon_pipelines.amazon_ads.reports import (
    Period,
    Report,
    ReportPart,
    ReportStatus,
    ad_product_filter,
    create_report,
    retrieve_report,
)
from bidbeacon_pipelines.amazon_ads.waits import Waits, WaitSummary

__all__ = [
    "AccountListing",
    "AdsAccount",
    "AdsApiClient",
    "CallLog",
    "CallRecord",
    "Clock",
    "Credentials",
    "Endpoints",
    "Export",
    "ExportKind",
    "ExportStatus",
    "LocalRateLimits",
    "Period",
    "RateLimits",
    "Report",
    "ReportPart",
    "ReportStatus",
    "RetryPolicy",
    "WaitSummary",
    "Waiting",
    "Waits",
    "ad_product_filter",
    "connect",
    "create_export",
    "create_report",
    "download_to",
    "get_export",
    "list_accounts",
    "list_portfolios",
    "retrieve_report",
]
