"""Record sessions: open a session, append actions, and close it.

Writes are retried while the database is unavailable.
"""

import logging
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from typing import Any, Final, Literal, NoReturn
from uuid import UUID, uuid4

import psycopg
import tenacity
from sqlalchemy import Connection, event
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from bidbeacon_sessions import errors, settings, writes
from bidbeacon_sessions.actions import Action, Subject
from bidbeacon_sessions.clock import Clock, utc_now
from bidbeacon_sessions.connections import SessionStore, end_connections, working_for
from bidbeacon_sessions.leases import heartbeat
from bidbeacon_sessions.masking import mask, mask_text
from bidbeacon_sessions.sentences import PROCESS_KILLED

logger = logging.getLogger(__name__)

ClosedStatus = Literal["succeeded", "failed", "cancelled", "crashed"]

RETRY_SECONDS: Final = 30.0
"""How long a write is retried while the database can't be reached."""
FINAL_ORD: Final = 1_000_000
"""The `ord` of `SessionFinalized`. A frozen transaction may already use the next number."""
_FIRST_RETRY_PAUSE, _LONGEST_RETRY_PAUSE = 0.1, 2.0
_MAX_ERROR_TEXT = 8_000
_AWAY = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    psycopg.errors.ReadOnlySqlTransaction,  # now a standby: a new connection finds the primary
    PoolTimeoutError,
)


class SessionFinalized(Action):
    """A session whose process sent no heartbeat was closed by another process."""

    sentence = "Closed as {status:badge}: {reason}.[ Last heartbeat {last_seen_at:time}.]"
    tone = "warning"
    ends_wait_for = "a heartbeat"

    status: str
    reason: str
    last_seen_at: datetime | None = None


class ActionsOmitted(Action):
    """A session reached the limit of actions; further actions are not stored."""

    sentence = (
        "Further actions are not stored: this session reached the limit of {most:count:action}"
    )
    tone = "warning"

    most: int


def finalize_session(
    connection: Connection,
    session_id: UUID,
    *,
    status: ClosedStatus,
    reason: str,
    now: datetime,
    has_successor: bool = False,
) -> bool:
    """Close a session of another process, record the reason, and end its connections.

    The outcome of a crashed session is `problems`. But if another attempt took over the session's
    work (`has_successor`), the session's actions decide, and the outcome is at least `warnings`. If
    several processes call this at the same time, one closes the session, and the others get False.
    """
    session = writes.lock_session(connection, session_id)
    if session is None:
        # A transaction of the session's own frozen process may hold the lock.
        end_connections(connection, [session_id])
        session = writes.lock_session(connection, session_id)
    if session is None:
        return False
    end_connections(connection, [session_id])
    action = SessionFinalized(status=status, reason=reason, last_seen_at=session["heartbeat_at"])
    writes.insert_action(connection, session_id, _prepared(action, FINAL_ORD, now))
    error = {"type": "SessionFinalized", "message": reason, "cause": PROCESS_KILLED}
    return writes.close_session(
        connection,
        session_id,
        status=status,
        finished_at=now,
        error=error if status == "crashed" else None,
        has_successor=has_successor,
    )


