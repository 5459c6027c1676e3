"""Cadences of ads accounts: when the next refresh of each may begin, also after a change by SQL."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from bidbeacon_pipelines.accounts import cadence_queries as cadences
from bidbeacon_pipelines.accounts.ads_account_queries import AdsAccount
from bidbeacon_pipelines.accounts.cadence_queries import StoredCadence
from bidbeacon_pipelines.accounts.cadence_rules import (
    AS_SOON_AS_DUE,
    BadCadenceError,
    Cadence,
    next_start,
    parse_every,
)
from bidbeacon_pipelines.job_context import JobContext


@dataclass(frozen=True)
class CadenceSummary:
    """An account's cadence as it is shown.

    Attributes:
        account: Its key.
        label: Its label.
        cadence: The cadence in words.
        time_zone: The time zone of its cron.
        next_look_at: When the next refresh may begin; None for as soon as something is due.
        last_look_at: When the last refresh began.
    """

    account: str
    label: str
    cadence: str
    time_zone: str
    next_look_at: datetime | None
    last_look_at: datetime | None

    def __str__(self) -> str:
        """Return it as a sentence, with the account's own wall clock."""
        if self.next_look_at is None:
            return f"{self.label} is refreshed {self.cadence}."
        local = self.next_look_at.astimezone(ZoneInfo(self.time_zone))
        return f"{self.label} is refreshed {self.cadence}, next at {local:%Y-%m-%d %H:%M} ({self.time_zone})."


def choose_cadence(*, every: str | None, cron: str | None, as_soon_as_due: bool) -> Cadence | None:
    """Return the cadence given by options; None without any.

    Raises:
        BadCadenceError: they are invalid or contradict each other.
    """
    if sum((every is not None, cron is not None, as_soon_as_due)) > 1:
        raise BadCadenceError("expected one of --every, --cron and --as-soon-as-due, got several")
    if as_soon_as_due:
        return AS_SOON_AS_DUE
    if every is None and cron is None:
        return None
    return Cadence(every=None if every is None else parse_every(every), cron=cron)


def keep_cadence(connection: Connection, key: str, cadence: Cadence, now: datetime) -> None:
    """Set an account's cadence.

    Raises:
        UnknownAccountError: no account has this key.
    """
    cadences.set_cadence(connection, key, every=cadence.every, cron=cadence.cron)
    settle_cadences(connection, now)


def look_up_cadence(connection: Connection, key: str) -> CadenceSummary:
    """Return an account's cadence as it is shown.

    Raises:
        UnknownAccountError: no account has this key.
    """
    stored = cadences.get_cadence(connection, key)
    return CadenceSummary(
        stored.ads_account_key,
        stored.label,
        describe_cadence(stored),
        stored.time_zone,
        stored.next_look_at,
        stored.last_look_at,
    )


def cadence_of(stored: StoredCadence) -> Cadence:
    """Return an account's cadence.

    Raises:
        BadCadenceError: its cron is invalid; the database accepts any five fields.
    """
    if stored.refresh_every is None and stored.refresh_cron is None:
        return AS_SOON_AS_DUE
    return Cadence(every=stored.refresh_every, cron=stored.refresh_cron)


def describe_cadence(stored: StoredCadence) -> str:
    """Return an account's cadence in words, also if it is invalid."""
    return describe(stored.refresh_every, stored.refresh_cron)


def describe(every: timedelta | None, cron: str | None) -> str:
    """Return a stored cadence, perhaps set by SQL, in words."""
    try:
        return str(Cadence(every=every, cron=cron))
    except BadCadenceError as error:
        return f"as soon as due: {error}"


def settle_cadences(connection: Connection, now: datetime) -> list[str]:
    """Compute when the next refresh may begin for accounts with a new cadence; return their keys.

    A new interval counts from the last refresh, a new cron from now. A refresh recorded in the
    future by a wrong clock counts as now.
    """
    cadences.correct_looks(connection, now)
    return cadences.settle_cadences(
        connection, lambda stored: _next_look(stored, last=stored.last_look_at, now=now)
    )


def note_look(context: JobContext, account: AdsAccount) -> None:
    """Note that a refresh of an ads account begins."""
    with context.engine.begin() as connection:
        cadences.begin_look(connection, account.account_id, context.now())


def end_round(context: JobContext, account: AdsAccount) -> None:
    """Set when the next refresh may begin, once everything due is planned."""
    now = context.now()
    with context.engine.begin() as connection:
        cadences.end_round(
            connection,
            account.account_id,
            now,
            lambda stored: _next_look(stored, last=stored.next_look_at or now, now=now),
        )


def _next_look(stored: StoredCadence, *, last: datetime | None, now: datetime) -> datetime | None:
    """Return when the next refresh may begin; an invalid cron, set by SQL, does not delay refreshes."""
    try:
        return next_start(cadence_of(stored), stored.time_zone, last=last, now=now)
    except BadCadenceError:
        return None
