"""Rules for accounts: keys, the credential of an account, and how often it is refreshed.

A cadence determines when the next refresh may begin. This time is stored only after reports are
planned for all windows that are due now; otherwise these windows would wait until then. Manual
requests do not wait for the cadence.

Cron times are local times of the account, as in Debian's cron (cronsim). A fixed time that is
skipped in spring runs right after the clock change, and a fixed time that occurs twice in autumn
runs once. An hourly cron expression runs every hour, even when the clock changes.
"""

import re
import unicodedata
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from bidbeacon_sessions.clock import parse_duration
from bidbeacon_sessions.errors import UsageError
from bidbeacon_sessions.sentences import join_sentences

if TYPE_CHECKING:
    from bidbeacon_pipelines.accounts.tables import Account

_PLAIN = re.compile(r"[A-Za-z0-9_-]+")
_SHORTEST_PREFIX = 8
_LONGEST_SLUG = 20

SHORTEST = timedelta(minutes=5)
LONGEST = timedelta(days=31)
"""A refresh every 31 days misses hourly windows (14 days) and refreshes of daily windows."""

_CRON_FIELDS = 5


def account_key(country_code: str, ads_account_key: str) -> str:
    """Return `<country>.<key of the ads account>`, e.g. `US.acme-merch.1kc1bk21`.

    The country comes first because Dagster's UI cuts long keys in the middle.
    """
    return f"{country_code}.{ads_account_key}"


def ads_account_key(account_id: str, name: str, other_ids: Iterable[str]) -> str:
    """Return `<slug of the name>.<prefix of the id's last part>`, e.g. `acme-merch.1kc1bk21`.

    If the name has no letters or digits, the key is the prefix alone.

    Args:
        account_id: Amazon's id.
        name: The name when Amazon first listed the account; a later name doesn't change the key.
        other_ids: The ids of all other ads accounts. The prefix has at least eight characters. It
            is longer if the last part of another id begins with the same characters.

    Raises:
        ValueError: the id's last part has characters that a key can't have.
    """
    tail = _tail(account_id)
    others = [other.rsplit(".", 1)[-1] for other in other_ids]
    prefixes = (tail[:length] for length in range(_SHORTEST_PREFIX, len(tail)))
    prefix = next(
        (prefix for prefix in prefixes if not any(other.startswith(prefix) for other in others)),
        tail,
    )
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:_LONGEST_SLUG].strip("-")
    return f"{slug}.{prefix}" if slug else prefix


def _tail(account_id: str) -> str:
    tail = account_id.rsplit(".", 1)[-1]
    if not _PLAIN.fullmatch(tail):
        raise ValueError(
            "Expected an account id with only letters, digits, - and _ after its last dot, "
            f"got: {account_id!r}."
        )
    return tail


def slug_of(name: str) -> str:
    """Return a name as a slug (`acme-merch-us`), or unchanged if it has no letters or digits."""
    return re.sub(r"[\W_]+", "-", name.casefold()).strip("-") or name


def choose_owner(owner: str | None, listed_by: Sequence[str], unsure: Collection[str]) -> str:
    """Return an ads account's credential: its present `owner`, else the first in `listed_by`.

    The owner is kept if it is in `listed_by`, or in `unsure` (credentials with incomplete lists).
    """
    if owner is not None and (owner in listed_by or owner in unsure):
        return owner
    return listed_by[0]


class NothingToDoError(UsageError):
    """A user's request is refused because a run would do nothing; `what_to_do` is the remedy."""

    def __init__(self, message: str, what_to_do: str) -> None:
        self.what_to_do = what_to_do
        super().__init__(message)


class AccountStoppedError(NothingToDoError):
    """The account is paused, disabled by Amazon, or needs attention."""

    def __init__(self, account: "Account") -> None:
        self.failure_cause = account.stop_cause
        stopped = f"No reports are requested for {account.label}: {account.stop_reason}"
        super().__init__(join_sentences(stopped), "Resume the account first.")


def check_active(account: "Account") -> None:
    """Raise `AccountStoppedError` if an account is paused, disabled or needs attention."""
    if account.stop_reason is not None:
        raise AccountStoppedError(account)


class BadCadenceError(UsageError):
    """A cadence is invalid or not allowed."""


