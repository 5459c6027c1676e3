"""The record of each exchange with Amazon; the caller decides where records go."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

from bidbeacon_pipelines.amazon_ads.clock import Clock
from bidbeacon_pipelines.settings import Region

CallName = Literal[
    "token",
    "list_accounts",
    "list_profiles",
    "query_accounts",
    "create_report",
    "retrieve_report",
    "create_export",
    "get_export",
    "list_portfolios",
    "download",
]


@dataclass(frozen=True, kw_only=True)
class CallRecord:
    """One exchange, answered or not; times are in seconds.

    Attributes:
        called_at: When it was sent, UTC.
        region: Whose host was called.
        call: The name of the call.
        account_id: The account it concerned, if any.
        country_code: The country it concerned, if any.
        status: HTTP status; None where no whole answer came.
        error: Class of the error it ended in.
        duration: From sending to the whole answer.
        queued: Time in our own queue before.
        waited: Time waited since the previous attempt, as Amazon asked or for backoff.
        retry_count: Exchanges with the same question that came before it.
        request_id: Amazon's id of the request.
    """

    called_at: datetime
    region: Region
    call: str
    account_id: str | None = None
    country_code: str | None = None
    status: int | None = None
    error: str | None = None
    duration: float = 0.0
    queued: float = 0.0
    waited: float = 0.0
    retry_count: int = 0
    request_id: str | None = None


class CallLog(Protocol):
    """Receives records; thread-safe, fast, and never raises."""

    def record(self, call: CallRecord) -> None:
        """Take a record."""
        ...


@dataclass
class Tries:
    """What came before the next exchange of one call; belongs to the one thread that makes the call.

    `waited` is the time slept that no record has yet: the first exchange after a wait takes it, so
    that a sum over records counts no wait twice.
    """

    waited: float = 0.0
    made: Counter[str] = field(default_factory=Counter)

    def begin(self, call: CallName) -> tuple[int, float]:
        """Count an exchange that begins; return its `retry_count` and what it `waited`."""
        retry_count, waited = self.made[call], self.waited
        self.made[call] += 1
        self.waited = 0.0
        return retry_count, waited


@dataclass
class Exchange:
    """What is known of an exchange under way; filled in as it becomes known."""

    status: int | None = None
    request_id: str | None = None


@contextmanager
def record_exchange(
    log: CallLog | None,
    clock: Clock,
    call: CallName,
    region: Region,
    *,
    tries: Tries,
    account_id: str | None = None,
    country_code: str | None = None,
    queued: float = 0.0,
) -> Iterator[Exchange]:
    """Record the exchange made inside the block, whether it succeeds or raises.

    Args:
        log: Receives the record; None for no log.
        clock: Measures its duration.
        call: What is asked.
        region: Whose host is called.
        tries: What came before.
        account_id: Whom it concerns.
        country_code: In which country.
        queued: Seconds it stood in our own queue.
    """
    exchange, began, error = Exchange(), clock.now(), None
    retry_count, waited = tries.begin(call)
    try:
        yield exchange
    except BaseException as raised:
        error = type(raised).__name__
        raise
    finally:
        if log is not None:
            log.record(
                CallRecord(
                    called_at=began,
                    region=region,
                    call=call,
                    account_id=account_id,
                    country_code=country_code,
                    status=exchange.status,
                    error=error,
                    duration=max(0.0, (clock.now() - began).total_seconds()),
                    queued=queued,
                    waited=waited,
                    retry_count=retry_count,
                    request_id=exchange.request_id,
                )
            )
