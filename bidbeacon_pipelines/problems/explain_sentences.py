"""Explains a window in two sentences: what it is and why, and what happens next. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.causes import Explained, explain
from bidbeacon_pipelines.datasets.registry import Dataset
from bidbeacon_pipelines.requests.gate_queries import GateState
from bidbeacon_pipelines.requests.rules import MAX_ATTEMPTS, MAX_LOADS, MAX_PENDING, RequestStatus
from bidbeacon_pipelines.requests.tables import ReportRequest
from bidbeacon_pipelines.windows.rules import missed_offsets
from bidbeacon_pipelines.windows.states import STOPPED, WindowState
from bidbeacon_sessions.sentences import without_stop

FIRST_ENTITIES_WITHIN: Final = timedelta(minutes=15)
"""How long a new account's first request waits for its first entity sync; the sensor's own rule."""


@dataclass(frozen=True)
class Told:
    """The sentences of an explanation: one on the state and its cause, one on the next step, with its instant if that is known."""

    what: str
    then: str = ""
    at: datetime | None = None


@dataclass(frozen=True)
class Question:
    """A day of a dataset of an account, and the instant of the question."""

    account: Account
    dataset: Dataset
    day: date
    now: datetime


@dataclass(frozen=True, kw_only=True)
class KnownWindow:
    """The facts that the sentences on a window need.

    Attributes:
        asked: The question.
        window: Its row of `window_states`.
        request: The request that it waits for, or that is planned over it.
        worker: The living session that is working on that request.
        gate: The gate that reports of its ads account are created through.
        waits_until: Until when it waits for the other countries of its ads account.
        throttled_until: Until when Amazon throttles polls of its ads account.
    """

    asked: Question
    window: Mapping[Any, Any]
    request: ReportRequest | None = None
    worker: UUID | None = None
    gate: GateState | None = None
    waits_until: datetime | None = None
    throttled_until: datetime | None = None

    @property
    def now(self) -> datetime:
        """The instant of the question."""
        return self.asked.now

    @property
    def cause(self) -> Explained | None:
        """Its cause, for people."""
        return None if self.window["cause"] is None else explain(self.window["cause"])

    @property
    def state(self) -> WindowState:
        """Its state."""
        return WindowState(self.window["state"])

    @property
    def reason(self) -> str:
        """Its cause, as the end of a sentence."""
        return "no reason is known" if self.cause is None else without_stop(self.cause.sentence)


def describe(known: KnownWindow) -> Told:
    """Return the two sentences on a window."""
    return _BY_STATE[known.state](known)


def when(at: datetime) -> str:
    """Return an instant as sentences show it."""
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def _fresh(known: KnownWindow) -> Told:
    has, at = f"It has {_rows(known)}", known.window["next_at"]
    if not known.window["is_final"] and at is not None:
        return Told(f"{has}.", f"{_refresh(known, at)} follows at {when(at)}.", at)
    if known.cause is None:
        return Told(f"{has}.", "No further refresh is scheduled.")
    return Told(
        f"{has}, and its last refresh failed: {known.reason}.", "It is not tried again by itself."
    )


def _missing(known: KnownWindow) -> Told:
    at = known.window["next_at"]
    if at is None:
        return Told("It has no data.", "No refresh is scheduled.")
    return Told(
        "It has no data yet, as expected.",
        f"{_refresh(known, at)} is the first, at {when(at)}.",
        at,
    )


def _due(known: KnownWindow) -> Told:
    since, by = known.window["next_refresh_at"], known.window["wanted_by"]
    if since is not None and since <= known.now:
        is_first = known.window["as_of"] is None
        what = "Its first report" if is_first else _refresh(known, since)
        is_late = known.state is WindowState.LATE
        return _waiting(known, f"{what} is {'over' if is_late else ''}due since {when(since)}.")
    return _waiting(known, f"{by} has requested it." if by else "It is due.")


def _failed(known: KnownWindow) -> Told:
    what = f"{_HEADS[known.state]}: {known.reason}."
    at = known.window["next_at"]
    if at is None:
        return Told(what, "It is not requested again by itself.")
    if at > known.now and known.window["wanted_by"] is None:
        return Told(what, f"It is requested again at {when(at)}.", at)
    return _waiting(known, what)


_HEADS: Final[Mapping[WindowState, str]] = {
    WindowState.FAILED: "Its report failed",
    WindowState.SUSPICIOUS: "Its last report is suspicious",
    WindowState.UNCONFIRMED: "Its report is not confirmed",
}


def _expired(known: KnownWindow) -> Told:
    since = when(known.window["expires_at"])
    return Told(f"It was never loaded, and Amazon has not served it since {since}.")


def _stopped(known: KnownWindow) -> Told:
    since, has_data = known.window["since"], known.window["as_of"] is not None
    what = f"It is not requested{'' if since is None else f' since {when(since)}'}: {known.reason}."
    return Told(what, f"It keeps its {_rows(known)}." if has_data else "")


def _waiting(known: KnownWindow, what: str) -> Told:
    """Return what a due window waits for."""
    entities_by = known.asked.account.first_seen_at + FIRST_ENTITIES_WITHIN
    round_at: datetime | None = known.asked.account.ads_account.next_look_at
    if known.request is not None:
        then, at = f"A report for {_days(known.request)} is planned, and {_created(known)}.", None
    elif known.window["wanted_by"] is not None:
        then, at = "The next run, within a minute, requests it.", known.now
    elif round_at is not None and round_at > known.now:
        then, at = f"The cadence of its ads account has it requested at {when(round_at)}.", round_at
    elif known.waits_until is not None and known.waits_until > known.now:
        at = known.waits_until
        then = f"It waits for other countries that the same report covers, until {when(at)} at the latest."
    elif known.asked.account.entities_synced_at is None and entities_by > known.now:
        then = f"The account's entities are synced first, until {when(entities_by)} at the latest."
        at = entities_by
    else:
        then, at = "The next refresh, within a minute, plans a report for it.", known.now
    return Told(what, then, at)


def _requested(known: KnownWindow) -> Told:
    request = known.request
    if request is None:
        return Told("It is being requested.", at=known.now)
    match request.status:
        case RequestStatus.PLANNED if known.cause is not None:
            tried = f"Attempt {request.attempts} of {MAX_ATTEMPTS} failed: {known.reason}."
            return Told(tried, f"It {_created(known, again=True)}.", _step_at(known))
        case RequestStatus.PLANNED:
            stored = f"A report for {_days(request)} is planned since {when(request.created_at)}."
            return Told(stored, f"It {_created(known)}.", _step_at(known))
        case RequestStatus.SENT:
            sent = when(request.sent_at or request.created_at)
            unknown = f"It was requested at {sent}, and no response arrived (attempt {request.attempts} of {MAX_ATTEMPTS})."
            return Told(
                unknown, f"Amazon may create it; it {_created(known, again=True)}.", _step_at(known)
            )
    return _in_flight(known, request)


def _in_flight(known: KnownWindow, request: ReportRequest) -> Told:
    is_late = known.state is WindowState.LATE_AT_AMAZON
    sent_at = request.sent_at or request.created_at
    what = (
        f"Amazon has been creating report {request.report_id} for {_days(request)} since {when(sent_at)}"
        f"{', far longer than usual' if is_late else ''} ({request.amazon_status or 'no status yet'})."
    )
    end = f"; it is requested again at {when(sent_at + MAX_PENDING)}" if is_late else ""
    return Told(what, f"The next poll is {_looked(known)}{end}.", _step_at(known))


def _loading(known: KnownWindow) -> Told:
    request = known.request
    if request is None or (request.loads > 0 and known.worker is not None):
        return Told("Its report is complete, and is being loaded.", at=known.now)
    if request.loads == 0:
        complete = f"Report {request.report_id} is complete at Amazon."
        return Told(complete, f"It is loaded {_looked(known)}.", _step_at(known))
    tried = f"Attempt {request.loads} of {MAX_LOADS} to load report {request.report_id} failed."
    return Told(tried, f"It is tried again {_looked(known)}.", _step_at(known))


def _looked(known: KnownWindow) -> str:
    """Return when the shared polling, which runs at most once a minute, takes the next step."""
    if known.worker is not None:
        return "right now"
    at, until = _step_at(known), known.throttled_until
    if at > known.now:
        why = ", since Amazon throttles polls of this ads account (429)"
        return f"at {when(at)}{why if until is not None and until >= at else ''}"
    return "within two minutes"


def _created(known: KnownWindow, *, again: bool = False) -> str:
    """Return when a planned report is requested: after its own pause, and as the gate allows."""
    at, verb = _step_at(known), "is requested again" if again else "is requested"
    if known.worker is not None:
        return f"{verb} right now"
    if at > known.now:
        return f"{verb} at {when(at)}"
    return (
        f"{verb} {'within two minutes' if known.gate is None else _let_in(known.gate, known.now)}"
    )


def _let_in(gate: GateState, now: datetime) -> str:
    """Return when a gate lets the next report through."""
    region, places = gate.gate.region, int(gate.gate.in_flight_limit)
    if (closed_until := gate.closed_until(now)) is not None:
        return (
            f"after {when(closed_until)}, since Amazon throttled report creation in {region} (429)"
        )
    if gate.in_flight >= places:
        return f"when one of the {gate.in_flight} reports in flight in {region} is done (the limit is {places})"
    if gate.planned <= places:
        return "within two minutes"
    return "in order, with loads by hand and newer days first"


def _step_at(known: KnownWindow) -> datetime:
    """Return when the next step of the request is taken."""
    of_request = None if known.request is None else known.request.next_step_at
    return max(at for at in (of_request, known.throttled_until, known.now) if at is not None)


def _refresh(known: KnownWindow, at: datetime) -> str:
    """Name the refresh that falls due at an instant: `The refresh T+3`, where it is one of the dataset's offsets."""
    window = known.window
    found = missed_offsets(
        known.asked.dataset,
        known.asked.day,
        known.asked.account.time_zone,
        window["as_of"],
        max(at, known.now),
    )
    return "A refresh" if found.serves is None else f"The refresh T+{found.serves}"


def _rows(known: KnownWindow) -> str:
    return (
        f"{known.window['row_count'] or 0:,} rows as of {when(known.window['as_of'] or known.now)}"
    )


def _days(request: ReportRequest) -> str:
    if request.days == 1:
        return str(request.start_date)
    return f"{request.days} days, {request.start_date} to {request.end_date}"


_BY_STATE: Final[Mapping[WindowState, Callable[[KnownWindow], Told]]] = {
    WindowState.FRESH: _fresh,
    WindowState.MISSING: _missing,
    WindowState.DUE: _due,
    WindowState.LATE: _due,
    WindowState.REQUESTED: _requested,
    WindowState.LATE_AT_AMAZON: _requested,
    WindowState.LOADING: _loading,
    WindowState.EXPIRED: _expired,
    **dict.fromkeys(_HEADS, _failed),
    **dict.fromkeys(STOPPED, _stopped),
}
