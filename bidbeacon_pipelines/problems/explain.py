"""Explains the windows of a day: what each is, why, and what happens next, in at most two sentences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, RowMapping

from bidbeacon_pipelines.accounts.queries import get_account
from bidbeacon_pipelines.causes import Severity, explain
from bidbeacon_pipelines.datasets.registry import get_dataset
from bidbeacon_pipelines.problems.amazon_findings import find_pause_of_polls
from bidbeacon_pipelines.problems.explain_queries import (
    find_first_due,
    find_request,
    list_references,
    list_states,
)
from bidbeacon_pipelines.problems.explain_sentences import (
    KnownWindow,
    Question,
    Told,
    describe,
    when,
)
from bidbeacon_pipelines.requests.gate_queries import find_gate
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
    """Why a window is as it is, or why a day has none: then `known` is None, and `state` is `NO_WINDOW`."""

    state: str
    severity: Severity
    told: Told
    known: KnownWindow | None = None

    @property
    def report(self) -> str | None:
        """The report of the window."""
        return None if self.known is None else self.known.window["report"]

    @property
    def sentence(self) -> str:
        """Return the state, its cause and the next step, in at most two sentences."""
        return f"{self.told.what} {self.told.then}".rstrip()


def explain_day(connection: Connection, settings: Settings, asked: Question) -> list[Explanation]:
    """Return why the window of each report of a day is as it is, the worst first; at least one explanation.

    All is of one moment in a transaction that is REPEATABLE READ.
    """
    key, dataset, late_after = asked.account.account_key, asked.dataset.name, settings.late_after
    windows = list_states(connection, key, dataset, asked.day, asked.now, late_after)
    known = [_read(connection, settings, asked, window) for window in windows]
    explained = sorted(map(_explain, known), key=_badness, reverse=True)
    return explained or [_explain_missing(asked)]


def explain_worst(
    connection: Connection, settings: Settings, key: str, dataset: str, day: date, *, now: datetime
) -> str:
    """Return the sentences on a day's worst window, given the names of its account and dataset."""
    asked = Question(get_account(connection, key), get_dataset(dataset), day, now)
    return explain_day(connection, settings, asked)[0].sentence


def _badness(explanation: Explanation) -> tuple[int, int]:
    states = [*map(str, WindowState)]
    return list(Severity).index(explanation.severity), states.index(explanation.state)


def _read(
    connection: Connection, settings: Settings, asked: Question, window: RowMapping
) -> KnownWindow:
    """Read what the sentences on a window need, and nothing else."""
    known = KnownWindow(asked=asked, window=window)
    next_at, is_wanted = window["next_at"], window["wanted_by"] is not None
    is_due = is_wanted or (next_at is not None and next_at <= asked.now)
    if known.state in STOPPED or not (is_due or known.state in _AT_AMAZON):
        return known
    request, worker = find_request(connection, window)
    if request is not None:
        known = replace(known, request=request, worker=worker)
        return replace(known, **_read_limits(connection, asked, request))
    first = None if is_wanted else find_first_due(connection, window, asked.now)
    patience = timedelta(hours=settings.wait_for_countries_hours)
    return replace(known, waits_until=None if first is None else first + patience)


def _read_limits(connection: Connection, asked: Question, request: ReportRequest) -> dict[str, Any]:
    """Return what may keep the next step of a request: the gate, or throttled polls."""
    owner = asked.account.ads_account
    if request.report_id is None:
        return {"gate": find_gate(connection, owner.client_id, owner.region, now=asked.now)}
    return {"throttled_until": find_pause_of_polls(connection, owner.account_id, asked.now)}


def _explain(known: KnownWindow) -> Explanation:
    usual = _SEVERITIES.get(known.state, Severity.WARNING)
    is_retried = usual is Severity.WAITING and known.cause is not None
    severity = Severity.WARNING if is_retried else usual
    return Explanation(known.state, severity, describe(known), known)


def _explain_missing(asked: Question) -> Explanation:
    """Return why a day has no window."""
    account, dataset, day = asked.account, asked.dataset, asked.day
    today, severity = local_date(asked.now, account.time_zone), Severity.FINE
    oldest = oldest_served(dataset, today)
    if day > today:
        first = due_at(day, dataset.refresh_offsets[0], account.time_zone)
        what = f"{day} has not started in the account's time zone ({account.time_zone})."
        told = Told(what, f"Its first report is requested at {when(first)}.", first)
    elif day < oldest:
        told = Told(f"Amazon serves {dataset.name} only back to {oldest}.", "The day stays empty.")
    elif account.stop_cause is not None:
        stopped, severity = explain(account.stop_cause), Severity.WARNING
        told = Told(f"It is not requested: {stopped.sentence}", stopped.advice)
    else:
        then = "The account's next refresh creates and requests it."
        told = Told("Its window does not exist yet.", then, asked.now)
        severity = Severity.WAITING
    return Explanation(NO_WINDOW, severity, told)


def explanation_json(
    connection: Connection,
    asked: Question,
    explained: Sequence[Explanation],
    report: str | None = None,
) -> dict[str, Any]:
    """Return the explanations of a day as JSON data, the same for the command line and for `GET /api/explain`.

    `verdict` is on the window of `report`, or else on the worst; `docs/explain.md` describes the fields.
    """
    chosen = next((one for one in explained if one.report == report), explained[0])
    account, known = asked.account, chosen.known
    rows = list_references(
        connection, account.account_key, asked.dataset.name, asked.day, limit=NEWEST_REFERENCES
    )
    labels = load_labels(connection, rows)
    names = ("account_key", "label", "time_zone", "paused", "amazon_status", "needs_attention")
    request = None if known is None else known.request
    return {
        "account": account.account_key,
        "account_label": account.label,
        "dataset": asked.dataset.name,
        "window": asked.day.isoformat(),
        "report": chosen.report,
        "at": asked.now.isoformat(),
        "verdict": _verdict_json(chosen) | {"session": _proof_json(chosen, rows)},
        "reports": {one.report: _verdict_json(one) for one in explained if one.report is not None},
        "facts": {
            "account": {name: getattr(account, name) for name in names},
            "window": None if known is None else _plain(known.window),
            "request": None if request is None else _plain(vars(request)),
        },
        "timeline": [_timeline_json(row, labels) for row in rows],
    }


def _verdict_json(one: Explanation) -> dict[str, Any]:
    cause = None if one.known is None else one.known.cause
    return {
        "state": one.state,
        "cause": None if cause is None else cause.code,
        "severity": one.severity.value,
        "sentence": one.sentence,
        "advice": "" if cause is None or one.severity is Severity.FINE else cause.advice,
        "next_at": None if one.told.at is None else one.told.at.isoformat(),
    }


def _proof_json(one: Explanation, references: Sequence[RowMapping]) -> dict[str, str] | None:
    """Return the session that proves an explanation; None where none refers to the window."""
    effects = _PROOFS.get(one.state, ())
    worker = None if one.known is None else one.known.worker
    proofs = [row["session_id"] for row in references if row["effect"] in effects]
    sessions = proofs or [row["session_id"] for row in references]
    found = worker or (sessions[-1] if sessions else None)
    return None if found is None else {"id": str(found), "url": session_url(str(found))}


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
    return {name: _plain_value(row[name]) for name in row if not name.startswith("_")}


def _plain_value(value: Any) -> Any:
    if isinstance(value, date):
        return value.isoformat()
    return str(value) if isinstance(value, UUID) else value
