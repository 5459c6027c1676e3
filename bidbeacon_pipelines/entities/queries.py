"""SQL for campaigns, ad groups, ads, targets and portfolios, and for their exports."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final

from psycopg import sql
from sqlalchemy import Connection, delete, insert, select, text

from bidbeacon_pipelines.accounts.queries import IS_ACTIVE
from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.causes import Cause
from bidbeacon_pipelines.database.base import read_rows
from bidbeacon_pipelines.entities.tables import (
    ENTITY_KINDS,
    Ad,
    AdGroup,
    Campaign,
    EntityExport,
    EntityProblem,
    Portfolio,
    Target,
)
from bidbeacon_sessions.writes import json_text

_TABLES: Mapping[str, Any] = {
    "campaigns": Campaign.__table__,
    "adGroups": AdGroup.__table__,
    "ads": Ad.__table__,
    "targets": Target.__table__,
    "portfolios": Portfolio.__table__,
}
_OURS = ("seen_at", "missing_since", "gone_since")
"""Columns that exports lack and that a merge sets."""
_JUDGED = ("is_reported",)
"""Columns that exports lack and that a merge doesn't change."""
_NO_DETAILS = {"details": "{}"}
_DEFAULTS: Mapping[str, Mapping[str, Any]] = dict.fromkeys(_TABLES, _NO_DETAILS) | {
    "ads": _NO_DETAILS | {"asins": [], "skus": []}
}

IS_DELIVERABLE_FUNCTION: Final = """
CREATE FUNCTION is_deliverable(c campaigns) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
SELECT c.state = 'ENABLED' AND c.gone_since IS NULL
$$"""
"""SQL function: whether a campaign is enabled and exists. PostgreSQL inlines it."""


def find_export_in_flight(
    connection: Connection, account: Account, kind: str
) -> EntityExport | None:
    """Return the requested export of this kind that has not ended, or None."""
    of_kind = select(EntityExport).filter_by(**account.identity, kind=kind, status="in_flight")
    return next(iter(read_rows(connection, of_kind)), None)


def insert_export(
    connection: Connection, account: Account, kind: str, export_id: str, created_at: datetime
) -> EntityExport:
    """Insert an export that Amazon has accepted, and return it."""
    requested = {"kind": kind, "export_id": export_id, "created_at": created_at}
    new = insert(EntityExport).values(**account.identity, **requested).returning(EntityExport.id)
    return EntityExport(id=connection.execute(new).scalar_one(), **requested)


def lock_export(connection: Connection, export: int) -> EntityExport:
    """Lock and return an export, to see whether another sync has loaded the export."""
    locked = select(EntityExport).filter_by(id=export).with_for_update()
    return next(iter(read_rows(connection, locked)))


def end_export(
    connection: Connection,
    export: int,
    *,
    status: str,
    row_count: int | None = None,
    cause: Cause | None = None,
) -> None:
    """Store the outcome of an export."""
    connection.execute(
        text("""
            UPDATE entity_exports
               SET status = :status, row_count = :row_count, cause = CAST(:cause AS jsonb),
                   finished_at = now()
             WHERE id = :id"""),
        {
            "id": export,
            "status": status,
            "row_count": row_count,
            "cause": cause and json_text(cause),
        },
    )


def list_kinds_done(connection: Connection, account: Account, *, since: datetime) -> set[str]:
    """Return the entity kinds that were loaded from exports newer than the last complete sync.

    Exports made before `since` do not count.
    """
    rows = connection.execute(
        text("""
            SELECT DISTINCT kind
              FROM entity_exports
              JOIN advertiser_accounts a USING (account_id, country_code)
             WHERE account_id = :account_id AND country_code = :country_code
               AND status = 'loaded' AND created_at > :since
               AND (a.entities_synced_at IS NULL OR created_at > a.entities_synced_at)"""),
        account.identity | {"since": since},
    )
    return set(rows.scalars())


