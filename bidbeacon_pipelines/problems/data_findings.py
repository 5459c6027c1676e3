"""Findings about the data of reports: rows lost, removed or quarantined; days not served."""

from datetime import datetime, timedelta
from itertools import groupby
from operator import itemgetter
from typing import Final
from urllib.parse import urlencode

from sqlalchemy import Connection, RowMapping, text

from bidbeacon_pipelines.accounts.queries import ACCOUNT_LABEL, IS_ACTIVE
from bidbeacon_pipelines.causes import Cause, cause
from bidbeacon_pipelines.datasets.fields import SHORT_NAMES, product_name
from bidbeacon_pipelines.datasets.registry import get_dataset
from bidbeacon_pipelines.entities.left_out_queries import list_left_out_campaigns
from bidbeacon_pipelines.loading.acceptance import NeedsDecision, Totals
from bidbeacon_pipelines.problems.checks import list_quarantined
from bidbeacon_pipelines.problems.findings import (
    NAMES_SHOWN,
    RECENTLY,
    SETTLES_AFTER,
    Effect,
    Finding,
    Findings,
    counted,
    day_range,
    facts_of,
    finding_key,
    found,
    in_datasets,
    listed,
    window_link,
)
from bidbeacon_pipelines.settings import Settings
from bidbeacon_pipelines.windows.queries import AWAITS_DECISION

FINAL_ROWS_LOST: Final = "final-rows-lost"
"""The cause code of days for which a person must decide which rows to keep."""
_UNDECIDED = text(f"""
    SELECT a.account_key, 1 AS accounts, ARRAY[{ACCOUNT_LABEL}] AS names, a.currency_code,
           w.dataset, count(*) AS days, min(w.window_date) AS oldest, max(w.window_date) AS newest,
           min(w.cause_since) AS since,
           CAST(sum(w.row_count) AS bigint) AS old_rows, sum(w.spend) AS old_spend,
           CAST(sum(w.suspicious_rows) AS bigint) AS new_rows, sum(w.suspicious_spend) AS new_spend
      FROM report_windows w
      JOIN advertiser_accounts a USING (account_id, country_code)
      JOIN ads_accounts o USING (account_id)
     WHERE {AWAITS_DECISION} AND (w.decision IS NULL OR w.wanted_by IS NULL)
       AND {IS_ACTIVE} AND o.needs_attention IS NULL
     GROUP BY a.account_key, o.alias, o.name, o.ads_account_key, a.country_code,
              a.currency_code, w.dataset
     ORDER BY old_rows DESC, a.account_key, w.dataset""")


def undecided_days(connection: Connection, settings: Settings, now: datetime) -> Findings:
    """Yield a finding per account and dataset with final days that wait for a decision.

    A later report has far fewer rows for these days than are loaded, so a person must decide
    whether to accept it. Days for which a person has accepted the report are left out.
    """
    for row in connection.execute(_UNDECIDED, {"now": now}).mappings():
        spent = "spend" in get_dataset(row["dataset"]).columns
        old, new = (
            Totals(row[f"{which}_rows"], row[f"{which}_spend"] if spent else None)
            for which in ("old", "new")
        )
        of = row["account_key"], row["dataset"], row["currency_code"]
        effect = _effect(row, "waiting for a decision")
        yield found(NeedsDecision(*of, old, new).cause, effect, **facts_of(row))


def _effect(row: RowMapping, what: str) -> Effect:
    """Return an effect such as "3 days affected, … to …", linked to the newest day's page."""
    link = window_link(row["dataset"], row["account_key"], row["newest"])
    days = f"{counted(row['days'], 'day')} {what}, {day_range(row['oldest'], row['newest'])}"
    return Effect(days, link, row["days"])


