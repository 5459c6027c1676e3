"""The tables of job sessions. Instants are UTC; users query the view `job_sessions`.

Rows that the stream delivers have `changed_xid` (see `change_log.py`).
"""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import UserDefinedType

ACTION_WORDS = (
    "(to_tsvector('simple', type) || jsonb_to_tsvector('simple', payload, '[\"string\"]'))"
)
"""SQL for the words of an action that a text search covers: its type and its payload's texts."""
SESSION_STATUSES = ("running", "succeeded", "failed", "cancelled", "crashed")
SESSION_OUTCOMES = ("ok", "warnings", "problems")
TONES = ("neutral", "progress", "success", "warning", "error")


class ServerType(UserDefinedType[str]):
    """A PostgreSQL type that SQLAlchemy lacks, such as `xid8`; its values are not interpreted."""

    cache_ok = True

    def __init__(self, name: str) -> None:
        self.name = name

    def get_col_spec(self, **_: Any) -> str:
        """Return the type's name for CREATE TABLE."""
        return self.name


OwnXid = Annotated[
    str, mapped_column(ServerType("xid8"), server_default=sa.text("pg_current_xact_id()"))
]
"""The full (never wrapping) id of the transaction that last wrote a row."""


class SessionsBase(DeclarativeBase):
    """Base of the tables of this package."""

    metadata = sa.MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy's own way
        datetime: sa.DateTime(timezone=True),
        str: sa.Text,
        int: sa.BigInteger,
        dict[str, Any]: JSONB,
    }


class SessionHeader(SessionsBase):
    """One row is a session: one attempt of an op or other work, its input, and its end.

    The outcome is stored when a session ends. The outcome of a running session is derived from its
    actions, since an update would lock the header that each action refers to. `recovered_by` is the
    later attempt that completed the step of a failed or crashed session.
    """

    __tablename__ = "session_headers"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    job_name: Mapped[str]
    run_id: Mapped[str | None]
    step_key: Mapped[str | None]
    retry_number: Mapped[int] = mapped_column(server_default="0")
    account_key: Mapped[str | None]
    status: Mapped[str] = mapped_column(server_default="running")
    outcome: Mapped[str | None]
    recovered_by: Mapped[UUID | None]
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    error: Mapped[dict[str, Any] | None]
    input: Mapped[dict[str, Any]] = mapped_column(server_default="{}")
    labels: Mapped[dict[str, Any]] = mapped_column(server_default="{}")
    revision: Mapped[int] = mapped_column(server_default="1")
    changed_xid: Mapped[OwnXid]

    __table_args__ = (
        sa.CheckConstraint(f"status IN {SESSION_STATUSES}", name="status_known"),
        sa.CheckConstraint("(status = 'running') = (finished_at IS NULL)", name="ended_has_end"),
        sa.CheckConstraint("finished_at >= started_at", name="ends_after_start"),
        sa.CheckConstraint(f"outcome IN {SESSION_OUTCOMES}", name="outcome_known"),
        sa.CheckConstraint("(status = 'running') = (outcome IS NULL)", name="ended_has_outcome"),
        sa.CheckConstraint(
            "recovered_by IS NULL OR status IN ('failed', 'crashed')", name="recovered_had_failed"
        ),
        sa.CheckConstraint("job_name <> ''", name="job_named"),
        sa.CheckConstraint("retry_number >= 0", name="retry_counted"),
        sa.Index(
            "uq_session_headers_attempt",
            "run_id",
            "step_key",
            "retry_number",
            unique=True,
            postgresql_where=sa.text("run_id IS NOT NULL AND step_key IS NOT NULL"),
        ),
        sa.Index(None, "started_at", "id"),
        sa.Index(None, "changed_xid"),
        sa.Index(None, "job_name", "started_at"),
        sa.Index(None, "account_key", "started_at", "id"),
        sa.Index(None, "status", "started_at"),
        sa.Index(None, "outcome", "started_at"),
        sa.Index(None, "run_id", postgresql_where=sa.text("run_id IS NOT NULL")),
        sa.Index(None, "job_name", "account_key", "started_at", "id"),
        sa.Index(
            "ix_session_headers_running", "id", postgresql_where=sa.text("status = 'running'")
        ),
    )


