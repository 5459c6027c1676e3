"""`with_job_session`: the session around one piece of work, the recorder that appends its actions, and how a session ends.

The recorder gives each action of a session its place and gets it written, also when the database is
away for a while.
"""

import logging
import time
import traceback
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from typing import Any, Literal
from uuid import UUID, uuid4

import psycopg
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from bidbeacon_sessions.actions import Action, Subject, describe_action, within
from bidbeacon_sessions.causes import PROCESS_KILLED
from bidbeacon_sessions.clock import Clock, utc_now
from bidbeacon_sessions.connections import end_connections
from bidbeacon_sessions.core_actions import (
    ActionRolledBack,
    ActionsLost,
    ActionsOmitted,
    SessionFinalized,
)
from bidbeacon_sessions.errors import NotConfiguredError, SessionClosedError
from bidbeacon_sessions.leases import Heartbeat, last_sign_of_life
from bidbeacon_sessions.masking import mask, mask_text
from bidbeacon_sessions.pending import PendingAction, PendingActions
from bidbeacon_sessions.progress import Progress, working
from bidbeacon_sessions.queries import list_excerpts
from bidbeacon_sessions.sentences import plain_text
from bidbeacon_sessions.settings import (
    MAX_ACTION_BYTES,
    MAX_ACTIONS,
    MAX_INPUT_BYTES,
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
    lock_session,
)

# Behind every place that a recorder can give: an open transaction of a paused recorder never
# collides with it.
FINAL_ORD = 1_000_000


ClosedStatus = Literal["succeeded", "failed", "cancelled", "crashed"]


def finalize_session(
    connection: Connection,
    session_id: UUID,
    *,
    status: ClosedStatus,
    reason: str,
    now: datetime,
    has_successor: bool = False,
) -> bool:
    """Close a session from outside, with an action that says what was last seen of it, and end its connections.

    A crashed one has problems, or warnings where another attempt took up its work
    (`has_successor`). Safe to call from several processes at once: one of them closes it, the
    others get False.
    """
    if not lock_session(connection, session_id):
        # A transaction of its own may hold it: that of a process that is frozen.
        end_connections(connection, [session_id])
        if not lock_session(connection, session_id):
            return False
    end_connections(connection, [session_id])
    last = next(iter(list_excerpts(connection, [session_id], last=1)), None)
    said = last and describe_action(last["type"], last["payload"])
    action = SessionFinalized(
        status=status,
        reason=reason,
        last_seen_at=last_sign_of_life(connection, session_id),
        last_action=said and said[:_MOST_SAID],
    )
    insert_action(connection, session_id, _prepared(action, FINAL_ORD, now))
    error = {"type": "SessionFinalized", "message": reason, "cause": PROCESS_KILLED}
    return close_session(
        connection,
        session_id,
        status=status,
        finished_at=now,
        error=error if status in {"failed", "crashed"} else None,
        has_successor=has_successor,
    )


logger = logging.getLogger(__name__)

_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 5.0
_MOST_SAID = 300
_READ_ONLY = "25006"
"""What a server says that has become a standby: it is away for us, until the next one is found."""


