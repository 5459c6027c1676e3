"""Findings on old days without rows that Amazon may no longer serve."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from operator import itemgetter
from typing import Any, Final
from urllib.parse import urlencode

from sqlalchemy import Connection, RowMapping, text

from bidbeacon_pipelines.accounts.queries import ACCOUNT_LABEL, IS_REFRESHED
from bidbeacon_pipelines.causes import cause
from bidbeacon_pipelines.datasets.fields import SHORT_NAMES, product_name
from bidbeacon_pipelines.problems.findings import (
    SETTLES_AFTER,
    Effect,
    Finding,
    counted,
    found,
    listed,
)
from bidbeacon_pipelines.settings import Settings

UNPROVEN: Final = "history-not-proven"
"""The code of the cause of days whose age is not proven."""
_OLDER_DAYS_COME = timedelta(hours=1)
"""Within this time, older days of the same backfill may prove the age of younger ones."""

# An ad product without totals was refused as too old before its report was joined with others:
# it is left out.
_UNPROVEN = text(f"""
    WITH alike AS (
        SELECT account_id, country_code, dataset, unproven, count(*) AS days,
               min(window_date) AS oldest, max(window_date) AS newest,
               min(coalesce(not_served_since, last_loaded_at)) AS since
          FROM report_windows
         CROSS JOIN LATERAL (
               SELECT ARRAY(SELECT product FROM unnest(not_served) AS product
                             WHERE jsonb_exists(product_totals, product)) AS unproven) u
         WHERE not_served <> '{{}}' AND expires_at > :now
         GROUP BY account_id, country_code, dataset, unproven)
    SELECT a.account_key, {ACCOUNT_LABEL} AS label, w.dataset, product,
           CAST(sum(w.days) AS bigint) AS days, min(w.oldest) AS oldest, max(w.newest) AS newest,
           min(w.since) AS since
      FROM alike w
     CROSS JOIN unnest(w.unproven) AS product
      JOIN advertiser_accounts a USING (account_id, country_code)
      JOIN ads_accounts o USING (account_id)
     WHERE {IS_REFRESHED}
     GROUP BY a.account_key, label, w.dataset, product
     ORDER BY a.account_key, w.dataset, array_position(CAST(:products AS text[]), product)""")
_ACCOUNT = itemgetter("account_key", "label")
_DATASET = itemgetter("dataset")
_EXTENT = itemgetter("days", "oldest", "newest")


def unproven_histories(
    connection: Connection, settings: Settings, now: datetime
) -> Iterator[Finding]:
    """Yield a finding per account with old days that lack proof and so count as not served.

    Days that are too old to be requested again are left out.
    """
    rows = connection.execute(_UNPROVEN, {"now": now, "products": list(SHORT_NAMES)}).mappings()
    for (account_key, label), of_account in groupby(rows, key=_ACCOUNT):
        by_dataset = [list(some) for _, some in groupby(of_account, key=_DATASET)]
        yield _finding(account_key, label, by_dataset)


def _finding(account_key: str, label: str, by_dataset: Sequence[Sequence[RowMapping]]) -> Finding:
    return found(
        cause(UNPROVEN, account=account_key),
        *(_effect(some) for some in by_dataset),
        names=(label,),
        accounts=1,
        since=min(row["since"] for some in by_dataset for row in some),
        alert_after=_OLDER_DAYS_COME,
        settles_after=SETTLES_AFTER,
    )


def _effect(rows: Sequence[RowMapping]) -> Effect:
    alike: dict[Any, list[str]] = {}
    for row in rows:
        alike.setdefault(_EXTENT(row), []).append(product_name(row["product"]))
    parts = [
        f"{listed(products)} for {counted(days, 'day')}, {oldest}"
        + ("" if oldest == newest else f" to {newest}")
        for (days, oldest, newest), products in alike.items()
    ]
    account_key, dataset = rows[0]["account_key"], rows[0]["dataset"]
    newest = max(row["newest"] for row in rows)
    chosen = {"dataset": dataset, "account": account_key, "window": str(newest)}
    text = f"not served in {dataset}: {'; '.join(parts)}"
    return Effect(text, f"/coverage?{urlencode(chosen)}", max(row["days"] for row in rows))
