"""The recorder: gives each action of a session its place, and gets it written, also when the database is away for a while."""

import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from typing import Any

import psycopg
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from bidbeacon_sessions.actions import Action
from bidbeacon_sessions.bounds import within
from bidbeacon_sessions.claims import Claim, Claims
from bidbeacon_sessions.clock import Clock
from bidbeacon_sessions.core_actions import ActionRolledBack, ActionsLost, ActionsOmitted
from bidbeacon_sessions.errors import SessionClosedError
from bidbeacon_sessions.finalisation import finalize_session
from bidbeacon_sessions.leases import holder_name
from bidbeacon_sessions.progress import Progress
from bidbeacon_sessions.redaction import redact, redact_text
from bidbeacon_sessions.sentences import plain_text
from bidbeacon_sessions.settings import (
    MAX_ACTION_BYTES,
    MAX_ACTIONS,
    MAX_PENDING_ACTIONS,
    get_session_settings,
)
from bidbeacon_sessions.store import SessionStore
from bidbeacon_sessions.writes import (
    NewAction,
    NewSession,
    append_action,
    close_session,
    find_status,
    insert_action,
    insert_session,
    list_places,
)

logger = logging.getLogger(__name__)

_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 5.0
_MOST_SAID = 300
_READ_ONLY = "25006"
"""What a server says that has become a standby: it is away for us, until the next one is found."""


