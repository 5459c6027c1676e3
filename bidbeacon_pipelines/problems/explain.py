"""Explains the state of a day's windows, its cause, and what happens next."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, RowMapping

from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.causes import Severity, explain
from bidbeacon_pipelines.contract.queries import read_contract
from bidbeacon_pipelines.datasets.fields import SHORT_NAMES, SPONSORED_BRANDS, product_name
from bidbeacon_pipelines.datasets.registry import Dataset
from bidbeacon_pipelines.entities.left_out_queries import list_left_out_on
from bidbeacon_pipelines.problems.data_findings import HISTORY_NOT_PROVEN
from bidbeacon_pipelines.problems.explain_queries import list_day_windows
from bidbeacon_pipelines.problems.findings import ORDER, day_range, listed
from bidbeacon_pipelines.problems.report_findings import SEVERITIES
from bidbeacon_pipelines.requests.gate import GateState, find_gate
from bidbeacon_pipelines.requests.outlook import Outlook, when
from bidbeacon_pipelines.requests.queries import get_request
from bidbeacon_pipelines.requests.rules import MAX_ATTEMPTS, MAX_LOADS, RequestStatus
from bidbeacon_pipelines.requests.tables import ReportRequest
from bidbeacon_pipelines.settings import Settings
from bidbeacon_pipelines.states.window_states import STOPPED, WindowState
from bidbeacon_pipelines.windows.rules import due_at, local_date, missed_offsets, oldest_of
from bidbeacon_sessions.errors import UsageError
from bidbeacon_sessions.presentation import action_json, read_labels, session_url
from bidbeacon_sessions.queries import list_actions_about
from bidbeacon_sessions.sentences import did_you_mean, without_stop

NO_WINDOW_STATE = "no window"
_FIRST_ENTITIES_WITHIN: Final = timedelta(minutes=15)
"""The longest time that a new account's first report waits for the first entity sync."""
_HEADS: Final[Mapping[WindowState, str]] = {
    WindowState.FAILED: "Its report failed",
    WindowState.SUSPICIOUS: "Its last report is suspicious",
    WindowState.UNCONFIRMED: "Its report is not confirmed",
}
_OF_ACCOUNT = ("account_key", "label", "time_zone", "paused", "amazon_status", "can_resume")


@dataclass(frozen=True)
class Question:
    """The day of a dataset and account to explain, and the present instant."""

    account: Account
    dataset: Dataset
    day: date
    now: datetime


@dataclass(frozen=True)
class Explanation:
    """A window's state, its cause, and what happens next; see `docs/how-to/explain-a-day.md`."""

    state: str
    severity: Severity
    sentence: str
    cause: str | None = None
    advice: str = ""
    next_at: datetime | None = None
    not_served: Sequence[str] = ()


class UnknownReportError(UsageError):
    """The day has no report with this name; the message lists the names of its reports."""


def explain_day(
    connection: Connection, settings: Settings, question: Question, report: str | None = None
) -> dict[str, Any]:
    """Return the explanations of a day's windows as JSON data; see `docs/reference/http.md`.

    `verdict` explains the window of `report`, by default the window in the worst state. Use a
    REPEATABLE READ transaction, so that all queries see the same state of the database.

    Raises:
        UnknownReportError: The day has no such report.
    """
    account, dataset = question.account, question.dataset
    windows = {one.row["report"]: one for one in _read_windows(connection, settings, question)}
    contract = read_contract(connection, account.account_id)
    reports = list(windows) or [one.name for one in contract.reports(dataset)]
    if report is not None and report not in reports:
        expected = f"report: expected one of {', '.join(reports)}"
        raise UnknownReportError(f"{expected}, got: {report!r}.{did_you_mean(report, reports)}")
    chosen = windows.get(report or "") or next(iter(windows.values()), None)
    explanation = chosen.explain() if chosen else _explain_missing(connection, question)
    rows = list_actions_about(
        connection,
        account.account_key,
        dataset.name,
        question.day.isoformat(),
        effects=("needs-attention", "resumed"),
    )
    labels = read_labels(connection, rows)
    is_left_out = SPONSORED_BRANDS in dataset.ad_products
    answer = {
        "account": account.account_key,
        "account_label": account.label,
        "dataset": dataset.name,
        "window": question.day,
        "report": chosen and chosen.row["report"],
        "at": question.now,
        "verdict": asdict(explanation) | {"session": _session_json(chosen, rows)},
        "reports": {name: window.explain() for name, window in windows.items()},
        "facts": {
            "account": {name: getattr(account, name) for name in _OF_ACCOUNT},
            "window": chosen and dict(chosen.row),
            "request": chosen and chosen.request and chosen.request.as_dict(),
        },
        "left_out": list_left_out_on(connection, account, question.day) if is_left_out else [],
        "timeline": [_timeline_json(row, labels) for row in rows],
    }
    plain: dict[str, Any] = msgspec.to_builtins(answer)
    return plain


