"""The actions that record a load, such as one action for each loaded account."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import reduce
from typing import Any

from bidbeacon_pipelines.actions import (
    OtherProductsReported,
    ReportFailed,
    ReportProcessed,
    ReportSuspicious,
    SilenceAccepted,
    WindowsNotServed,
    WindowsUnconfirmed,
)
from bidbeacon_pipelines.causes import cause, group_by_cause
from bidbeacon_pipelines.datasets.fields import product_name
from bidbeacon_pipelines.loading.load import LoadResult
from bidbeacon_pipelines.loading.load_queries import ReportScope
from bidbeacon_sessions import Action


@dataclass(frozen=True)
class LoadFacts:
    """Facts of a load that its actions share.

    `account` is the ads account's key. `currencies` has the currency of each account key.
    """

    scope: ReportScope
    account: str
    report_id: str
    currencies: Mapping[str, str]
    part_count: int
    size_bytes: int
    seconds: float


def actions_of_load(results: Mapping[str, LoadResult], facts: LoadFacts) -> list[Action]:
    """Return the actions that record a load, in order; `results` is by account key.

    One action ends the request; only `WindowsNotServed` actions come after it.
    """
    unconfirmed = {key: result.unconfirmed for key, result in results.items()}
    suspicious = {key: result.suspicious for key, result in results.items()}
    refused = {key: result.refused for key, result in results.items()}
    ends: list[tuple[Callable[..., Action], dict[str, Any]]] = [
        *(
            (ReportProcessed, _processed(key, result, facts))
            for key, result in results.items()
            if result.loaded
        ),
        *((WindowsUnconfirmed, payload) for payload in _by_cause(unconfirmed, facts)),
        *((ReportSuspicious, payload) for payload in _by_cause(suspicious, facts)),
        *((ReportFailed, payload) for payload in _by_cause(refused, facts)),
    ]
    last = len(ends) - 1
    return [
        *_remarks(results, facts),
        *(make(**payload, more_countries=n < last) for n, (make, payload) in enumerate(ends)),
        *_not_served(results, facts),
    ]


def _processed(account: str, result: LoadResult, facts: LoadFacts) -> dict[str, Any]:
    columns = facts.scope.dataset.columns
    return {
        **_of(facts, account),
        "windows": result.loaded,
        "rows": result.rows,
        "changed": result.merge.restated - result.merge.vanished,
        "vanished": result.merge.vanished,
        "summed": result.summed,
        "unresolved": result.unresolved,
        "quarantined": result.quarantined,
        "foreign": result.foreign,
        "part_count": facts.part_count,
        "size_bytes": facts.size_bytes,
        "spend": result.spend if "spend" in columns else None,
        "sales": result.sales if "sales" in columns else None,
        "currency": facts.currencies[account],
        "load_seconds": facts.seconds,
    }


def _by_cause(
    verdicts: Mapping[str, Mapping[date, Any]], facts: LoadFacts
) -> Iterator[dict[str, Any]]:
    found = [(account, day, one) for account, own in verdicts.items() for day, one in own.items()]
    for _, alike in group_by_cause((one.cause, (account, day, one)) for account, day, one in found):
        total = reduce(lambda first, second: first.plus(second), [one for *_, one in alike])
        accounts: dict[str, list[date]] = {}
        for account, day, _ in alike:
            accounts.setdefault(account, []).append(day)
        is_one = len(accounts) == 1
        yield {
            **_of(facts, next(iter(accounts)) if is_one else facts.account),
            "accounts": {} if is_one else accounts,
            "windows": sorted({day for days in accounts.values() for day in days}),
            "cause": total.cause,
        }


def _remarks(results: Mapping[str, LoadResult], facts: LoadFacts) -> Iterator[Action]:
    for account, result in results.items():
        if products := result.other_products:
            names = ", ".join(f"{name} ({rows:,})" for name, rows in sorted(products.items()))
            rows = sum(products.values())
            yield OtherProductsReported(**_of(facts, account), rows=rows, ad_products=names)
        if silent := result.silent_days:
            yield SilenceAccepted(**_of(facts, account), windows=silent)


def _not_served(results: Mapping[str, LoadResult], facts: LoadFacts) -> Iterator[Action]:
    alike: dict[tuple[str, str, bool], list[date]] = {}
    for account, result in results.items():
        for row in result.not_served:
            names = ", ".join(map(product_name, row["ad_products"]))
            alike.setdefault((account, names, row["is_whole"]), []).append(row["window_date"])
    for (account, names, is_whole), days in alike.items():
        yield WindowsNotServed(
            account=account,
            dataset=facts.scope.dataset.name,
            windows=days,
            ad_products=names,
            is_partly=not is_whole,
            cause=cause("history-not-proven"),
        )


def _of(facts: LoadFacts, account: str) -> dict[str, Any]:
    return {
        "account": account,
        "dataset": facts.scope.dataset.name,
        "request_id": facts.scope.request_id,
        "report_id": facts.report_id,
    }
