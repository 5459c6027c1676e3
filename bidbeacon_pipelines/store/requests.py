"""SQL on report requests, and on claims: who works on one right now.

A claim names a session. It holds while that session's lease does, so it dies with its process.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from bidbeacon_pipelines.store.accounts import MAY_BE_LOOKED_AT, Account
from bidbeacon_pipelines.store.locks import lock_until_commit
from bidbeacon_sessions.leases import end_dead_connections

OPEN_STATUSES = ("planned", "sent", "in_flight", "completed")


class ClaimLostError(RuntimeError):
    """The claim on a request is gone: another session took it after this one had given no sign of life."""

    def __init__(self, request_id: int) -> None:
        self.request_id = request_id
        super().__init__(
            f"The claim on request {request_id} was lost to another session: this work is rolled back, the other run does it."
        )


class NoFreeSlotError(RuntimeError):
    """Two reports of the ads account are open already."""

    def __init__(self, account_id: str) -> None:
        self.account_id = account_id
        super().__init__(
            f"Two reports of {account_id} are in flight, and Amazon works on no more: wait until one has ended."
        )


@dataclass(frozen=True)
class Request:
    """A report request as stored; see the table's description."""

    id: int
    account_id: str
    country_code: str
    account_key: str
    dataset: str
    start_date: date
    end_date: date
    status: str
    by_hand: bool
    report_id: str | None
    amazon_status: str | None
    attempts: int
    polls: int
    loads: int
    created_at: datetime
    sent_at: datetime | None
    next_step_at: datetime | None
    failure_kind: str | None
    failure_code: str | None
    failure_reason: str | None
    claimed_by: UUID | None
    requested_by: UUID | None


_COLUMNS = """r.id, r.account_id, r.country_code, a.account_key, r.dataset, r.start_date, r.end_date, r.status, r.by_hand,
    r.report_id, r.amazon_status, r.attempts, r.polls, r.loads,
    r.created_at, r.sent_at, r.next_step_at, r.failure_kind, r.failure_code, r.failure_reason,
    r.claimed_by, r.requested_by"""
_FROM = "report_requests r JOIN advertiser_accounts a USING (account_id, country_code)"
_OPEN = "r.status IN ('planned', 'sent', 'in_flight', 'completed')"
_NOT_RESTING = "AND a.needs_person_for IS DISTINCT FROM 'credentials'"
_UNCLAIMED = """(r.claimed_by IS NULL OR NOT EXISTS (
    SELECT FROM session_leases l WHERE l.session_id = r.claimed_by AND l.expires_at > clock_timestamp()))"""


def lock_planning(connection: Connection, account_id: str) -> None:
    """Let nobody else plan for this ads account until the transaction ends, so that slots and windows are given once.

    Raises:
        LockTakenError: another job has been planning for it for too long.
    """
    lock_until_commit(connection, f"plan {account_id}")


def count_open_requests(connection: Connection, account_id: str) -> int:
    """Give how many reports of an ads account are open, over all its countries: Amazon counts them so."""
    statement = text(f"SELECT count(*) FROM report_requests r WHERE r.account_id = :id AND {_OPEN}")
    return int(connection.execute(statement, {"id": account_id}).scalar_one())


@dataclass(frozen=True)
class Turn:
    """How long one dataset of an account has waited for its turn; see `reports.turns` and `reports.planning`.

    Attributes:
        dataset: Its name.
        last_asked_at: When a report of it was last asked for; None where none ever was.
        passed_over: How many reports of the account's other datasets were asked for since then, while something of it was due.
        since_oldest: How many reports of it were asked for since its oldest due window is due: how long that was passed over.
    """

    dataset: str
    last_asked_at: datetime | None
    passed_over: int
    since_oldest: int


