"""The verdict on a window: its causes, and the phrases that all verdicts share. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from bidbeacon_pipelines.datasets.registry import Dataset
from bidbeacon_pipelines.windows.facts import (
    AccountFacts,
    GateFacts,
    StoredWindow,
    WindowFacts,
)
from bidbeacon_pipelines.windows.rules import missed_offsets

_FIRST_ENTITIES_WITHIN = timedelta(minutes=15)
"""How long a new account's first request waits for its first entity sync; the sensor's own rule."""
_SENSOR_IS_LATE_AFTER = timedelta(minutes=10)
"""A due window that waits for nothing is planned within a minute where Dagster runs."""


class Cause(StrEnum):
    """The cause of a verdict, as a stable code."""

    UNKNOWN_ACCOUNT = "unknown-account"
    UNKNOWN_DATASET = "unknown-dataset"
    OUTSIDE_HISTORY = "outside-history"
    NOT_BEGUN = "not-begun"
    NOT_PLANNED = "not-planned"
    NOT_DUE_YET = "not-due-yet"
    FRESH = "fresh"
    FINAL = "final"
    DUE = "due"
    WAITING_FOR_COUNTRIES = "waiting-for-countries"
    QUEUED = "queued"
    WAITING_FOR_ROUND = "waiting-for-round"
    REQUESTED = "requested"
    ANSWER_UNKNOWN = "answer-unknown"
    IN_FLIGHT = "in-flight"
    LATE_AT_AMAZON = "late-at-amazon"
    READY_TO_LOAD = "ready-to-load"
    BEING_LOADED = "being-loaded"
    BEING_WORKED_ON = "being-worked-on"
    ABANDONED = "abandoned"
    LOAD_RETRYING = "load-retrying"
    RETRYING = "retrying"
    FAILED = "failed"
    REFUSED = "refused"
    SUSPICIOUS = "suspicious"
    UNCONFIRMED = "unconfirmed"
    EXPIRED = "expired"
    ACCOUNT_PAUSED = "account-paused"
    ACCOUNT_DISABLED_AT_AMAZON = "account-disabled-at-amazon"
    ACCOUNT_NEEDS_ATTENTION = "account-needs-attention"
    CREDENTIALS_NEED_ATTENTION = "credentials-need-attention"
    UNKNOWN = "unknown"


class Severity(StrEnum):
    """How serious a verdict is."""

    FINE = "fine"
    """Nothing to do, nothing to wait for."""
    WAITING = "waiting"
    """It goes on by itself, in the usual time."""
    WARNING = "warning"
    """It goes on by itself, but something was not as usual."""
    ERROR = "error"
    """It stays as it is for days, or until a person acts."""


@dataclass(frozen=True)
class Verdict:
    """Why a window is as it is.

    Attributes:
        cause: The reason, as a code.
        severity: How serious it is.
        sentence: The reason, what happens next and when; instants in UTC.
        next_at: When something happens next automatically, if known; an instant in the past is due.
        sessions: The sessions that prove it, oldest first.
    """

    cause: Cause
    severity: Severity
    sentence: str
    next_at: datetime | None = None
    sessions: tuple[UUID, ...] = ()


@dataclass(frozen=True)
class KnownWindow:
    """A stored window, with everything that verdicts on it need.

    Attributes:
        facts: What is known.
        account: The account.
        dataset: The dataset.
        window: The stored window.
        now: The instant of the question.
    """

    facts: WindowFacts
    account: AccountFacts
    dataset: Dataset
    window: StoredWindow
    now: datetime

    @property
    def is_due(self) -> bool:
        """Whether it should be requested now: a refresh is due, or it was requested manually."""
        at = self.window.next_refresh_at
        return self.window.wanted_by is not None or (at is not None and at <= self.now)

    @property
    def kept(self) -> str:
        """Return what data it has meanwhile."""
        if self.window.last_loaded_at is None or self.window.data_as_of is None:
            return "It has no data yet"
        return (
            f"It keeps its {self.window.row_count or 0:,} rows as of {when(self.window.data_as_of)}"
        )

    def refresh_name(self, at: datetime) -> str:
        """Name the refresh that falls due at an instant: `T+3`, where it is one of the dataset's offsets."""
        window = self.facts.window_date
        found = missed_offsets(
            self.dataset, window, self.account.time_zone, self.window.data_as_of, max(at, self.now)
        )
        return "a refresh" if found.serves is None else f"the refresh T+{found.serves}"

    def proven_by(self, *effects: str) -> tuple[UUID, ...]:
        """Return the sessions of the last action of each of these effects, oldest first; an adopted report has no request."""
        return last_sessions(
            self.facts, (*effects, "adopted") if "requested" in effects else effects
        )