class SessionAction(SessionsBase):
    """One row is an action: a milestone of a session, whose time and payload never change."""

    __tablename__ = "session_actions"

    session_id: Mapped[UUID] = mapped_column(
        sa.ForeignKey("session_headers.id", ondelete="CASCADE"), primary_key=True
    )
    ord: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    type: Mapped[str]
    tone: Mapped[str]
    at: Mapped[datetime]
    payload: Mapped[dict[str, Any]]
    changed_xid: Mapped[OwnXid]

    __table_args__ = (
        sa.CheckConstraint("ord > 0", name="ord_counted"),
        sa.CheckConstraint("jsonb_typeof(payload) = 'object'", name="payload_is_object"),
        sa.CheckConstraint(f"tone IN {TONES}", name="tone_known"),
        sa.Index(None, "changed_xid"),
        sa.Index(None, "type", "at"),
        sa.Index(
            "ix_session_actions_troubles",
            "session_id",
            "ord",
            postgresql_where=sa.text("tone IN ('warning', 'error')"),
        ),
        sa.Index("ix_session_actions_words", sa.text(ACTION_WORDS), postgresql_using="gin"),
    )


class SessionReference(SessionsBase):
    """One row is an action's reference to an account, dataset or window, with its effect.

    `started_at` is the session's start, so that an index finds the newest sessions of a reference.
    """

    __tablename__ = "session_references"

    id: Mapped[int] = mapped_column(sa.Identity(always=True), primary_key=True)
    session_id: Mapped[UUID]
    ord: Mapped[int]
    account_key: Mapped[str]
    dataset: Mapped[str | None]
    window_key: Mapped[str | None]
    effect: Mapped[str]
    started_at: Mapped[datetime]

    __table_args__ = (
        sa.ForeignKeyConstraint(
            ["session_id", "ord"],
            ["session_actions.session_id", "session_actions.ord"],
            ondelete="CASCADE",
        ),
        sa.Index(None, "account_key", "dataset", "window_key"),
        sa.Index(None, "account_key", "started_at", "session_id"),
        sa.Index(
            None,
            "window_key",
            "started_at",
            "session_id",
            postgresql_where=sa.text("window_key IS NOT NULL"),
        ),
        sa.Index(None, "session_id", "ord"),
    )


class SessionSubject(SessionsBase):
    """One row has the key and current label of a subject of sessions, such as an account."""

    __tablename__ = "session_subjects"

    key: Mapped[str] = mapped_column(primary_key=True)
    label: Mapped[str]


class SessionLease(SessionsBase):
    """One row is the lease of a running session; heartbeats update this row."""

    __tablename__ = "session_leases"

    session_id: Mapped[UUID] = mapped_column(
        sa.ForeignKey("session_headers.id", ondelete="CASCADE"), primary_key=True
    )
    holder: Mapped[str]
    heartbeat_at: Mapped[datetime]
    expires_at: Mapped[datetime]

    __table_args__ = (sa.Index(None, "expires_at"), {"postgresql_with": {"fillfactor": 50}})


class SessionChange(SessionsBase):
    """One row is a published change of an action, or of a session's header if `ord` is 0.

    Positions have no gaps.
    """

    __tablename__ = "session_changes"

    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    session_id: Mapped[UUID]
    ord: Mapped[int]


