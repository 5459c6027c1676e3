"""SQL on proven histories: the greatest age of days for which Amazon is known to serve rows."""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, text

_STORE_HISTORIES = text("""
    INSERT INTO proven_histories AS h
           (client_id, region, dataset, ad_product, age_days, account_key, window_date)
    VALUES (:client_id, :region, :dataset, :ad_product, :age_days, :account_key, :window_date)
        ON CONFLICT (client_id, region, dataset, ad_product) DO UPDATE
       SET age_days = excluded.age_days, account_key = excluded.account_key,
           window_date = excluded.window_date, proven_at = excluded.proven_at
     WHERE h.age_days < excluded.age_days""")


def store_histories(connection: Connection, proven: Iterable[Mapping[Any, Any]]) -> None:
    """Store the greatest age of a day for which Amazon served rows, where it is a new maximum.

    Each item has client_id, region, dataset, ad_product, age_days, account_key and window_date.
    """
    connection.execute(_STORE_HISTORIES, list(map(dict, proven)))


_COPY_HISTORIES = text("""
    INSERT INTO proven_histories AS kept
           (client_id, region, dataset, ad_product, age_days, account_key, window_date, proven_at)
    SELECT :client_id, h.region, h.dataset, h.ad_product, h.age_days, h.account_key, h.window_date,
           h.proven_at
      FROM ads_accounts o
      JOIN proven_histories h ON h.client_id = o.client_id AND h.region = o.region
     WHERE o.account_id = :account_id AND o.client_id <> :client_id
       AND (CAST(:of AS text) IS NULL OR o.credential = :of)
     ORDER BY h.dataset, h.ad_product
        ON CONFLICT (client_id, region, dataset, ad_product) DO UPDATE
       SET age_days = excluded.age_days, account_key = excluded.account_key,
           window_date = excluded.window_date, proven_at = excluded.proven_at
     WHERE kept.age_days < excluded.age_days""")


def copy_histories(
    connection: Connection, account_id: str, client_id: str, *, of: str | None = None
) -> None:
    """Copy proven histories to an ads account's new client id, before that id is stored.

    If `of` is given, copy them only if the ads account belongs to this credential.
    """
    values = {"account_id": account_id, "client_id": client_id, "of": of}
    connection.execute(_COPY_HISTORIES, values)