def merge_entities(
    connection: Connection, account: Account, kind: str, rows: Iterable[Mapping[str, Any]]
) -> int:
    """Upsert entities of one kind as Amazon sent them; return their number.

    Stored entities that are not in `rows` stay, since reports of old days still contain their ids.
    A row has the table's columns, but needs neither the account's columns nor the times, which the
    merge sets. Other columns that a row lacks become null or empty.
    """
    table = _TABLES[kind]
    columns = [one.name for one in table.columns if one.name not in (*_OURS, *_JUDGED)]
    key, named = _key(kind), ", ".join(columns)
    connection.execute(
        text(
            f"CREATE TEMP TABLE staged ON COMMIT DROP AS "
            f"SELECT {named} FROM {table.name} WITH NO DATA"
        )
    )
    _copy(connection, columns, ({**_DEFAULTS[kind], **row, **account.identity} for row in rows))
    if kind in {"ads", "targets"}:
        connection.execute(_ADD_CAMPAIGNS)
    updates = ", ".join(f"{name} = excluded.{name}" for name in (*columns, *_OURS))
    merged = connection.execute(
        text(f"""
            INSERT INTO {table.name} ({named}, seen_at)
            SELECT DISTINCT ON ({key}) {named}, now() FROM staged ORDER BY {key}
            ON CONFLICT (account_id, country_code, {key}) DO UPDATE SET {updates}""")
    ).rowcount
    connection.execute(text("DROP TABLE staged"))
    return merged


def mark_missing(
    connection: Connection, account: Account, kind: str, unread: Collection[str]
) -> None:
    """Mark entities of one kind as missing if a complete export did not contain them.

    They are gone if the next complete export does not contain them either. `unread` has the ids of
    exported entities that could not be stored; these are not missing. Call this in the transaction
    that stored the export.
    """
    of_account = "account_id = :account_id AND country_code = :country_code"
    name, key = _TABLES[kind].name, _key(kind)
    for statement in (
        f"""
        UPDATE {name} SET seen_at = now(), missing_since = NULL, gone_since = NULL
         WHERE {of_account} AND {key} = ANY(:unread)""",
        f"""
        UPDATE {name}
           SET missing_since = coalesce(missing_since, now()),
               gone_since = CASE WHEN missing_since IS NOT NULL THEN now() END
         WHERE {of_account} AND gone_since IS NULL AND seen_at <> now()""",
    ):
        connection.execute(text(statement), account.identity | {"unread": list(unread)})


def _key(kind: str) -> str:
    return str(_TABLES[kind].primary_key.columns.keys()[-1])


def name_targets(connection: Connection, account: Account) -> None:
    """Store the mapping from texts in reports to targets, for all ad groups of an account.

    Reports contain a text instead of the target's id. If several targets of an ad group have the
    same text, those that still exist are preferred, then enabled ones, then paused ones, then the
    lowest id.
    """
    connection.execute(_NAME_TARGETS, account.identity | {"account": account.id})


_NAME_TARGETS = text("""
    INSERT INTO target_names (account, ad_group_id, match_digest, target_id)
    SELECT DISTINCT ON (ad_group_id, match_digest) :account, ad_group_id, match_digest, target_id
      FROM targets
     WHERE account_id = :account_id AND country_code = :country_code AND NOT negative
       AND match_digest IS NOT NULL AND ad_group_id IS NOT NULL
     ORDER BY ad_group_id, match_digest, gone_since IS NOT NULL,
              CASE state WHEN 'ENABLED' THEN 0 WHEN 'PAUSED' THEN 1 ELSE 2 END,
              length(target_id), target_id
        ON CONFLICT (account, ad_group_id, match_digest) DO UPDATE
       SET target_id = excluded.target_id
     WHERE target_names.target_id <> excluded.target_id""")


# Targets and ads may lack the campaign if they have an ad group.
_ADD_CAMPAIGNS = text("""
    UPDATE staged s SET campaign_id = g.campaign_id
      FROM ad_groups g
     WHERE s.campaign_id IS NULL AND g.account_id = s.account_id AND g.country_code = s.country_code
       AND g.ad_group_id = s.ad_group_id""")


