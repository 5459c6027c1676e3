"""`with_job_session`: the session around one piece of work, and the recorder that appends its actions."""

import logging
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Connection
from sqlalchemy.exc import InterfaceError, OperationalError

from bidbeacon_sessions.actions import Action
from bidbeacon_sessions.bounds import within
from bidbeacon_sessions.clock import Clock, utc_now
from bidbeacon_sessions.core_actions import ActionsLost, ActionsOmitted
from bidbeacon_sessions.errors import NotConfiguredError, SessionClosedError
from bidbeacon_sessions.finalisation import finalize_session
from bidbeacon_sessions.leases import Heartbeat, beat
from bidbeacon_sessions.redaction import redact, redact_text
from bidbeacon_sessions.settings import (
    MAX_ACTION_BYTES,
    MAX_ACTIONS,
    MAX_INPUT_BYTES,
    MAX_PENDING_ACTIONS,
    get_session_settings,
)
from bidbeacon_sessions.store import (
    NewAction,
    NewSession,
    SessionStore,
    close_session,
    find_running_attempts,
    find_status,
    insert_action,
    insert_session,
)

logger = logging.getLogger(__name__)

_DATABASE_AWAY = (OperationalError, InterfaceError)
_MAX_ERROR_TEXT = 8_000


@dataclass(frozen=True)
class AccountRef:
    """The account a session works for: its id and country as the platform names them, and the short key that tags show."""

    account_id: str
    country_code: str
    key: str


class SessionRecorder:
    """Appends actions to one session. Made by `with_job_session`; not for use by several threads at once.

    Attributes:
        session_id: the session's id, also in `job_sessions.id`.
    """

    def __init__(self, store: SessionStore, session: NewSession, clock: Clock) -> None:
        self.session_id = session.id
        self.store = store
        self.account_key = session.account_key
        self._session = session
        self._clock = clock
        self._opened = False
        self._last_ord = 0
        self._pending: list[NewAction] = []
        self._omitted: Counter[str] = Counter()
        self._lost: Counter[str] = Counter()

    def add(self, action: Action) -> None:
        """Append an action now, in a transaction of its own.

        A database that is away does not stop the job: the action is kept in memory and written when it is back.

        Raises:
            SessionClosedError: another process closed this session meanwhile.
        """
        prepared = self._prepare(action)
        if prepared is not None:
            self._keep(prepared)
            self.flush()

    def add_in(self, connection: Connection, action: Action) -> None:
        """Append an action inside the caller's transaction: it is there exactly when the caller's data is.

        Raises:
            SessionClosedError: another process closed this session meanwhile; the transaction must be rolled back.
        """
        prepared = self._prepare(action)
        if prepared is not None and not insert_action(connection, self.session_id, prepared):
            raise SessionClosedError(str(self.session_id), find_status(connection, self.session_id))

    def flush(self) -> bool:
        """Write what waits in memory; give False where the database is still away."""
        try:
            self._write_pending()
        except _DATABASE_AWAY as error:
            logger.warning(
                "Session %s: the database is away (%s), actions wait in memory",
                self.session_id,
                type(error).__name__,
            )
            return False
        return True

    def label(self, **labels: str | None) -> None:
        """Add plain facts for whoever reads the session later (links, partition), stored when the session ends."""
        self._session.labels.update({key: value for key, value in labels.items() if value is not None})

    def open(self) -> None:
        """Store the session's header and first sign of life, and close older attempts of the same step."""
        with self.store.begin() as connection:
            insert_session(connection, self._session)
            beat(connection, self.session_id, seconds=get_session_settings().lease_seconds)
            self._close_older_attempts(connection)
        self._opened = True

    def close(self, status: str, error: dict[str, Any] | None = None) -> None:
        """End the session, with the counts of what was left out or lost."""
        self._count_what_is_missing()
        if not self.flush():
            return  # the lease runs out, and whoever finds the session dead closes it
        with self.store.begin() as connection:
            closed = close_session(
                connection,
                self.session_id,
                status=status,
                finished_at=self._clock(),
                error=error,
                labels=redact(self._session.labels),
            )
        if not closed:
            logger.warning("Session %s had been closed by another process", self.session_id)

    def _write_pending(self) -> None:
        if not self._opened:
            self.open()
        while self._pending:
            action = self._pending[0]
            with self.store.begin() as connection:
                if not insert_action(connection, self.session_id, action):
                    raise SessionClosedError(str(self.session_id), find_status(connection, self.session_id))
            self._pending.pop(0)

    def _close_older_attempts(self, connection: Connection) -> None:
        session = self._session
        if session.run_id is None or session.step_key is None:
            return
        for older in find_running_attempts(connection, session.run_id, session.step_key, besides=session.id):
            reason = "a newer attempt of the same step started."
            finalize_session(connection, older, status="crashed", reason=reason, now=self._clock())

    def _prepare(self, action: Action) -> NewAction | None:
        if self._last_ord >= MAX_ACTIONS:
            self._omitted[action.type] += 1
            return None
        return self._place(action)

    def _place(self, action: Action) -> NewAction:
        self._last_ord += 1
        payload: dict[str, Any] = redact(action.model_dump(mode="json"))
        return NewAction(
            ord=self._last_ord,
            type=action.type,
            schema_version=action.schema_version,
            at=self._clock(),
            payload=within(payload, MAX_ACTION_BYTES),
            touches=tuple(action.touches()),
        )

    def _keep(self, prepared: NewAction) -> None:
        if len(self._pending) >= MAX_PENDING_ACTIONS:
            self._lost[prepared.type] += 1
        else:
            self._pending.append(prepared)

    def _count_what_is_missing(self) -> None:
        if self._omitted:
            self._pending.append(
                self._place(ActionsOmitted(omitted=self._omitted.total(), by_type=_tally(self._omitted)))
            )
        if self._lost:
            self._pending.append(
                self._place(ActionsLost(lost=self._lost.total(), by_type=_tally(self._lost)))
            )