class SessionRecorder:
    """Appends actions to one session.

    `with_job_session` creates it. Several threads must not use it at the same time.

    Attributes:
        session_id: the session's id, also in `job_sessions.id`.
        store: the store that the session is written to.
        on_recorded: a function called with each stored action: by `add` after the commit, by
            `add_in` just before the commit.
    """

    def __init__(self, store: SessionStore, session: writes.NewSession, clock: Clock) -> None:
        self.session_id = session.id
        self.store = store
        self.on_recorded: Callable[[Action], object] = lambda _: None
        self._session = session
        self._clock = clock
        self._last_ord = 0
        self._connection: psycopg.Connection[Any] | None = None
        self._retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(is_away),
            stop=tenacity.stop_after_delay(RETRY_SECONDS),
            wait=tenacity.wait_exponential(_FIRST_RETRY_PAUSE, _LONGEST_RETRY_PAUSE),
            before_sleep=self._reconnect,
            retry_error_callback=self._give_up,
        )

    def add(self, action: Action) -> None:
        """Append an action, and return when it is on disk.

        If the database is unavailable, `add` tries again for 30 seconds.

        Raises:
            SessionClosedError: another process has closed this session.
            DatabaseAwayError: the database is still unavailable after 30 seconds.
        """
        if prepared := self._place(action):
            self._retrying(self._append, prepared)
            self.on_recorded(action)

    def add_in(self, connection: Connection, action: Action) -> None:
        """Append an action inside the caller's transaction, which commits the action too.

        Raises:
            SessionClosedError: another process has closed this session; the transaction must be
                rolled back.
        """
        prepared = self._place(action)
        if prepared is None:
            return
        if not writes.insert_action(connection, self.session_id, prepared):
            raise errors.SessionClosedError(
                str(self.session_id), writes.find_status(connection, self.session_id)
            )
        event.listen(connection, "commit", lambda _: self.on_recorded(action), once=True)

    def open(self) -> None:
        """Store the session's header and lease; close attempts of the same step that still run."""
        for attempt in self._retrying(self._insert_session):
            with self.store.begin() as connection:
                finalize_session(
                    connection,
                    attempt,
                    status="crashed",
                    reason="a newer attempt of the same step started.",
                    now=self._clock(),
                    has_successor=True,
                )

    def close(self, status: ClosedStatus, error: dict[str, Any] | None = None) -> None:
        """End the session.

        If the database is unavailable, `close` tries again for 30 seconds, except if `status` is
        `cancelled`. If that fails, the lease ends, and another process closes the session.
        """
        if status == "cancelled":
            self._retrying.stop = tenacity.stop_after_attempt(1)
        try:
            self._retrying(self._end, status, error)
        finally:
            self._disconnect()

    def _end(self, status: ClosedStatus, error: dict[str, Any] | None) -> None:
        with self.store.begin() as connection:
            closed = writes.close_session(
                connection, self.session_id, status=status, finished_at=self._clock(), error=error
            )
            if not closed and writes.find_status(connection, self.session_id) != status:
                logger.warning(
                    "Session %s was already closed by another process: its status is not changed",
                    self.session_id,
                )

    def _insert_session(self) -> list[UUID]:
        with self.store.begin() as connection:
            return writes.insert_session(connection, self._session)

    def _append(self, action: writes.NewAction) -> None:
        if self._connection is None or self._connection.closed:
            self._connection = self.store.open_connection()
        if not writes.append_action(self._connection, self.session_id, action):
            with self.store.begin() as connection:
                status = writes.find_status(connection, self.session_id)
            raise errors.SessionClosedError(str(self.session_id), status)

    def _reconnect(self, state: tenacity.RetryCallState) -> None:
        """Close the connection; the next retry opens a new one, perhaps to another server."""
        if state.attempt_number == 1:
            logger.warning("Session %s: the database can't be reached, retrying", self.session_id)
        self._disconnect()

    def _give_up(self, state: tenacity.RetryCallState) -> NoReturn:
        error = state.outcome.exception() if state.outcome is not None else None
        raise errors.DatabaseAwayError(str(self.session_id)) from error

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def _place(self, action: Action) -> writes.NewAction | None:
        """Return the action with its number `ord`, ready to be stored.

        `ActionsOmitted` replaces the first action above the limit; for later ones return None.
        """
        if self._last_ord > settings.MAX_ACTIONS:
            return None
        self._last_ord += 1
        if self._last_ord > settings.MAX_ACTIONS:
            action = ActionsOmitted(most=settings.MAX_ACTIONS)
        return _prepared(action, self._last_ord, self._clock())


def _prepared(action: Action, ord_: int, at: datetime) -> writes.NewAction:
    return writes.NewAction(
        ord=ord_,
        type=action.type,
        tone=action.own_tone(),
        at=at,
        payload=writes.within(mask(action.model_dump(mode="json")), settings.MAX_ACTION_BYTES),
        references=mask([vars(reference) for reference in action.references()]),
    )


def is_away(error: BaseException) -> bool:
    """Return whether an error means that the database is unavailable."""
    cause = getattr(error, "orig", error)  # what the driver raised
    return isinstance(cause, _AWAY) or getattr(error, "connection_invalidated", False)