class SessionRecorder:
    """Appends actions to one session.

    Made by `with_job_session`; not for use by several threads at once.

    Attributes:
        session_id: the session's id, also in `job_sessions.id`.
        store: where it is kept.
        account_key: of the account it works for, where it is just one.
        progress: when its work last moved; each action counts. Work that does neither record nor
            use the store's engine for
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
        self._queue: deque[NewAction] = deque()
        self._unconfirmed = PendingActions()
        self._omitted: Counter[str] = Counter()
        self._lost: Counter[str] = Counter()
        self._pause = 0.0
        self._try_again_at = 0.0

    def add(self, action: Action) -> None:
        """Append an action now, in a transaction of its own.

        A database that is away does not stop the job: the action is kept in memory and written when
        it is back.

        Raises:
            SessionClosedError: another process closed this session meanwhile.
        """
        self.progress.moved()
        if self._unconfirmed.is_one_rolled_back and self._may_try():
            self._try(self._record_rolled_back)
        prepared = self._prepare(action)
        if prepared is not None:
            if len(self._queue) < MAX_PENDING_ACTIONS:
                self._queue.append(prepared)
            else:
                self._lost[prepared.type] += 1
            self.flush()

    def add_in(self, connection: Connection, action: Action) -> None:
        """Append an action inside the caller's transaction: it is there exactly when the caller's data is.

        Where the transaction is rolled back, the timeline says so (`action-rolled-back`).

        Raises:
            SessionClosedError: another process closed this session meanwhile; the transaction must
                be rolled back.
        """
        if self._queue or not self._opened:
            self.flush(
                now=True
            )  # whoever has a connection has a database, and the timeline keeps its order
        prepared = self._prepare(action)
        if prepared is None:
            return
        if not insert_action(connection, self.session_id, prepared):
            raise SessionClosedError(str(self.session_id), find_status(connection, self.session_id))
        transaction = connection.get_transaction()
        self._unconfirmed.add(
            connection, PendingAction(prepared.ord, action, prepared.at, transaction)
        )

    def flush(self, *, now: bool = False) -> bool:
        """Write what waits in memory; give False where the database is still away.

        Between two tries there is a pause that grows to five seconds, so that the job is not
        slowed; `now` tries at once.
        """
        return (now or self._may_try()) and self._try(self._write)

    def open(self) -> None:
        """Store the session's header and first sign of life, and close older attempts of the same step."""
        with self.store.each() as connection:
            older = insert_session(connection, self._session)
        self._opened = True
        for attempt in older:
            with self.store.begin() as connection:
                finalize_session(
                    connection,
                    attempt,
                    status="crashed",
                    reason="a newer attempt of the same step started.",
                    now=self._clock(),
                    has_successor=True,
                )

    def close(
        self, status: str, error: dict[str, Any] | None = None, *, patience: float = 0
    ) -> None:
        """End the session, with the counts of what was left out or lost.

        A database that is away is waited for, for `patience` seconds. After that the lease runs
        out, and whoever finds the session dead closes it.
        """
        deadline = time.monotonic() + patience
        while not self._try(lambda: self._end(status, error)):
            if time.monotonic() > deadline:
                logger.error(
                    "Session %s: the database is still away; %d actions and the end of the session are lost",
                    self.session_id,
                    len(self._queue),
                )
                return
            time.sleep(min(self._pause, max(deadline - time.monotonic(), 0)))

    def _end(self, status: str, error: dict[str, Any] | None) -> None:
        self._write()
        self._record_rolled_back()
        self._record_what_is_missing()
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
        if self._queue:
            with self.store.appending() as connection:
                while self._queue:
                    self._write_first(connection)

    def _write_first(self, connection: psycopg.Connection[Any]) -> None:
        action = self._queue[0]
        try:
            alive = append_action(connection, self.session_id, action)
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
                    raise SessionClosedError(
                        str(self.session_id), find_status(other, self.session_id)
                    )
        self._queue.popleft()

    def _record_rolled_back(self) -> None:
        """Record which pending actions did not come true, as far as their transactions are over."""
        decided = self._unconfirmed.list_decided()
        if not decided:
            return
        with self.store.each() as connection:
            stored = list_places(connection, self.session_id, [action.ord for action in decided])
        for pending in self._unconfirmed.settle(decided, stored):
            said = mask_text(plain_text(pending.action.parts()))[:_MOST_SAID]
            told = ActionRolledBack(action=pending.action.type, said=said, told_at=pending.at)
            prepared = self._prepare(told)
            if prepared is not None:
                self._queue.append(prepared)

    def _prepare(self, action: Action) -> NewAction | None:
        if self._last_ord >= MAX_ACTIONS:
            self._omitted[action.type] += 1
            return None
        return self._place(action)

    def _place(self, action: Action) -> NewAction:
        self._last_ord += 1
        return _prepared(action, self._last_ord, self._clock())

    def _record_what_is_missing(self) -> None:
        if self._omitted:
            omitted = ActionsOmitted(omitted=self._omitted.total(), by_type=_tally(self._omitted))
            self._queue.append(self._place(omitted))
            self._omitted.clear()
        if self._lost:
            self._queue.append(
                self._place(ActionsLost(lost=self._lost.total(), by_type=_tally(self._lost)))
            )
            self._lost.clear()


def _prepared(action: Action, ord_: int, at: datetime) -> NewAction:
    """Return an action as it is stored at a place: without secrets, and within bounds."""
    return NewAction(
        ord=ord_,
        type=action.type,
        tone=action.own_tone(),
        at=at,
        payload=within(mask(action.model_dump(mode="json")), MAX_ACTION_BYTES),
        references=tuple(reference.masked() for reference in action.references()),
    )


def is_away(error: Exception) -> bool:
    """Return whether an error says that the database can't be written to just now, rather than that it refuses what is written."""
    cause = getattr(error, "orig", error)  # what the driver raised
    if isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError | PoolTimeoutError):
        return True
    return (
        getattr(error, "connection_invalidated", False)
        or getattr(cause, "sqlstate", "") == _READ_ONLY
    )


def _tally(counts: Counter[str]) -> str:
    return ", ".join(f"{count} × {name}" for name, count in counts.most_common())


_MAX_ERROR_TEXT = 8_000


