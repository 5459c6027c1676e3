"""SQL on report windows. Dates are the account's own calendar days."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, TextClause, text

from bidbeacon_pipelines.accounts.queries import IS_ACTIVE
from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.windows.due import IS_DUE
from bidbeacon_pipelines.windows.product_states import ProductState, WindowAfter, from_json, to_json


@dataclass(frozen=True)
class Window:
    """A report window as stored; see the table's description."""

    window_date: date
    status: str
    next_refresh_at: datetime | None
    request_id: int | None
    last_loaded_at: datetime | None
    data_as_of: datetime | None
    load_count: int
    row_count: int | None
    quarantined_count: int | None
    unresolved_count: int | None
    spend: Decimal | None
    sales: Decimal | None
    failure_reason: str | None
    suspicious_digest: str | None
    suspicious_rows: int | None
    suspicious_count: int
    wanted_by: str | None
    products_due: list[str] | None
    product_states: dict[str, Any] | None

    @property
    def states(self) -> dict[str, ProductState] | None:
        """The state of each of its ad products, where they differ."""
        return from_json(self.product_states)

    @property
    def state(self) -> ProductState:
        """Its own state."""
        return ProductState(
            **{name: getattr(self, name) for name in ProductState.__dataclass_fields__}
        )


_COLUMNS = """window_date, status, next_refresh_at, request_id, last_loaded_at, data_as_of, load_count, row_count,
    quarantined_count, unresolved_count, spend, sales, failure_reason, suspicious_digest, suspicious_rows, suspicious_count, wanted_by,
    products_due, product_states"""
_OF_DATASET = "account_id = :account_id AND country_code = :country_code AND dataset = :dataset"

_CREATE = text("""
    INSERT INTO report_windows (account_id, country_code, dataset, window_date, next_refresh_at)
    SELECT :account_id, :country_code, :dataset, day, due_at
      FROM unnest(CAST(:days AS date[]), CAST(:due AS timestamptz[])) AS w(day, due_at)
    ON CONFLICT DO NOTHING""")


def create_windows(
    connection: Connection, account: Account, dataset: str, due: dict[date, datetime | None]
) -> int:
    """Create the missing windows, each with the instant its first refresh is due; return how many were new."""
    values = account.identity | {"dataset": dataset, "days": list(due), "due": list(due.values())}
    return connection.execute(_CREATE, values).rowcount


def find_windows_through(connection: Connection, account: Account, dataset: str) -> date | None:
    """Return the account-local day up to which the windows of a dataset of an account exist; None where none do."""
    through: date | None = connection.execute(
        text(f"SELECT through_date FROM dataset_windows WHERE {_OF_DATASET}"),
        account.identity | {"dataset": dataset},
    ).scalar()
    return through


def list_windows_through(connection: Connection, account_id: str) -> dict[tuple[str, str], date]:
    """Return, by country and dataset, the account-local day up to which the windows of an ads account exist."""
    rows = connection.execute(
        text(
            "SELECT country_code, dataset, through_date FROM dataset_windows WHERE account_id = :id"
        ),
        {"id": account_id},
    )
    return {(row.country_code, row.dataset): row.through_date for row in rows}


def set_windows_through(
    connection: Connection, account: Account, dataset: str, through: date
) -> None:
    """Store up to which account-local day the windows of a dataset of an account exist."""
    connection.execute(
        text("""INSERT INTO dataset_windows (account_id, country_code, dataset, through_date)
                VALUES (:account_id, :country_code, :dataset, :through)
                ON CONFLICT (account_id, country_code, dataset) DO UPDATE SET through_date = excluded.through_date"""),
        account.identity | {"dataset": dataset, "through": through},
    )


def expire_windows(
    connection: Connection, account: Account, dataset: str, oldest_served: date
) -> list[date]:
    """End the windows that Amazon serves no longer: never loaded ones become `expired`, loaded ones keep their data and are not refreshed any more.

    Return the expired ones.
    """
    values = account.identity | {"dataset": dataset, "oldest": oldest_served}
    connection.execute(
        text(f"""UPDATE report_windows
                    SET next_refresh_at = NULL, suspicious_digest = NULL, suspicious_rows = NULL, suspicious_count = 0,
                        status = CASE WHEN status = 'failed' AND last_loaded_at IS NOT NULL THEN 'loaded' ELSE status END
                  WHERE {_OF_DATASET} AND window_date < :oldest AND request_id IS NULL
                    AND (next_refresh_at IS NOT NULL OR suspicious_digest IS NOT NULL
                         OR status = 'failed' AND last_loaded_at IS NOT NULL)"""),
        values,
    )
    expired = connection.execute(
        text(f"""UPDATE report_windows SET status = 'expired'
                  WHERE {_OF_DATASET} AND window_date < :oldest AND status IN ('missing', 'unconfirmed', 'failed') AND last_loaded_at IS NULL
              RETURNING window_date"""),
        values,
    )
    return sorted(expired.scalars())


