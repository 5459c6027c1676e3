"""Our own rate limits, shared through Postgres: intervals between calls, and pauses."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Engine, text

from bidbeacon_pipelines.settings import Region
from bidbeacon_sessions.clock import Clock

LONGEST_RETRY_AFTER: Final = timedelta(hours=1)
"""A pause for a longer `Retry-After` is shortened to this."""
RESERVED_AHEAD: Final = 1.0
"""The most seconds by which a call's start is reserved ahead; more would delay the whole region."""


class CallClass(StrEnum):
    """A group of calls that share a rate limit at Amazon."""

    CREATE = "create"
    RETRIEVE = "retrieve"
    EXPORTS = "exports"
    DOWNLOAD = "download"
    TOKEN = "token"  # noqa: S105 - no password
    OTHER = "other"


@dataclass(frozen=True)
class LimitScope:
    """The scope of a rate limit; `account_id` is empty for calls that concern no account."""

    client_id: str
    region: Region
    call_class: CallClass
    account_id: str = ""


class RateLimiter:
    """Delays calls so that all processes that share a database together obey our rate limits.

    Also stores the pauses that Amazon requires. Amazon publishes no limits, and changes them with
    its load. Our limits are far below any limit that was reported. Amazon may allow only one
    request to create a report per second in a region, and may count refused requests.

    Each statement is its own transaction, so a dead or frozen process blocks no other. `scale`
    multiplies the intervals; if it is 0, only pauses delay calls. Time is the database's clock,
    unless `now` is given.
    """

    def __init__(self, engine: Engine, scale: float = 1.0, now: Clock | None = None) -> None:
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._scale = scale
        self._now = now

    def reserve(self, scope: LimitScope) -> float:
        """Reserve the next start time of a call in a scope; return the seconds until then.

        If the wait exceeds `RESERVED_AHEAD`, nothing is reserved: wait, and call this again.
        """
        seconds = 1.0 if scope.call_class is CallClass.CREATE else 0.05
        wait = self._execute(_RESERVE, scope, timedelta(seconds=self._scale * seconds))
        return float(wait)

    def pause(self, scope: LimitScope, seconds: float) -> None:
        """Pause the calls of a scope's account, or of its region if it has no account."""
        pause = min(timedelta(seconds=max(0.0, seconds)), LONGEST_RETRY_AFTER)
        self._execute(_PAUSE, scope, pause)

    def _execute(self, statement: Any, scope: LimitScope, length: timedelta) -> Any:
        values = {"now": self._now() if self._now else None, "length": length, **vars(scope)}
        with self._engine.connect() as connection:
            return connection.execute(statement, values).scalar_one()


# The region's row has the start of its next call; an account's row, the end of its pause.
# Simultaneous calls read the same rows and then take their starts one after the other: starts
# within a second are reserved, and the other calls have to wait for more than a second.
_RESERVE = text("""
    WITH clock AS (
        SELECT coalesce(CAST(:now AS timestamptz), clock_timestamp()) AS at,
               CAST(:length AS interval) AS length),
    held AS (
        SELECT coalesce(max(greatest(l.next_start_at, (SELECT at FROM clock))),
                        (SELECT at FROM clock)) AS until
          FROM rate_limits l
         WHERE (client_id, region, call_class) = (:client_id, :region, :call_class)
           AND account_id IN ('', :account_id)),
    slot AS (
        INSERT INTO rate_limits AS l (client_id, region, call_class, account_id, next_start_at)
        SELECT :client_id, :region, :call_class, '', until + (SELECT length FROM clock)
          FROM held
         WHERE until <= (SELECT at FROM clock) + interval '1 second'
        ON CONFLICT (client_id, region, call_class, account_id)
        DO UPDATE SET next_start_at = greatest(
               greatest(l.next_start_at, (SELECT at FROM clock)),
               excluded.next_start_at - (SELECT length FROM clock)) + (SELECT length FROM clock)
        WHERE greatest(l.next_start_at, (SELECT at FROM clock))
              <= (SELECT at FROM clock) + interval '1 second'
        RETURNING next_start_at - (SELECT length FROM clock) AS start)
    SELECT extract(epoch FROM coalesce(
               (SELECT start FROM slot),
               greatest(until, (SELECT at FROM clock) + interval '1.001 seconds'))
               - (SELECT at FROM clock))
      FROM held""")
_PAUSE = text("""
    WITH clock AS (
        SELECT coalesce(CAST(:now AS timestamptz), clock_timestamp()) AS at,
               CAST(:length AS interval) AS length)
    INSERT INTO rate_limits AS l (client_id, region, call_class, account_id, next_start_at)
    SELECT :client_id, :region, :call_class, :account_id, at + length FROM clock
    ON CONFLICT (client_id, region, call_class, account_id)
    DO UPDATE SET next_start_at = greatest(
           greatest(l.next_start_at, (SELECT at FROM clock)), excluded.next_start_at)
    RETURNING 0""")