def _session_json(window: "_Window | None", rows: Sequence[RowMapping]) -> dict[str, Any] | None:
    """Return the session working on the window's report, else the session of the last action."""
    worker = None if window is None else window.row["worker"]
    id_ = worker or next((row["session_id"] for row in reversed(rows)), None)
    return None if id_ is None else {"id": id_, "url": session_url(str(id_))}


def _timeline_json(row: Mapping[Any, Any], labels: Mapping[str, str]) -> dict[str, Any]:
    names = ("effect", "job_name", "session_status", "session_mark")
    session = {name: row[name] for name in names} | {"url": session_url(str(row["session_id"]))}
    return action_json(row, labels) | session


def explain_worst(connection: Connection, settings: Settings, question: Question) -> Explanation:
    """Return the explanation of a day's worst window, or why the day has no window."""
    windows = _read_windows(connection, settings, question)
    return windows[0].explain() if windows else _explain_missing(connection, question)


def _read_windows(
    connection: Connection, settings: Settings, question: Question
) -> list["_Window"]:
    """Return the windows of a day, one per report of the dataset, the worst state first."""
    account, owner = question.account, question.account.ads_account
    day, now, late_after = question.day, question.now, settings.late_after
    key, dataset = account.account_key, question.dataset.name
    rows = list_day_windows(connection, key, dataset, day, now, late_after)
    gate = find_gate(connection, owner.client_id, owner.region, now=now)
    patience = timedelta(hours=settings.wait_for_countries_hours)
    windows = []
    for row in rows:
        request = None if row["served_by"] is None else get_request(connection, row["served_by"])
        windows.append(_Window(question, row, request, gate, patience))
    return sorted(windows, key=lambda one: list(WindowState).index(one.state), reverse=True)


def _explain_missing(connection: Connection, question: Question) -> Explanation:
    account, dataset, day = question.account, question.dataset, question.day
    today = local_date(question.now, account.time_zone)
    oldest = oldest_of(read_contract(connection, account.account_id).reports(dataset), today)
    if day > today:
        first = due_at(day, dataset.refresh_offsets[0], account.time_zone)
        what = f"{day} has not started in the account's time zone ({account.time_zone})."
        then = f"Its first report is requested at {when(first)}."
        return Explanation(NO_WINDOW_STATE, Severity.FINE, f"{what} {then}", next_at=first)
    if day < oldest:
        what = f"Amazon serves {dataset.name} only back to {oldest}. The day stays empty."
        return Explanation(NO_WINDOW_STATE, Severity.FINE, what)
    if account.stop_cause is not None:
        stopped = explain(account.stop_cause)
        what = f"It is not requested: {stopped.sentence}"
        return Explanation(NO_WINDOW_STATE, Severity.WARNING, what, stopped.code, stopped.advice)
    what = "Its window does not exist yet. The account's next refresh creates and requests it."
    return Explanation(NO_WINDOW_STATE, Severity.WAITING, what, next_at=question.now)


