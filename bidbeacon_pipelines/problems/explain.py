"""Explains a window: reads what is known of it in one snapshot, and returns the verdict."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, RowMapping

from bidbeacon_pipelines.datasets.registry import DATASETS
from bidbeacon_pipelines.problems.explain_queries import (
    find_account_row,
    find_ended_request_row,
    find_first_due,
    find_planned_request,
    find_request_row,
    list_references,
    list_window_rows,
)
from bidbeacon_pipelines.problems.explain_rules import explain
from bidbeacon_pipelines.problems.throttling import find_throttled
from bidbeacon_pipelines.problems.verdicts import Severity, Verdict
from bidbeacon_pipelines.requests.gate_queries import find_gate
from bidbeacon_pipelines.settings import Settings
from bidbeacon_pipelines.windows.facts import (
    AccountFacts,
    EndedRequest,
    GateFacts,
    OpenRequest,
    ReferenceFact,
    StoredWindow,
    ThrottlingFacts,
    WindowFacts,
)
from bidbeacon_sessions.presentation import action_json, load_labels, session_url

NEWEST_REFERENCES = 200
_ACCOUNT_FIELDS = tuple(AccountFacts.__dataclass_fields__)


@dataclass(frozen=True)
class Explanation:
    """A verdict with what it was made from.

    Attributes:
        verdict: On the window; where the day has several, on the worst of them.
        facts: What is known of that window.
        reports: The verdict on the window of each report of the day.
        timeline: The actions that refer to the day, oldest first.
        labels: What their accounts are called.
        at: The instant of the question.
    """

    verdict: Verdict
    facts: WindowFacts
    reports: Mapping[str, Verdict]
    timeline: list[RowMapping]
    labels: Mapping[str, str]
    at: datetime


def explain_window(
    connection: Connection,
    settings: Settings,
    key: str,
    dataset: str,
    day: date,
    *,
    now: datetime,
    report: str | None = None,
) -> Explanation:
    """Explain the state of a day's window, the worst of them where the dataset has several reports; an unknown account or dataset is a verdict too.

    Args:
        connection: an open transaction; REPEATABLE READ, so that the facts are of one moment.
        settings: how long countries wait for each other.
        key: the account's key.
        dataset: the dataset's name.
        day: the window, an account-local day.
        now: the instant of the question, UTC.
        report: the window of this report, if there is one.
    """
    timeline = list_references(connection, key, dataset, day, limit=NEWEST_REFERENCES)
    patience = timedelta(hours=settings.wait_for_countries_hours)
    explained = [
        (facts, explain(facts, now))
        for facts in _read_facts(connection, key, dataset, day, timeline, now, patience)
    ]
    reports = {
        facts.window.report: verdict for facts, verdict in explained if facts.window is not None
    }
    facts, verdict = max(
        explained,
        key=lambda one: (_is_of(one[0], report), list(Severity).index(one[1].severity)),
    )
    labels = load_labels(connection, timeline)
    return Explanation(verdict, facts, reports, timeline, labels, now)


def _is_of(facts: WindowFacts, report: str | None) -> bool:
    return facts.window is not None and facts.window.report == report


def _read_facts(
    connection: Connection,
    key: str,
    dataset: str,
    day: date,
    timeline: list[RowMapping],
    now: datetime,
    patience: timedelta,
) -> list[WindowFacts]:
    """Return what is known of each window of a day; of the day alone where it has none."""
    asked = WindowFacts(
        account_key=key,
        dataset_name=dataset,
        window_date=day,
        known_datasets=tuple(DATASETS),
        dataset=DATASETS.get(dataset),
    )
    account = find_account_row(connection, key)
    asked = replace(asked, account=_account(account))
    if account is None or dataset not in DATASETS:
        return [asked]
    asked = replace(
        asked,
        references=[_reference(row) for row in timeline],
        gate=_gate(connection, account, now),
        throttling=_throttling(connection, account["account_id"], now),
    )
    windows = list_window_rows(connection, account, dataset, day)
    return [
        _with_window(connection, asked, account, window, now, patience) for window in windows
    ] or [asked]


def _with_window(
    connection: Connection,
    asked: WindowFacts,
    account: RowMapping,
    window: RowMapping,
    now: datetime,
    patience: timedelta,
) -> WindowFacts:
    """Add what is known of a window and its requests."""
    dataset, report, day = asked.dataset_name, window["report"], asked.window_date
    waits_for = window["request_id"]
    ended = find_ended_request_row(connection, account, dataset, day, window["last_request_id"])
    planned = (
        find_planned_request(connection, account, dataset, report, day)
        if waits_for is None
        else None
    )
    return replace(
        asked,
        window=StoredWindow(**{name: window[name] for name in StoredWindow.__dataclass_fields__}),
        request=_request(connection, waits_for),
        ended=None if ended is None else EndedRequest(**ended),
        planned=_request(connection, planned),
        waits_until=_waits_until(connection, account, dataset, report, now, patience),
    )


def _request(connection: Connection, request_id: int | None) -> OpenRequest | None:
    row = None if request_id is None else find_request_row(connection, request_id)
    return None if row is None else OpenRequest(**row)


def _gate(connection: Connection, account: RowMapping, now: datetime) -> GateFacts | None:
    """Return the gate that reports of an account are created through; None before the first one."""
    found = find_gate(connection, account["client_id"], account["region"], now=now)
    if found is None:
        return None
    return GateFacts(
        region=found.gate.region,
        in_flight=found.in_flight,
        places=int(found.gate.in_flight_limit),
        closed_until=found.closed_until(now),
        planned=found.planned,
    )


def _throttling(connection: Connection, account_id: str, now: datetime) -> ThrottlingFacts | None:
    """Return the throttled polls and downloads of an ads account's reports in the last hour; None without any."""
    throttled = [
        one
        for one in find_throttled(connection, now, account_id)
        if one.kind in {"retrieve", "download"}
    ]
    if not throttled:
        return None
    return ThrottlingFacts(
        count=sum(one.count for one in throttled),
        last_at=max((one.last_at for one in throttled if one.last_at), default=None),
        paused_until=max((one.paused_until for one in throttled if one.paused_until), default=None),
    )