@contextmanager
def with_job_session(
    job_name: str,
    *,
    input: dict[str, Any] | None = None,  # noqa: A002 - the column's name, and the word people use
    store: SessionStore | None = None,
    run_id: str | None = None,
    step_key: str | None = None,
    retry_number: int = 0,
    account: Subject | None = None,
    labels: dict[str, Any] | None = None,
    clock: Clock = utc_now,
) -> Iterator[SessionRecorder]:
    """Record everything inside as one session.

    ```python
    with with_job_session("refresh-account", input={"account": "US.38rle97"}) as session:
        session.add(WindowsQueued(…))
    ```

    The session ends as `succeeded`; as `failed` with the error when an exception leaves the block;
    as `cancelled` when an interrupt does (`KeyboardInterrupt`, Dagster's termination), also where
    an error hides it: then the interrupt goes on. Other exceptions go on unchanged. A process that
    dies inside is noticed by its silence and closed as `crashed`. A database that is away, at the
    beginning, in the middle or at the end, does not stop the work.

    Args:
        job_name: what this work is called, kebab-case.
        input: what the job was given; stored once, secrets masked.
        store: where sessions are kept; absent: the database of `BIDBEACON_DATABASE_URL`.
        run_id: the run this is part of; with `step_key` and `retry_number` it names the attempt.
        step_key: the step within the run.
        retry_number: 0 for the first attempt.
        account: the account it works for, where it is just one.
        labels: plain facts shown beside the session (partition, asset).
        clock: gives the present instant in UTC.

    Raises:
        SessionClosedError: from `add`, when another process closed the session while this one was
            paused.
    """
    new = NewSession(
        id=uuid4(),
        job_name=job_name,
        started_at=clock(),
        run_id=run_id,
        step_key=step_key,
        retry_number=retry_number,
        account=account,
        input=within(mask(input or {}), MAX_INPUT_BYTES),
        labels=mask(labels or {}),
    )
    recorder = SessionRecorder(store or default_store(), new, clock)
    heartbeat = Heartbeat(recorder.store, recorder.progress)
    recorder.flush()
    with working(recorder.progress), heartbeat, _closing(recorder):
        yield recorder


@contextmanager
def _closing(recorder: SessionRecorder) -> Iterator[None]:
    """End the session the way the block ends, and let exceptions through."""
    patience = get_session_settings().close_wait_seconds
    try:
        yield
    except BaseException as error:
        if interrupt := _interrupt_behind(error):
            _close_quietly(
                recorder, "cancelled", interrupt, 0
            )  # whoever interrupts does not want to wait
            raise interrupt from None
        _close_quietly(recorder, "failed", error, patience)
        raise
    recorder.close("succeeded", patience=patience)


def _interrupt_behind(error: BaseException) -> BaseException | None:
    """Return the interrupt that ends the block: the error itself, or what it hides.

    None where there is none.

    A signal that meets a driver in the middle of a statement raises the interrupt, and cleaning up
    after it then raises the driver's own error. An error that was raised *from* an interrupt is
    meant.
    """
    found: BaseException | None = error
    while isinstance(found, Exception):
        if found.__cause__ is not None and not isinstance(found.__cause__, Exception):
            return None
        found = found.__cause__ or (None if found.__suppress_context__ else found.__context__)
    return found


def _close_quietly(
    recorder: SessionRecorder, status: str, error: BaseException, patience: float
) -> None:
    """Close, but never hide the job's own error behind one of ours."""
    try:
        recorder.close(status, describe_error(error), patience=patience)
    except Exception as own:  # noqa: BLE001 - whatever it is, the job's error is the one to tell
        logger.warning(
            "Session %s could not be closed: %s", recorder.session_id, mask_text(str(own))
        )


def describe_error(error: BaseException) -> dict[str, Any]:
    """Return an exception as stored in `job_sessions.error`, secrets masked, then bounded.

    Beside type, message and traceback it has the `cause` that the exception's attribute
    `failure_cause` says, if it has one: a JSON object, for the application to explain.
    """
    message = mask_text(str(error))
    trace = mask_text("".join(traceback.format_exception(error)))
    told = {
        "type": type(error).__name__,
        "message": message[:_MAX_ERROR_TEXT],
        "traceback": trace[-_MAX_ERROR_TEXT:],
    }
    cause = getattr(error, "failure_cause", None)
    return told if cause is None else told | {"cause": within(mask(cause), _MAX_ERROR_TEXT)}


@cache
def default_store() -> SessionStore:
    """Return this process's store of the database of `BIDBEACON_DATABASE_URL`.

    Raises:
        NotConfiguredError: the variable is not set.
    """
    url = get_session_settings().database_url
    if url is None:
        raise NotConfiguredError
    return SessionStore.connect(url.get_secret_value())