_TURNS = text("""
    SELECT d.dataset, l.last_asked_at,
           (SELECT count(*) FROM report_requests r
             WHERE r.account_id = a.account_id AND r.country_code = a.country_code
               AND r.created_at > greatest(l.last_asked_at, d.due_since, a.first_seen_at)) AS passed_over,
           (SELECT count(*) FROM report_requests r
             WHERE r.account_id = a.account_id AND r.country_code = a.country_code AND r.dataset = d.dataset
               AND d.due_since IS NOT NULL AND r.created_at > greatest(d.due_since, a.first_seen_at)) AS since_oldest
      FROM advertiser_accounts a
     CROSS JOIN unnest(CAST(:datasets AS text[]), CAST(:due_since AS timestamptz[])) AS d(dataset, due_since)
     CROSS JOIN LATERAL (
           SELECT max(r.created_at) AS last_asked_at FROM report_requests r
            WHERE r.account_id = a.account_id AND r.country_code = a.country_code AND r.dataset = d.dataset) l
     WHERE a.account_id = :account_id AND a.country_code = :country_code""")


def list_turns(
    connection: Connection, account: Account, due_since: Mapping[str, datetime | None]
) -> dict[str, Turn]:
    """Give, by dataset, how long it has waited for its turn, and its oldest due window for its own.

    Args:
        connection: where to look.
        account: whose requests.
        due_since: by dataset, since when its oldest due window is due; None where nothing is.
    """
    values = {"datasets": list(due_since), "due_since": list(due_since.values())}
    rows = connection.execute(_TURNS, account.identity | values)
    return {row["dataset"]: Turn(**row) for row in rows.mappings()}


_COUNTRIES_IN_TURN = text(f"""
    SELECT a.country_code
      FROM advertiser_accounts a
     WHERE a.account_id = :account_id
       AND (a.country_code = :country_code
            OR ({MAY_BE_LOOKED_AT}
                AND EXISTS (SELECT FROM report_windows w
                             WHERE w.account_id = a.account_id AND w.country_code = a.country_code AND w.dataset = ANY(:datasets)
                               AND w.next_refresh_at <= :now AND w.request_id IS NULL)))
     ORDER BY (SELECT max(r.created_at) FROM report_requests r
                WHERE r.account_id = a.account_id AND r.country_code = a.country_code) NULLS FIRST, a.country_code""")


def list_countries_in_turn(
    connection: Connection, account: Account, datasets: Sequence[str], *, now: datetime
) -> list[str]:
    """Give the countries of an ads account that have something due of these datasets, and the account's own in any case.

    The one that asked for a report the longest time ago comes first.
    """
    values = account.identity | {"datasets": list(datasets), "now": now}
    return list(connection.execute(_COUNTRIES_IN_TURN, values).scalars())


def insert_request(
    connection: Connection,
    account: Account,
    dataset: str,
    start: date,
    end: date,
    *,
    by_hand: bool,
    session_id: UUID,
    created_at: datetime,
) -> int:
    """Store a request before it is sent, in a free slot, claimed by the session that plans it; give its id.

    Raises:
        NoFreeSlotError: both slots of the ads account are taken. Under `lock_planning`, counting first rules that out.
    """
    statement = text(f"""
        INSERT INTO report_requests (account_id, country_code, dataset, slot, start_date, end_date, by_hand, requested_by, claimed_by,
                                     created_at)
        SELECT :account_id, :country_code, :dataset, slot, :start, :end, :by_hand, :by, :by, :created_at
          FROM unnest(ARRAY[1, 2]) AS slot
         WHERE NOT EXISTS (SELECT FROM report_requests r WHERE r.account_id = :account_id AND r.slot = slot.slot AND {_OPEN})
         ORDER BY slot LIMIT 1 RETURNING id""")
    values = {
        "dataset": dataset,
        "start": start,
        "end": end,
        "by_hand": by_hand,
        "by": session_id,
        "created_at": created_at,
    }
    request_id = connection.execute(statement, account.identity | values).scalar()
    if request_id is None:
        raise NoFreeSlotError(account.account_id)
    return int(request_id)