class _Window:
    """A window to explain, with its row of `list_day_windows`, its request and its gate."""

    def __init__(
        self,
        question: Question,
        row: RowMapping,
        request: ReportRequest | None,
        gate: GateState | None,
        patience: timedelta,
    ) -> None:
        self._question = question
        self.row = row
        self.request = request
        self._gate = gate
        self._patience = patience
        self._now = question.now
        self.state = WindowState(row["state"])
        self._unproven = row["unproven"]
        unproven = {one["ad_product"] for one in self._unproven}
        self._refused = [name for name in row["not_served"] if name not in unproven]
        is_partly = self.state is WindowState.FRESH and row["cause"] is None and self._unproven
        cause = {"code": HISTORY_NOT_PROVEN} if is_partly else row["cause"]
        self._cause = None if cause is None else explain(cause)

    def explain(self) -> Explanation:
        return _SENTENCES[self.state](self)

    def _explained(self, what: str, then: str = "", at: datetime | None = None) -> Explanation:
        severity, sentence, cause = self._severity, f"{what} {then}".rstrip(), self._cause
        advice = "" if cause is None or severity is Severity.FINE else cause.advice
        refused = [short for name, short in SHORT_NAMES.items() if name in self.row["not_served"]]
        code = None if cause is None else cause.code
        return Explanation(self.state, severity, sentence, code, advice, at, refused)

    @property
    def _severity(self) -> Severity:
        severity = SEVERITIES.get(self.state, Severity.WARNING)
        is_explained = self._unproven or severity is Severity.WAITING
        if self._refused or (self._cause is not None and is_explained):
            return max(severity, Severity.WARNING, key=ORDER.index)
        return severity

    @property
    def _reason(self) -> str:
        return "no reason is known" if self._cause is None else without_stop(self._cause.sentence)

    @property
    def _rows(self) -> str:
        row = self.row
        return f"{row['row_count'] or 0:,} rows as of {when(row['as_of'] or self._now)}"

    def _refresh(self, at: datetime) -> str:
        """Return "The refresh T+3" if the refresh T+3 is due by `at`; if none is, "A refresh"."""
        dataset, zone = self._question.dataset, self._question.account.time_zone
        until = max(at, self._now)
        found = missed_offsets(dataset, self._question.day, zone, self.row["as_of"], until)
        return "A refresh" if found.serves is None else f"The refresh T+{found.serves}"

    def fresh(self) -> Explanation:
        has, at = f"It has {self._rows}{self._but_not_served}", self.row["next_at"]
        if not self.row["is_final"] and at is not None:
            return self._explained(f"{has}.", f"{self._refresh(at)} follows at {when(at)}.", at)
        if self.row["cause"] is None:
            return self._explained(f"{has}.", "No further refresh is scheduled.")
        what = f"{has}, and its last refresh failed: {self._reason}."
        return self._explained(what, "BidBeacon does not try again by itself.")

    def missing(self) -> Explanation:
        at = self.row["next_at"]
        if at is None:
            return self._explained("It has no data.", "No refresh is scheduled.")
        then = f"{self._refresh(at)} is the first, at {when(at)}."
        return self._explained("It has no data yet, as expected.", then, at)

    def stopped(self) -> Explanation:
        # `since` of a disabled account's window is its last request.
        since = None if self.state is WindowState.DISABLED else self.row["since"]
        verb, of = ("is not", "") if since is None else ("has not been", f" since {when(since)}")
        what = f"It {verb} requested{of}: {self._reason}."
        return self._explained(
            what, "" if self.row["as_of"] is None else f"It keeps its {self._rows}."
        )

    def expired(self) -> Explanation:
        since = when(self.row["expires_at"])
        return self._explained(f"It was never loaded, and Amazon has not served it since {since}.")

    def not_served(self) -> Explanation:
        what = f"It has not been served since {when(self.row['since'])}: {self._reason}."
        own_at, at = self.row["next_at"], self.row["next_not_served_at"]
        if self.row["wanted_by"] is not None or (own_at is not None and own_at <= self._now):
            return self._waiting(what)
        if self._unproven:
            is_over = self.row["expires_at"] <= self._now
            again = "not requested again" if is_over else "requested again only by hand"
            return self._explained(what, f"It was {self._proof}; it is {again}.")
        if own_at is not None:
            return self._explained(what, f"It is requested again at {when(own_at)}.", own_at)
        if at is None:
            return self._explained(what, "It is not requested again by itself.")
        then = (
            f"A younger day is requested again at {when(at)}. "
            "If Amazon serves it, this day is requested as well."
        )
        return self._explained(what, then, at)

    @property
    def _but_not_served(self) -> str:
        refused = ""
        if self._refused:
            names = listed([product_name(name) for name in self._refused])
            refused = f"; Amazon has refused {names} as too old"
        if not self._unproven:
            return refused
        names = listed([product_name(one["ad_product"]) for one in self._unproven])
        verb = "is" if len(self._unproven) == 1 else "are"
        return f", but {names} {verb} not served (it was {self._proof}){refused}"

    @property
    def _proof(self) -> str:
        alike: dict[int | None, list[str]] = {}
        for one in self._unproven:
            alike.setdefault(one["proven_days"], []).append(product_name(one["ad_product"]))
        oldest = ", ".join(_proven(days, products) for days, products in alike.items())
        return f"{self._unproven[0]['age_days']} days old when it was requested, and {oldest}"

    def failed(self) -> Explanation:
        what, at = f"{_HEADS[self.state]}: {self._reason}.", self.row["next_at"]
        if at is None and self.row["wanted_by"] is None:
            return self._explained(what, "It is not requested again by itself.")
        if at is not None and at > self._now and self.row["wanted_by"] is None:
            return self._explained(what, f"It is requested again at {when(at)}.", at)
        return self._waiting(what)

    def due(self) -> Explanation:
        since, by = self.row["next_refresh_at"], self.row["wanted_by"]
        if since is None or since > self._now:
            return self._waiting(f"{by} has requested it." if by else "It is due.")
        which = "Its first report" if self.row["as_of"] is None else self._refresh(since)
        due = "overdue" if self.state is WindowState.LATE else "due"
        return self._waiting(f"{which} has been {due} since {when(since)}.")

    def _waiting(self, what: str) -> Explanation:
        if self.request is not None:
            planned = f"A report for {_days(self.request)} is planned"
            then = f"{planned}, and {self._outlook(self.request).created()}."
            return self._explained(what, then)
        if self.row["wanted_by"] is not None:
            return self._explained(what, "The next run, within a minute, requests it.", self._now)
        is_refused = (self.row["cause"] or {}).get("code") == "report-too-old"
        if is_refused and self.row["last_loaded_at"] is None and self.row["younger_date"]:
            day, at = self.row["younger_date"], self.row["younger_refresh_at"]
            then = f"It is requested again if Amazon serves {day}, a younger refused day."
            return self._explained(what, then, at)
        for why, at in self._obstacles():
            if at is not None and at > self._now:
                return self._explained(what, why.format(when(at)), at)
        then = "The next refresh, within a minute, plans a report for it."
        return self._explained(what, then, self._now)

    def _obstacles(self) -> list[tuple[str, datetime | None]]:
        """Return possible reasons why a due window is not requested yet, each with its end."""
        account = self._question.account
        refreshed_at = account.ads_account.next_run_at
        first_due = self.row["first_due_at"]
        countries_by = None if first_due is None else first_due + self._patience
        is_new = account.entities_synced_at is None
        entities_by = account.first_seen_at + _FIRST_ENTITIES_WITHIN if is_new else None
        by_countries = "It waits for other countries that the same report covers"
        return [
            ("It is requested at {}, the next refresh of its ads account.", refreshed_at),
            (f"{by_countries}, until {{}} at the latest.", countries_by),
            ("The account's entities are synced first, until {} at the latest.", entities_by),
        ]

    def requested(self) -> Explanation:
        request = self.request
        if request is None:
            return self._explained("It is being requested.", at=self._now)
        outlook = self._outlook(request)
        attempt = f"{request.attempts} of {MAX_ATTEMPTS}"
        sent_at = request.sent_at or request.created_at
        match request.status:
            case RequestStatus.PLANNED if self._cause is not None:
                what = f"Attempt {attempt} failed: {self._reason}."
                then = f"It {outlook.created(again=True)}."
            case RequestStatus.PLANNED:
                since = when(request.created_at)
                what = f"A report for {_days(request)} has been planned since {since}."
                then = f"It {outlook.created()}."
            case RequestStatus.SENT:
                at = when(sent_at)
                what = f"It was requested at {at}, and no response arrived (attempt {attempt})."
                then = f"Amazon may still create the report; it {outlook.created(again=True)}."
            case _:
                return self._in_flight(outlook, sent_at)
        return self._explained(what, then, outlook.step_at)

    def _in_flight(self, outlook: Outlook, sent_at: datetime) -> Explanation:
        request = outlook.request
        is_late = self.state is WindowState.LATE_AT_AMAZON
        status, late = request.amazon_status or "no status yet", ", far longer than usual"
        which = f"report {request.report_id} for {_days(request)} since {when(sent_at)}"
        what = f"Amazon has been creating {which}{late if is_late else ''} ({status})."
        return self._explained(what, outlook.next_step, outlook.step_at)

    def loading(self) -> Explanation:
        request = self.request
        if request is None or (request.loads > 0 and self.row["worker"] is not None):
            return self._explained("Its report is complete, and is being loaded.", at=self._now)
        what, then = f"Report {request.report_id} is complete at Amazon.", "It is loaded"
        if request.loads > 0:
            which = f"Attempt {request.loads} of {MAX_LOADS} to load report {request.report_id}"
            what, then = f"{which} failed.", "BidBeacon tries again"
        outlook = self._outlook(request)
        return self._explained(what, f"{then} {outlook.polled()}.", outlook.step_at)

    def _outlook(self, request: ReportRequest) -> Outlook:
        region = self._question.account.ads_account.region
        is_locked = self.row["worker"] is not None
        return Outlook(request, is_locked, self._gate, region, self._now)


_SENTENCES: Final[Mapping[WindowState, Callable[[_Window], Explanation]]] = {
    WindowState.FRESH: _Window.fresh,
    WindowState.MISSING: _Window.missing,
    WindowState.DUE: _Window.due,
    WindowState.LATE: _Window.due,
    WindowState.REQUESTED: _Window.requested,
    WindowState.LATE_AT_AMAZON: _Window.requested,
    WindowState.LOADING: _Window.loading,
    WindowState.EXPIRED: _Window.expired,
    WindowState.NOT_SERVED: _Window.not_served,
    **dict.fromkeys(_HEADS, _Window.failed),
    **dict.fromkeys(STOPPED, _Window.stopped),
}


def _proven(days: int | None, products: Sequence[str]) -> str:
    rows = f"rows of {listed(products)}"
    return f"no {rows} have come yet" if days is None else f"the oldest {rows} were {days} days old"


def _days(request: ReportRequest) -> str:
    days = day_range(request.start_date, request.end_date)
    return days if request.days == 1 else f"{request.days} days, {days}"
