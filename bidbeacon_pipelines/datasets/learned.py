"""SQL on what the API has shown about a region: field names, datasets to ask for by ad product, and how far back ad products are served."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from bidbeacon_pipelines.datasets.histories import (
    TRIED_AGAIN_AFTER,
    Histories,
    History,
    Outcome,
)


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


def list_histories(
    connection: Connection, region: str, dataset: str, *, now: datetime
) -> Histories:
    """Return how far back a region serves ad products of a dataset, where that was learned."""
    rows = connection.execute(
        text("""SELECT ad_product, served_days, refused_days, learned_at FROM product_histories
                 WHERE region = :region AND dataset = :dataset ORDER BY ad_product"""),
        {"region": region, "dataset": dataset},
    )
    return {
        row.ad_product: History(
            row.served_days,
            row.refused_days,
            is_on_trial=now - row.learned_at >= TRIED_AGAIN_AFTER,
        )
        for row in rows
    }


@dataclass(frozen=True)
class LearnedHistory:
    """An ad product of a dataset that a region was found to serve for fewer days than the registry says; see `History`."""

    region: str
    dataset: str
    ad_product: str
    served_days: int
    refused_days: int
    learned_at: datetime


def list_learned_histories(connection: Connection) -> list[LearnedHistory]:
    """Return all histories that were learned."""
    rows = connection.execute(
        text("""SELECT region, dataset, ad_product, served_days, refused_days, learned_at
                  FROM product_histories ORDER BY region, dataset, ad_product""")
    )
    return [LearnedHistory(**row) for row in rows.mappings()]


def set_history(
    connection: Connection,
    region: str,
    dataset: str,
    ad_product: str,
    history: History,
    *,
    at: datetime,
) -> None:
    """Store how far back a region serves an ad product of a dataset, as learned at an instant."""
    connection.execute(
        text("""INSERT INTO product_histories (region, dataset, ad_product, served_days, refused_days, learned_at)
                VALUES (:region, :dataset, :ad_product, :served, :refused, :at)
                ON CONFLICT (region, dataset, ad_product)
                DO UPDATE SET served_days = excluded.served_days, refused_days = excluded.refused_days,
                              learned_at = excluded.learned_at"""),
        {
            "region": region,
            "dataset": dataset,
            "ad_product": ad_product,
            "served": history.served,
            "refused": history.refused,
            "at": at,
        },
    )


def set_served(
    connection: Connection, region: str, dataset: str, ad_product: str, served_days: int
) -> None:
    """Store how far back a region was found to serve an ad product, whose limit was learned before."""
    connection.execute(
        text("""UPDATE product_histories SET served_days = :served
                 WHERE region = :region AND dataset = :dataset AND ad_product = :ad_product"""),
        {"region": region, "dataset": dataset, "ad_product": ad_product, "served": served_days},
    )


def delete_history(connection: Connection, region: str, dataset: str, ad_product: str) -> None:
    """Forget how far back a region serves an ad product of a dataset."""
    connection.execute(
        text("""DELETE FROM product_histories
                 WHERE region = :region AND dataset = :dataset AND ad_product = :ad_product"""),
        {"region": region, "dataset": dataset, "ad_product": ad_product},
    )


_DAYS_BACK = "CAST(coalesce(r.sent_at, r.created_at) AT TIME ZONE 'UTC' AS date) - r.start_date"


def list_outcomes(
    connection: Connection, account_id: str, dataset: str, ad_product: str, *, since: datetime
) -> list[Outcome]:
    """Return the reports of one ad product alone that an ads account was refused as too old, or was given, since an instant, oldest first."""
    rows = connection.execute(
        text(f"""SELECT {_DAYS_BACK} AS days_back, r.status = 'failed' AS is_refused FROM report_requests r
                  WHERE r.account_id = :account_id AND r.dataset = :dataset AND r.ad_products = ARRAY[:ad_product]
                    AND r.sent_at >= :since AND (r.status = 'loaded' OR r.status = 'failed' AND r.failure_kind = 'too_old')
                  ORDER BY r.sent_at, r.id"""),
        {"account_id": account_id, "dataset": dataset, "ad_product": ad_product, "since": since},
    )
    return [Outcome(row.days_back, row.is_refused) for row in rows]


def find_longest_served(
    connection: Connection, region: str, dataset: str, ad_product: str, *, since: datetime
) -> int:
    """Return how many days back reports of one ad product alone reached that any ads account of a region was given since an instant; 0 for none."""
    longest: int = connection.execute(
        text(f"""SELECT coalesce(max({_DAYS_BACK}), 0) FROM ads_accounts o JOIN report_requests r USING (account_id)
                  WHERE o.region = :region AND r.dataset = :dataset AND r.ad_products = ARRAY[:ad_product]
                    AND r.sent_at >= :since AND r.status = 'loaded'"""),
        {"region": region, "dataset": dataset, "ad_product": ad_product, "since": since},
    ).scalar_one()
    return longest
