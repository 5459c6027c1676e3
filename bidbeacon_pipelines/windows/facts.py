"""The facts needed to explain a window; instants are aware UTC, days the account's own calendar days. Pure."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from bidbeacon_pipelines.datasets.registry import Dataset


@dataclass(frozen=True, kw_only=True)
class AccountFacts:
    """The window's account.

    Attributes:
        account_key: Its key.
        label: Its label.
        countries: How many countries of its ads account are refreshed.
        planned_at: When what is due for its ads account was last planned.
        time_zone: The IANA zone its days are counted in.
        paused: Whether a person has paused it.
        paused_by: Who paused it, at `paused_at`; None if that is not recorded yet.
        amazon_status: Amazon's own word for its state.
        needs_attention: Why it needs attention, if so.
        needs_attention_for: Whether that concerns the `account`, or the `credentials` and so all of
            their accounts.
        first_seen_at: When it was first synced.
        entities_synced_at: When its campaigns, ads and targets were, if ever.
        last_look_at: When its ads account's last round began, if ever.
        next_round_at: When its ads account's cadence has it refreshed next; None for as soon as
            data is due.
    """

    account_key: str
    countries: int
    planned_at: datetime | None
    time_zone: str
    paused: bool
    amazon_status: str
    needs_attention: str | None
    needs_attention_for: str | None
    first_seen_at: datetime
    entities_synced_at: datetime | None
    last_look_at: datetime | None
    next_round_at: datetime | None
    label: str = ""
    paused_by: str | None = None
    paused_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class StoredWindow:
    """The row of the window; the columns of `report_windows`."""

    report: str
    status: str
    next_refresh_at: datetime | None
    expires_at: datetime
    request_id: int | None
    last_requested_at: datetime | None
    last_loaded_at: datetime | None
    data_as_of: datetime | None
    load_count: int
    loaded_by_request: int | None
    row_count: int | None
    quarantined_count: int | None
    unresolved_count: int | None
    spend: Decimal | None
    sales: Decimal | None
    failure_reason: str | None
    suspicious_digest: str | None
    suspicious_rows: int | None
    wanted_by: str | None


@dataclass(frozen=True, kw_only=True)
class OpenRequest:
    """The request that the window waits for, and the session that is working on it.

    Attributes:
        lock_is_alive: Whether that session's lease is valid; False where no session is working on
            it.
        session_status: That session's status; None where no session is working on it, or it was
            deleted.
        heartbeat_at: That session's last heartbeat, if known.
    """

    id: int
    start_date: date
    end_date: date
    status: str
    by_hand: bool
    report_id: str | None
    amazon_status: str | None
    attempts: int
    polls: int
    loads: int
    created_at: datetime
    sent_at: datetime | None
    next_step_at: datetime | None
    failure_code: str | None
    failure_reason: str | None
    requested_by: UUID | None
    locked_by: UUID | None
    lock_is_alive: bool
    session_status: str | None
    heartbeat_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class EndedRequest:
    """The last request over the window's day that has ended; `bad_rows` of its report are in quarantine for this day."""

    id: int
    status: str
    report_id: str | None
    attempts: int
    finished_at: datetime
    failure_kind: str | None
    failure_code: str | None
    bad_rows: int


@dataclass(frozen=True, kw_only=True)
class GateFacts:
    """The gate through which the reports of its ads account are created.

    Attributes:
        region: Where.
        in_flight: Reports that Amazon is making.
        places: How many may be in flight.
        closed_until: Until when a refused create keeps it closed; None where it is open.
        planned: Reports that wait at it.
    """

    region: str
    in_flight: int
    places: int
    closed_until: datetime | None
    planned: int


@dataclass(frozen=True, kw_only=True)
class ThrottlingFacts:
    """The throttled polls and downloads of its ads account's reports.

    Attributes:
        count: How many were answered with 429 in the last hour.
        last_at: The last of them.
        paused_until: Until when Amazon asked us to send no other poll; None where that is over, or it
            named no time.
    """

    count: int
    last_at: datetime | None
    paused_until: datetime | None


@dataclass(frozen=True, kw_only=True)
class ReferenceFact:
    """One action that refers to the window, or stopped or resumed its account; `reason` is what it gave as one."""

    at: datetime
    effect: str
    session_id: UUID
    reason: str | None


@dataclass(frozen=True, kw_only=True)
class WindowFacts:
    """All that is known of a window; `dataset` or `account` is None where there is none of this name.

    Attributes:
        account_key: The account that was asked about.
        dataset_name: The dataset that was asked about.
        window_date: The day that was asked about.
        known_datasets: What datasets there are.
        account: The account.
        dataset: The dataset's registry entry.
        window: The stored window.
        request: The request that it waits for.
        ended: The last request over this day that has ended.
        references: Actions that refer to it, oldest first.
        planned: The report that is planned over its day, and not created yet.
        gate: The gate that reports of its ads account are created through; None before the first
            one.
        waits_until: Until when its report waits for the other countries of its ads account; None
            if it doesn't.
        throttling: Throttled polls and downloads of its ads account's reports; None without any.
    """

    account_key: str
    dataset_name: str
    window_date: date
    known_datasets: Collection[str]
    account: AccountFacts | None = None
    dataset: Dataset | None = None
    window: StoredWindow | None = None
    request: OpenRequest | None = None
    ended: EndedRequest | None = None
    references: Sequence[ReferenceFact] = ()
    planned: OpenRequest | None = None
    gate: GateFacts | None = None
    waits_until: datetime | None = None
    throttling: ThrottlingFacts | None = None
