"""The context of a job: database, Ads API, settings and clock."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import Engine

from bidbeacon_pipelines.accounts.ads_account_queries import AdsAccount, get_ads_account
from bidbeacon_pipelines.accounts.queries import (
    Account,
    UnknownAccountError,
    get_account,
)
from bidbeacon_pipelines.amazon_ads.api_ledger import PostgresCallLog
from bidbeacon_pipelines.amazon_ads.client import AdsApiClient, connect
from bidbeacon_pipelines.amazon_ads.rate_limits import CallIntervals
from bidbeacon_pipelines.amazon_ads.retries import SHORT_WAITS, RetryPolicy
from bidbeacon_pipelines.amazon_ads.shared_rate_limits import PostgresRateLimits
from bidbeacon_pipelines.database.clock import DatabaseClock
from bidbeacon_pipelines.database.engine import shared_engine
from bidbeacon_pipelines.settings import Settings
from bidbeacon_sessions import SessionStore, Subject
from bidbeacon_sessions.clock import Clock
from bidbeacon_sessions.progress import pause


@dataclass(frozen=True)
class JobContext:
    """The tools of one job run.

    Attributes:
        engine: our tables.
        client: the Ads API.
        settings: what can be set.
        clock: returns the present instant in UTC; the database's, or a simulated one.
        sleep: sleeps for the given number of seconds.
    """

    engine: Engine
    client: AdsApiClient
    settings: Settings
    clock: Clock
    sleep: Callable[[float], None] = pause

    @property
    def sessions(self) -> SessionStore:
        """Where sessions are kept: the same database."""
        return SessionStore(self.engine)

    @property
    def downloads(self) -> Path:
        """The folder for files on their way into the database."""
        return self.settings.scratch_folder

    def account(self, key: str) -> Account:
        """Return an account as it is stored now.

        Raises:
            UnknownAccountError: no account has this key.
        """
        with self.engine.begin() as connection:
            return get_account(connection, key)

    def ads_account(self, key: str) -> AdsAccount:
        """Return an ads account as it is stored now, by its key or the key of one of its accounts.

        Raises:
            UnknownAccountError: no account has this key.
        """
        with self.engine.begin() as connection:
            return get_ads_account(connection, key)

    def now(self) -> datetime:
        """Return the present instant, UTC."""
        return self.clock()


def find_ref(find: Callable[[str], Account | AdsAccount], key: str) -> Subject | None:
    """Return how sessions refer to the account with a key; None if there is none, so that the session records the error.

    Args:
        find: `JobContext.account` or `JobContext.ads_account`.
        key: of the account.
    """
    try:
        return find(key).ref
    except UnknownAccountError:
        return None


@contextmanager
def open_job_context(
    settings: Settings, database_url: str, *, retry: RetryPolicy = SHORT_WAITS
) -> Iterator[JobContext]:
    """Open the tools for one job run, on this process's own pool of connections.

    Calls to Amazon share the rate limits of all processes on this database, and are written to its
    log, the last ones at the end.
    """
    engine = shared_engine(database_url)
    rate_limits = PostgresRateLimits(engine, CallIntervals())
    with (
        PostgresCallLog(engine) as log,
        connect(settings, retry=retry, rate_limits=rate_limits, log=log) as client,
    ):
        yield JobContext(engine, client, settings, DatabaseClock(engine, settings))