@dataclass(frozen=True)
class Cadence:
    """How often an account is refreshed; without `every` and `cron`, as soon as data is due.

    `every` is an interval of 5 minutes to 31 days. `cron` has five fields (minute, hour, day of
    month, month, day of week), in the account's time zone. Invalid values raise `BadCadenceError`.
    """

    every: timedelta | None = None
    cron: str | None = None

    def __post_init__(self) -> None:
        if self.every is not None and self.cron is not None:
            raise BadCadenceError("expected either an interval or a cron expression, got both")
        if self.every is not None and not SHORTEST <= self.every <= LONGEST:
            raise BadCadenceError(
                "expected an interval of 5 minutes to 31 days, "
                f"got: {describe_duration(self.every)}"
            )
        if self.cron is not None:
            _check_cron(self.cron)

    def __str__(self) -> str:
        if self.every is not None:
            return f"every {describe_duration(self.every)}"
        return f"cron {self.cron}" if self.cron is not None else "as soon as due"

    def next_start(
        self, time_zone: str, *, last: datetime | None, now: datetime
    ) -> datetime | None:
        """Return when the next refresh may begin, in UTC; None means as soon as data is due.

        Missed refreshes are skipped. `every` counts from `last`, the planned start of the last
        refresh, so that a late start does not delay later refreshes. With `every`, but without
        `last`, return `now`.
        """
        if self.every is not None:
            return _on_the_grid(last, self.every, now)
        if self.cron is not None:
            return _next_tick(self.cron, time_zone, now)
        return None


AS_SOON_AS_DUE = Cadence()


def choose_cadence(*, every: str | None, cron: str | None, as_soon_as_due: bool) -> Cadence | None:
    """Return the cadence that CLI options set, or None if no option is given.

    Raises:
        BadCadenceError: several options are given, or the cadence is invalid.
    """
    if sum((every is not None, cron is not None, as_soon_as_due)) > 1:
        raise BadCadenceError("expected one of --every, --cron and --as-soon-as-due, got several")
    if as_soon_as_due:
        return AS_SOON_AS_DUE
    if every is None and cron is None:
        return None
    return Cadence(every=None if every is None else parse_every(every), cron=cron)


def next_refresh(
    cadence: Cadence, time_zone: str, next_run_at: datetime | None, now: datetime
) -> datetime | None:
    """Return when the next refresh may begin, in UTC; None means as soon as data is due.

    Call this after all due windows are planned. `next_run_at` is the stored time of the next
    refresh. If it is in the future, it is returned, so that a manual refresh does not move it.
    """
    start = next_run_at or now
    if start > now:
        return start
    return cadence.next_start(time_zone, last=start, now=now)


def parse_every(value: str) -> timedelta:
    """Parse `6h`, `90m`, `1d12h` or ISO 8601 (`P1DT12H`), or raise `BadCadenceError`."""
    try:
        return parse_duration(value)
    except ValueError as error:
        raise BadCadenceError(str(error)) from None


def describe_duration(duration: timedelta) -> str:
    """Return a duration in words, in days, hours and minutes: `1 day 12 hours`."""
    minutes = int(duration.total_seconds() // 60)
    counts = ((minutes // 1440, "day"), (minutes // 60 % 24, "hour"), (minutes % 60, "minute"))
    return " ".join(f"{n} {unit}{'' if n == 1 else 's'}" for n, unit in counts if n) or "0 minutes"


def _on_the_grid(last: datetime | None, every: timedelta, now: datetime) -> datetime:
    if last is None:
        return now.astimezone(UTC)
    last = last if last - now <= every else now
    missed = max((now - last) // every, 0)
    return (last + (missed + 1) * every).astimezone(UTC)


def _next_tick(cron: str, time_zone: str, now: datetime) -> datetime:
    # cronsim counts local times: its first tick is in the past when `now` is in a repeated hour.
    for tick in CronSim(cron, now.astimezone(ZoneInfo(time_zone))):
        if tick.astimezone(UTC) > now:
            return tick.astimezone(UTC)
    raise BadCadenceError(f"expected a cron expression that matches a date, got: {cron!r}")


def _check_cron(cron: str) -> None:
    if len(cron.split()) != _CRON_FIELDS:
        raise BadCadenceError(
            f"expected five fields (minute, hour, day of month, month, day of week), got: {cron!r}"
        )
    try:
        next(CronSim(cron, datetime(2000, 1, 1, tzinfo=UTC)))
    except (CronSimError, StopIteration) as error:
        raise BadCadenceError(
            f"expected a cron like '0 6 * * *', got: {cron!r} ({error})"
        ) from error
