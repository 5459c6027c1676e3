"""Checks of a dataset for all accounts and windows; Dagster shows them as asset checks.

Checks read the counts and sums in `report_windows`, but never rows of reports.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Engine, RowMapping, text
from sqlalchemy.dialects.postgresql import insert

from bidbeacon_pipelines.accounts.queries import ACCOUNT_LABEL, list_accounts
from bidbeacon_pipelines.actions import DatasetChecked
from bidbeacon_pipelines.causes import Severity
from bidbeacon_pipelines.datasets.fields import SHORT_NAMES
from bidbeacon_pipelines.datasets.registry import Dataset, Reconciles, get_dataset
from bidbeacon_pipelines.problems.findings import Finding, counted
from bidbeacon_pipelines.problems.tables import DatasetCheck
from bidbeacon_pipelines.settings import Settings
from bidbeacon_pipelines.states.window_states import list_late_accounts
from bidbeacon_sessions import SessionRecorder

WINDOW_IS_FRESH = "window_is_fresh"
ROWS_RECONCILE = "rows_reconcile_with_daily_totals"
QUARANTINE_IS_SMALL = "quarantine_is_small"

CHECKS: Final[Mapping[str, str]] = {
    WINDOW_IS_FRESH: (
        "No account has a late window: one that has been due for longer than "
        "BIDBEACON_LATE_AFTER_HOURS, or whose report takes Amazon far longer than usual."
    ),
    ROWS_RECONCILE: (
        "For each day and ad product, spend and sales agree with those of the dataset with which "
        "this dataset is compared, as far as Amazon promises this. Totals requested more than six "
        "hours apart are not compared, since Amazon keeps changing the numbers."
    ),
    QUARANTINE_IS_SMALL: "At most 0.2 % of each account's rows are quarantined.",
}
RECONCILED: Final[Mapping[Reconciles, str]] = {
    "equal": (
        "The totals of both datasets are the same if their reports were requested within ten "
        "minutes. Otherwise they may differ by up to 2 %."
    ),
    "close": (
        "Amazon makes hourly reports separately, so the sum of the hours may differ from the day, "
        "but by no more than BIDBEACON_HOURLY_DIFFERENCE."
    ),
    "not above": (
        "Amazon leaves some rows out of this dataset, such as search terms without a click, so its "
        "totals are at most as high as those of the other dataset, or up to 2 % higher if the "
        "reports were not requested within ten minutes."
    ),
}
_MOST_CASES = 20


def check_dataset(
    engine: Engine, session: SessionRecorder, dataset: Dataset, now: datetime, settings: Settings
) -> list[Finding]:
    """Run all checks of a dataset, store the outcome, add an action, and return the results."""
    results = judge_dataset(engine, dataset, now, settings)
    failed = [result for result in results if result.severity is not Severity.FINE]
    found = " ".join(result.sentence for result in failed)
    differing = sum(int(result.facts.get("differing", 0)) for result in results)
    counts = {"checks": len(results), "failed": len(failed), "differing": differing}
    check = {"checked_at": now, "session_id": session.session_id, "differing": differing}
    with engine.begin() as connection:
        statement = insert(DatasetCheck).values(dataset=dataset.name, **check)
        connection.execute(statement.on_conflict_do_update(index_elements=["dataset"], set_=check))
        session.add_in(connection, DatasetChecked(dataset=dataset.name, found=found, **counts))
    return results


def judge_dataset(
    engine: Engine, dataset: Dataset, now: datetime, settings: Settings
) -> list[Finding]:
    """Return the result of each check of a dataset."""
    with engine.begin() as connection:
        return [
            judge_freshness(connection, dataset, now, settings.late_after),
            judge_totals(connection, dataset, closeness=settings.hourly_difference),
            judge_quarantine(connection, dataset),
        ]


def _result(
    check: str, sentence: str, figures: Mapping[str, Any], cases: Sequence[Mapping[str, str]] = ()
) -> Finding:
    """Return the result of a check: a warning if there are `cases`, otherwise fine.

    `cases` are examples of the problem; all have the same keys.
    """
    severity = Severity.WARNING if cases else Severity.FINE
    facts = {**figures, "cases": cases}
    return Finding(key=check, code=check, severity=severity, sentence=sentence, facts=facts)


def judge_freshness(
    connection: Connection, dataset: Dataset, now: datetime, late_after: timedelta
) -> Finding:
    """Return the result of the check `window_is_fresh`: whether no windows are late."""
    late = list_late_accounts(connection, dataset.name, now, late_after)
    refreshed = sum(account.stop_reason is None for account in list_accounts(connection))
    windows = sum(row["windows"] for row in late)
    sentence = "No account has late windows."
    if late:
        since = f"{late[0]['since']:%Y-%m-%d %H:%M} UTC"
        with_windows = f"{counted(len(late), 'account')} with {counted(windows, 'window')}"
        sentence = f"Windows are late: {with_windows}, the first since {since}."
    figures = {"accounts_late": len(late), "windows_late": windows}
    figures["accounts_fresh"] = max(refreshed - len(late), 0)
    cases = [
        {
            "account": row["account_key"],
            "windows": f"{row['windows']:,}",
            "days": f"{row['oldest']} to {row['newest']}",
            "late since (UTC)": f"{row['since']:%Y-%m-%d %H:%M}",
        }
        for row in late[:_MOST_CASES]
    ]
    return _result(WINDOW_IS_FRESH, sentence, figures, cases)


# An ad product is compared where a window of each dataset has loaded it, and either has rows of it.
# A window with quarantined rows is not compared, since its sums are known to be too small. A
# quarantined row without a readable day may belong to any window of its report.
_COMPARED = """
    WITH undated AS (
        SELECT DISTINCT request_id, country_code FROM quarantined_rows WHERE window_date IS NULL),
    pairs AS (
        SELECT a.account_key, w.window_date, p.ad_product,
               CAST(mine -> 'spend' AS numeric) AS spend,
               CAST(other -> 'spend' AS numeric) AS other_spend,
               CAST(mine -> 'sales' AS numeric) AS sales,
               CAST(other -> 'sales' AS numeric) AS other_sales,
               greatest(w.data_as_of - o.data_as_of, o.data_as_of - w.data_as_of) AS gap,
               coalesce(w.quarantined_count, 0) + coalesce(o.quarantined_count, 0) > 0
               OR (w.loaded_by_request, w.country_code) IN (TABLE undated)
               OR (o.loaded_by_request, o.country_code) IN (TABLE undated) AS is_incomplete
          FROM report_windows w
          JOIN report_windows o USING (account_id, country_code, window_date)
          JOIN advertiser_accounts a USING (account_id, country_code)
         CROSS JOIN unnest(CAST(:ad_products AS text[])) AS p(ad_product)
         CROSS JOIN LATERAL (SELECT w.product_totals -> p.ad_product AS mine,
                                    o.product_totals -> p.ad_product AS other) t
         WHERE w.dataset = :dataset AND o.dataset = :other AND w.load_count > 0 AND o.load_count > 0
           AND p.ad_product <> ALL(w.not_served || o.not_served)
           AND CAST(mine -> 'rows' AS bigint) + CAST(other -> 'rows' AS bigint) > 0),
    compared AS (
        SELECT pairs.*, gap <= interval '6 hours' AND is_incomplete IS NOT TRUE AS is_comparable,
               (SELECT coalesce(max(CASE WHEN :reconciles = 'not above' THEN greatest(a - b, 0)
                                         ELSE abs(a - b) END / nullif(greatest(a, b), 0)), 0)
                  FROM (VALUES (spend, other_spend), (sales, other_sales)) v(a, b)) AS off_by,
               CASE WHEN :reconciles = 'close' THEN CAST(:closeness AS numeric)
                    WHEN gap > interval '10 minutes' THEN 0.02 ELSE 0 END AS allowed
          FROM pairs)"""
_COUNTS = text(f"""{_COMPARED}
    SELECT count(*) FILTER (WHERE is_comparable) AS compared,
           count(*) FILTER (WHERE NOT is_comparable) AS not_comparable_yet,
           count(*) FILTER (WHERE is_comparable AND off_by > allowed) AS differing,
           coalesce(max(off_by) FILTER (WHERE is_comparable), 0) AS largest_difference
      FROM compared""")
_DIFFERENCES = text(f"""{_COMPARED}
    SELECT * FROM compared WHERE is_comparable AND off_by > allowed
     ORDER BY off_by DESC, account_key, window_date, ad_product LIMIT :most""")


def judge_totals(connection: Connection, dataset: Dataset, *, closeness: float) -> Finding:
    """Return the result of comparing a dataset's totals with those of another dataset.

    The other dataset is the dataset's `reconciles_with`. Totals are by day and ad product. If the
    dataset's `reconciles` is `close`, totals may differ by `closeness`, a share such as 0.05.
    """
    if dataset.reconciles_with is None:
        sentence = (
            "The totals are not compared: "
            "Amazon does not promise that they agree with those of another dataset."
        )
        return _result(ROWS_RECONCILE, sentence, {"compared": 0})
    other = get_dataset(dataset.reconciles_with)
    values = {
        "dataset": dataset.name,
        "other": other.name,
        "ad_products": [one for one in dataset.ad_products if one in other.ad_products],
        "reconciles": dataset.reconciles,
        "closeness": closeness,
    }
    figures = dict(connection.execute(_COUNTS, values).mappings().one())
    figures["largest_difference"] = round(float(figures["largest_difference"]), 6)
    found = connection.execute(_DIFFERENCES, values | {"most": _MOST_CASES}).mappings()
    sentence = _compared(figures, other.title.lower())
    return _result(ROWS_RECONCILE, sentence, figures, [_difference(row) for row in found])


def _compared(figures: Mapping[str, Any], other: str) -> str:
    compared, differing = figures["compared"], figures["differing"]
    totals = f"{counted(compared, 'total')} by day and ad product"
    sentence = f"No totals can be compared with {other} yet."
    if compared:
        which = f"{differing:,} of them differ." if differing else "none differs."
        sentence = f"Compared {totals} with {other}: {which}"
    later = figures["not_comparable_yet"]
    return (
        f"{sentence} Not compared (requested too far apart, or rows in quarantine): {later:,}."
        if later
        else sentence
    )


def _difference(row: RowMapping) -> dict[str, str]:
    return {
        "account": row["account_key"],
        "day": str(row["window_date"]),
        "ad": SHORT_NAMES.get(row["ad_product"], row["ad_product"]),
        "spend": f"{row['spend']:,f}",
        "spend there": f"{row['other_spend']:,f}",
        "sales": f"{row['sales']:,f}",
        "sales there": f"{row['other_sales']:,f}",
        "off by": f"{row['off_by']:.2%}",
        "requested apart": str(timedelta(seconds=round(row["gap"].total_seconds()))),
    }


# Only the windows of accounts with quarantined rows are summed up. The largest share is a tenth of
# the default of BIDBEACON_BAD_ROW_SHARE, above which a load is refused.
_QUARANTINED = text(f"""
    SELECT q.dataset, a.account_key, {ACCOUNT_LABEL} AS label, s.*,
           CAST(s.quarantined AS numeric) / (s.quarantined + s.rows) AS share,
           s.quarantined > 0.002 * (s.quarantined + s.rows) AS is_too_large
      FROM (SELECT DISTINCT account_id, country_code, dataset FROM report_windows
             WHERE quarantined_count > 0
               AND (CAST(:dataset AS text) IS NULL OR dataset = :dataset)) q
      JOIN advertiser_accounts a USING (account_id, country_code)
      JOIN ads_accounts o USING (account_id)
     CROSS JOIN LATERAL (
           SELECT count(*) FILTER (WHERE quarantined_count > 0) AS windows,
                  CAST(sum(quarantined_count) AS bigint) AS quarantined,
                  CAST(sum(row_count) AS bigint) AS rows,
                  min(last_loaded_at) FILTER (WHERE quarantined_count > 0) AS since
             FROM report_windows w
            WHERE w.account_id = q.account_id AND w.country_code = q.country_code
              AND w.dataset = q.dataset) s
     ORDER BY share DESC, q.dataset, a.account_key""")


def list_quarantined(connection: Connection, dataset: str | None = None) -> list[RowMapping]:
    """Return the accounts with quarantined rows of a dataset (default: all), worst first.

    Columns: dataset, account_key, label, windows (how many have quarantined rows), quarantined
        (number of these rows), rows (number of loaded rows), since (the earliest load of these
        windows), share (of quarantined rows), is_too_large (whether the share is over 0.2 %).
    """
    return list(connection.execute(_QUARANTINED, {"dataset": dataset}).mappings())


def judge_quarantine(connection: Connection, dataset: Dataset) -> Finding:
    """Return the result of the check `quarantine_is_small`: whether few rows are quarantined."""
    accounts = list_quarantined(connection, dataset.name)
    over = [account for account in accounts if account["is_too_large"]]
    rows = sum(account["quarantined"] for account in accounts)
    found = f"{counted(rows, 'row')} quarantined" if rows else "No row is quarantined"
    sentence = f"{found}; too many in {counted(len(over), 'account')}." if over else f"{found}."
    cases = [
        {
            "account": account["account_key"],
            "windows": f"{account['windows']:,}",
            "quarantined": f"{account['quarantined']:,}",
            "good rows": f"{account['rows']:,}",
            "share": f"{account['share']:.2%}",
        }
        for account in over[:_MOST_CASES]
    ]
    figures = {"quarantined": rows, "accounts_over": len(over)}
    return _result(QUARANTINE_IS_SMALL, sentence, figures, cases)
