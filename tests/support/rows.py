"""Rows of accounts, entities, windows, requests and sessions, built on the product's own tables.

Each function takes a connection, or an engine to commit on. Columns that are not given have
sensible values; conditions are those of SQLAlchemy: `ReportWindow.load_count > 0`. A value may be
an expression: `next_refresh_at=func.now()`. Loads with rows are made by `tests/postgres/load_world.py`.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, Connection, Engine, delete, insert, null, update
from sqlalchemy.dialects.postgresql import insert as upsert

from bidbeacon_pipelines.accounts.queries import get_account
from bidbeacon_pipelines.accounts.tables import Account, AdsAccount
from bidbeacon_pipelines.database.tables import SimulatedTime
from bidbeacon_pipelines.datasets.registry import get_dataset
from bidbeacon_pipelines.entities.queries import merge_entities, name_targets
from bidbeacon_pipelines.entities.tables import Campaign
from bidbeacon_pipelines.loading.tables import ReportLoad
from bidbeacon_pipelines.requests.tables import ReportRequest
from bidbeacon_pipelines.values.countries import COUNTRIES
from bidbeacon_pipelines.windows.rules import expires_at
from bidbeacon_pipelines.windows.tables import ReportWindow
from bidbeacon_sessions.tables import SessionHeader

Database = Connection | Engine
Condition = ColumnElement[bool]
ONE = "amzn1.ads-account.g.one"
Table = type[AdsAccount | Account | ReportWindow | ReportRequest | SessionHeader]


def add_ads_account(db: Database, account_id: str = ONE, **columns: Any) -> None:
    """Store an ads account in North America, unless it exists; its key and name come from its id."""
    key = account_id.rpartition(".")[2]
    values = {
        "account_id": account_id,
        "ads_account_key": key,
        "name": key.capitalize(),
        "client_id": "client",
        "region": "NA",
        "time_zone": "America/Los_Angeles",
    }
    statement = (
        upsert(AdsAccount)
        .values(values | columns)
        .on_conflict_do_nothing(index_elements=["account_id"])
    )
    _execute(db, statement)


def add_account(
    db: Database, country: str = "US", account_id: str = ONE, **columns: Any
) -> Account:
    """Store an account, and its ads account if that does not exist.

    Region, currency and time zone are the country's.
    """
    usual, key = COUNTRIES[country], account_id.rpartition(".")[2]
    shared = {"name": key.capitalize(), "region": usual.region, "time_zone": usual.time_zone}
    shared |= {name: columns[name] for name in (*shared, "first_seen_at") if name in columns}
    values = shared | {
        "account_id": account_id,
        "country_code": country,
        "account_key": f"{country}.{key}",
        "amazon_status": "CREATED",
        "currency_code": usual.currency_code,
    }
    with _begun(db) as connection:
        add_ads_account(connection, account_id, **shared)
        connection.execute(insert(Account).values(values | columns))
        return get_account(connection, (values | columns)["account_key"])


def add_entities(db: Database, account: Account, kind: str, *entities: Mapping[str, Any]) -> None:
    """Store entities of one kind as a sync does; columns that are not given are null."""
    with _begun(db) as connection:
        merge_entities(connection, account, kind, entities)
        if kind == "targets":
            name_targets(connection, account)


def add_windows(
    db: Database,
    account: Account,
    days: Iterable[date],
    dataset: str = "daily_targets",
    report: str = "SP+SB+SD",
    **columns: Any,
) -> None:
    """Store windows of one report of an account, missing unless told otherwise; they expire as the product's do."""
    shared = {**account.identity, "dataset": dataset, "report": report} | columns
    rows: list[dict[str, Any]] = [{"window_date": day} for day in days]
    if "expires_at" not in columns:
        of, zone = get_dataset(dataset), account.time_zone
        rows = [row | {"expires_at": expires_at(of, row["window_date"], zone)} for row in rows]
    with _begun(db) as connection:
        connection.execute(insert(ReportWindow).values(shared), rows)


def add_campaign(db: Database, account: Account, **columns: Any) -> None:
    """Store a campaign of an account: of Sponsored Products, enabled and seen now, unless told otherwise."""
    values = {
        "campaign_id": uuid4().hex,
        "ad_product": "SPONSORED_PRODUCTS",
        "state": "ENABLED",
        "seen_at": datetime.now(UTC),
    }
    _execute(db, insert(Campaign).values(account.identity | values | columns))