class SessionRecorder:
    """Appends actions to one session. Made by `with_job_session`; not for use by several threads at once.

    Attributes:
        session_id: the session's id, also in `job_sessions.id`.
        store: where it is kept.
        account_key: of the account it works for, where it is just one.
        progress: when its work last moved; each action counts. Work that does neither record nor use the store's engine for
            longer than `BIDBEACON_STALLED_SECONDS` calls `progress.moved()` now and then.
    """

    def __init__(self, store: SessionStore, session: NewSession, clock: Clock) -> None:
        self.session_id = session.id
        self.store = store
        self.progress = Progress(session.id)
        self.account_key = session.account.key if session.account else None
        self._session = session
        self._clock = clock
        self._opened = False
        self._last_ord = 0
        self._pending: deque[NewAction] = deque()
        self._claims = Claims()
        self._omitted: Counter[str] = Counter()
        self._lost: Counter[str] = Counter()
        self._pause = 0.0
        self._try_again_at = 0.0

    def add(self, action: Action) -> None:
        """Append an action now, in a transaction of its own.

        A database that is away does not stop the job: the action is kept in memory and written when it is back.

        Raises:
            SessionClosedError: another process closed this session meanwhile.
        """
        self.progress.moved()
        if self._claims.is_one_rolled_back and self._may_try():
            self._try(self._tell_rolled_back)
        prepared = self._prepare(action)
        if prepared is not None:
            self._keep(prepared)
            self.flush()

    def add_in(self, connection: Connection, action: Action) -> None:
        """Append an action inside the caller's transaction: it is there exactly when the caller's data is.

        Where the transaction is rolled back, the timeline says so (`action-rolled-back`).

        Raises:
            SessionClosedError: another process closed this session meanwhile; the transaction must be rolled back.
        """
        if self._pending or not self._opened:
            self.flush(now=True)  # whoever has a connection has a database, and the timeline keeps its order
        prepared = self._prepare(action)
        if prepared is None:
            return
        if not insert_action(connection, self.session_id, prepared):
            raise SessionClosedError(str(self.session_id), find_status(connection, self.session_id))
        transaction = connection.get_transaction()
        self._claims.add(connection, Claim(prepared.ord, action, prepared.at, transaction))

    def flush(self, *, now: bool = False) -> bool:
        """Write what waits in memory; give False where the database is still away.

        Between two tries there is a pause that grows to five seconds, so that the job is not slowed; `now` tries at once.
        """
        return (now or self._may_try()) and self._try(self._write)

    def open(self) -> None:
        """Store the session's header and first sign of life, and close older attempts of the same step."""
        settings = get_session_settings()
        with self.store.each() as connection:
            older = insert_session(
                connection, self._session, holder=holder_name(), lease_seconds=settings.lease_seconds
            )
        self._opened = True
        for attempt in older:
            reason = "a newer attempt of the same step started."
            with self.store.begin() as connection:
                finalize_session(connection, attempt, status="crashed", reason=reason, now=self._clock())

    def close(self, status: str, error: dict[str, Any] | None = None, *, patience: float = 0) -> None:
        """End the session, with the counts of what was left out or lost.

        Args:
            status: how it ended.
            error: of one that failed.
            patience: for how many seconds a database that is away is waited for. After that the lease runs out, and whoever finds
                the session dead closes it.
        """
        deadline = time.monotonic() + patience
        while not self._try(lambda: self._end(status, error)):
            if time.monotonic() > deadline:
                logger.error(
                    "Session %s: the database is still away; %d actions and the end of the session are lost",
                    self.session_id,
                    len(self._pending),
                )
                return
            time.sleep(min(self._pause, max(deadline - time.monotonic(), 0)))

    def _end(self, status: str, error: dict[str, Any] | None) -> None:
        self._write()
        self._tell_rolled_back()
        self._tell_what_is_missing()
        self._write()
        with self.store.each() as connection:
            closed = close_session(
                connection,
                self.session_id,
                status=status,
                finished_at=self._clock(),
                error=error,
            )
            if not closed and find_status(connection, self.session_id) != status:
                logger.warning("Session %s had been closed by another process", self.session_id)

    def _may_try(self) -> bool:
        return time.monotonic() >= self._try_again_at

    def _try(self, write: Callable[[], None]) -> bool:
        """Write, and give False where the database is away; then it is tried again later."""
        try:
            write()
        except (DBAPIError, PoolTimeoutError, psycopg.Error) as error:
            if not is_away(error):
                raise
            if not self._pause:
                logger.warning(
                    "Session %s: the database is away (%s), actions wait in memory",
                    self.session_id,
                    type(error).__name__,
                )
            self._pause = min(self._pause * 2 or _FIRST_PAUSE, _LONGEST_PAUSE)
            self._try_again_at = time.monotonic() + self._pause
            return False
        if self._pause:
            logger.warning("Session %s: the database is back", self.session_id)
        self._pause = self._try_again_at = 0.0
        return True

    def _write(self) -> None:
        if not self._opened:
            self.open()
        if self._pending:
            with self.store.appending() as connection:
                while self._pending:
                    self._write_first(connection)

    def _write_first(self, connection: psycopg.Connection[Any]) -> None:
        action = self._pending[0]
        try:
            alive = append_action(connection, self._session, action)
        except psycopg.Error as error:
            if is_away(error):
                raise
            # One that the database refuses must not keep those behind it from being written.
            logger.error(  # noqa: TRY400 - a statement's traceback says nothing more
                "Session %s: %s was refused: %s", self.session_id, action.type, type(error).__name__
            )
            self._lost[action.type] += 1
        else:
            if not alive:
                with self.store.each() as other:
                    raise SessionClosedError(str(self.session_id), find_status(other, self.session_id))
        self._pending.popleft()

    def _tell_rolled_back(self) -> None:
        """Say which claims did not come true, as far as their transactions are over."""
        decided = self._claims.list_decided()
        if not decided:
            return
        with self.store.each() as connection:
            stored = list_places(connection, self.session_id, [claim.ord for claim in decided])
        for claim in self._claims.settle(decided, stored):
            said = redact_text(plain_text(claim.action.parts()))[:_MOST_SAID]
            told = ActionRolledBack(action=claim.action.type, said=said, told_at=claim.at)
            prepared = self._prepare(told)
            if prepared is not None:
                self._pending.append(prepared)

    def _prepare(self, action: Action) -> NewAction | None:
        if self._last_ord >= MAX_ACTIONS:
            self._omitted[action.type] += 1
            return None
        return self._place(action)

    def _place(self, action: Action) -> NewAction:
        self._last_ord += 1
        now = self._clock()
        promises = tuple(map(redact_text, action.promises()))
        return NewAction(
            ord=self._last_ord,
            type=action.type,
            schema_version=action.schema_version,
            tone=action.tone,
            at=now,
            payload=within(redact(action.model_dump(mode="json")), MAX_ACTION_BYTES),
            touches=tuple(touch.masked() for touch in action.touches()),
            promises=promises,
            deadline_at=now + action.promise_lasts if promises else None,
            kept=tuple(map(redact_text, action.kept_promises())),
        )

    def _keep(self, prepared: NewAction) -> None:
        if len(self._pending) >= MAX_PENDING_ACTIONS:
            self._lost[prepared.type] += 1
        else:
            self._pending.append(prepared)

    def _tell_what_is_missing(self) -> None:
        if self._omitted:
            omitted = ActionsOmitted(omitted=self._omitted.total(), by_type=_tally(self._omitted))
            self._pending.append(self._place(omitted))
            self._omitted.clear()
        if self._lost:
            self._pending.append(
                self._place(ActionsLost(lost=self._lost.total(), by_type=_tally(self._lost)))
            )
            self._lost.clear()


def is_away(error: Exception) -> bool:
    """Whether an error says that the database can't be written to just now, rather than that it refuses what is written."""
    cause = getattr(error, "orig", error)  # what the driver raised
    if isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError | PoolTimeoutError):
        return True
    return getattr(error, "connection_invalidated", False) or getattr(cause, "sqlstate", "") == _READ_ONLY


def _tally(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} × {name}" for name, count in Counter(counts).most_common())
