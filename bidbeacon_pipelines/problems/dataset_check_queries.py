"""SQL for the checks of a dataset. All counts are in `report_windows`, so the rows are not read."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, RowMapping, text

from bidbeacon_pipelines.accounts.queries import ACCOUNT_LABEL

# Quarantined rows are missing from a sum for a reason that is known: such a window is compared with
# nothing. Those without a readable day may be any window's of their report.
_UNDATED = "WITH undated AS (SELECT DISTINCT request_id, country_code FROM quarantined_rows WHERE window_date IS NULL)"
# An ad product is compared where a window of each dataset has loaded it, and either has rows of it.
_PAIRS = """
    SELECT a.account_key, w.window_date, p.ad_product,
           CAST(mine -> 'spend' AS numeric) AS spend, CAST(other -> 'spend' AS numeric) AS other_spend,
           CAST(mine -> 'sales' AS numeric) AS sales, CAST(other -> 'sales' AS numeric) AS other_sales,
           greatest(w.data_as_of - o.data_as_of, o.data_as_of - w.data_as_of) AS gap,
           coalesce(w.quarantined_count, 0) + coalesce(o.quarantined_count, 0)
           + CAST((w.loaded_by_request, w.country_code) IN (SELECT request_id, country_code FROM undated)
               OR (o.loaded_by_request, o.country_code) IN (SELECT request_id, country_code FROM undated) AS integer) AS quarantined
      FROM report_windows w
      JOIN report_windows o USING (account_id, country_code, window_date)
      JOIN advertiser_accounts a USING (account_id, country_code)
     CROSS JOIN unnest(CAST(:ad_products AS text[])) AS p(ad_product)
     CROSS JOIN LATERAL (SELECT w.product_totals -> p.ad_product AS mine, o.product_totals -> p.ad_product AS other) t
     WHERE w.dataset = :dataset AND o.dataset = :other AND w.load_count > 0 AND o.load_count > 0
       AND CAST(mine -> 'rows' AS bigint) + CAST(other -> 'rows' AS bigint) > 0"""
_COMPARABLE = "gap <= :longest_gap AND quarantined = 0"

_COMPARISON = text(f"""
    {_UNDATED}
    SELECT count(*) AS pairs, count(*) FILTER (WHERE {_COMPARABLE}) AS comparable FROM ({_PAIRS}) pairs""")
_DIFFERENCES = text(f"""
    {_UNDATED}
    SELECT account_key, window_date, ad_product, spend, other_spend, sales, other_sales, gap
      FROM ({_PAIRS}) pairs
     WHERE {_COMPARABLE} AND (spend <> other_spend OR sales <> other_sales)
       AND (NOT CAST(:only_above AS boolean) OR spend > other_spend OR sales > other_sales)
     ORDER BY greatest(abs(spend - other_spend) / nullif(greatest(spend, other_spend), 0),
                       abs(sales - other_sales) / nullif(greatest(sales, other_sales), 0)) DESC, account_key, window_date, ad_product
     LIMIT :most""")


def compare_totals(
    connection: Connection,
    dataset: str,
    other: str,
    ad_products: Sequence[str],
    *,
    longest_gap: timedelta,
    most: int,
    only_above: bool = False,
) -> tuple[RowMapping, list[RowMapping]]:
    """Compare two datasets by the totals of each day and ad product, in the account's currency.

    Args:
        connection: where to look.
        dataset: whose totals are compared.
        other: with whose.
        ad_products: those that both have.
        longest_gap: how far apart their reports may have been asked for.
        most: how many differences are returned at most, the largest first.
        only_above: whether only totals above the other dataset's are differences.

    Returns:
        How many totals both have loaded (`pairs`) and can be compared (`comparable`); and the
        differences: account_key, window_date, ad_product, spend, other_spend, sales, other_sales,
        gap.
    """
    values: dict[str, Any] = {"dataset": dataset, "other": other, "ad_products": list(ad_products)}
    values["longest_gap"] = longest_gap
    compared = connection.execute(_COMPARISON, values).mappings().one()
    values |= {"most": most, "only_above": only_above}
    return compared, list(connection.execute(_DIFFERENCES, values).mappings())


# The rows of an account are summed up only where one of its windows has quarantined ones.
_QUARANTINED = text(f"""
    SELECT q.dataset, a.account_key, {ACCOUNT_LABEL} AS label, s.*
      FROM (SELECT DISTINCT account_id, country_code, dataset FROM report_windows
             WHERE quarantined_count > 0 AND (CAST(:dataset AS text) IS NULL OR dataset = :dataset)) q
      JOIN advertiser_accounts a USING (account_id, country_code) JOIN ads_accounts o USING (account_id)
     CROSS JOIN LATERAL (SELECT count(*) FILTER (WHERE quarantined_count > 0) AS windows, CAST(sum(quarantined_count) AS bigint) AS quarantined,
                                CAST(sum(row_count) AS bigint) AS rows, min(last_loaded_at) FILTER (WHERE quarantined_count > 0) AS since
                           FROM report_windows w WHERE w.account_id = q.account_id AND w.country_code = q.country_code AND w.dataset = q.dataset) s
     ORDER BY q.dataset, a.account_key""")


def list_quarantined(connection: Connection, dataset: str | None = None) -> list[RowMapping]:
    """Return the accounts with quarantined rows, of one dataset or of all: dataset, account_key, label, windows (with any), quarantined, rows (good ones), since."""
    return list(connection.execute(_QUARANTINED, {"dataset": dataset}).mappings())