def _waits_until(
    connection: Connection,
    account: RowMapping,
    dataset: str,
    report: str,
    now: datetime,
    patience: timedelta,
) -> datetime | None:
    """Return until when what is due of a report may wait for other countries; None where there are none."""
    if account["countries"] < 2:  # noqa: PLR2004 - its own, and another
        return None
    first = find_first_due(connection, account, dataset, report, now)
    return None if first is None else first + patience


def _account(row: RowMapping | None) -> AccountFacts | None:
    return None if row is None else AccountFacts(**{name: row[name] for name in _ACCOUNT_FIELDS})


def _reference(row: RowMapping) -> ReferenceFact:
    return ReferenceFact(
        at=row["at"],
        effect=row["effect"],
        session_id=row["session_id"],
        reason=row["payload"].get("reason"),
    )


def explanation_json(explanation: Explanation) -> dict[str, Any]:
    """Return an explanation as JSON data, the same for the command line and for `GET /api/explain`.

    Shape: `account account_label dataset window report at`, `verdict` (`cause severity sentence
        next_at sessions`), `reports` (the sentence of each report of the day), `facts` (`account window request ended_request planned_request gate throttling`, each an
        object or null) and `timeline`: actions as the stream gives them, with `effect`, `job_name`
        and `url`.
    """
    facts, verdict = explanation.facts, explanation.verdict
    return {
        "account": facts.account_key,
        "account_label": None if facts.account is None else facts.account.label,
        "dataset": facts.dataset_name,
        "window": facts.window_date.isoformat(),
        "report": None if facts.window is None else facts.window.report,
        "at": explanation.at.isoformat(),
        "verdict": {
            "cause": verdict.cause.value,
            "severity": verdict.severity.value,
            "sentence": verdict.sentence,
            "next_at": _plain(verdict.next_at),
            "sessions": [
                {"id": str(session_id), "url": session_url(str(session_id))}
                for session_id in verdict.sessions
            ],
        },
        "reports": {
            report: {"severity": one.severity.value, "sentence": one.sentence}
            for report, one in explanation.reports.items()
        },
        "facts": {
            "account": _as_json(facts.account),
            "window": _window_json(facts),
            "request": _as_json(facts.request),
            "ended_request": _as_json(facts.ended),
            "planned_request": _as_json(facts.planned),
            "gate": _as_json(facts.gate),
            "throttling": _as_json(facts.throttling),
        },
        "timeline": [_timeline_json(row, explanation.labels) for row in explanation.timeline],
    }


def _timeline_json(row: Mapping[Any, Any], labels: Mapping[str, str]) -> dict[str, Any]:
    return action_json(row, labels) | {
        "effect": row["effect"],
        "job_name": row["job_name"],
        "session_status": row["session_status"],
        "session_outcome": row["session_outcome"],
        "url": session_url(str(row["session_id"])),
    }


def _window_json(facts: WindowFacts) -> dict[str, Any] | None:
    """Return the window; amounts that its dataset does not have are null."""
    window = _as_json(facts.window)
    if window is not None and facts.dataset is not None:
        lacking = {"spend", "sales"} - set(facts.dataset.columns)
        window |= dict.fromkeys(lacking)
    return window


def _as_json(
    facts: AccountFacts
    | StoredWindow
    | OpenRequest
    | EndedRequest
    | GateFacts
    | ThrottlingFacts
    | None,
) -> dict[str, Any] | None:
    return None if facts is None else {name: _plain(value) for name, value in asdict(facts).items()}


def _plain(value: Any) -> Any:
    """Return a value as JSON has it: instants and days in ISO 8601, exact amounts as text."""
    match value:
        case date():
            return value.isoformat()
        case Decimal() | UUID():
            return str(value)
        case _:
            return value
