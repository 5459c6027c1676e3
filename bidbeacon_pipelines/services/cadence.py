"""Keeps to the cadences of ads accounts: when the next round of each may begin, also after a person has changed it by SQL."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from bidbeacon_pipelines.reports.cadence import (
    AS_SOON_AS_DUE,
    BadCadenceError,
    Cadence,
    next_start,
    parse_every,
)
from bidbeacon_pipelines.services.job_context import JobContext
from bidbeacon_pipelines.store import cadences
from bidbeacon_pipelines.store.ads_accounts import AdsAccount
from bidbeacon_pipelines.store.cadences import StoredCadence


@dataclass(frozen=True)
class CadenceSummary:
    """An account's cadence as it is shown.

    Attributes:
        account: Its key.
        label: What it is called.
        cadence: In words.
        time_zone: What a cron counts in.
        next_look_at: From when the next round may begin; None as soon as something is due.
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
    """Return the cadence that options ask for; None where they ask for none.

    Raises:
        BadCadenceError: they can't be understood, or contradict each other.
    """
    if sum((every is not None, cron is not None, as_soon_as_due)) > 1:
        raise BadCadenceError("expected one of --every, --cron and --as-soon-as-due, got several")
    if as_soon_as_due:
        return AS_SOON_AS_DUE
    if every is None and cron is None:
        return None
    return Cadence(every=None if every is None else parse_every(every), cron=cron)


def keep_cadence(connection: Connection, key: str, cadence: Cadence, now: datetime) -> None:
    """Return an account a cadence, from now on.

    Raises:
        UnknownAccountError: there is none with this key.
    """
    cadences.set_cadence(connection, key, every=cadence.every, cron=cadence.cron)
    settle_cadences(connection, now)


def look_up_cadence(connection: Connection, key: str) -> CadenceSummary:
    """Return an account's cadence as it is shown.

    Raises:
        UnknownAccountError: there is none with this key.
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
        BadCadenceError: its cron is none; the database lets anything through that has five fields.
    """
    if stored.refresh_every is None and stored.refresh_cron is None:
        return AS_SOON_AS_DUE
    return Cadence(every=stored.refresh_every, cron=stored.refresh_cron)


def describe_cadence(stored: StoredCadence) -> str:
    """Return an account's cadence as a person reads it, also where it can't be understood."""
    return describe(stored.refresh_every, stored.refresh_cron)


def describe(every: timedelta | None, cron: str | None) -> str:
    """Return a cadence as stored, perhaps by SQL, as a person reads it."""
    try:
        return str(Cadence(every=every, cron=cron))
    except BadCadenceError as error:
        return f"as soon as due: {error}"


def settle_cadences(connection: Connection, now: datetime) -> list[str]:
    """Work out when the next round may begin for accounts whose cadence is new; return their keys.

    A new time between rounds counts from the last look, a new cron from now. A look that a wrong clock has noted in the
    future counts as one of now.
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
    """Set when the next round may begin, once all that was due is planned."""
    now = context.now()
    with context.engine.begin() as connection:
        cadences.end_round(
            connection,
            account.account_id,
            now,
            lambda stored: _next_look(stored, last=stored.next_look_at or now, now=now),
        )


def _next_look(stored: StoredCadence, *, last: datetime | None, now: datetime) -> datetime | None:
    """Return when the next round may begin; a cron that is none, set by SQL, keeps nothing from being refreshed."""
    try:
        return next_start(cadence_of(stored), stored.time_zone, last=last, now=now)
    except BadCadenceError:
        return None
