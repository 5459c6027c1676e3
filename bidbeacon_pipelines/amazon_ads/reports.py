"""Reports of the unified reporting API (v1): create one, and get its status."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from pydantic import SecretStr

from bidbeacon_pipelines.amazon_ads.client import AdsApiClient
from bidbeacon_pipelines.amazon_ads.failures import partial_error
from bidbeacon_pipelines.amazon_ads.models import (
    WireReport,
    WireReportAnswer,
    WireReportPart,
    check_as,
)
from bidbeacon_pipelines.amazon_ads.rate_limits import CallClass
from bidbeacon_pipelines.amazon_ads.transport import Answer, ApiCall, malformed
from bidbeacon_pipelines.settings import Region

CREATE_OPERATION = "create a report"


class ReportStatus(StrEnum):
    """The status of a report; an unknown word is `UNKNOWN`, and treated like `PROCESSING`."""

    PENDING = "PENDING"
    PROCESSING = "PROCESSING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    EXPIRED = "EXPIRED"
    UNKNOWN = "UNKNOWN"


_TERMINAL = frozenset(
    {ReportStatus.COMPLETED, ReportStatus.FAILED, ReportStatus.CANCELLED, ReportStatus.EXPIRED}
)
_SYNONYMS = {
    "IN_PROGRESS": ReportStatus.PROCESSING,
    "SUCCESS": ReportStatus.COMPLETED,
    "FAILURE": ReportStatus.FAILED,
    "CANCELED": ReportStatus.CANCELLED,
}


@dataclass(frozen=True)
class ReportPart:
    """One file of a report; all parts together are the report.

    Attributes:
        url: Presigned, so a secret.
        size_bytes: Size as it is transferred, gzipped; None where Amazon doesn't say.
        expires_at: When the URL ends, UTC; None where Amazon doesn't say.
    """

    url: SecretStr
    size_bytes: int | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True)
class Period:
    """Calendar dates in the account's own time zone, both inclusive."""

    start: date
    end: date


@dataclass(frozen=True)
class Report:
    """A report as Amazon describes it; instants are UTC.

    Attributes:
        raw_status: Amazon's word, where `status` is `UNKNOWN`, and otherwise too.
        account_ids: The accounts it is about, where Amazon says so; with `periods`, `fields` and
            `row_filter` they
            tell whether a report can be adopted.
        row_filter: The filter it was asked for with; None where it has none, or Amazon doesn't say.
    """

    report_id: str
    status: ReportStatus
    raw_status: str
    parts: tuple[ReportPart, ...] = ()
    failure_code: str | None = None
    failure_reason: str | None = None
    created_at: datetime | None = None
    completed_at: datetime | None = None
    periods: tuple[Period, ...] = ()
    fields: tuple[str, ...] = field(default=(), repr=False)
    account_ids: tuple[str, ...] = ()
    row_filter: Mapping[str, Any] | None = field(default=None, repr=False)

    @property
    def is_terminal(self) -> bool:
        """Whether its status is final."""
        return self.status in _TERMINAL


def ad_product_filter(ad_products: Sequence[str]) -> dict[str, Any]:
    """Return the filter that lets only rows of these ad products pass, as Amazon spells them in filters.

    Without it a report mixes the rows of all ad products. `not` is required.
    """
    operator = "EQUALS" if len(ad_products) == 1 else "IN"
    return {
        "on": {
            "field": "adProduct.value",
            "comparisonOperator": operator,
            "not": False,
            "values": list(ad_products),
        }
    }


