"""SQL on what Amazon's answers have taught us: names of fields, by region, and how long a report may be, by ads account."""

from collections.abc import Mapping

from sqlalchemy import Connection, text


def list_field_spellings(connection: Connection, region: str) -> dict[str, str]:
    """Return the fields that a region knows by another name than ours, with that name."""
    rows = connection.execute(
        text("SELECT field, spelling FROM field_spellings WHERE region = :region AND spelling <> field"),
        {"region": region},
    )
    return {row.field: row.spelling for row in rows}


def list_longest_periods(connection: Connection, account_id: str) -> dict[str, int]:
    """Return the datasets of which Amazon makes only shorter reports for an ads account, with the most days of one."""
    rows = connection.execute(
        text("SELECT dataset, longest_period_days FROM report_limits WHERE account_id = :account_id"),
        {"account_id": account_id},
    )
    return {row.dataset: row.longest_period_days for row in rows}


def set_longest_period(connection: Connection, account_id: str, dataset: str, days: int) -> None:
    """Store the most days of a report of an ads account; a smaller number that is known already stays."""
    connection.execute(
        text("""INSERT INTO report_limits AS l (account_id, dataset, longest_period_days)
                VALUES (:account_id, :dataset, :days)
                ON CONFLICT (account_id, dataset) DO UPDATE
                   SET longest_period_days = excluded.longest_period_days, learned_at = now()
                 WHERE excluded.longest_period_days < l.longest_period_days"""),
        {"account_id": account_id, "dataset": dataset, "days": days},
    )


def set_field_spellings(connection: Connection, region: str, spellings: Mapping[str, str]) -> None:
    """Store the names under which a region has accepted fields."""
    for field in sorted(spellings):
        connection.execute(
            text("""INSERT INTO field_spellings (region, field, spelling) VALUES (:region, :field, :spelling)
                    ON CONFLICT (region, field) DO UPDATE SET spelling = excluded.spelling, learned_at = now()"""),
            {"region": region, "field": field, "spelling": spellings[field]},
        )
