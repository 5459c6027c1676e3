"""The data of the page Home: findings, states of windows, and delays caused by limits."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, text

from bidbeacon_pipelines.accounts.queries import IS_REFRESHED
from bidbeacon_pipelines.amazon_ads.call_log import summarize_calls
from bidbeacon_pipelines.datasets.registry import DATASETS
from bidbeacon_pipelines.problems.alert_rules import KnownFinding
from bidbeacon_pipelines.problems.alerts import list_open
from bidbeacon_pipelines.problems.findings import Finding, counted
from bidbeacon_pipelines.problems.survey import survey
from bidbeacon_pipelines.requests.gate import GateState
from bidbeacon_pipelines.requests.outlook import limit_of
from bidbeacon_pipelines.settings import Settings
from bidbeacon_pipelines.states.fill import fill_json, read_fill
from bidbeacon_pipelines.states.window_states import count_json
from bidbeacon_sessions import SessionStore

MOST_FINDINGS: Final = 20
_RECENTLY = timedelta(hours=24)


def read_home(store: SessionStore, settings: Settings, now: datetime) -> dict[str, Any]:
    """Return the data of Home at an instant, as JSON data; see `docs/reference/http.md`."""
    with store.snapshot() as connection:
        state = survey(connection, settings, now)
        findings = list_open(connection, state.findings, now)
        answer = {
            "at": now,
            "is_sandbox": settings.uses_sandbox,
            "accounts": dict(connection.execute(_ACCOUNTS).mappings().one()),
            "datasets": [count_json(name, state.windows.get(name, {})) for name in DATASETS],
            "findings": [finding_json(one) for one in findings[:MOST_FINDINGS]],
            "more_findings": max(0, len(findings) - MOST_FINDINGS),
            "limits": _read_limits(connection, state.gates, now),
        }
        starting = _read_start(connection, answer)
        fill = read_fill(connection, now)
    answer |= {"starting": starting, "fill": fill_json(fill, state.limits)}
    plain: dict[str, Any] = msgspec.to_builtins(answer)
    return plain


def finding_json(known: KnownFinding) -> dict[str, Any]:
    """Return a finding as JSON data for the page and the command line."""
    finding = known.finding
    derived = {"count": finding.count, "since": known.since, "button": button_of(finding)}
    derived["other_button"] = "Keep ours" if finding.action == "accept" else None
    derived |= {"acknowledged": known.acknowledged}
    plain: dict[str, Any] = msgspec.to_builtins(finding) | msgspec.to_builtins(derived)
    return plain


def button_of(finding: Finding) -> str | None:
    """Return the label of a finding's button; None if the finding has no button."""
    match finding.action:
        case "load" if finding.unit:
            return (
                "Load again" if finding.unit == "1 window" else f"Load these {finding.unit} again"
            )
        case "resume":
            return f"Resume {finding.unit}".strip()
        case "accept":
            return "Accept"
    return None


_ACCOUNTS = text(f"""
    SELECT count(*) AS accounts, count(DISTINCT a.account_id) AS ads_accounts,
           count(DISTINCT a.country_code) AS countries,
           count(*) FILTER (WHERE {IS_REFRESHED}) AS refreshed
      FROM advertiser_accounts a
      JOIN ads_accounts o USING (account_id)""")
_PUT_OFF = text("""
    SELECT r.dataset, count(*) AS reports, min(r.created_at) AS since
      FROM report_requests r
      JOIN ads_accounts o USING (account_id)
     WHERE r.status = 'planned' AND o.needs_attention IS NULL
     GROUP BY r.dataset
     ORDER BY reports DESC, r.dataset""")


def _read_limits(
    connection: Connection, gates: Sequence[GateState], now: datetime
) -> dict[str, Any]:
    calls = summarize_calls(connection, now - _RECENTLY)
    return {
        "gates": [gate.facts(now) | {"limit": limit_of(gate, now)} for gate in gates],
        "calls": {
            "count": sum(each["calls"] for each in calls),
            "failed": sum(each["failed"] for each in calls),
            "throttled": sum(each["throttled"] for each in calls),
            "waited_seconds": sum(each["waited"].total_seconds() for each in calls),
            "queued_seconds": sum(each["queued"].total_seconds() for each in calls),
        },
        "put_off": [dict(row) for row in connection.execute(_PUT_OFF).mappings()],
    }


_WERE_LISTED = text("SELECT EXISTS (SELECT FROM credential_listings)")


def _read_start(connection: Connection, home: Mapping[str, Any]) -> dict[str, str] | None:
    """Return texts on current work and first data if the installation is new, else None."""
    accounts, datasets = home["accounts"], home["datasets"]
    if any(one["states"].get(state) for one in datasets for state in ("fresh", "suspicious")):
        return None
    takes = (
        "within a minute or two"
        if home["is_sandbox"]
        else "usually within half an hour, as Amazon takes 1 to 20 minutes for a report"
    )
    first = f"The first data comes with the first report, {takes} after it was requested."
    if not accounts["accounts"]:
        were_listed = connection.execute(_WERE_LISTED).scalar_one()
        now = "Accounts are read from Amazon as soon as Dagster runs, then campaigns are synced."
        return None if were_listed else {"now": now, "first_data": first}
    if not accounts["refreshed"]:
        return None
    windows = sum(one["windows"] for one in datasets)
    in_flight = sum(gate["in_flight"] for gate in home["limits"]["gates"])
    of = counted(accounts["refreshed"], "account")
    now = f"Campaigns, ads and targets of {of} are being synced; then reports are planned."
    if windows:
        made = counted(in_flight, "report")
        doing = f"Amazon is making {made}" if in_flight else "Reports are being planned"
        now = f"{doing}, for {counted(windows, 'window')} (each one day of one account's report)."
    return {"now": now, "first_data": first}
