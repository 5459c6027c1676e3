"""Our own rate limits: how far apart calls of a kind start in a region, and pauses that Amazon asks for.

All processes share them through Postgres: one statement hands out the next start time.
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Engine, text

from bidbeacon_pipelines.settings import Region
from bidbeacon_sessions.clock import Clock

LONGEST_PAUSE: Final = timedelta(hours=1)
"""After it, Amazon is asked again even where its `Retry-After` is longer."""
RESERVED_AHEAD: Final = 1.0
"""Seconds: a start that is reserved far ahead would keep its whole region waiting."""


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
    """The scope of a rate limit; `account_id` is empty for calls that concern no single account."""

    client_id: str
    region: Region
    call_class: CallClass
    account_id: str = ""


class RateLimiter:
    """Limits how far apart calls of all processes on one database start, and pauses them as Amazon asks.

    Amazon publishes no limits, and moves them with its load; ours keep us far from any that was
    ever reported. Reports may be limited to one create a second in a region, refused ones included.

    Each statement is a transaction of its own, so a process that dies or is frozen blocks nobody.
    `scale` is a factor of the intervals; with 0, only pauses delay calls. The database's clock
    counts, unless a simulated one is given.
    """

    def __init__(self, engine: Engine, scale: float = 1.0, now: Clock | None = None) -> None:
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._scale = scale
        self._now = now

    def reserve(self, scope: LimitScope) -> float:
        """Return the seconds until the call may start; what is more than `RESERVED_AHEAD` off is not reserved."""
        seconds = 1.0 if scope.call_class is CallClass.CREATE else 0.05
        wait = self._execute(_RESERVE, scope, timedelta(seconds=self._scale * seconds))
        return float(wait)

    def pause(self, scope: LimitScope, seconds: float) -> None:
        """Stop calls of the account (without an account, of the region) for so long, as Amazon asked."""
        pause = min(timedelta(seconds=max(0.0, seconds)), LONGEST_PAUSE)
        self._execute(_PAUSE, scope, pause)

    def _execute(self, statement: Any, scope: LimitScope, length: timedelta) -> Any:
        values = {"now": self._now() if self._now else None, "length": length, **vars(scope)}
        with self._engine.connect() as connection:
            return connection.execute(statement, values).scalar_one()


# The region's row holds when its next call may start; an account's row, until when it is paused.
# Calls that ask at the same moment read the same rows and then take their starts one after the
# other: the first within a second are reserved, and the others have more than a second to wait.
_CLOCK = """WITH clock AS (
        SELECT coalesce(CAST(:now AS timestamptz), clock_timestamp()) AS at, CAST(:length AS interval) AS length)"""
_AT, _LENGTH = "(SELECT at FROM clock)", "(SELECT length FROM clock)"
_PLANNED = f"greatest(l.next_start_at, {_AT})"
_RESERVE = text(f"""
    {_CLOCK}, held AS (
        SELECT coalesce(max({_PLANNED}), {_AT}) AS until FROM rate_limits l
         WHERE (client_id, region, call_class) = (:client_id, :region, :call_class) AND account_id IN ('', :account_id)),
    slot AS (
        INSERT INTO rate_limits AS l (client_id, region, call_class, account_id, next_start_at)
        SELECT :client_id, :region, :call_class, '', until + {_LENGTH} FROM held WHERE until <= {_AT} + interval '1 second'
        ON CONFLICT (client_id, region, call_class, account_id)
        DO UPDATE SET next_start_at = greatest({_PLANNED}, excluded.next_start_at - {_LENGTH}) + {_LENGTH}
        WHERE {_PLANNED} <= {_AT} + interval '1 second'
        RETURNING next_start_at - {_LENGTH} AS start)
    SELECT extract(epoch FROM coalesce((SELECT start FROM slot), greatest(until, {_AT} + interval '1.001 seconds')) - {_AT}) FROM held""")
_PAUSE = text(f"""
    {_CLOCK}
    INSERT INTO rate_limits AS l (client_id, region, call_class, account_id, next_start_at)
    SELECT :client_id, :region, :call_class, :account_id, at + length FROM clock
    ON CONFLICT (client_id, region, call_class, account_id)
    DO UPDATE SET next_start_at = greatest({_PLANNED}, excluded.next_start_at)
    RETURNING 0""")