def list_windows(
    connection: Connection, account: Account, dataset: str, days: Sequence[date] | None = None
) -> list[Window]:
    """Return the windows of a dataset of an account, or those of the given days, by date."""
    only = "" if days is None else "AND window_date = ANY(:days)"
    rows = connection.execute(
        text(
            f"SELECT {_COLUMNS} FROM report_windows WHERE {_OF_DATASET} {only} ORDER BY window_date"
        ),
        account.identity | {"dataset": dataset, "days": list(days or ())},
    )
    return [Window(**row) for row in rows.mappings()]


class DayToPlan(NamedTuple):
    """A day of a dataset of an ads account that is in no report yet, and due or requested manually in at least one country.

    Attributes:
        dataset: The dataset's name.
        window_date: The day.
        due_since: When the first of its windows fell due; None where it is only wanted.
        is_wanted: Whether it was requested manually.
        windows: How many countries it is due or wanted in.
        products: The ad products that these need; None for all.
    """

    dataset: str
    window_date: date
    due_since: datetime | None
    is_wanted: bool
    windows: int
    products: list[str] | None


# Each part has an index that gives just its rows: of 24 months of all datasets of a steady account
# these are a few dozen.
_DAYS_TO_PLAN = text(f"""
    SELECT dataset, window_date, min(due_since), bool_or(is_wanted), count(*), products_due
      FROM (SELECT w.dataset, w.window_date, least(w.next_refresh_at, :now) AS due_since, w.wanted_by IS NOT NULL AS is_wanted, w.products_due
              FROM report_windows w JOIN advertiser_accounts a USING (account_id, country_code)
             WHERE w.account_id = :account_id AND {IS_ACTIVE} AND {IS_DUE} AND w.request_id IS NULL
            UNION ALL
            SELECT w.dataset, w.window_date, NULL, true, w.products_due
              FROM report_windows w JOIN advertiser_accounts a USING (account_id, country_code)
             WHERE w.account_id = :account_id AND {IS_ACTIVE} AND w.wanted_by IS NOT NULL AND w.request_id IS NULL
               AND {IS_DUE} IS NOT TRUE) days
     WHERE dataset = ANY(:datasets)
     GROUP BY dataset, window_date, products_due""")


def list_days_to_plan(
    connection: Connection, account_id: str, datasets: Sequence[str], *, now: datetime
) -> dict[str, list[DayToPlan]]:
    """Return, by dataset, the days of an ads account that are in no report yet, and due or requested manually in at least one country.

    A day is returned several times if countries need different ad products.
    """
    values = {"account_id": account_id, "datasets": list(datasets), "now": now}
    found: dict[str, list[DayToPlan]] = {dataset: [] for dataset in datasets}
    for row in connection.execute(_DAYS_TO_PLAN, values).all():
        day = DayToPlan._make(row)
        found[day.dataset].append(day)
    return found


_NEXT_DUE = text(f"""
    SELECT w.dataset, min(w.next_refresh_at)
      FROM report_windows w JOIN advertiser_accounts a USING (account_id, country_code)
     WHERE w.account_id = :account_id AND {IS_ACTIVE} AND w.request_id IS NULL
       AND w.next_refresh_at > :after AND w.next_refresh_at <= :until
     GROUP BY w.dataset""")


def list_next_due(
    connection: Connection, account_id: str, *, after: datetime, until: datetime
) -> dict[str, datetime]:
    """Return, by dataset, when the next window of an ads account falls due between two instants, in any country."""
    values = {"account_id": account_id, "after": after, "until": until}
    return {row[0]: row[1] for row in connection.execute(_NEXT_DUE, values)}


def list_windows_of_request(connection: Connection, request_id: int) -> dict[str, list[Window]]:
    """Return the windows that wait for a request, by the key of their account, each by date."""
    rows = connection.execute(
        text(f"""SELECT a.account_key, {_COLUMNS} FROM report_windows w JOIN advertiser_accounts a USING (account_id, country_code)
                  WHERE request_id = :request_id ORDER BY a.account_key, window_date"""),
        {"request_id": request_id},
    )
    found: dict[str, list[Window]] = {}
    for account_key, *values in rows:
        found.setdefault(account_key, []).append(Window(*values))
    return found


