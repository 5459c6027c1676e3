"""SQL on campaigns, ad groups, ads and targets, and on the exports that tell them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from psycopg import sql
from sqlalchemy import Connection, text

from bidbeacon_pipelines.store.accounts import Account
from bidbeacon_sessions.progress import note_progress

_KEYS = {"campaigns": "campaign_id", "adGroups": "ad_group_id", "ads": "ad_id", "targets": "target_id"}
TABLES = {"campaigns": "campaigns", "adGroups": "ad_groups", "ads": "ads", "targets": "targets"}


@dataclass(frozen=True)
class ExportInFlight:
    """An export that Amazon works on."""

    id: int
    export_id: str
    created_at: datetime


def find_export_in_flight(connection: Connection, account: Account, kind: str) -> ExportInFlight | None:
    """Give the export of this kind that was asked for and has not ended, or None."""
    row = connection.execute(
        text("""SELECT id, export_id, created_at FROM entity_exports
                 WHERE account_id = :account_id AND country_code = :country_code AND kind = :kind AND status = 'in_flight'"""),
        account.identity | {"kind": kind},
    ).mappings()
    found = row.first()
    return None if found is None else ExportInFlight(**found)


def insert_export(
    connection: Connection, account: Account, kind: str, export_id: str, created_at: datetime
) -> int:
    """Store an export that Amazon has accepted; give its id here."""
    statement = text("""INSERT INTO entity_exports (account_id, country_code, kind, export_id, created_at)
                        VALUES (:account_id, :country_code, :kind, :export_id, :created_at) RETURNING id""")
    values = {"kind": kind, "export_id": export_id, "created_at": created_at}
    return int(connection.execute(statement, account.identity | values).scalar_one())


def end_export(
    connection: Connection,
    export: int,
    *,
    status: str,
    row_count: int | None = None,
    failure: str | None = None,
) -> None:
    """Note how an export ended."""
    connection.execute(
        text("""UPDATE entity_exports SET status = :status, row_count = :row_count, failure = :failure, finished_at = now()
                 WHERE id = :id"""),
        {"id": export, "status": status, "row_count": row_count, "failure": failure},
    )


def list_kinds_done(connection: Connection, account: Account, *, since: datetime) -> set[str]:
    """Give the kinds that a sync which was not completed has loaded, from exports that were asked for after an instant."""
    rows = connection.execute(
        text("""SELECT DISTINCT kind FROM entity_exports JOIN advertiser_accounts a USING (account_id, country_code)
                 WHERE account_id = :account_id AND country_code = :country_code AND status = 'loaded' AND created_at > :since
                   AND (a.entities_synced_at IS NULL OR created_at > a.entities_synced_at)"""),
        account.identity | {"since": since},
    )
    return set(rows.scalars())


def merge_entities(
    connection: Connection, account: Account, kind: str, rows: Iterable[dict[str, Any]]
) -> int:
    """Store entities of one kind as an export tells them; give how many.

    Entities that the export lacks stay as they were: reports of old days still name them. `rows` have the table's columns
    without account, country and `seen_at`.
    """
    table, key = TABLES[kind], _KEYS[kind]
    columns = _columns_of(connection, table)
    connection.execute(text(f"CREATE TEMP TABLE entities_staged (LIKE {table}) ON COMMIT DROP"))
    _copy(connection, columns, (account.identity | row for row in rows))
    own_key = ("account_id", "country_code", key)
    updates = ", ".join(f"{c} = excluded.{c}" for c in (*columns, "seen_at") if c not in own_key)
    merged = connection.execute(
        text(f"""INSERT INTO {table} ({", ".join(columns)}, seen_at)
                 SELECT DISTINCT ON ({key}) {", ".join(columns)}, now() FROM entities_staged ORDER BY {key}
                 ON CONFLICT ({", ".join(own_key)}) DO UPDATE SET {updates}""")
    ).rowcount
    connection.execute(text("DROP TABLE entities_staged"))
    return merged


def _columns_of(connection: Connection, table: str) -> Sequence[str]:
    rows = connection.execute(
        text("""SELECT column_name FROM information_schema.columns
                 WHERE table_schema = 'public' AND table_name = :table AND column_name <> 'seen_at' ORDER BY ordinal_position"""),
        {"table": table},
    )
    return list(rows.scalars())


def _copy(connection: Connection, columns: Sequence[str], rows: Iterable[dict[str, Any]]) -> None:
    connection.execute(text("ALTER TABLE entities_staged ALTER seen_at DROP NOT NULL"))
    driver = connection.connection.driver_connection
    assert driver is not None, "an open SQLAlchemy connection has a driver's"  # noqa: S101 - for the type checker
    statement = sql.SQL("COPY entities_staged ({}) FROM STDIN").format(
        sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    with driver.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row([row.get(column) for column in columns])
            note_progress()


@dataclass(frozen=True)
class StoredTarget:
    """What a row of a report is matched against."""

    target_id: str
    ad_group_id: str | None
    campaign_id: str
    state: str
    negative: bool
    match_type: str
    keyword: str | None
    asin: str | None
    expression: str | None


def list_targets(connection: Connection, account: Account) -> list[StoredTarget]:
    """Give all targets of an account."""
    rows = connection.execute(
        text("""SELECT target_id, ad_group_id, campaign_id, state, negative, match_type, keyword, asin, expression
                  FROM targets WHERE account_id = :account_id AND country_code = :country_code"""),
        account.identity,
    )
    return [StoredTarget(**row) for row in rows.mappings()]


def find_first_deliverable_day(
    connection: Connection, account: Account, ad_products: Sequence[str]
) -> date | None:
    """Return the day from which an account has had campaigns of these ad products that are enabled now; None for none."""
    found: date | None = connection.execute(
        text("""SELECT min(coalesce(start_date, DATE '0001-01-01')) FROM campaigns
                 WHERE account_id = :account_id AND country_code = :country_code AND state = 'ENABLED'
                   AND coalesce(ad_product, 'SPONSORED_PRODUCTS') = ANY(:ad_products)"""),
        account.identity | {"ad_products": list(ad_products)},
    ).scalar()
    return found
