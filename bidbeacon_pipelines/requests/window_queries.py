"""SQL that attaches windows to a request."""

from datetime import datetime

from sqlalchemy import Connection, text

from bidbeacon_pipelines.accounts.queries import IS_ACTIVE
from bidbeacon_pipelines.windows.due import IS_DUE

_NEEDS = f"((w.wanted_by IS NOT NULL OR {IS_DUE}) AND w.expires_at > :now)"
# A day between due ones is included once it is over in the account's own time zone: in other
# countries it may go on for hours.
_IS_BRIDGED = """(NOT r.by_hand AND w.wanted_by IS NULL AND (w.next_refresh_at <= :now) IS NOT TRUE
            AND w.expires_at > :now AND w.status <> 'not_served'
            AND w.window_date < CAST(CAST(:now AS timestamptz) AT TIME ZONE a.time_zone AS date))"""
_ATTACH = text(f"""
    UPDATE report_windows w
       SET request_id = r.id, last_request_id = r.id, status = 'requested',
           last_requested_at = now()
      FROM report_requests r, advertiser_accounts a
     WHERE r.id = :request_id AND a.account_id = r.account_id AND {IS_ACTIVE}
       AND w.account_id = a.account_id AND w.country_code = a.country_code
       AND w.dataset = r.dataset AND w.report = r.report
       AND w.window_date BETWEEN r.start_date AND r.end_date AND w.request_id IS NULL
       AND ({_NEEDS} OR {_IS_BRIDGED})""")
_IS_NEEDED = text(f"""
    SELECT EXISTS (
        SELECT FROM report_requests r
          LEFT JOIN report_requests refused ON refused.id = r.narrows
          JOIN advertiser_accounts a ON a.account_id = r.account_id
          JOIN report_windows w ON w.account_id = a.account_id AND w.country_code = a.country_code
           AND w.dataset = r.dataset AND w.report = r.report
         WHERE r.id = :request_id AND {IS_ACTIVE}
           AND w.window_date BETWEEN r.start_date AND r.end_date AND w.request_id IS NULL
           AND ({_NEEDS} OR r.narrows IS NOT NULL AND {_IS_BRIDGED}
                            AND (w.data_as_of < refused.sent_at) IS NOT FALSE))""")


def attach_windows(connection: Connection, request_id: int, *, now: datetime) -> int:
    """Attach the due and wanted windows in a request's period to it; return how many.

    Days between them are included if they are over in their country and the request is not by hand.
    Windows that wait for another request are left out.
    """
    return connection.execute(_ATTACH, {"request_id": request_id, "now": now}).rowcount


def is_needed(connection: Connection, request_id: int, *, now: datetime) -> bool:
    """Return whether a request's period has due or wanted windows without a request.

    A part of a refused report is also needed for windows that were not loaded since the refusal: it
    shows whether Amazon serves them.
    """
    found = connection.execute(_IS_NEEDED, {"request_id": request_id, "now": now})
    return bool(found.scalar_one())