@contextmanager
def with_job_session(
    job_name: str,
    *,
    input: dict[str, Any] | None = None,  # noqa: A002 - the column's name
    store: SessionStore | None = None,
    run_id: str | None = None,
    step_key: str | None = None,
    retry_number: int = 0,
    account: Subject | None = None,
    labels: dict[str, Any] | None = None,
    clock: Clock = utc_now,
) -> Iterator[SessionRecorder]:
    """Record the work inside the block as one session.

    ```python
    with with_job_session("refresh-account", input={"account": "US.38rle97"}) as session:
        session.add(WindowsQueued(…))
    ```

    If the block ends normally, the session is `succeeded`. If an exception leaves the block, the
    session is `failed`, with the error. If an interrupt leaves it (`KeyboardInterrupt`, Dagster's
    termination), the session is `cancelled`. If an error hides an interrupt, the interrupt is
    raised. Other exceptions are raised unchanged. If the process dies, another process closes the
    session as `crashed`. While the database is unavailable, the start, `add` and the end are each
    tried again for 30 seconds.

    Args:
        job_name: the name of the work, kebab-case.
        input: the job's input; secrets in it are masked.
        store: the store of the session; by default the database of `BIDBEACON_DATABASE_URL`.
        run_id: the session's run; `run_id`, `step_key` and `retry_number` identify the attempt.
        step_key: the step within the run.
        retry_number: 0 for the first attempt.
        account: the account, if the work is for exactly one account.
        labels: other facts to show with the session, such as the partition.
        clock: returns the current instant in UTC.

    Raises:
        DatabaseAwayError: the database is still unavailable after 30 seconds.
    """
    new = writes.NewSession(
        id=uuid4(),
        job_name=job_name,
        started_at=clock(),
        run_id=run_id,
        step_key=step_key,
        retry_number=retry_number,
        account=account,
        input=writes.within(mask(input or {}), settings.MAX_INPUT_BYTES),
        labels=mask(labels or {}),
    )
    recorder = SessionRecorder(store or default_store(), new, clock)
    with working_for(recorder.session_id):
        recorder.open()
    # The end is written outside of `working_for`, as connections of an ended session are refused.
    with (
        heartbeat(recorder.store, recorder.session_id),
        _closing(recorder),
        working_for(recorder.session_id),
    ):
        yield recorder


@contextmanager
def _closing(recorder: SessionRecorder) -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        interrupt = _interrupt_behind(error)
        try:
            recorder.close(
                "cancelled" if interrupt else "failed", describe_error(interrupt or error)
            )
        except Exception as own:  # noqa: BLE001 - the job's own error is the one to raise
            logger.warning(
                "Session %s could not be closed, another process will close it: %s",
                recorder.session_id,
                mask_text(str(own)),
            )
        if interrupt:
            raise interrupt from None
        raise
    recorder.close("succeeded")


def _interrupt_behind(error: BaseException) -> BaseException | None:
    """Return the error if it is an interrupt, else the interrupt that it hides, if any.

    If a signal interrupts a statement, the driver's clean-up may raise an error that hides the
    interrupt. An error that was raised `from` an interrupt replaces the interrupt on purpose.
    """
    found: BaseException | None = error
    while isinstance(found, Exception):
        hidden = None if found.__suppress_context__ else found.__context__
        found = found.__cause__ if isinstance(found.__cause__, Exception) else hidden
    return found


def describe_error(error: BaseException) -> dict[str, Any]:
    """Return an exception as stored in `job_sessions.error`: secrets masked, then cut to size.

    The keys are type, message and traceback. If the exception has the attribute `failure_cause`,
    it is stored as `cause`, a JSON object that the application explains.
    """
    message = mask_text(str(error))
    trace = mask_text("".join(traceback.format_exception(error)))
    data = {
        "type": type(error).__name__,
        "message": message[:_MAX_ERROR_TEXT],
        "traceback": trace[-_MAX_ERROR_TEXT:],
    }
    cause = getattr(error, "failure_cause", None)
    if cause is None and (
        isinstance(error, errors.ExpectedError) or not isinstance(error, Exception)
    ):
        # The class of an expected error, or of an interrupt, means nothing to users.
        cause = {"code": "other", "reason": str(error) or "The job was interrupted."}
    return data if cause is None else data | {"cause": writes.within(mask(cause), _MAX_ERROR_TEXT)}


@cache
def default_store() -> SessionStore:
    """Return the store of `BIDBEACON_DATABASE_URL`; raise SessionsError if that is not set."""
    url = settings.get_session_settings().database_url
    if url is None:
        raise errors.SessionsError(
            "No database for job sessions: pass store=…, or set BIDBEACON_DATABASE_URL."
        )
    return SessionStore.connect(url.get_secret_value())
