"""SQL on what the API has shown about a region: field names, datasets to ask for by ad product, and how far back ad products are served."""

from collections.abc import Mapping

from sqlalchemy import Connection, text

from bidbeacon_pipelines.reports.histories import Histories, History


def list_field_spellings(connection: Connection, region: str) -> dict[str, str]:
    """Return the fields that a region knows by another name than ours, with that name."""
    rows = connection.execute(
        text(
            "SELECT field, spelling FROM field_spellings WHERE region = :region AND spelling <> field"
        ),
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
    """Record that a region refused a report of several ad products, so that each is requested alone; plan the whole region again."""
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


def list_histories(connection: Connection, region: str, dataset: str) -> Histories:
    """Return how far back a region serves ad products of a dataset, where that was learned."""
    rows = connection.execute(
        text("""SELECT ad_product, served_days, refused_days FROM product_histories
                 WHERE region = :region AND dataset = :dataset ORDER BY ad_product"""),
        {"region": region, "dataset": dataset},
    )
    return {row.ad_product: History(row.served_days, row.refused_days) for row in rows}


def set_history(
    connection: Connection, region: str, dataset: str, ad_product: str, history: History
) -> None:
    """Store how far back a region serves an ad product of a dataset."""
    connection.execute(
        text("""INSERT INTO product_histories (region, dataset, ad_product, served_days, refused_days)
                VALUES (:region, :dataset, :ad_product, :served, :refused)
                ON CONFLICT (region, dataset, ad_product)
                DO UPDATE SET served_days = excluded.served_days, refused_days = excluded.refused_days, learned_at = now()"""),
        {
            "region": region,
            "dataset": dataset,
            "ad_product": ad_product,
            "served": history.served,
            "refused": history.refused,
        },
    )