def want_windows(
    connection: Connection, account: Account, dataset: str, days: Sequence[date], by: str
) -> None:
    """Mark these windows as wanted by somebody now, with all ad products, so that they go first; who wanted one before stays."""
    connection.execute(
        text(f"""UPDATE report_windows
                    SET wanted_by = coalesce(wanted_by, :by), wanted_at = coalesce(wanted_at, now()), products_due = NULL
                  WHERE {_OF_DATASET} AND window_date = ANY(:days)"""),
        account.identity | {"dataset": dataset, "days": list(days), "by": by},
    )


_NEEDS = f"""((w.wanted_by IS NOT NULL OR {IS_DUE})
            AND (w.products_due IS NULL OR w.products_due && r.ad_products))"""
# A day is over where the account's own calendar shows a later one: in other countries it may go on
# for hours.
_ATTACH = text(f"""
    UPDATE report_windows w
       SET request_id = r.id, last_request_id = r.id, status = 'requested', last_requested_at = now(), failure_reason = NULL
      FROM report_requests r, advertiser_accounts a
     WHERE r.id = :request_id AND a.account_id = r.account_id AND {IS_ACTIVE}
       AND w.account_id = a.account_id AND w.country_code = a.country_code AND w.dataset = r.dataset
       AND w.window_date BETWEEN r.start_date AND r.end_date AND w.request_id IS NULL AND w.status <> 'expired'
       AND ({_NEEDS}
            OR (NOT r.by_hand AND w.wanted_by IS NULL AND (w.next_refresh_at <= :now) IS NOT TRUE AND w.window_date < CAST(CAST(:now AS timestamptz) AT TIME ZONE a.time_zone AS date)))""")


def attach_windows(connection: Connection, request_id: int, *, now: datetime) -> int:
    """Make the windows of all countries in a request's period wait for it; return how many.

    These are the windows that need one of its ad products, due or requested manually. Windows
    between them are included if the day is over in their country and the request is not a backfill.
    Windows in another report are left to it.
    """
    return connection.execute(_ATTACH, {"request_id": request_id, "now": now}).rowcount


def is_needed(connection: Connection, request_id: int, *, now: datetime) -> bool:
    """Return whether a request's period has windows that need one of its ad products, due or requested manually, and are in no other report."""
    found = connection.execute(
        text(f"""
            SELECT EXISTS (
                SELECT FROM report_requests r
                  JOIN advertiser_accounts a USING (account_id)
                  JOIN report_windows w ON w.account_id = a.account_id AND w.country_code = a.country_code AND w.dataset = r.dataset
                 WHERE r.id = :request_id AND {IS_ACTIVE} AND w.window_date BETWEEN r.start_date AND r.end_date
                   AND w.request_id IS NULL AND {_NEEDS})"""),
        {"request_id": request_id, "now": now},
    )
    return bool(found.scalar_one())


_SET_STATES = """
    UPDATE report_windows w
       SET request_id = NULL, status = n.status, next_refresh_at = n.at, data_as_of = n.data_as_of, failure_reason = n.reason,
           suspicious_digest = n.suspicious_digest, suspicious_rows = n.suspicious_rows, suspicious_count = n.suspicious_count,
           products_due = CAST(n.products_due AS text[]), product_states = n.product_states,
           wanted_by = CASE WHEN n.is_still_wanted THEN w.wanted_by END, wanted_at = CASE WHEN n.is_still_wanted THEN w.wanted_at END
      FROM unnest(CAST(:countries AS text[]), CAST(:days AS date[]), CAST(:statuses AS text[]), CAST(:ats AS timestamptz[]),
                  CAST(:data_as_of AS timestamptz[]), CAST(:reasons AS text[]), CAST(:suspicious_digests AS text[]),
                  CAST(:suspicious_rows AS bigint[]), CAST(:suspicious_counts AS integer[]), CAST(:products_due AS text[]),
                  CAST(:product_states AS jsonb[]), CAST(:wanted AS boolean[]))
           AS n(country_code, day, status, at, data_as_of, reason, suspicious_digest, suspicious_rows, suspicious_count, products_due, product_states,
                is_still_wanted)
     WHERE w.country_code = n.country_code AND w.window_date = n.day"""
_RELEASE = text(f"{_SET_STATES} AND w.request_id = :request_id")
_SET_UNASKED = text(
    f"{_SET_STATES} AND w.account_id = :account_id AND w.dataset = :dataset AND w.request_id IS NULL"
)


