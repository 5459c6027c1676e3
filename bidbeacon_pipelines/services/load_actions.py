"""What a load tells: one action for what was loaded, and one a reason for what was held or refused."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, TypeVar

from bidbeacon_pipelines.actions import (
    OtherProductsReported,
    ReportFailed,
    ReportHeld,
    ReportProcessed,
    SilenceAccepted,
    WindowsUnconfirmed,
)
from bidbeacon_pipelines.ingest.load import LoadResult
from bidbeacon_sessions import Action

Reason = TypeVar("Reason", bound=str)


@dataclass(frozen=True)
class LoadFacts:
    """What is known of a load beside its result; `request` has the fields that all actions of a request share."""

    request: Mapping[str, Any]
    report_id: str
    currency: str
    part_count: int
    size_bytes: int
    seconds: float


def told_of_load(result: LoadResult, facts: LoadFacts) -> list[Action]:
    """Return the actions that say what a load did; to be recorded in its transaction."""
    told: list[Action] = [_processed(result, facts)] if result.loaded else []
    if result.other_products:
        told.append(_other_products(result, facts))
    if result.silent:
        told.append(_silence(result, facts))
    for reason, days in days_by_reason(result.unconfirmed).items():
        told.append(WindowsUnconfirmed(**_of(facts, days), report_id=facts.report_id, reason=reason))
    for reason, days in days_by_reason(result.held).items():
        told.append(ReportHeld(**_of(facts, days), report_id=facts.report_id, reason=reason))
    for reason, days in days_by_reason(result.refused).items():
        told.append(
            ReportFailed(**_of(facts, days), report_id=facts.report_id, code="refused", reason=reason)
        )
    return told


def _processed(result: LoadResult, facts: LoadFacts) -> ReportProcessed:
    return ReportProcessed(
        **_of(facts, result.loaded),
        report_id=facts.report_id,
        rows=result.rows,
        changed=result.merge.restated - result.merge.vanished,
        vanished=result.merge.vanished,
        summed=result.summed,
        unresolved=result.unresolved,
        quarantined=result.quarantined,
        foreign=result.foreign,
        part_count=facts.part_count,
        size_bytes=facts.size_bytes,
        spend=result.spend,
        sales=result.sales,
        currency=facts.currency,
        load_seconds=facts.seconds,
    )


def _other_products(result: LoadResult, facts: LoadFacts) -> OtherProductsReported:
    products = result.other_products
    return OtherProductsReported(
        account=facts.request["account"],
        dataset=facts.request["dataset"],
        request_id=facts.request["request_id"],
        report_id=facts.report_id,
        rows=sum(products.values()),
        ad_products=", ".join(f"{name} ({rows:,})" for name, rows in sorted(products.items())),
    )


def _silence(result: LoadResult, facts: LoadFacts) -> SilenceAccepted:
    return SilenceAccepted(
        account=facts.request["account"],
        dataset=facts.request["dataset"],
        windows=result.silent,
        request_id=facts.request["request_id"],
        report_id=facts.report_id,
    )


def _of(facts: LoadFacts, days: list[date]) -> dict[str, Any]:
    return {**facts.request, "windows": days}


def days_by_reason(reasons: Mapping[date, Reason]) -> dict[Reason, list[date]]:
    """Return the days of each reason, in their order."""
    grouped: dict[Reason, list[date]] = {}
    for day, reason in reasons.items():
        grouped.setdefault(reason, []).append(day)
    return grouped
