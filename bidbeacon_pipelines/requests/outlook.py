"""What a request does or waits for at an instant, and when its next step is, in words. Pure."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from bidbeacon_pipelines.requests.gate import GateState
from bidbeacon_pipelines.requests.gate_rules import SHORTEST_PACE
from bidbeacon_pipelines.requests.rules import MAX_LOADS, MAX_PENDING, RequestStatus
from bidbeacon_pipelines.requests.tables import ReportRequest


class QueueState(StrEnum):
    """What happens with an open request, in the order of its life."""

    PLANNED = "planned"
    """It is not requested yet."""
    AGAIN = "to be requested again"
    """Its last attempt failed, and it waits for the next."""
    SENT = "sent"
    """It was requested, and Amazon has not answered."""
    AT_AMAZON = "at Amazon"
    """Amazon generates its report."""
    LATE = "late at Amazon"
    """Amazon takes far longer than usual."""
    READY = "ready"
    """Its report is complete and is not loaded yet."""
    LOADING = "loading"
    """Its report is being loaded."""


def queue_state(
    status: str, now: datetime, *, late_at: datetime | None, has_failed: bool, is_locked: bool
) -> QueueState:
    """Return what happens with an open request.

    `has_failed` means that its last attempt failed; `is_locked`, that a living session works on it.
    """
    match status:
        case RequestStatus.PLANNED | RequestStatus.SENT if has_failed:
            return QueueState.AGAIN
        case RequestStatus.PLANNED:
            return QueueState.PLANNED
        case RequestStatus.SENT:
            return QueueState.SENT
        case RequestStatus.IN_FLIGHT:
            is_late = late_at is not None and late_at <= now
            return QueueState.LATE if is_late else QueueState.AT_AMAZON
    return QueueState.LOADING if is_locked else QueueState.READY


@dataclass(frozen=True)
class Outlook:
    """A request at the instant `now`.

    Attributes:
        request: The request.
        is_locked: Whether a living session works on it.
        gate: The gate of its client id and region; None before the gate's first report.
        region: The region of its ads account.
        now: The instant, UTC.
        loads_full: The number of loads that run now, if as many run as may; else None.
    """

    request: ReportRequest
    is_locked: bool
    gate: GateState | None
    region: str
    now: datetime
    loads_full: int | None = None

    @property
    def state(self) -> QueueState:
        """What happens with the request."""
        return queue_state(
            self.request.status,
            self.now,
            late_at=self.request.late_at,
            has_failed=self.request.cause is not None,
            is_locked=self.is_locked,
        )

    @property
    def next_step(self) -> str:
        """A sentence on what happens next, without a subject's name: "It is …"."""
        match self.state:
            case QueueState.PLANNED:
                return f"It {self.created()}."
            case QueueState.AGAIN | QueueState.SENT:
                return f"It {self.created(again=True)}."
            case QueueState.AT_AMAZON:
                return f"The next poll is {self.polled()}."
            case QueueState.LATE:
                end = when(self.given_up_at)
                return f"The next poll is {self.polled()}; it is requested again at {end}."
            case QueueState.LOADING:
                return "It is loaded right now."
        tries = f" (attempt {self.request.loads + 1} of {MAX_LOADS})" if self.request.loads else ""
        return f"It is loaded {self.loaded()}{tries}."

    @property
    def step_at(self) -> datetime:
        """When the next step is due; a step that is overdue is due now."""
        return max(self.request.next_step_at or self.now, self.now)

    @property
    def given_up_at(self) -> datetime:
        """When the report is requested again if Amazon has not completed it."""
        return (self.request.sent_at or self.request.created_at) + MAX_PENDING

    def polled(self) -> str:
        """Return when the report is polled or loaded: "at …", "right now" or "within …"."""
        if self.is_locked:
            return "right now"
        return f"at {when(self.step_at)}" if self.step_at > self.now else "within two minutes"

    def loaded(self) -> str:
        """Return when a complete report is loaded: "at …", "right now", "within …" or "when …"."""
        if self.loads_full is None or self.is_locked or self.step_at > self.now:
            return self.polled()
        return f"when {_one_of_loads(self.loads_full)} has ended"

    def created(self, *, again: bool = False) -> str:
        """Return when the report is requested: "is requested …"."""
        verb = "is requested again" if again else "is requested"
        if self.is_locked:
            return f"{verb} right now"
        if self.step_at > self.now:
            return f"{verb} at {when(self.step_at)}"
        return f"{verb} {self._gate_opens()}"

    def _gate_opens(self) -> str:
        if self.gate is None:
            return "within two minutes"
        places = int(self.gate.gate.in_flight_limit)
        if (closed_until := self.gate.closed_until(self.now)) is not None:
            why = f"since Amazon throttled report creation in {self.region} (429)"
            return f"after {when(closed_until)}, {why}"
        if self.gate.in_flight >= places:
            return f"when one of the {places} report slots of {self.region} is free"
        if self.gate.planned <= places:
            return "within two minutes"
        return "in order, with loads by hand and newer days first"


def limit_of(gate: GateState, now: datetime) -> str | None:
    """Return a sentence on what delays the planned reports of a gate; None if nothing does."""
    if not gate.planned:
        return None
    if (closed_until := gate.closed_until(now)) is not None:
        return f"Amazon throttles report creation (429): none until {when(closed_until)}."
    if gate.in_flight >= int(gate.gate.in_flight_limit):
        return "No slot is free until Amazon completes a report."
    if gate.gate.pace <= SHORTEST_PACE:
        return None
    pace = f"at most one report every {gate.gate.pace.total_seconds():,.0f} s"
    return f"Amazon has throttled report creation (429): {pace} is requested."


def limit_of_loads(running: int, at_once: int, waiting: int) -> str | None:
    """Return a sentence if complete reports wait because as many loads run as allowed."""
    if not waiting or running < at_once:
        return None
    reports = "1 complete report waits" if waiting == 1 else f"{waiting:,} complete reports wait"
    return f"{reports} until {_one_of_loads(at_once)} has ended (BIDBEACON_LOADS_AT_ONCE)."


def _one_of_loads(at_once: int) -> str:
    return "the running load" if at_once == 1 else f"one of the {at_once} parallel loads"


def limit_of_cadence(accounts: int, next_at: datetime | None) -> str | None:
    """Return a sentence if due days of some ads accounts wait for the time of their cadence."""
    if not accounts or next_at is None:
        return None
    if accounts == 1:
        return f"1 ads account waits for its cadence, until {when(next_at)}."
    return f"{accounts:,} ads accounts wait for their cadence, the first until {when(next_at)}."


def when(at: datetime) -> str:
    """Return an instant as text, in UTC."""
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"
