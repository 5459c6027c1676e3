"""SQL on the names that Amazon's answers have taught us for fields, by region."""

from collections.abc import Mapping

from sqlalchemy import Connection, text


def list_field_spellings(connection: Connection, region: str) -> dict[str, str]:
    """Return the fields that a region knows by another name than ours, with that name."""
    rows = connection.execute(
        text("SELECT field, spelling FROM field_spellings WHERE region = :region AND spelling <> field"),
        {"region": region},
    )
    return {row.field: row.spelling for row in rows}


def set_field_spellings(connection: Connection, region: str, spellings: Mapping[str, str]) -> None:
    """Store the names under which a region has accepted fields."""
    for field in sorted(spellings):
        connection.execute(
            text("""INSERT INTO field_spellings (region, field, spelling) VALUES (:region, :field, :spelling)
                    ON CONFLICT (region, field) DO UPDATE SET spelling = excluded.spelling, learned_at = now()"""),
            {"region": region, "field": field, "spelling": spellings[field]},
        )
