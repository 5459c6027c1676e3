"""SQL that reads what is known of one window: five statements, each by an index.

Columns are named as in `windows.facts`.
"""

from datetime import date, datetime

from sqlalchemy import Connection, RowMapping, text

from bidbeacon_pipelines.accounts.queries import ACCOUNT_LABEL

_ACCOUNT = text(f"""
    SELECT a.account_id, a.country_code, a.account_key, {ACCOUNT_LABEL} AS label, a.time_zone, a.currency_code, a.paused, a.paused_by, a.paused_at, a.amazon_status, o.needs_attention,
           o.needs_attention_for, a.first_seen_at, a.entities_synced_at, o.last_look_at, o.next_look_at AS next_round_at, o.planned_at,
           (SELECT count(*) FROM advertiser_accounts c
             WHERE c.account_id = a.account_id AND NOT c.paused AND c.amazon_status <> 'DISABLED') AS countries,
           o.client_id, o.region
      FROM advertiser_accounts a JOIN ads_accounts o USING (account_id)
     WHERE a.account_key = :key""")


def find_account_row(connection: Connection, key: str) -> RowMapping | None:
    """Return an account, or None: the fields of `AccountFacts`, its ids, its currency, and client id and region of its ads account."""
    return connection.execute(_ACCOUNT, {"key": key}).mappings().first()


_OF_DAY = "account_id = :account_id AND country_code = :country_code AND dataset = :dataset"
_WINDOW = text(f"""
    SELECT report, status, next_refresh_at, expires_at, request_id, last_requested_at, last_loaded_at, data_as_of, load_count, loaded_by_request, last_request_id,
           row_count, quarantined_count, unresolved_count, spend, sales, failure_reason, suspicious_digest, suspicious_rows, wanted_by
      FROM report_windows WHERE {_OF_DAY} AND window_date = :day ORDER BY report""")


def list_window_rows(
    connection: Connection, account: RowMapping, dataset: str, day: date
) -> list[RowMapping]:
    """Return the stored windows of a day, one for each report: the fields of `StoredWindow`, and the last request that each waited for."""
    return list(connection.execute(_WINDOW, _values(account, dataset, day)).mappings())


# A request's lock lasts as long as the lease of its session, as in `requests.queries`.
_REQUEST = text("""
    SELECT r.id, r.start_date, r.end_date, r.status, r.by_hand, r.report_id, r.amazon_status, r.attempts, r.polls, r.loads,
           r.created_at, r.sent_at, r.next_step_at, r.failure_code, r.failure_reason, r.requested_by, r.locked_by,
           coalesce(l.expires_at > clock_timestamp(), false) AS lock_is_alive, h.status AS session_status, l.heartbeat_at
      FROM report_requests r
      LEFT JOIN session_headers h ON h.id = r.locked_by
      LEFT JOIN session_leases l ON l.session_id = r.locked_by
     WHERE r.id = :id""")


def find_request_row(connection: Connection, request_id: int) -> RowMapping | None:
    """Return a request with the state of its lock, or None: the fields of `OpenRequest`."""
    return connection.execute(_REQUEST, {"id": request_id}).mappings().first()


_ENDED = text("""
    SELECT r.id, r.status, r.report_id, r.attempts, r.finished_at, r.failure_kind, r.failure_code,
           (SELECT count(*) FROM quarantined_rows q
             WHERE q.account_id = :account_id AND q.country_code = :country_code AND q.dataset = r.dataset
               AND (q.window_date = :day OR q.window_date IS NULL) AND q.request_id = r.id) AS bad_rows
      FROM report_requests r
     WHERE r.id = :id AND r.finished_at IS NOT NULL""")


def find_ended_request_row(
    connection: Connection, account: RowMapping, dataset: str, day: date, request_id: int | None
) -> RowMapping | None:
    """Return the last request that a window waited for, if it has ended, or None: the fields of `EndedRequest`."""
    values = _values(account, dataset, day) | {"id": request_id}
    return connection.execute(_ENDED, values).mappings().first()


_PLANNED = text("""
    SELECT id FROM report_requests
     WHERE account_id = :account_id AND dataset = :dataset AND report = :report AND status = 'planned' AND attempts = 0
       AND :day BETWEEN start_date AND end_date
     ORDER BY by_hand DESC, id LIMIT 1""")


def find_planned_request(
    connection: Connection, account: RowMapping, dataset: str, report: str, day: date
) -> int | None:
    """Return the request that is planned over a day of a report and was never sent, or None."""
    values = _values(account, dataset, day) | {"report": report}
    found: int | None = connection.execute(_PLANNED, values).scalar()
    return found


_FIRST_DUE = text("""
    SELECT min(w.next_refresh_at) FROM report_windows w JOIN advertiser_accounts a USING (account_id, country_code)
     WHERE w.account_id = :account_id AND w.dataset = :dataset AND w.report = :report AND w.request_id IS NULL AND w.next_refresh_at <= :now
       AND NOT a.paused AND a.amazon_status <> 'DISABLED'""")


def find_first_due(
    connection: Connection, account: RowMapping, dataset: str, report: str, now: datetime
) -> datetime | None:
    """Return when the first due window of a report that is in no request fell due, in any country of an ads account; None where none is due."""
    values = {"account_id": account["account_id"], "dataset": dataset, "report": report, "now": now}
    found: datetime | None = connection.execute(_FIRST_DUE, values).scalar()
    return found


_REFERENCES = text("""
    SELECT * FROM (
        SELECT t.id AS reference_id, t.effect, a.session_id, a.ord, a.type, a.schema_version, a.tone, a.at, a.payload,
               h.job_name, h.status AS session_status, h.outcome AS session_outcome
          FROM session_references t
          JOIN session_actions a ON a.session_id = t.session_id AND a.ord = t.ord
          JOIN session_headers h ON h.id = t.session_id
         WHERE t.account_key = :key
           AND (t.dataset = :dataset AND t.window_key = :window OR t.dataset IS NULL AND t.effect IN ('needs-attention', 'resumed'))
         ORDER BY t.id DESC LIMIT :limit) newest
     ORDER BY reference_id""")


def list_references(
    connection: Connection, key: str, dataset: str, day: date, *, limit: int
) -> list[RowMapping]:
    """Return the newest actions that refer to a window, or stopped or resumed its account, oldest first.

    Columns: effect, job_name, session_status, session_outcome (None while it runs), and those of
        `bidbeacon_sessions.queries.list_actions`.
    """
    values = {"key": key, "dataset": dataset, "window": day.isoformat(), "limit": limit}
    return list(connection.execute(_REFERENCES, values).mappings())


def _values(account: RowMapping, dataset: str, day: date) -> dict[str, object]:
    return {
        "account_id": account["account_id"],
        "country_code": account["country_code"],
        "dataset": dataset,
        "day": day,
    }