def last_sessions(facts: WindowFacts, effects: Iterable[str]) -> tuple[UUID, ...]:
    """Return the sessions of the last action of each effect, oldest first, each once."""
    last = {
        reference.effect: reference
        for reference in facts.references
        if reference.effect in set(effects)
    }
    return tuple(
        dict.fromkeys(
            t.session_id for t in sorted(last.values(), key=lambda reference: reference.at)
        )
    )


def describe_next_request(known: KnownWindow) -> str:
    """Return when it is requested, as the end of a sentence."""
    at = known.window.next_refresh_at
    if known.is_due:
        return describe_due(known)
    if at is None:
        return f"it is not requested again automatically; to load it, run {refresh_command(known)}"
    return f"it is requested again at {when(at)}"


def describe_due(known: KnownWindow) -> str:
    """Return what a due window waits for."""
    account, facts = known.account, known.facts
    if (round_at := next_round(known)) is not None:
        return f"it is requested in the ads account's next refresh, which its cadence sets at {when(round_at)}"
    if facts.planned is not None:
        return f"report {facts.planned.start_date} to {facts.planned.end_date} is planned for it and is created {when_created(facts.gate)}"
    if waits_for_countries(known):
        assert facts.waits_until is not None  # noqa: S101 - for the type checker
        return f"it waits for the other countries of its ads account, which the same report covers, until {when(facts.waits_until)} at the latest"
    if is_before_first_entities(account, known.now):
        return f"it is requested after the account's first entity sync, at {when(entities_deadline(account))} at the latest"
    check = (
        "; if that does not happen, check that Dagster's daemon is running"
        if is_overdue(known)
        else ""
    )
    return f"the ads account's next refresh, within a minute, plans a report for it{check}"


def when_created(gate: GateFacts | None) -> str:
    """Return when a planned report is created, as its gate allows."""
    if gate is None:
        return "within two minutes"
    if gate.closed_until is not None:
        return f"after {when(gate.closed_until)}, since Amazon throttled report creation in {gate.region} (429)"
    if gate.in_flight >= gate.places:
        return f"when one of the {gate.in_flight} reports in flight in {gate.region} is done (the limit is {gate.places})"
    return (
        "within two minutes"
        if gate.planned <= gate.places
        else "in order, with backfills and newer days first"
    )


def waits_for_countries(known: KnownWindow) -> bool:
    """Return whether a due window was left to wait for other countries when its ads account was last planned."""
    since, planned_at = known.window.next_refresh_at, known.account.planned_at
    if known.window.wanted_by is not None or known.facts.planned is not None or since is None:
        return False
    until = known.facts.waits_until
    return (
        until is not None and until > known.now and planned_at is not None and planned_at >= since
    )


def is_overdue(known: KnownWindow) -> bool:
    """Return whether a due window should have been planned: it has been due for long, waits for nothing, and no recent action refers to it."""
    account, since = known.account, known.window.next_refresh_at
    if since is None or known.facts.planned is not None or waits_for_countries(known):
        return False
    if is_before_first_entities(account, known.now) or next_round(known) is not None:
        return False
    last = max((reference.at for reference in known.facts.references), default=since)
    rounds = (
        at
        for at in (account.last_look_at, account.next_round_at)
        if at is not None and at <= known.now
    )
    begun = max(since, account.first_seen_at, last, *rounds)
    return known.now - begun > _SENSOR_IS_LATE_AFTER


def next_round(known: KnownWindow) -> datetime | None:
    """Return when the ads account's cadence lets a due window be requested; None if it doesn't wait for that, or is planned.

    A window that was due when the last refresh began belongs to that one.
    """
    at, due, last = (
        known.account.next_round_at,
        known.window.next_refresh_at,
        known.account.last_look_at,
    )
    waits = known.window.wanted_by is None and known.facts.planned is None
    is_of_last = due is not None and last is not None and due <= last
    return at if at is not None and at > known.now and waits and not is_of_last else None


def is_before_first_entities(account: AccountFacts, now: datetime) -> bool:
    """Return whether the account's first entity sync has to come first."""
    return account.entities_synced_at is None and now < entities_deadline(account)


def entities_deadline(account: AccountFacts) -> datetime:
    """Return until when a new account waits for its entities."""
    return account.first_seen_at + _FIRST_ENTITIES_WITHIN


def refresh_command(known: KnownWindow) -> str:
    """Return the command that loads the window now."""
    facts = known.facts
    return f"`bidbeacon load --account {facts.account_key} --dataset {facts.dataset_name} --window {facts.window_date}`"


def when(at: datetime) -> str:
    """Return an instant as sentences show it."""
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"