class SessionChangeCursor(SessionsBase):
    """The only row is the change log's state: epoch, position and last published snapshot."""

    __tablename__ = "session_change_cursor"

    id: Mapped[bool] = mapped_column(primary_key=True, server_default=sa.text("true"))
    epoch: Mapped[UUID] = mapped_column(server_default=sa.text("gen_random_uuid()"))
    position: Mapped[int] = mapped_column(server_default="0")
    published_snapshot: Mapped[str] = mapped_column(
        ServerType("pg_snapshot"), server_default=sa.text("pg_current_snapshot()")
    )
    system_identifier: Mapped[int | None]
    stepped_at: Mapped[datetime] = mapped_column(server_default=sa.text("now()"))

    __table_args__ = (sa.CheckConstraint("id", name="one_row"),)


def _worst(tone: str) -> str:
    return (
        f"CASE WHEN bool_or({tone} = 'error') THEN 'problems' "
        f"WHEN bool_or({tone} = 'warning') THEN 'warnings' ELSE 'ok' END"
    )


OUTCOME_SO_FAR = f"""(SELECT {_worst("s.tone")} FROM session_actions s
      WHERE s.session_id = h.id AND s.tone IN ('warning', 'error'))"""
"""SQL for the outcome of the session `h`, derived only from its actions so far."""
OUTCOME = f"coalesce(h.outcome, {OUTCOME_SO_FAR})"
"""SQL for the outcome of the session `h`: the stored one, else the one so far."""
MARK = """CASE WHEN h.status IN ('failed', 'crashed') AND h.outcome <> 'problems' THEN 'retried'
      WHEN h.status = 'succeeded' AND h.outcome <> 'ok' THEN h.outcome ELSE h.status END"""
"""SQL for the word that selects icon and color of the session `h`: `warnings` or `problems` if it
succeeded with them, `retried` if it failed or crashed without `problems`, else its status."""

JOB_SESSIONS_VIEW = f"""
CREATE VIEW job_sessions AS
SELECT h.id,
       h.job_name,
       h.run_id,
       h.step_key,
       h.retry_number,
       h.account_key,
       (SELECT n.label FROM session_subjects n WHERE n.key = h.account_key) AS account_label,
       h.status,
       {OUTCOME} AS outcome,
       h.recovered_by,
       h.started_at,
       h.finished_at,
       coalesce(h.finished_at, now()) - h.started_at AS duration,
       h.error,
       h.input,
       h.labels,
       coalesce(a.actions, '[]'::jsonb) AS actions,
       coalesce(a.action_count, 0) AS action_count,
       h.revision + coalesce(a.action_count, 0) AS revision
  FROM session_headers h
  LEFT JOIN LATERAL (
       SELECT jsonb_agg(
                jsonb_build_object('ord', s.ord, 'type', s.type, 'at', s.at, 'tone', s.tone)
                || s.payload
                ORDER BY s.ord) AS actions,
              count(*) AS action_count
         FROM session_actions s
        WHERE s.session_id = h.id) a ON true
"""

JOB_SESSION_ACCOUNTS_VIEW = f"""
CREATE VIEW job_session_accounts AS
SELECT h.id AS session_id,
       k.account_key,
       CASE WHEN k.account_key = h.account_key THEN {OUTCOME}
            ELSE (SELECT {_worst("a.tone")}
                    FROM session_references t
                    JOIN session_actions a ON a.session_id = t.session_id AND a.ord = t.ord
                   WHERE t.session_id = h.id AND t.account_key = k.account_key) END AS outcome
  FROM session_headers h
 CROSS JOIN LATERAL (
       SELECT h.account_key WHERE h.account_key IS NOT NULL
        UNION
       SELECT t.account_key FROM session_references t WHERE t.session_id = h.id) k
"""
"""The outcome of each session for its own account and for each account that its actions refer to. A
running session has its outcome so far."""


def create_tables(engine: sa.Engine) -> None:
    """Create the tables and views, for projects without migrations of their own."""
    with engine.begin() as connection:
        SessionsBase.metadata.create_all(connection)
        connection.execute(sa.text("INSERT INTO session_change_cursor DEFAULT VALUES"))
        connection.execute(sa.text(JOB_SESSIONS_VIEW))
        connection.execute(sa.text(JOB_SESSION_ACCOUNTS_VIEW))