def as_loaded(at: datetime | ColumnElement[datetime]) -> dict[str, Any]:
    """Return the columns of a window that was requested and loaded once, at an instant."""
    return {"status": "loaded", "last_loaded_at": at, "data_as_of": at, "load_count": 1}


def days_until(last: date, count: int) -> list[date]:
    """List so many days, oldest first, of which the last one is given."""
    return [last - timedelta(days=ago) for ago in reversed(range(count))]


def add_request(
    db: Database,
    account_id: str,
    day: date,
    dataset: str = "daily_targets",
    report: str = "SP+SB+SD",
    **columns: Any,
) -> int:
    """Store a request for one day, planned unless told otherwise; return its id."""
    values = {
        "account_id": account_id,
        "dataset": dataset,
        "report": report,
        "start_date": day,
        "end_date": day,
    }
    statement = insert(ReportRequest).values(values | columns).returning(ReportRequest.id)
    with _begun(db) as connection:
        return int(connection.execute(statement).scalar_one())


def add_load(
    db: Database, account: Account, request_id: int, at: datetime, rows: int = 0, **columns: Any
) -> None:
    """Store that a request's report with so many rows was loaded for an account at an instant."""
    counts = dict.fromkeys(("rows_summed", "rows_quarantined", "rows_withheld", "rows_ignored"), 0)
    days = {"start_date": at.date(), "end_date": at.date(), "data_as_of": at, "loaded_at": at}
    about = {"request_id": request_id, "dataset": "daily_targets", "report": "SP+SB+SD"}
    values = {"session_id": uuid4(), "rows_read": rows, "rows_loaded": rows} | counts | columns
    _execute(db, insert(ReportLoad).values(account.identity | about | days | values))


def add_session(db: Database, job_name: str = "test", **columns: Any) -> UUID:
    """Store the header of a session, running since now unless told otherwise; return its id."""
    values = {"id": uuid4(), "job_name": job_name, "started_at": datetime.now(UTC)} | columns
    _execute(db, insert(SessionHeader).values(values))
    return UUID(str(values["id"]))


def simulate_time(db: Database, *, ahead_by: timedelta) -> None:
    """Move the time that decisions use, of all processes on this database; it takes effect within a minute."""
    _execute(
        db,
        upsert(SimulatedTime)
        .values(ahead_by=ahead_by)
        .on_conflict_do_update(index_elements=["only_row"], set_={"ahead_by": ahead_by}),
    )


def change_ads_accounts(db: Database, *where: Condition, **columns: Any) -> None:
    """Set columns of the ads accounts that meet all conditions."""
    _change(db, AdsAccount, where, columns)


def change_accounts(db: Database, *where: Condition, **columns: Any) -> None:
    """Set columns of the accounts that meet all conditions."""
    _change(db, Account, where, columns)


def change_windows(db: Database, *where: Condition, **columns: Any) -> None:
    """Set columns of the windows that meet all conditions."""
    _change(db, ReportWindow, where, columns)


def change_requests(db: Database, *where: Condition, **columns: Any) -> None:
    """Set columns of the requests that meet all conditions."""
    _change(db, ReportRequest, where, columns)


def change_sessions(db: Database, *where: Condition, **columns: Any) -> None:
    """Set columns of the headers of the sessions that meet all conditions."""
    _change(db, SessionHeader, where, columns)


def remove_accounts(db: Database, *where: Condition) -> None:
    """Delete the accounts that meet all conditions."""
    _execute(db, delete(Account).where(*where))


def remove_windows(db: Database, *where: Condition) -> None:
    """Delete the windows that meet all conditions."""
    _execute(db, delete(ReportWindow).where(*where))


def remove_requests(db: Database, *where: Condition) -> None:
    """Delete the requests that meet all conditions."""
    _execute(db, delete(ReportRequest).where(*where))


def _change(
    db: Database, table: Table, where: Iterable[Condition], columns: dict[str, Any]
) -> None:
    # None is SQL's NULL also in a column of JSON.
    values = {name: null() if value is None else value for name, value in columns.items()}
    _execute(db, update(table).where(*where).values(values))


def _execute(db: Database, statement: Any) -> None:
    with _begun(db) as connection:
        connection.execute(statement)


@contextmanager
def _begun(db: Database) -> Iterator[Connection]:
    if isinstance(db, Connection):
        yield db
        return
    with db.begin() as connection:
        yield connection