_REMOVED = text(f"""
    SELECT a.account_key, 1 AS accounts, ARRAY[{ACCOUNT_LABEL}] AS names, r.currency_code,
           r.dataset, r.ids, r.rows, r.spend, r.since, d.*
      FROM (SELECT account_id, country_code, currency_code, dataset, array_agg(id) AS ids,
                   CAST(sum(rows) AS bigint) AS rows, sum(spend) AS spend,
                   min(removed_at) AS since
              FROM row_removals
             WHERE acknowledged_at IS NULL
             GROUP BY 1, 2, 3, 4) r
      JOIN advertiser_accounts a USING (account_id, country_code)
      JOIN ads_accounts o USING (account_id)
     CROSS JOIN LATERAL (
           SELECT count(DISTINCT day) AS days, min(day) AS oldest, max(day) AS newest
             FROM row_removals m
            CROSS JOIN unnest(m.days) day
            WHERE m.id = ANY(r.ids)) d
     ORDER BY r.rows DESC, a.account_key, r.dataset""")


def removed_rows(connection: Connection, settings: Settings, now: datetime) -> Findings:
    """Yield a finding per account and dataset with unacknowledged removals of rows."""
    for row in connection.execute(_REMOVED).mappings():
        yield found(_removal_of(row), _effect(row, "affected"), **facts_of(row))


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
    """Acknowledge the removals of rows that a finding is about, which ends the finding."""
    for row in connection.execute(_REMOVED).mappings().all():
        if finding_key(_removal_of(row)) == key:
            values = {"ids": row["ids"], "by": by, "now": now, "note": note or None}
            connection.execute(_ACKNOWLEDGE, values)


