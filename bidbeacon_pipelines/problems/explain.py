"""Explains the windows of a day: what each is, why, and what happens next, in at most two sentences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, RowMapping

from bidbeacon_pipelines import causes
from bidbeacon_pipelines.accounts.queries import get_account
from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.causes import Severity
from bidbeacon_pipelines.datasets.registry import Dataset, get_dataset
from bidbeacon_pipelines.problems.explain_queries import (
    find_first_due,
    find_planned_request,
    find_worker,
    list_references,
    list_states,
)
from bidbeacon_pipelines.problems.explain_sentences import KnownWindow, Told, describe, when
from bidbeacon_pipelines.problems.throttling import find_throttled
from bidbeacon_pipelines.requests.gate_queries import find_gate
from bidbeacon_pipelines.requests.queries import get_request
from bidbeacon_pipelines.requests.tables import ReportRequest
from bidbeacon_pipelines.settings import Settings
from bidbeacon_pipelines.windows.rules import due_at, local_date, oldest_served
from bidbeacon_pipelines.windows.states import STOPPED, WindowState
from bidbeacon_sessions.presentation import action_json, load_labels, session_url

NEWEST_REFERENCES = 200
NO_WINDOW = "no window"
_AT_AMAZON = (WindowState.REQUESTED, WindowState.LATE_AT_AMAZON, WindowState.LOADING)
_SEVERITIES: Final[Mapping[WindowState, Severity]] = {
    WindowState.FRESH: Severity.FINE,
    WindowState.MISSING: Severity.FINE,
    WindowState.DUE: Severity.WAITING,
    WindowState.REQUESTED: Severity.WAITING,
    WindowState.LOADING: Severity.WAITING,
    WindowState.FAILED: Severity.ERROR,
    WindowState.EXPIRED: Severity.ERROR,
    WindowState.NEEDS_ATTENTION: Severity.ERROR,
}
"""How serious a state is; each other one is a warning."""
_PROOFS: Final[Mapping[str, tuple[str, ...]]] = {
    WindowState.FRESH: ("loaded", "replayed"),
    WindowState.REQUESTED: ("requested", "adopted", "retried", "pending"),
    WindowState.LATE_AT_AMAZON: ("requested", "adopted", "pending"),
    WindowState.FAILED: ("failed",),
    WindowState.SUSPICIOUS: ("suspicious",),
    WindowState.UNCONFIRMED: ("unconfirmed",),
    WindowState.EXPIRED: ("expired", "failed"),
    WindowState.NEEDS_ATTENTION: ("needs-attention", "failed"),
}
"""The actions whose session proves a state; by default that of the last action."""


@dataclass(frozen=True)
class Explanation:
    """Why a window is as it is, or why a day has none.

    Attributes:
        state: One of `WindowState`, or `NO_WINDOW`.
        severity: How serious it is.
        told: The two sentences.
        report: The report of the window.
        cause: Its cause, for people; None where nothing is wrong.
        window: Its row of `window_states`.
        request: The request that it waits for, or that is planned over it.
        worker: The session that is working on that request.
    """

    state: str
    severity: Severity
    told: Told
    report: str | None = None
    cause: causes.Explained | None = None
    window: Mapping[Any, Any] | None = None
    request: ReportRequest | None = None
    worker: UUID | None = None

    @property
    def sentence(self) -> str:
        """What it is, why, and what happens next: at most two sentences."""
        return f"{self.told.what} {self.told.then}".rstrip()


def explain_day(
    connection: Connection,
    settings: Settings,
    account: Account,
    dataset: Dataset,
    day: date,
    *,
    now: datetime,
) -> list[Explanation]:
    """Return why the window of each report of a dataset is as it is on a day, the worst first; at least one explanation.

    Args:
        connection: an open transaction; REPEATABLE READ, so that all is of one moment.
        settings: when a window is late, and how long countries wait for each other.
        account: the account.
        dataset: the dataset.
        day: the account-local day.
        now: the instant of the question, UTC.
    """
    late_after = settings.late_after
    windows = list_states(connection, account, dataset.name, day, at=now, late_after=late_after)
    if not windows:
        return [_explain_missing(account, dataset, day, now)]
    known = [_read(connection, settings, account, dataset, window, now) for window in windows]
    return sorted(map(_explain, known), key=_badness, reverse=True)


def explain_worst(
    connection: Connection, settings: Settings, key: str, dataset: str, day: date, *, now: datetime
) -> str:
    """Return the sentences on a day's worst window, given the names of its account and dataset."""
    account = get_account(connection, key)
    [worst, *_] = explain_day(connection, settings, account, get_dataset(dataset), day, now=now)
    return worst.sentence


def _badness(explanation: Explanation) -> tuple[int, int]:
    states = [*map(str, WindowState)]
    return list(Severity).index(explanation.severity), states.index(explanation.state)


def _read(
    connection: Connection,
    settings: Settings,
    account: Account,
    dataset: Dataset,
    window: RowMapping,
    now: datetime,
) -> KnownWindow:
    """Read what the sentences on a window need, and nothing else."""
    state, cause = window["state"], window["cause"]
    known: dict[str, Any] = {"cause": None if cause is None else causes.explain(cause)}
    if state in _AT_AMAZON:
        known |= _read_request(connection, account, window["request_id"], now)
    elif _is_waiting(window, now):
        planned = find_planned_request(connection, window)
        if planned is not None:
            known |= _read_request(connection, account, planned, now)
        elif window["wanted_by"] is None:
            first = find_first_due(connection, window, now)
            patience = timedelta(hours=settings.wait_for_countries_hours)
            known["waits_until"] = None if first is None else first + patience
    return KnownWindow(account=account, dataset=dataset, window=window, now=now, **known)


