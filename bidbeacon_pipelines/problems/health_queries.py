"""SQL for the checks of `bidbeacon doctor`."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from bidbeacon_pipelines.accounts.queries import ACCOUNT_LABEL, IS_ACTIVE
from bidbeacon_pipelines.database.schema import list_revisions, read_oldest_program, read_revision


@dataclass(frozen=True)
class ServerState:
    """The server's version as people say it, up to which migration its tables are (None where there are none), this program's newest, and which one a program has to know."""

    version: str
    revision: str | None
    newest_revision: str
    oldest_program: str | None = None


@dataclass(frozen=True)
class RequestsState:
    """Report requests at Amazon: how many, since when the oldest, and how many of them wait for a step that is long due."""

    in_flight: int
    oldest_since: datetime | None
    overdue: int
    overdue_since: datetime | None


@dataclass(frozen=True)
class FailedWindows:
    """Windows of one dataset of an account whose last report gave no data, and the reason of one of them."""

    account_key: str
    account_label: str
    dataset: str
    windows: int
    reason: str | None


def read_server(connection: Connection) -> ServerState:
    """Return the server's version and the tables' migration."""
    version = connection.execute(text("SHOW server_version")).scalar_one()
    return ServerState(
        str(version).partition(" ")[0],
        read_revision(connection),
        list_revisions()[-1],
        read_oldest_program(connection),
    )


def read_requests(connection: Connection, *, late_since: datetime) -> RequestsState:
    """Return the state of requests at Amazon; overdue are those whose next step was due before an instant, of accounts that may be asked for."""
    row = connection.execute(
        text("""SELECT count(*) AS in_flight, min(coalesce(sent_at, created_at)) AS oldest_since,
                        count(*) FILTER (WHERE due_at < :late) AS overdue, min(due_at) FILTER (WHERE due_at < :late) AS overdue_since
                   FROM (SELECT r.sent_at, r.created_at,
                                CASE WHEN o.needs_attention IS NULL AND r.status <> 'sent' THEN coalesce(r.next_step_at, r.created_at) END AS due_at
                           FROM report_requests r JOIN ads_accounts o USING (account_id)
                          WHERE r.status IN ('sent', 'in_flight', 'completed')) AS open_requests"""),
        {"late": late_since},
    )
    return RequestsState(**row.mappings().one())


def list_failed_windows(connection: Connection) -> list[FailedWindows]:
    """Return failed windows of active accounts by account and dataset, the most first."""
    rows = connection.execute(
        text(f"""SELECT a.account_key, {ACCOUNT_LABEL} AS account_label, w.dataset, count(*) AS windows,
                       (array_agg(w.failure_reason ORDER BY w.window_date DESC))[1] AS reason
                  FROM report_windows w JOIN advertiser_accounts a USING (account_id, country_code) JOIN ads_accounts o USING (account_id)
                 WHERE w.status = 'failed' AND {IS_ACTIVE} GROUP BY a.account_key, account_label, w.dataset ORDER BY windows DESC, a.account_key, w.dataset""")
    )
    return [FailedWindows(**row) for row in rows.mappings()]


def find_last_activity(connection: Connection) -> datetime | None:
    """Return when a session last began or sent a heartbeat; None if there never was one."""
    last: datetime | None = connection.execute(
        text(
            """SELECT greatest((SELECT max(started_at) FROM session_headers), (SELECT max(heartbeat_at) FROM session_leases))"""
        )
    ).scalar()
    return last


def find_missing_grant(connection: Connection, table: str, schema: str | None = None) -> str | None:
    """Return the SQL that lets this role read a table; None where it may read it, or where there is no such table.

    Args:
        connection: of the role in question.
        table: its name.
        schema: where it is; absent: where our tables are.
    """
    found: str | None = connection.execute(
        text("""SELECT concat_ws(' ',
                           CASE WHEN NOT has_schema_privilege(n.oid, 'USAGE')
                                THEN format('GRANT USAGE ON SCHEMA %I TO %I;', n.nspname, current_user) END,
                           CASE WHEN NOT has_table_privilege(c.oid, 'SELECT')
                                THEN format('GRANT SELECT ON %I.%I TO %I;', n.nspname, c.relname, current_user) END)
                  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                 WHERE n.nspname = coalesce(:schema, current_schema()) AND c.relname = :table"""),
        {"schema": schema, "table": table},
    ).scalar()
    return found or None


def find_daemon_heartbeat(connection: Connection) -> datetime | None:
    """Return the last heartbeat of Dagster's daemon; None if it never ran on this database.

    The row's own column is the writer's local time; the instant is in the body. Needs the right to
    read the table (`find_missing_grant`).
    """
    there_is_none = connection.execute(
        text("""SELECT NOT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                                    WHERE n.nspname = 'dagster' AND c.relname = 'daemon_heartbeats')""")
    )
    if there_is_none.scalar():
        return None
    last: datetime | None = connection.execute(
        text("""SELECT to_timestamp(max(CAST(CAST(body AS jsonb) ->> 'timestamp' AS float8)))
                  FROM dagster.daemon_heartbeats""")
    ).scalar()
    return last
