"""Describes what Amazon throttles (429), for health, Home and alerts: whose calls, how often, until when, and what waits for them."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from sqlalchemy import Connection

from bidbeacon_pipelines.problems.health_queries import find_missing_grant
from bidbeacon_pipelines.problems.problem_rules import NAMES_SHOWN, SETTLES_AFTER, Problem
from bidbeacon_pipelines.problems.throttling_queries import ThrottledCalls, list_throttled
from bidbeacon_sessions.presentation import instant

TO_DO = "It goes on automatically at the time that Amazon asked for. If this lasts, ask Amazon for higher limits by ticket."
_TELL_AFTER = timedelta(hours=2)
"""Throttling for minutes is ordinary."""
_KINDS: Mapping[str, str] = {
    "create": "report creation",
    "retrieve": "polls of reports",
    "exports": "exports",
    "download": "downloads",
    "token": "access tokens",
    "other": "lists of accounts and portfolios",
}


def find_throttled(
    connection: Connection, now: datetime, account_id: str | None = None
) -> list[ThrottledCalls]:
    """Return what Amazon throttles, of one ads account if given; nothing where the role may not see it, which health says."""
    if any(find_missing_grant(connection, table) for table in ("api_calls", "rate_limits")):
        return []
    return list_throttled(connection, now, account_id)


def throttled_line(calls: ThrottledCalls) -> str:
    """Return one line: "NA, polls of reports of Acme Merch: 7 × 429 in the last hour, none is sent before 2026-01-15 12:02 UTC, 3 reports wait"."""
    whose = f" of {calls.account_name or calls.account_id}" if calls.account_id else ""
    line = f"{calls.region}, {_KINDS[calls.kind]}{whose}: {calls.count:,} × 429 in the last hour"
    if calls.paused_until is not None:
        line += f", none is sent before {calls.paused_until:%Y-%m-%d %H:%M:%S} UTC"
    return line + (f", {_reports(calls.reports)}" if calls.reports else "")


def throttled_json(calls: ThrottledCalls) -> dict[str, Any]:
    """Return it as data, for `GET /api/home` and `bidbeacon doctor --json`."""
    return {
        "region": calls.region,
        "kind": calls.kind,
        "what": _KINDS[calls.kind],
        "account": calls.account_key,
        "account_name": calls.account_name,
        "count": calls.count,
        "last_at": instant(calls.last_at),
        "paused_until": instant(calls.paused_until),
        "reports": calls.reports,
    }


def throttling_problems(throttled: Iterable[ThrottledCalls], now: datetime) -> list[Problem]:
    """Return a minor problem for each kind of call of a region whose throttling delays work.

    Throttled creates are normal: their gate says how many reports Amazon allows.
    """
    delaying = [one for one in throttled if one.kind != "create" and one.delays_work(now)]
    delaying.sort(key=_region_and_kind)
    return [
        _problem(region, kind, list(alike))
        for (region, kind), alike in groupby(delaying, _region_and_kind)
    ]


def _problem(region: str, kind: str, alike: Sequence[ThrottledCalls]) -> Problem:
    names = [one.account_name for one in alike if one.account_name]
    reports = sum(one.reports for one in alike)
    return Problem(
        key=f"throttled: {region}: {kind}",
        kind="throttled",
        cause=f"Amazon throttles {_KINDS[kind]} in {region} (429)",
        to_do=TO_DO,
        is_minor=True,
        count=reports or None,
        noun="report" if reports else "",
        names=tuple(names[:NAMES_SHOWN]),
        accounts=len(names) or None,
        since=min((one.first_at for one in alike if one.first_at), default=None),
        link="/#limits",
        tell_after=_TELL_AFTER,
        settles_after=SETTLES_AFTER,
    )


def _region_and_kind(calls: ThrottledCalls) -> tuple[str, str]:
    return calls.region, calls.kind


def _reports(count: int) -> str:
    return "1 report waits" if count == 1 else f"{count:,} reports wait"
