"""SQL on the fields' names that a region knows, and on the datasets that it wants to be asked for by ad product."""

from collections.abc import Mapping

from sqlalchemy import Connection, text


def list_field_spellings(connection: Connection, region: str) -> dict[str, str]:
    """Return the fields that a region knows by another name than ours, with that name."""
    rows = connection.execute(
        text("SELECT field, spelling FROM field_spellings WHERE region = :region AND spelling <> field"),
        {"region": region},
    )
    return {row.field: row.spelling for row in rows}


def list_split_reports(connection: Connection, region: str) -> set[str]:
    """Return the datasets that a region is asked for by ad product."""
    rows = connection.execute(
        text("SELECT dataset FROM split_reports WHERE region = :region"), {"region": region}
    )
    return set(rows.scalars())


def split_report(connection: Connection, region: str, dataset: str, reason: str) -> None:
    """Note that a region has refused a report of several ad products, so that each is asked for alone; plan anew in all of it."""
    values = {"region": region, "dataset": dataset, "reason": reason}
    connection.execute(
        text("""INSERT INTO split_reports (region, dataset, reason) VALUES (:region, :dataset, :reason)
                ON CONFLICT DO NOTHING"""),
        values,
    )


def set_field_spellings(connection: Connection, region: str, spellings: Mapping[str, str]) -> None:
    """Store the names under which a region has accepted fields."""
    for field in sorted(spellings):
        connection.execute(
            text("""INSERT INTO field_spellings (region, field, spelling) VALUES (:region, :field, :spelling)
                    ON CONFLICT (region, field) DO UPDATE SET spelling = excluded.spelling, learned_at = now()"""),
            {"region": region, "field": field, "spelling": spellings[field]},
        )