def release_windows(
    connection: Connection, request_id: int, after: Mapping[tuple[str, date], WindowAfter]
) -> None:
    """Detach windows from a request; each window, by country and day, gets the given state."""
    connection.execute(_RELEASE, {"request_id": request_id} | _states(after))


def set_window_states(
    connection: Connection,
    account_id: str,
    dataset: str,
    after: Mapping[tuple[str, date], WindowAfter],
) -> None:
    """Store the states of windows that are in no report, by country and day."""
    connection.execute(
        _SET_UNASKED, {"account_id": account_id, "dataset": dataset} | _states(after)
    )


def _states(after: Mapping[tuple[str, date], WindowAfter]) -> dict[str, Any]:
    ends = list(after.values())
    return {
        "countries": [country for country, _ in after],
        "days": [day for _, day in after],
        "statuses": [end.state.status for end in ends],
        "ats": [end.state.next_refresh_at for end in ends],
        "data_as_of": [end.state.data_as_of for end in ends],
        "reasons": [end.state.failure_reason for end in ends],
        "suspicious_digests": [end.state.suspicious_digest for end in ends],
        "suspicious_rows": [end.state.suspicious_rows for end in ends],
        "suspicious_counts": [end.state.suspicious_count for end in ends],
        "products_due": [
            None if end.products_due is None else f"{{{','.join(end.products_due)}}}"
            for end in ends
        ],
        "product_states": [
            None if end.product_states is None else json.dumps(to_json(end.product_states))
            for end in ends
        ],
        "wanted": [end.is_still_wanted for end in ends],
    }


def list_windows_to_end(
    connection: Connection, account_id: str, dataset: str, ad_product: str, *, before: date
) -> dict[str, list[Window]]:
    """Return, by country, the windows before a day that are in no report and would be asked for an ad product, by date, locked until the transaction ends."""
    rows = connection.execute(
        text(f"""SELECT country_code, {_COLUMNS} FROM report_windows
                  WHERE account_id = :account_id AND dataset = :dataset AND window_date < :before AND request_id IS NULL
                    AND (next_refresh_at IS NOT NULL OR wanted_by IS NOT NULL)
                    AND (products_due IS NULL OR :ad_product = ANY(products_due))
                  ORDER BY country_code, window_date FOR UPDATE"""),
        {"account_id": account_id, "dataset": dataset, "ad_product": ad_product, "before": before},
    )
    found: dict[str, list[Window]] = {}
    for country_code, *values in rows:
        found.setdefault(country_code, []).append(Window(*values))
    return found


def list_unserved_windows(
    connection: Connection, account: Account, dataset: str, ad_product: str, *, since: date
) -> list[Window]:
    """Return the windows from a day on that are in no report, and that Amazon was found not to serve an ad product for, by date, locked until the transaction ends."""
    rows = connection.execute(
        text(f"""SELECT {_COLUMNS} FROM report_windows
                  WHERE {_OF_DATASET} AND window_date >= :since AND request_id IS NULL
                    AND product_states -> CAST(:ad_product AS text) ->> 'status' = 'not_served'
                  ORDER BY window_date FOR UPDATE"""),
        account.identity | {"dataset": dataset, "ad_product": ad_product, "since": since},
    )
    return [Window(**row) for row in rows.mappings()]


@dataclass(frozen=True)
class LoadedWindow:
    """The last load of a window, with the metadata of its materialization."""

    account_id: str
    country_code: str
    account_key: str
    currency_code: str
    dataset: str
    window_date: date
    load_count: int
    row_count: int
    quarantined_count: int
    unresolved_count: int
    spend: Decimal
    sales: Decimal
    last_loaded_at: datetime
    data_as_of: datetime
    report_id: str | None
    report_start: date | None
    report_end: date | None
    attempts: int | None
    session_id: UUID | None
    restated_count: int
    product_states: dict[str, Any] | None


