"""SQL on proven histories: the age of the oldest days for which Amazon served rows."""

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
    """Store the ages of the oldest days with rows, where they exceed the stored ages.

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
    """Copy proven histories from an ads account's stored client id to a new `client_id`.

    Call this before the new client id is stored. If the credential `of` is given, copy only if the
    ads account belongs to it.
    """
    values = {"account_id": account_id, "client_id": client_id, "of": of}
    connection.execute(_COPY_HISTORIES, values)