@contextmanager
def with_job_session(
    job_name: str,
    *,
    input: dict[str, Any] | None = None,  # noqa: A002 - the column's name, and the word people use
    store: SessionStore | None = None,
    run_id: str | None = None,
    step_key: str | None = None,
    retry_number: int = 0,
    account: AccountRef | None = None,
    labels: dict[str, Any] | None = None,
    parent_session_id: UUID | None = None,
    clock: Clock = utc_now,
) -> Iterator[SessionRecorder]:
    """Record everything inside as one session.

    ```python
    with with_job_session("refresh-account", input={"account": "US.38rle97"}) as session:
        session.add(WindowsQueued(…))
    ```

    The session ends as `succeeded`; as `failed` with the error when an exception leaves the block; as `cancelled` when an
    interrupt does (`KeyboardInterrupt`, Dagster's termination). Exceptions go on unchanged. A process that dies inside is noticed by
    its silence and closed as `crashed`.

    Args:
        job_name: what this work is called, kebab-case.
        input: what the job was given; stored once, secrets masked.
        store: where sessions are kept; absent: the database of `BIDBEACON_DATABASE_URL`.
        run_id: the run this is part of; with `step_key` and `retry_number` it names the attempt.
        step_key: the step within the run.
        retry_number: 0 for the first attempt.
        account: the account it works for, where it is just one.
        labels: plain facts shown beside the session (partition, asset).
        parent_session_id: the session that queued this work.
        clock: gives the present instant in UTC.

    Raises:
        SessionClosedError: from `add`, when another process closed the session while this one was paused.
    """
    new = NewSession(
        id=uuid4(),
        job_name=job_name,
        started_at=clock(),
        run_id=run_id,
        step_key=step_key,
        retry_number=retry_number,
        account_id=account.account_id if account else None,
        country_code=account.country_code if account else None,
        account_key=account.key if account else None,
        input=within(redact(input or {}), MAX_INPUT_BYTES),
        labels=redact(labels or {}),
        parent_session_id=parent_session_id,
    )
    recorder = SessionRecorder(store or _default_store(), new, clock)
    recorder.flush()
    settings = get_session_settings()
    heartbeat = Heartbeat(
        recorder.store, new.id, every=settings.heartbeat_seconds, lease_seconds=settings.lease_seconds
    )
    with heartbeat, _closing(recorder):
        yield recorder


@contextmanager
def _closing(recorder: SessionRecorder) -> Iterator[None]:
    """End the session the way the block ends, and let exceptions through."""
    try:
        yield
    except BaseException as error:
        _close_quietly(recorder, "failed" if isinstance(error, Exception) else "cancelled", error)
        raise
    recorder.close("succeeded")


def _close_quietly(recorder: SessionRecorder, status: str, error: BaseException) -> None:
    """Close, but never hide the job's own error behind one of ours."""
    try:
        recorder.close(status, describe_error(error))
    except Exception:
        logger.exception("Session %s could not be closed", recorder.session_id)


def describe_error(error: BaseException) -> dict[str, Any]:
    """Give an exception as stored in `job_sessions.error`: type, message and traceback, secrets masked, then bounded."""
    message = redact_text(str(error))
    trace = redact_text("".join(traceback.format_exception(error)))
    return {
        "type": type(error).__name__,
        "message": message[:_MAX_ERROR_TEXT],
        "traceback": trace[-_MAX_ERROR_TEXT:],
    }


def _tally(counts: Counter[str]) -> str:
    return ", ".join(f"{count} × {name}" for name, count in counts.most_common())


@cache
def _default_store() -> SessionStore:
    url = get_session_settings().database_url
    if url is None:
        raise NotConfiguredError
    return SessionStore.connect(url.get_secret_value())
