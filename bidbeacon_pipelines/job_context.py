"""The context of a job: database, Ads API clients, settings, clock, and request to stop."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from multiprocessing.sharedctypes import RawValue
from pathlib import Path

from sqlalchemy import Engine

from bidbeacon_pipelines.amazon_ads import download_folders
from bidbeacon_pipelines.amazon_ads.client import SHORT_WAITS, AdsApiClient, RetryPolicy, connect
from bidbeacon_pipelines.amazon_ads.errors import NotWritten
from bidbeacon_pipelines.clock_repair import repair_clock
from bidbeacon_pipelines.database.clock import DatabaseClock
from bidbeacon_pipelines.database.engine import shared_engine
from bidbeacon_pipelines.database.unwritable_folders import (
    find_unwritable,
    record_unwritable,
    record_writable,
)
from bidbeacon_pipelines.settings import Settings
from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.clock import Clock

_stopping = RawValue("b", 0)
"""Whether to stop; shared with processes forked later, because they get no signal."""


def request_stop() -> None:
    """Make jobs of this process and its forks start no new work; safe in signal handlers."""
    _stopping.value = 1


def is_stopping() -> bool:
    """Return whether `request_stop` was called in this process or its parent."""
    return bool(_stopping.value)


@dataclass(frozen=True)
class JobContext:
    """The database, clients, settings and clock of one run of a job.

    Attributes:
        engine: The engine of BidBeacon's database.
        client_for: Returns the Ads API client for a credential's name; raises `CredentialRefused`.
        settings: The settings of the pipelines.
        clock: Returns the present instant in UTC, from the database's clock or a simulated one.
        sleep: Sleeps for the given number of seconds.
        is_stopping: Returns whether the worker is being stopped and the job must start no new work.
    """

    engine: Engine
    client_for: Callable[[str], AdsApiClient]
    settings: Settings
    clock: Clock
    sleep: Callable[[float], None] = time.sleep
    is_stopping: Callable[[], bool] = is_stopping

    @property
    def sessions(self) -> SessionStore:
        """The store of sessions in the database of `engine`."""
        return SessionStore(self.engine)

    @property
    def downloads(self) -> Path:
        """The folder for downloaded files, which are deleted after they are loaded."""
        return self.settings.scratch_folder

    @contextmanager
    def download_folder(self, name: str) -> Iterator[Path]:
        """Yield a private folder for downloads.

        Raises:
            NotWritten: The folder can't be written. Loads of this host pause until it can be.
        """
        with (
            self._recording_unwritable(),
            download_folders.download_folder(self.downloads, name) as folder,
        ):
            yield folder
        with self.engine.begin() as connection:
            record_writable(connection, self.downloads)

    def find_pause(self) -> NotWritten | None:
        """Return the error because of which this host's loads are paused, or None.

        While loads are paused, this host tries to write a file every five minutes.
        """
        with self.engine.begin() as connection:
            found = find_unwritable(connection, self.downloads, self.now())
        if found is None:
            return None
        if found["is_paused"]:
            return NotWritten(found["reason"], host=found["host"], folder=found["folder"])
        try:
            with self._recording_unwritable():
                download_folders.check_writable(self.downloads)
        except NotWritten as error:
            return error
        return None

    @contextmanager
    def _recording_unwritable(self) -> Iterator[None]:
        try:
            yield
        except NotWritten as error:
            with self.engine.begin() as connection:
                record_unwritable(connection, self.downloads, error.reason, self.now())
            raise

    def now(self) -> datetime:
        """Return the present instant in UTC."""
        return self.clock()


@contextmanager
def open_job_context(
    settings: Settings, database_url: str, *, retry: RetryPolicy = SHORT_WAITS
) -> Iterator[JobContext]:
    """Open a job's context, with this process's connection pool for the database.

    Calls to Amazon share rate limits and access tokens with all processes that use this database,
    and are recorded in the database's call log.
    """
    engine = shared_engine(database_url)
    repair_clock(engine, settings)
    with ExitStack() as opened:

        @cache
        def client_for(credential: str) -> AdsApiClient:
            client = connect(settings, credential, engine=engine, retry=retry)
            return opened.enter_context(client)

        yield JobContext(engine, client_for, settings, DatabaseClock(engine, settings))