HISTORY_NOT_PROVEN: Final = "history-not-proven"
"""The cause code of days without rows, if they are older than every day with rows."""
_OLDER_DAYS_COME = timedelta(hours=1)
"""The delay of the alert: rows of even older days prove that Amazon serves these days."""

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
    SELECT a.account_key, 1 AS accounts, ARRAY[{ACCOUNT_LABEL}] AS names, w.dataset, product,
           CAST(sum(w.days) AS bigint) AS days, min(w.oldest) AS oldest, max(w.newest) AS newest,
           min(min(w.since)) OVER (PARTITION BY a.account_key) AS since
      FROM alike w
     CROSS JOIN unnest(w.unproven) AS product
      JOIN advertiser_accounts a USING (account_id, country_code)
      JOIN ads_accounts o USING (account_id)
     WHERE {IS_ACTIVE} AND o.needs_attention IS NULL
     GROUP BY a.account_key, names, w.dataset, product
     ORDER BY a.account_key, w.dataset, array_position(CAST(:products AS text[]), product)""")


def unproven_histories(connection: Connection, settings: Settings, now: datetime) -> Findings:
    """Yield a finding per account and dataset with days not served because of their age.

    Amazon reported no rows of these days, and has never sent rows of that age, so the days must not
    count as zeros. Days that are too old to be requested again are left out.
    """
    rows = connection.execute(_UNPROVEN, {"now": now, "products": list(SHORT_NAMES)}).mappings()
    for (account_key, dataset), grouped in groupby(rows, itemgetter("account_key", "dataset")):
        of_dataset = list(grouped)
        alike: dict[str, list[str]] = {}
        for row in of_dataset:
            days = f"{counted(row['days'], 'day')}, {day_range(row['oldest'], row['newest'])}"
            alike.setdefault(days, []).append(product_name(row["product"]))
        parts = "; ".join(f"{listed(products)} for {days}" for days, products in alike.items())
        link = window_link(dataset, account_key, max(row["newest"] for row in of_dataset))
        yield found(
            cause(HISTORY_NOT_PROVEN, account=account_key),
            Effect(f"not served in {dataset}: {parts}", link, max(r["days"] for r in of_dataset)),
            alert_after=_OLDER_DAYS_COME,
            settles_after=SETTLES_AFTER,
            **facts_of(of_dataset[0]),
        )


_MOST_ACCOUNTS: Final = 10
"""How many accounts `left_out_campaigns` lists with campaigns; others are only counted."""


def left_out_campaigns(connection: Connection, settings: Settings, now: datetime) -> list[Finding]:
    """Return the finding about campaigns that are missing in reports, if there are any."""
    rows = list_left_out_campaigns(connection, now)
    if not rows:
        return []
    accounts: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        named = f"{row['name']}{_budget(row)}"
        accounts.setdefault((row["account_key"], row["label"]), []).append(named)
    of = f" of {counted(len(accounts), 'account')}" if len(accounts) > 1 else ""
    extent = f"{counted(len(rows), 'campaign')}{of} left out"
    effects = [Effect(extent, "/coverage?dataset=daily_campaigns", len(rows))]
    for (key, label), campaigns in list(accounts.items())[:_MOST_ACCOUNTS]:
        more = len(campaigns) - NAMES_SHOWN
        others = f" and {more:,} more" if more > 0 else ""
        named = f"{', '.join(campaigns[:NAMES_SHOWN])}{others}"
        effects.append(Effect(f"{label}: {named}", f"/accounts/{key}"))
    if (more := len(accounts) - _MOST_ACCOUNTS) > 0:
        effects.append(Effect(f"and {counted(more, 'more account')}", "/accounts"))
    names = tuple(label for _, label in accounts)[:NAMES_SHOWN]
    not_reported = cause("campaigns-not-reported")
    return [found(not_reported, *effects, names=names, accounts=len(accounts))]


def _budget(campaign: RowMapping) -> str:
    if campaign["budget"] is None:
        return ""
    recurrence = (campaign["budget_recurrence"] or "").lower()
    amount = f"{campaign['budget']:,.2f} {campaign['currency_code'] or ''}".rstrip()
    return f" ({f'{recurrence} budget'.lstrip()} {amount})"


_SILENT = text(f"""
    SELECT count(DISTINCT a.id) AS accounts, min(l.data_as_of) AS since,
           sum(cardinality(l.silent_days)) AS windows, array_agg(DISTINCT l.dataset) AS datasets,
           (array_agg(DISTINCT {ACCOUNT_LABEL}))[1:3] AS names
      FROM report_loads l JOIN advertiser_accounts a USING (account_id, country_code)
      JOIN ads_accounts o USING (account_id)
     WHERE l.silent_days <> '{{}}' AND l.data_as_of >= :since
    HAVING count(*) > 0""")


def silent_countries(connection: Connection, settings: Settings, now: datetime) -> Findings:
    """Yield a finding about windows whose reports were accepted without rows.

    These windows should have rows, since their countries have campaigns that can deliver.
    """
    for row in connection.execute(_SILENT, {"since": now - RECENTLY}).mappings():
        extent = f"{counted(row['windows'], 'window')} without rows{in_datasets(row['datasets'])}"
        link = f"/sessions?{urlencode({'type': 'silence-accepted', 'since': '24h'})}"
        effect = Effect(extent, link, row["windows"])
        yield found({"code": "country-silent"}, effect, **facts_of(row))


def large_quarantines(connection: Connection, settings: Settings, now: datetime) -> Findings:
    """Yield a finding per account and dataset with too many quarantined rows."""
    for row in list_quarantined(connection):
        if row["is_too_large"]:
            rows = f"{counted(row['quarantined'], 'row')} of {row['label']} in quarantine"
            extent = f"{rows}, {row['rows']:,} rows loaded, in {row['dataset']}"
            effect = Effect(extent, f"/accounts/{row['account_key']}", row["quarantined"])
            facts = {"since": row["since"], "names": (row["label"],)}
            yield found({"code": "quarantine-too-large"}, effect, accounts=1, **facts)


_DIFFERING = text("""
    SELECT dataset, differing, session_id
      FROM dataset_checks
     WHERE differing > 0 AND checked_at >= :since
     ORDER BY dataset""")


def differing_totals(connection: Connection, settings: Settings, now: datetime) -> Findings:
    """Yield a finding per dataset whose totals differ from those of another dataset."""
    for row in connection.execute(_DIFFERING, {"since": now - RECENTLY}).mappings():
        number, link = row["differing"], f"/sessions/{row['session_id']}"
        effect = Effect(f"{counted(number, 'total')} by day and ad product", link, number)
        yield found({"code": "totals-differ", "dataset": row["dataset"]}, effect)