_LOADS = text("""
    SELECT w.account_id, w.country_code, a.account_key, a.currency_code, w.dataset, w.window_date, w.load_count, w.row_count,
           w.quarantined_count, w.unresolved_count, w.spend, w.sales, w.last_loaded_at, w.data_as_of, w.product_states, r.report_id, r.attempts,
           r.start_date AS report_start, r.end_date AS report_end,
           (SELECT t.session_id FROM session_references t
             WHERE t.account_key = a.account_key AND t.dataset = w.dataset AND t.window_key = CAST(w.window_date AS text)
               AND t.effect = 'loaded' ORDER BY t.id DESC LIMIT 1) AS session_id,
           (SELECT count(*) FROM restatements s
             WHERE s.account_id = w.account_id AND s.country_code = w.country_code AND s.dataset = w.dataset
               AND s.window_date = w.window_date AND s.request_id IN (
                       SELECT CAST(p.value -> 'request_id' AS bigint) FROM jsonb_each(w.product_totals) p)) AS restated_count
      FROM report_windows w JOIN advertiser_accounts a USING (account_id, country_code)
      LEFT JOIN report_requests r ON r.id = w.loaded_by_request
     WHERE""")


def _loads(where: str) -> TextClause:
    return text(f"{_LOADS.text} {where}")


_UNRECORDED = _loads("""w.recorded_load_count < w.load_count AND w.data_as_of IS NOT NULL
    AND (w.products_due IS NULL OR (w.next_refresh_at <= :now) IS NOT TRUE)
    ORDER BY a.account_key, w.dataset, w.window_date DESC LIMIT :limit FOR UPDATE OF w SKIP LOCKED""")
_OF_DAYS = _loads("""w.account_id = :account_id AND w.country_code = :country_code AND w.dataset = :dataset
    AND w.window_date = ANY(:days) AND w.data_as_of IS NOT NULL ORDER BY w.window_date""")


def list_unrecorded_windows(
    connection: Connection, *, now: datetime, limit: int = 1_000
) -> list[LoadedWindow]:
    """Return loads that Dagster has no materialization of yet, newest windows first, locked until the transaction ends.

    Windows with an ad product that is still to come, or due for a refresh that others have had, are
    not included. Windows locked by another transaction are skipped: they are being recorded or
    loaded.
    """
    found = connection.execute(_UNRECORDED, {"now": now, "limit": limit})
    return [LoadedWindow(**row) for row in found.mappings()]


def list_loaded_windows(
    connection: Connection, account: Account, dataset: str, days: Sequence[date]
) -> list[LoadedWindow]:
    """Return the last loads of these windows, by date; one that was never loaded, or not of all ad products, is not among them."""
    rows = connection.execute(_OF_DAYS, account.identity | {"dataset": dataset, "days": list(days)})
    return [LoadedWindow(**row) for row in rows.mappings()]


_RECORD = text("""
    UPDATE report_windows w SET recorded_load_count = greatest(w.recorded_load_count, r.loads), recorded_run_id = :run_id
      FROM unnest(CAST(:accounts AS text[]), CAST(:countries AS text[]), CAST(:datasets AS text[]), CAST(:days AS date[]),
                  CAST(:loads AS bigint[])) AS r(account_id, country_code, dataset, day, loads)
     WHERE w.account_id = r.account_id AND w.country_code = r.country_code AND w.dataset = r.dataset AND w.window_date = r.day""")


def record_windows(connection: Connection, windows: Sequence[LoadedWindow], run_id: str) -> None:
    """Store that Dagster has these loads, as materializations of a run."""
    values = {
        "run_id": run_id,
        "accounts": [window.account_id for window in windows],
        "countries": [window.country_code for window in windows],
        "datasets": [window.dataset for window in windows],
        "days": [window.window_date for window in windows],
        "loads": [window.load_count for window in windows],
    }
    connection.execute(_RECORD, values)


@dataclass(frozen=True)
class DatasetCoverage:
    """How complete one dataset of one account is."""

    account_key: str
    dataset: str
    windows: int
    loaded: int
    due: int
    in_flight: int
    failed: int
    last_loaded_at: datetime | None


_COVERAGE = text("""
    SELECT a.account_key, w.dataset, count(*) AS windows,
           count(*) FILTER (WHERE w.last_loaded_at IS NOT NULL) AS loaded,
           count(*) FILTER (WHERE w.next_refresh_at <= :now AND w.request_id IS NULL) AS due,
           count(w.request_id) AS in_flight,
           count(*) FILTER (WHERE w.status = 'failed') AS failed,
           max(w.last_loaded_at) AS last_loaded_at
      FROM report_windows w JOIN advertiser_accounts a USING (account_id, country_code)
     GROUP BY a.account_key, w.dataset ORDER BY a.account_key, w.dataset""")


def list_coverage(connection: Connection, *, now: datetime) -> list[DatasetCoverage]:
    """Return, for each account and dataset, how many windows there are, and how many are loaded, due, in flight, failed."""
    return [
        DatasetCoverage(**row) for row in connection.execute(_COVERAGE, {"now": now}).mappings()
    ]