def correct_requests(connection: Connection, account: Account, now: datetime) -> None:
    """Move what a wrong clock has noted in the future of an account's requests to now: their next step is due at once.

    No pause of a request is as long as two days.
    """
    connection.execute(
        text("""UPDATE report_requests
                   SET created_at = least(created_at, :now), sent_at = least(sent_at, :now), next_step_at = least(next_step_at, :now)
                 WHERE account_id = :account_id AND country_code = :country_code
                   AND greatest(created_at, next_step_at) > CAST(:now AS timestamptz) + interval '2 days'"""),
        account.identity | {"now": now},
    )


def get_request(connection: Connection, request_id: int) -> Request:
    """Give a request by its id."""
    row = connection.execute(text(f"SELECT {_COLUMNS} FROM {_FROM} WHERE r.id = :id"), {"id": request_id})
    return Request(**row.mappings().one())


_CLAIMABLE = f"SELECT r.id FROM report_requests r WHERE r.id = :id AND {_OPEN} AND (r.claimed_by = :by OR {_UNCLAIMED})"
_CLAIM = text(f"""
    UPDATE report_requests SET claimed_by = :by WHERE id = ({_CLAIMABLE} FOR NO KEY UPDATE SKIP LOCKED) RETURNING id""")


def claim_request(connection: Connection, request_id: int, session_id: UUID) -> Request | None:
    """Claim an open request for a session and return it; None where it has ended, or somebody else works on it.

    Never waits for a lock. Where only a dead session's transaction is in the way, its connection is ended.
    """
    values = {"id": request_id, "by": session_id}
    claimed = connection.execute(_CLAIM, values).first()
    if claimed is None and connection.execute(text(_CLAIMABLE), values).first() is not None:
        end_dead_connections(connection)
        claimed = connection.execute(_CLAIM, values).first()
    return None if claimed is None else get_request(connection, request_id)


def hold_claim(connection: Connection, request_id: int, session_id: UUID) -> None:
    """Keep the claim for the length of this transaction: nobody can take it before the transaction ends.

    Raises:
        ClaimLostError: somebody has taken it already.
    """
    held = connection.execute(
        text("SELECT id FROM report_requests WHERE id = :id AND claimed_by = :by FOR UPDATE"),
        {"id": request_id, "by": session_id},
    ).first()
    if held is None:
        raise ClaimLostError(request_id)


def release_claim(connection: Connection, request_id: int, session_id: UUID) -> None:
    """Give a claim back."""
    connection.execute(
        text("UPDATE report_requests SET claimed_by = NULL WHERE id = :id AND claimed_by = :by"),
        {"id": request_id, "by": session_id},
    )


def list_open_requests(
    connection: Connection, *, due_at: datetime | None = None, account_id: str | None = None
) -> list[Request]:
    """Give open requests that no living session holds, the longest waiting first.

    Those of accounts that wait for credentials rest: nothing can be asked for them, and their reports are still being made.

    Args:
        connection: where to look.
        due_at: only those whose next step is due at this instant.
        account_id: only this ads account's, in all of its countries.
    """
    due = "" if due_at is None else "AND (r.next_step_at IS NULL OR r.next_step_at <= :due_at)"
    mine = "" if account_id is None else "AND r.account_id = :account_id"
    statement = text(
        f"""SELECT {_COLUMNS} FROM {_FROM} WHERE {_OPEN} AND {_UNCLAIMED} {_NOT_RESTING} {due} {mine}
              ORDER BY r.next_step_at NULLS FIRST, r.id"""
    )
    rows = connection.execute(statement, {"due_at": due_at, "account_id": account_id})
    return [Request(**row) for row in rows.mappings()]


def update_request(connection: Connection, request_id: int, session_id: UUID, **values: Any) -> None:
    """Write columns of a request that this session holds.

    Raises:
        ClaimLostError: it doesn't any more.
    """
    assignments = ", ".join(f"{column} = :{column}" for column in values)
    changed = connection.execute(
        text(f"UPDATE report_requests SET {assignments} WHERE id = :id AND claimed_by = :by RETURNING id"),
        values | {"id": request_id, "by": session_id},
    ).first()
    if changed is None:
        raise ClaimLostError(request_id)