def _is_waiting(window: RowMapping, now: datetime) -> bool:
    due_at = window["next_at"]
    is_due = window["wanted_by"] is not None or (due_at is not None and due_at <= now)
    return is_due and window["state"] not in STOPPED


def _read_request(
    connection: Connection, account: Account, request_id: int, now: datetime
) -> dict[str, Any]:
    request, owner = get_request(connection, request_id), account.ads_account
    known: dict[str, Any] = {"request": request, "worker": find_worker(connection, request_id)}
    if request.report_id is None:
        known["gate"] = find_gate(connection, owner.client_id, owner.region, now=now)
        return known
    throttled = find_throttled(connection, now, account.account_id)
    polls = [one.paused_until for one in throttled if one.kind in {"retrieve", "download"}]
    return known | {"throttled_until": max(filter(None, polls), default=None)}


def _explain(known: KnownWindow) -> Explanation:
    usual = _SEVERITIES.get(known.state, Severity.WARNING)
    is_retried = usual is Severity.WAITING and known.cause is not None
    return Explanation(
        state=known.state,
        severity=Severity.WARNING if is_retried else usual,
        told=describe(known),
        report=known.window["report"],
        cause=known.cause,
        window=known.window,
        request=known.request,
        worker=known.worker,
    )


def _explain_missing(account: Account, dataset: Dataset, day: date, now: datetime) -> Explanation:
    """Return why a day has no window."""
    today = local_date(now, account.time_zone)
    oldest = oldest_served(dataset, today)
    severity = Severity.FINE
    if day > today:
        first = due_at(day, dataset.refresh_offsets[0], account.time_zone)
        what = f"{day} has not started in the account's time zone ({account.time_zone})."
        told = Told(what, f"Its first report is requested at {when(first)}.", first)
    elif day < oldest:
        told = Told(f"Amazon serves {dataset.name} only back to {oldest}.", "The day stays empty.")
    elif account.stop_reason is not None:
        told, severity = Told(f"It is not requested: {account.stop_reason}."), Severity.WARNING
    else:
        then = "The account's next refresh creates and requests it."
        told, severity = Told("Its window does not exist yet.", then, now), Severity.WAITING
    return Explanation(NO_WINDOW, severity, told)


def explanation_json(
    connection: Connection,
    account: Account,
    dataset: Dataset,
    day: date,
    explained: Sequence[Explanation],
    *,
    now: datetime,
    report: str | None = None,
) -> dict[str, Any]:
    """Return the explanations of a day as JSON data, the same for the command line and for `GET /api/explain`.

    `verdict` is on the window of `report`, or else on the worst; `docs/explain.md` describes the fields.
    """
    chosen = next((one for one in explained if one.report == report), explained[0])
    rows = list_references(
        connection, account.account_key, dataset.name, day, limit=NEWEST_REFERENCES
    )
    labels = load_labels(connection, rows)
    return {
        "account": account.account_key,
        "account_label": account.label,
        "dataset": dataset.name,
        "window": day.isoformat(),
        "report": chosen.report,
        "at": now.isoformat(),
        "verdict": _verdict_json(chosen) | {"session": _proof_json(chosen, rows)},
        "reports": {one.report: _verdict_json(one) for one in explained if one.report is not None},
        "facts": {
            "account": _account_json(account),
            "window": None if chosen.window is None else _plain(chosen.window),
            "request": None if chosen.request is None else _plain(vars(chosen.request)),
        },
        "timeline": [_timeline_json(row, labels) for row in rows],
    }


def _verdict_json(one: Explanation) -> dict[str, Any]:
    is_bad = one.cause is not None and one.severity is not Severity.FINE
    return {
        "state": one.state,
        "cause": one.cause.code if one.cause is not None else None,
        "severity": one.severity.value,
        "sentence": one.sentence,
        "advice": one.cause.advice if one.cause is not None and is_bad else "",
        "next_at": None if one.told.at is None else one.told.at.isoformat(),
    }


def _proof_json(one: Explanation, references: Sequence[RowMapping]) -> dict[str, str] | None:
    """Return the session that proves an explanation; None where none refers to the window."""
    effects = _PROOFS.get(one.state, ())
    sessions = [row["session_id"] for row in references if row["effect"] in effects]
    found = one.worker or next(
        reversed(sessions or [row["session_id"] for row in references]), None
    )
    return None if found is None else {"id": str(found), "url": session_url(str(found))}


def _account_json(account: Account) -> dict[str, Any]:
    names = ("account_key", "label", "time_zone", "paused", "amazon_status", "needs_attention")
    return {name: getattr(account, name) for name in names}


def _timeline_json(row: Mapping[Any, Any], labels: Mapping[str, str]) -> dict[str, Any]:
    return action_json(row, labels) | {
        "effect": row["effect"],
        "job_name": row["job_name"],
        "session_status": row["session_status"],
        "session_outcome": row["session_outcome"],
        "url": session_url(str(row["session_id"])),
    }


def _plain(row: Mapping[Any, Any]) -> dict[str, Any]:
    """Return a row as JSON has it: instants and days in ISO 8601, ids of sessions as text."""
    shown = {name: value for name, value in row.items() if not name.startswith("_")}
    return {
        name: value.isoformat()
        if isinstance(value, date)
        else str(value)
        if isinstance(value, UUID)
        else value
        for name, value in shown.items()
    }