def create_report(
    client: AdsApiClient,
    region: Region,
    account_id: str,
    *,
    fields: Sequence[str],
    start: date,
    end: date,
    row_filter: Mapping[str, Any] | None = None,
    format: str = "GZIP_JSON",  # noqa: A002 - Amazon's own word for it
) -> Report:
    """Create a report over an account's days, with all of its countries.

    Args:
        client: The session.
        region: Where the account's profile lives.
        account_id: `amzn1.ads-account.g.…`.
        fields: Dotted names; an attribute needs its key beside it, money needs
            `budgetCurrency.value`.
        start: First day, in the account's own time zone.
        end: Last day, inclusive.
        row_filter: Which rows to report, for example an `ad_product_filter`; None for all of them.
        format: `GZIP_JSON` or `PARTITIONED_GZIP_JSON`.

    Raises:
        OutcomeUnknown: Amazon may have accepted it: 429, 5xx, a broken connection, an unreadable
            answer.
        TooOld: The period lies before what Amazon keeps.
        DuplicateReport: The same report is being made already.
        Rejected: Amazon refuses fields or period.
        ValueError: No field, or the period ends before it starts.
    """
    if not fields:
        raise ValueError("a report needs at least one field")
    if end < start:
        raise ValueError(f"a report's period was to end on or after {start}, got: {end}")
    report = {
        "format": format,
        "periods": [{"datePeriod": {"startDate": start.isoformat(), "endDate": end.isoformat()}}],
        "query": {"fields": list(fields)} | ({"filter": dict(row_filter)} if row_filter else {}),
    }
    call = ApiCall(
        name="create_report",
        operation=CREATE_OPERATION,
        method="POST",
        region=region,
        path="/adsApi/v1/create/reports",
        call_class=CallClass.CREATE,
        json={
            "accessRequestedAccounts": [{"advertiserAccountId": account_id}],
            "reports": [report],
        },
        headers=_headers(client),
        account_id=account_id,
        about=f"account {account_id}, {start} to {end}",
        creates=True,
    )
    return client.call(call, _read_report)


def retrieve_report(
    client: AdsApiClient, region: Region, report_id: str, *, account_id: str | None = None
) -> Report:
    """Return a report's status; Amazon allows at most one poll a minute.

    Args:
        client: The session.
        region: Where it was asked for.
        report_id: Amazon's id of it.
        account_id: Its account; without it, a 429 pauses the polling of all reports of the region.

    Raises:
        NotFound: Amazon doesn't know this report.
        Throttled: Asked too often, and the retries are used up.
        MalformedAnswer: The answer is about another report, or isn't as described.
    """
    call = ApiCall(
        name="retrieve_report",
        operation="retrieve a report",
        method="POST",
        region=region,
        path="/adsApi/v1/retrieve/reports",
        call_class=CallClass.RETRIEVE,
        json={"reportIds": [report_id]},
        headers=_headers(client),
        account_id=account_id,
        about=f"report {report_id}" + (f" of account {account_id}" if account_id else ""),
    )

    def read(answer: Answer) -> Report:
        report = _read_report(answer)
        if report.report_id != report_id:
            raise malformed(
                answer, f"the answer was to be about report {report_id}, got: {report.report_id}"
            )
        return report

    return client.call(call, read)


def _headers(client: AdsApiClient) -> dict[str, str]:
    """Return the v1 specification's own name for the header that every call carries."""
    return {"Amazon-Ads-ClientId": client.client_id}


def _read_report(answer: Answer) -> Report:
    """Read the one report of a multi-status answer; a failure stands in its body, not in its status."""
    body = answer.get_json()
    if isinstance(body, dict) and body.get("error"):
        raise partial_error(answer, body)
    return _report(check_as(WireReportAnswer, body, answer).success[0].report)


def _report(wire: WireReport) -> Report:
    return Report(
        report_id=wire.report_id,
        status=_status(wire.status),
        raw_status=wire.status,
        parts=_parts(wire),
        failure_code=wire.failure_code,
        failure_reason=wire.failure_reason,
        created_at=wire.creation_date_time,
        completed_at=wire.completed_date_time,
        periods=tuple(
            Period(period.date_period.start_date, period.date_period.end_date)
            for period in wire.periods or ()
        ),
        fields=wire.query.fields_ if wire.query else (),
        row_filter=wire.query.filter if wire.query else None,
        account_ids=tuple(account.advertiser_account_id for account in wire.linked_accounts or ()),
    )


def _status(word: str) -> ReportStatus:
    word = word.strip().upper()
    if word in _SYNONYMS:
        return _SYNONYMS[word]
    return ReportStatus.__members__.get(word, ReportStatus.UNKNOWN)


def _parts(wire: WireReport) -> tuple[ReportPart, ...]:
    """Return the files, each once; an old single `url` may stand in for the list of parts."""
    parts = wire.completed_report_parts or ()
    if not parts and wire.url and wire.url.get_secret_value():
        parts = (WireReportPart(url=wire.url),)
    by_url: dict[str, ReportPart] = {}
    for part in parts:
        found = ReportPart(part.url, part.size_in_bytes, part.url_expiration_date_time)
        by_url.setdefault(part.url.get_secret_value(), found)
    return tuple(by_url.values())
