"""SQL for Sponsored Brands campaigns without ad groups, which Amazon's reports leave out."""

from datetime import date, datetime

from sqlalchemy import Connection, RowMapping, text

from bidbeacon_pipelines.accounts.queries import ACCOUNT_LABEL, IS_ACTIVE
from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.datasets.fields import SPONSORED_BRANDS

# Unchanged are campaigns that may have ad groups: those created after the export of ad groups was
# requested, and those of which an ad group could not be read.
_MARK_REPORTED = text("""
    UPDATE campaigns c SET is_reported = NOT c.is_reported
     WHERE c.account_id = :account_id AND c.country_code = :country_code
       AND c.ad_product = :ad_product
       AND c.is_reported <> (c.campaign_id IN (
               SELECT campaign_id FROM ad_groups
                WHERE account_id = :account_id AND country_code = :country_code))
       AND (c.created_at < (SELECT max(created_at) FROM entity_exports
                             WHERE account_id = :account_id AND country_code = :country_code
                               AND kind = 'adGroups' AND status = 'loaded')) IS NOT FALSE
       AND NOT EXISTS (
           SELECT FROM entity_problems
            WHERE account_id = :account_id AND country_code = :country_code
              AND kind = 'adGroups' AND set_aside AND strpos(raw, c.campaign_id) > 0)""")


def mark_reported_campaigns(connection: Connection, account: Account) -> None:
    """Store which Sponsored Brands campaigns of an account are in Amazon's reports.

    Old Sponsored Brands campaigns have no ad groups, and reports leave them out without an error.
    Call this function after a full sync.
    """
    connection.execute(_MARK_REPORTED, account.identity | {"ad_product": SPONSORED_BRANDS})


LEFT_OUT_CAMPAIGNS = """
    SELECT c.campaign_id, coalesce(c.name, c.campaign_id) AS name,
           is_deliverable(c) AS is_deliverable, c.budget, c.budget_recurrence, c.currency_code,
           c.start_date AS first_date,
           least(c.end_date,
                 CAST((CASE WHEN c.state <> 'ENABLED' THEN coalesce(c.updated_at, c.seen_at)
                            WHEN c.gone_since IS NOT NULL THEN c.missing_since END)
                      AT TIME ZONE a.time_zone AS date)) AS last_date
      FROM campaigns c
     WHERE c.account_id = a.account_id AND c.country_code = a.country_code AND NOT c.is_reported"""
"""SQL of a lateral subquery: the campaigns of account `a` that Amazon's reports leave out.

A campaign may have run from `first_date` to `last_date`; null means no limit. A campaign that is
not enabled ran at most until its last change at Amazon, and a campaign that is gone at most until
the first export without it.
"""


def ran_on(day: str) -> str:
    """Return the SQL for whether campaign `c` (`LEFT_OUT_CAMPAIGNS`) may have run on `day`."""
    return f"({day} >= c.first_date) IS NOT FALSE AND ({day} <= c.last_date) IS NOT FALSE"


_RUNNING = text(f"""
    SELECT a.account_key, {ACCOUNT_LABEL} AS label,
           c.name, c.budget, c.budget_recurrence, c.currency_code
      FROM advertiser_accounts a
      JOIN ads_accounts o USING (account_id)
     CROSS JOIN LATERAL ({LEFT_OUT_CAMPAIGNS}) c
     WHERE {IS_ACTIVE} AND c.is_deliverable
       AND {ran_on("CAST(CAST(:now AS timestamptz) AT TIME ZONE a.time_zone AS date)")}
     ORDER BY a.account_key, c.name, c.campaign_id""")


def list_left_out_campaigns(connection: Connection, now: datetime) -> list[RowMapping]:
    """Return the campaigns of active accounts that may run today but that reports leave out.

    Columns: account_key, label, name, budget, budget_recurrence, currency_code.
    """
    return list(connection.execute(_RUNNING, {"now": now}).mappings())


_LEFT_OUT_ON = text(f"""
    SELECT c.name
      FROM advertiser_accounts a
     CROSS JOIN LATERAL ({LEFT_OUT_CAMPAIGNS}) c
     WHERE a.account_id = :account_id AND a.country_code = :country_code
       AND {ran_on("CAST(:day AS date)")}
     ORDER BY c.name, c.campaign_id""")


def list_left_out_on(connection: Connection, account: Account, day: date) -> list[str]:
    """Return the names of campaigns that may have run on a day but that reports leave out."""
    return list(connection.execute(_LEFT_OUT_ON, account.identity | {"day": day}).scalars())
