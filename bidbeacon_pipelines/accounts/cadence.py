"""Cadences of ads accounts: when the next refresh of each may begin."""

from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from bidbeacon_pipelines.accounts.queries import change_ads_account, get_ads_account
from bidbeacon_pipelines.accounts.rules import (
    AS_SOON_AS_DUE,
    BadCadenceError,
    Cadence,
    parse_every,
)
from bidbeacon_pipelines.accounts.tables import AdsAccount


def choose_cadence(*, every: str | None, cron: str | None, as_soon_as_due: bool) -> Cadence | None:
    """Return the cadence of the options, None without any; raise `BadCadenceError`."""
    if sum((every is not None, cron is not None, as_soon_as_due)) > 1:
        raise BadCadenceError("expected one of --every, --cron and --as-soon-as-due, got several")
    if as_soon_as_due:
        return AS_SOON_AS_DUE
    if every is None and cron is None:
        return None
    return Cadence(every=None if every is None else parse_every(every), cron=cron)


def store_cadence(
    connection: Connection, key: str, cadence: Cadence, now: datetime, *, by: str
) -> bool:
    """Set an ads account's cadence and its next refresh; return whether the cadence changed.

    A new interval counts from the last refresh, a new cron from now.
    """
    account = get_ads_account(connection, key)
    if account.cadence == cadence:
        return False
    change_ads_account(
        connection,
        account.account_id,
        refresh_every=cadence.every,
        refresh_cron=cadence.cron,
        next_look_at=cadence.next_start(account.time_zone, last=account.last_look_at, now=now),
        cadence_by=by,
        cadence_at=now,
    )
    return True


def describe_schedule(account: AdsAccount) -> str:
    """Return an ads account's cadence and next refresh (its local time) as a sentence."""
    if account.next_look_at is None:
        return f"{account.label} is refreshed {account.cadence}."
    local = account.next_look_at.astimezone(ZoneInfo(account.time_zone))
    return (
        f"{account.label} is refreshed {account.cadence}, "
        f"next at {local:%Y-%m-%d %H:%M} ({account.time_zone})."
    )
