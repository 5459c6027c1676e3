"""SQL that gives rows of unknown targets to the targets that a later entity sync brought."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text

from bidbeacon_pipelines.store.accounts import Account


@dataclass(frozen=True)
class UnresolvedTarget:
    """A target that rows name and nobody knew; `entity_id` is the placeholder they are kept under."""

    entity_id: str
    ad_group_id: str
    target_value: str
    target_match_type: str


def list_unresolved_targets(connection: Connection, account: Account) -> list[UnresolvedTarget]:
    """Give each unknown target of an account once."""
    rows = connection.execute(
        text("""SELECT DISTINCT entity_id, ad_group_id, target_value, match_type AS target_match_type FROM performance_daily
                 WHERE account_id = :account_id AND country_code = :country_code AND NOT resolved"""),
        account.identity,
    )
    return [UnresolvedTarget(**row) for row in rows.mappings()]


# A row of the known target may be there already, and two placeholders may turn out to be one target: all are summed.
_MOVE = text("""
    WITH known AS (
        SELECT * FROM unnest(CAST(:placeholders AS text[]), CAST(:targets AS text[])) AS k(placeholder, target_id)),
    moved AS (
        DELETE FROM performance_daily p USING known
         WHERE p.account_id = :account_id AND p.country_code = :country_code AND NOT p.resolved AND p.entity_id = known.placeholder
        RETURNING p.*, known.target_id)
    INSERT INTO performance_daily AS p (account_id, country_code, dataset, window_date, ad_id, entity_id, currency_code,
        campaign_id, campaign_name, ad_group_id, ad_group_name, target_value, match_type, resolved,
        impressions, clicks, orders, sales, spend, request_id)
    SELECT account_id, country_code, dataset, window_date, ad_id, target_id, currency_code,
           min(campaign_id), min(campaign_name), min(ad_group_id), min(ad_group_name), min(target_value), min(match_type), true,
           sum(impressions), sum(clicks), sum(orders), sum(sales), sum(spend), max(request_id)
      FROM moved
     GROUP BY account_id, country_code, dataset, window_date, ad_id, target_id, currency_code
    ON CONFLICT (account_id, country_code, dataset, window_date, ad_id, entity_id, currency_code) DO UPDATE
       SET impressions = coalesce(p.impressions + excluded.impressions, p.impressions, excluded.impressions),
           clicks = coalesce(p.clicks + excluded.clicks, p.clicks, excluded.clicks),
           orders = coalesce(p.orders + excluded.orders, p.orders, excluded.orders),
           sales = coalesce(p.sales + excluded.sales, p.sales, excluded.sales),
           spend = coalesce(p.spend + excluded.spend, p.spend, excluded.spend)""")

# Two rows may have become one, so both counts are taken anew, of the windows that had unresolved rows and of no others.
_RECOUNT = text("""
    UPDATE report_windows w SET unresolved_count = n.unresolved, row_count = n.rows
      FROM report_windows old
     CROSS JOIN LATERAL (
           SELECT count(*) AS rows, count(*) FILTER (WHERE NOT p.resolved) AS unresolved FROM performance_daily p
            WHERE p.account_id = old.account_id AND p.country_code = old.country_code AND p.dataset = old.dataset
              AND p.window_date = old.window_date) n
     WHERE old.account_id = :account_id AND old.country_code = :country_code AND old.unresolved_count > 0
       AND (w.account_id, w.country_code, w.dataset, w.window_date)
         = (old.account_id, old.country_code, old.dataset, old.window_date)""")


def move_resolved_rows(connection: Connection, account: Account, known: Sequence[tuple[str, str]]) -> int:
    """Give rows to targets that are known now: pairs of placeholder and target id; give how many target rows were written."""
    values = account.identity | {"placeholders": [k[0] for k in known], "targets": [k[1] for k in known]}
    moved = connection.execute(_MOVE, values).rowcount
    connection.execute(_RECOUNT, account.identity)
    return moved
