"""SQL on what Amazon throttles: calls that were answered with 429, and pauses that it asked for."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, text

LATELY = timedelta(hours=1)
"""Calls that were throttled before this are history."""
_RECENTLY = timedelta(minutes=15)


@dataclass(frozen=True)
class ThrottledCalls:
    """The calls of one kind that concern one ads account, or no single one, and were throttled lately or are paused.

    Attributes:
        region: Whose host was called.
        kind: `create`, `retrieve`, `exports` or `other`, which are paused apart from each other;
            `download` or `token`, which are never paused.
        account_id: Amazon's id of the ads account; None for calls that concern no single one.
        account_key: Its key.
        account_name: What it is called.
        count: How many were throttled in the last hour.
        first_at: The first of them, if any.
        last_at: The last of them, if any.
        paused_until: When the next call may be sent, if Amazon asked for a pause that is not over.
        reports: Open reports of the account that wait for such calls.
    """

    region: str
    kind: str
    account_id: str | None
    account_key: str | None
    account_name: str | None
    count: int
    first_at: datetime | None
    last_at: datetime | None
    paused_until: datetime | None
    reports: int

    def delays_work(self, now: datetime) -> bool:
        """Return whether something waits for these calls: they are paused, or reports are polled again later."""
        was_just_now = self.last_at is not None and now - self.last_at < _RECENTLY
        return self.paused_until is not None or (was_just_now and self.reports > 0)


# Starts are reserved a second ahead, and a second apart: what lies further ahead is a pause. One of
# more than an hour was written by a clock that has been set back since, as for the limits
# themselves.
_THROTTLED = text("""
    WITH calls AS (
        SELECT region, coalesce(account_id, '') AS account_id,
               CASE call WHEN 'create_report' THEN 'create' WHEN 'retrieve_report' THEN 'retrieve'
                         WHEN 'create_export' THEN 'exports' WHEN 'get_export' THEN 'exports'
                         WHEN 'download' THEN 'download' WHEN 'token' THEN 'token' ELSE 'other' END AS kind,
               count(*) AS count, min(called_at) AS first_at, max(called_at) AS last_at
          FROM api_calls
         WHERE called_at >= :since AND (status = 429 OR error = 'Throttled')
           AND (CAST(:account_id AS text) IS NULL OR account_id = :account_id)
         GROUP BY 1, 2, 3),
    pauses AS (
        SELECT region, account_id, call_class AS kind, next_start_at AS paused_until
          FROM rate_limits
         WHERE next_start_at > CAST(:now AS timestamptz) + interval '2 seconds'
           AND next_start_at <= CAST(:now AS timestamptz) + interval '1 hour'
           AND (CAST(:account_id AS text) IS NULL OR account_id = :account_id))
    SELECT t.region, t.kind, nullif(t.account_id, '') AS account_id, o.ads_account_key AS account_key, o.name AS account_name,
           coalesce(t.count, 0) AS count, t.first_at, t.last_at, t.paused_until,
           (SELECT count(*) FROM report_requests r
             WHERE r.account_id = o.account_id AND r.next_step_at > :now
               AND (t.kind = 'create' AND r.status IN ('planned', 'sent')
                    OR t.kind = 'retrieve' AND r.status IN ('in_flight', 'completed')
                    OR t.kind = 'download' AND r.status = 'completed')) AS reports
      FROM (SELECT * FROM calls FULL JOIN pauses USING (region, account_id, kind)) t
      LEFT JOIN ads_accounts o USING (account_id)
     ORDER BY t.count DESC NULLS LAST, t.region, t.kind, t.account_id""")


def list_throttled(
    connection: Connection, now: datetime, account_id: str | None = None
) -> list[ThrottledCalls]:
    """Return what Amazon has throttled in the last hour and what is paused, most throttled first; of one ads account, if given."""
    values = {"now": now, "since": now - LATELY, "account_id": account_id}
    return [ThrottledCalls(**row) for row in connection.execute(_THROTTLED, values).mappings()]