def _copy(
    connection: Connection, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]
) -> None:
    driver = connection.connection.driver_connection
    assert driver is not None, "a connection has a driver connection"  # noqa: S101 - for mypy
    statement = sql.SQL("COPY staged ({}) FROM STDIN").format(
        sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    with driver.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row([row.get(column) for column in columns])


def replace_problems(
    connection: Connection, account: Account, kind: str, problems: Sequence[EntityProblem]
) -> None:
    """Replace the stored problems of an account's entities of one kind."""
    of_kind = account.identity | {"kind": kind}
    connection.execute(delete(EntityProblem).filter_by(**of_kind))
    if problems:
        connection.execute(
            text("""
                INSERT INTO entity_problems
                       (account_id, country_code, kind, entity_id, set_aside, cause, raw)
                VALUES (:account_id, :country_code, :kind, :entity_id, :set_aside,
                        CAST(:cause AS jsonb), :raw)"""),
            [one.as_dict() | of_kind | {"cause": json_text(one.cause)} for one in problems],
        )


def count_entities(connection: Connection, account: Account | None = None) -> list[dict[str, Any]]:
    """Return the numbers of entities by account and kind, for all accounts if none is given.

    `stored` includes the `gone` entities, which no longer exist. `seen_at` is when the last sync
    stored the kind; `set_aside` is the number of entities that this sync could not store.
    """
    of = "true" if account is None else "account_id = :account_id AND country_code = :country_code"
    rows = connection.execute(
        text(_COUNTS.format(of=of)), {} if account is None else account.identity
    )
    return [dict(row) for row in rows.mappings()]


_COUNTED = " UNION ALL ".join(
    f"""SELECT account_id, country_code, {place} AS place, '{kind}' AS kind, count(*) AS stored,
               max(seen_at) AS seen_at, count(gone_since) AS gone
          FROM {_TABLES[kind].name}
         WHERE {{of}}
         GROUP BY account_id, country_code"""
    for place, kind in enumerate(ENTITY_KINDS)
)
_COUNTS = f"""
    SELECT a.account_key, c.kind, c.stored, c.gone, c.seen_at,
           (SELECT count(*) FROM entity_problems p
             WHERE p.account_id = a.account_id AND p.country_code = a.country_code
               AND p.kind = c.kind AND p.set_aside) AS set_aside
      FROM ({_COUNTED}) c
      JOIN advertiser_accounts a USING (account_id, country_code)
     ORDER BY a.account_key, c.place"""


def find_ad_products(connection: Connection, account_id: str) -> set[str] | None:
    """Return the ad products of an ads account's campaigns, or None if not yet known.

    They are unknown until the campaigns of every country are synced, or if there are no campaigns.
    Countries that are paused, disabled or without a profile need no sync. Campaigns of any state
    and country count, even gone ones: reports of old days contain them.
    """
    rows = connection.execute(
        text(f"""
            SELECT DISTINCT coalesce(c.ad_product, 'SPONSORED_PRODUCTS')
              FROM campaigns c
             WHERE c.account_id = :account_id
               AND NOT EXISTS (
                   SELECT FROM advertiser_accounts a
                    WHERE a.account_id = :account_id AND a.entities_synced_at IS NULL
                      AND {IS_ACTIVE} AND a.profile_id IS NOT NULL)"""),
        {"account_id": account_id},
    )
    return set(rows.scalars()) or None


def find_first_deliverable_day(
    connection: Connection, account: Account, ad_products: Sequence[str]
) -> date | None:
    """Return the earliest start date of an account's campaigns of these ad products, or None.

    Campaigns that are not deliverable now or that Amazon's reports leave out do not count.
    """
    found: date | None = connection.execute(
        text("""
            SELECT min(coalesce(c.start_date, DATE '0001-01-01'))
              FROM campaigns c
             WHERE c.account_id = :account_id AND c.country_code = :country_code
               AND is_deliverable(c) AND c.is_reported
               AND coalesce(c.ad_product, 'SPONSORED_PRODUCTS') = ANY(:ad_products)"""),
        account.identity | {"ad_products": list(ad_products)},
    ).scalar()
    return found
