"""Creates reports in the unified reporting API (v1), and retrieves their status."""

from collections.abc import Mapping, Sequence
from datetime import date
from enum import StrEnum
from typing import Annotated, Any

import httpx
from pydantic import AfterValidator, AliasPath, BeforeValidator, Field, model_validator

from bidbeacon_pipelines.amazon_ads import wire
from bidbeacon_pipelines.amazon_ads.client import AdsApiClient, AdsRequest, Owner
from bidbeacon_pipelines.amazon_ads.errors import MalformedAnswer
from bidbeacon_pipelines.amazon_ads.failures import partial_error
from bidbeacon_pipelines.amazon_ads.rate_limits import CallClass
from bidbeacon_pipelines.settings import Region


class ReportStatus(StrEnum):
    """The status of a report; an unknown word of Amazon's counts as `PROCESSING`."""

    PROCESSING = "PROCESSING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    EXPIRED = "EXPIRED"


_STATUS = wire.one_of("PENDING", "IN_PROGRESS", *ReportStatus)
_SYNONYMS = {"SUCCESS": "COMPLETED", "FAILURE": "FAILED", "CANCELED": "CANCELLED"}


class ReportPart(wire.WireModel):
    """One file of a report; its URL is signed and therefore a secret."""

    url: wire.Url
    size_bytes: wire.Size = Field(None, validation_alias="sizeInBytes")


class Period(wire.WireModel):
    """The first and the last day of a report, in the account's time zone."""

    start: date = Field(validation_alias=AliasPath("datePeriod", "startDate"))
    end: date = Field(validation_alias=AliasPath("datePeriod", "endDate"))


def _each_once(parts: tuple[ReportPart, ...]) -> tuple[ReportPart, ...]:
    return tuple({part.url.get_secret_value(): part for part in parts}.values())


def _account_id(linked: Any) -> Any:
    return linked.get("advertiserAccountId") if isinstance(linked, dict) else linked


class Report(wire.WireModel):
    """A report as Amazon describes it; `raw_status` is Amazon's word.

    `account_ids`, `periods`, `fields` and `row_filter` are those of the request that created it;
    they are empty or None if Amazon does not send them. They determine whether the report can be
    used instead of a new one.
    """

    report_id: wire.Id
    raw_status: Annotated[wire.Text, _STATUS] = Field(validation_alias="status", min_length=1)
    parts: Annotated[tuple[ReportPart, ...], AfterValidator(_each_once)] = Field(
        (), validation_alias="completedReportParts"
    )
    format: wire.Sent[Annotated[wire.Text, wire.one_of("GZIP_JSON")]] = None
    failure_code: wire.Text | None = None
    failure_reason: wire.Text | None = None
    created_at: wire.Instant = Field(None, validation_alias="creationDateTime")
    periods: wire.LenientItems[Period] = ()
    fields: wire.LenientItems[wire.Text] = Field(
        (), validation_alias=AliasPath("query", "fields"), repr=False
    )
    account_ids: wire.LenientItems[Annotated[wire.Text, BeforeValidator(_account_id)]] = Field(
        (), validation_alias="linkedAccounts"
    )
    row_filter: wire.Lenient[dict[str, Any]] = Field(
        None, validation_alias=AliasPath("query", "filter"), repr=False
    )

    @model_validator(mode="before")
    @classmethod
    def _with_parts(cls, body: Any) -> Any:
        if not isinstance(body, dict) or "status" not in body:
            return body
        url = [{"url": body["url"]}] if body.get("url") else []  # an older form of the answer
        return body | {"completedReportParts": body.get("completedReportParts") or url}

    @property
    def status(self) -> ReportStatus:
        """The report's status."""
        word = self.raw_status.strip().upper()
        return ReportStatus.__members__.get(_SYNONYMS.get(word, word), ReportStatus.PROCESSING)

    @property
    def is_terminal(self) -> bool:
        """Whether the report's status is final."""
        return self.status is not ReportStatus.PROCESSING


class ReportAnswer(wire.WireModel):
    """Amazon's answer about one report."""

    report: Report = Field(validation_alias=AliasPath("success", 0, "report"))


def ad_product_filter(ad_products: Sequence[str]) -> dict[str, Any]:
    """Return the row filter of a report that is limited to these ad products."""
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
) -> Report:
    """Create a report of all countries of an ads account, from `start` to `end` inclusive.

    The days are local to each account. Fields are dotted names. Some require another field:
    `campaign.name` requires `campaign.id`, and amounts of money require `budgetCurrency.value`.

    Raises:
        OutcomeUnknown: The report may exist, despite a 429, a 5xx or a broken connection.
        DuplicateReport: Amazon is already making the same report.
        Rejected: Amazon refuses the fields or the period.
    """
    report = {
        "format": "GZIP_JSON",
        "periods": [{"datePeriod": {"startDate": start.isoformat(), "endDate": end.isoformat()}}],
        "query": {"fields": list(fields)} | ({"filter": dict(row_filter)} if row_filter else {}),
    }
    request = AdsRequest(
        name="create_report",
        operation="create a report",
        method="POST",
        owner=Owner(region, account_id),
        path="/adsApi/v1/create/reports",
        call_class=CallClass.CREATE,
        json={
            "accessRequestedAccounts": [{"advertiserAccountId": account_id}],
            "reports": [report],
        },
        about=f", {start} to {end}",
        creates=True,
    )
    return client.call(request, _read_report)


def retrieve_report(
    client: AdsApiClient, region: Region, report_id: str, *, account_id: str | None = None
) -> Report:
    """Return a report with its status; Amazon allows at most one poll a minute.

    Without `account_id`, a 429 pauses the polls of all reports of the region.

    Raises:
        NotFound: Amazon doesn't know this report.
    """
    request = AdsRequest(
        name="retrieve_report",
        operation="retrieve a report",
        method="POST",
        owner=Owner(region, account_id),
        path="/adsApi/v1/retrieve/reports",
        call_class=CallClass.RETRIEVE,
        json={"reportIds": [report_id]},
        about=f", report {report_id}",
    )

    report = client.call(request, _read_report)
    if report.report_id != report_id:
        reason = f"expected an answer about report {report_id}, got: {report.report_id}"
        raise MalformedAnswer(reason, operation=request.operation)
    return report


def _read_report(response: httpx.Response) -> Report:
    body = wire.read_json(response)  # a failure is in the body, not in the HTTP status
    if isinstance(body, dict) and body.get("error"):
        raise partial_error(response, body, beside=_name_report(body))
    return wire.read_as(ReportAnswer, body).report


def _name_report(body: dict[str, Any]) -> str | None:
    try:
        report = wire.read_as(ReportAnswer, body).report
    except MalformedAnswer:
        return None
    return f"the answer also has report {report.report_id}, {report.raw_status}"
