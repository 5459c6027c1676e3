"""Findings on rows missing from later reports: undecided final days, and removed rows."""

from collections.abc import Iterator
from datetime import datetime
from typing import Final
from urllib.parse import urlencode

from sqlalchemy import Connection, RowMapping, text

from bidbeacon_pipelines.accounts.queries import ACCOUNT_LABEL, IS_REFRESHED
from bidbeacon_pipelines.causes import Cause, cause
from bidbeacon_pipelines.datasets.registry import get_dataset
from bidbeacon_pipelines.loading.acceptance import Doubted, Totals
from bidbeacon_pipelines.problems.findings import Effect, Finding, counted, finding_key, found
from bidbeacon_pipelines.settings import Settings
from bidbeacon_pipelines.windows.queries import AWAITS_DECISION

UNDECIDED: Final = "final-rows-lost"
"""The code of the cause that awaits a person's decision."""
_UNDECIDED = text(f"""
    SELECT a.account_key, {ACCOUNT_LABEL} AS label, a.currency_code, w.dataset, count(*) AS windows,
           min(w.window_date) AS oldest, max(w.window_date) AS newest, min(w.cause_since) AS since,
           CAST(sum(w.row_count) AS bigint) AS old_rows, sum(w.spend) AS old_spend,
           CAST(sum(w.suspicious_rows) AS bigint) AS new_rows, sum(w.suspicious_spend) AS new_spend
      FROM report_windows w
      JOIN advertiser_accounts a USING (account_id, country_code)
      JOIN ads_accounts o USING (account_id)
     WHERE {AWAITS_DECISION} AND (w.decision IS NULL OR w.wanted_by IS NULL)
       AND {IS_REFRESHED}
     GROUP BY a.account_key, o.alias, o.name, o.ads_account_key, a.country_code,
              a.currency_code, w.dataset
     ORDER BY old_rows DESC, a.account_key, w.dataset""")


def undecided_days(connection: Connection, settings: Settings, now: datetime) -> Iterator[Finding]:
    """Yield the accounts with final days for which a later report has far fewer rows.

    Days whose accepted report is requested already are left out.
    """
    for row in connection.execute(_UNDECIDED, {"now": now}).mappings():
        spent = "spend" in get_dataset(row["dataset"]).columns
        old, new = (
            Totals(row[f"{which}_rows"], row[f"{which}_spend"] if spent else None)
            for which in ("old", "new")
        )
        of = row["account_key"], row["dataset"], row["currency_code"]
        yield found(
            Doubted(*of, old, new).cause,
            _effect(row, "waiting for a decision"),
            names=(row["label"],),
            accounts=1,
            since=row["since"],
        )


def _effect(row: RowMapping, what: str) -> Effect:
    """Return "3 days affected, … to …", with the page of the newest day."""
    oldest, newest = row["oldest"], row["newest"]
    until = "" if oldest == newest else f" to {newest}"
    chosen = {"dataset": row["dataset"], "account": row["account_key"], "window": str(newest)}
    days = f"{counted(row['windows'], 'day')} {what}, {oldest}{until}"
    return Effect(days, f"/coverage?{urlencode(chosen)}", row["windows"])


_REMOVED = text(f"""
    SELECT a.account_key, {ACCOUNT_LABEL} AS label, r.currency_code, r.dataset,
           r.ids, r.rows, r.spend, r.since, d.*
      FROM (SELECT account_id, country_code, currency_code, dataset, array_agg(id) AS ids,
                   CAST(sum(rows) AS bigint) AS rows, sum(spend) AS spend,
                   min(removed_at) AS since
              FROM row_removals
             WHERE acknowledged_at IS NULL
             GROUP BY 1, 2, 3, 4) r
      JOIN advertiser_accounts a USING (account_id, country_code)
      JOIN ads_accounts o USING (account_id)
     CROSS JOIN LATERAL (
           SELECT count(DISTINCT day) AS windows, min(day) AS oldest, max(day) AS newest
             FROM row_removals m
            CROSS JOIN unnest(m.days) day
            WHERE m.id = ANY(r.ids)) d
     ORDER BY r.rows DESC, a.account_key, r.dataset""")


def removed_rows(connection: Connection, settings: Settings, now: datetime) -> Iterator[Finding]:
    """Yield the unacknowledged removals of rows by confirmed reports, per account and dataset."""
    for row in connection.execute(_REMOVED).mappings():
        yield found(
            _removal_of(row),
            _effect(row, "affected"),
            names=(row["label"],),
            accounts=1,
            since=row["since"],
        )


def _removal_of(row: RowMapping) -> Cause:
    spend = f"{row['spend']:,.2f} {row['currency_code']}"
    has_spend = "spend" in get_dataset(row["dataset"]).columns
    detail = {"rows": row["rows"], "spend": spend if has_spend else None}
    return cause("rows-removed", account=row["account_key"], dataset=row["dataset"], detail=detail)


_ACKNOWLEDGE = text("""
    UPDATE row_removals
       SET acknowledged_by = :by, acknowledged_at = :now, note = :note
     WHERE id = ANY(:ids) AND acknowledged_at IS NULL""")


def acknowledge_removals(
    connection: Connection, key: str, now: datetime, *, by: str, note: str
) -> None:
    """Store the acknowledgement of a finding's removals, which ends it."""
    for row in connection.execute(_REMOVED).mappings().all():
        if finding_key(_removal_of(row)) == key:
            values = {"ids": row["ids"], "by": by, "now": now, "note": note or None}
            connection.execute(_ACKNOWLEDGE, values)
