"""Findings on Amazon: what it throttles, refuses or does not answer, and what it does not list."""

from datetime import datetime, timedelta
from urllib.parse import urlencode

from sqlalchemy import Connection, RowMapping, text

from bidbeacon_pipelines.accounts.queries import ACCOUNT_LABEL, ADS_ACCOUNT_LABEL, IS_ACTIVE
from bidbeacon_pipelines.causes import Severity, explain
from bidbeacon_pipelines.problems.checks import list_quarantined
from bidbeacon_pipelines.problems.findings import (
    Effect,
    Finding,
    counted,
    facts_of,
    found,
    in_datasets,
)
from bidbeacon_pipelines.problems.job_findings import RECENTLY
from bidbeacon_pipelines.requests.rules import MAX_ATTEMPTS
from bidbeacon_pipelines.settings import Settings

LATELY = timedelta(hours=1)
"""Calls before this are history."""
ORDINARY = timedelta(minutes=10)
"""Being throttled, or not answered, for so long is ordinary."""
_NEXT_SYNC = timedelta(minutes=65)
"""Accounts are listed once an hour, and one bad answer is no news."""
_WHAT = {
    "create": "create reports",
    "retrieve": "poll reports",
    "download": "download reports",
    "token": "renew the access token",
}

# Only calls that reports wait for: failed syncs have sessions that say so. What is throttled is judged
# apart for each ads account, since Amazon paces them apart; an error of Amazon's own is over as soon as any
# call of its kind succeeds.
_TROUBLE = text(f"""
    WITH calls AS (
        SELECT region, account_id, called_at,
               CASE call WHEN 'create_report' THEN 'create' WHEN 'retrieve_report' THEN 'retrieve' ELSE call END AS kind,
               CASE WHEN status = 429 OR error = 'Throttled' THEN 'throttled' WHEN status >= 500 THEN 'amazon-unavailable'
                    WHEN status IS NULL THEN 'unreachable' END AS code
          FROM api_calls WHERE called_at >= :since AND call IN ('create_report', 'retrieve_report', 'download', 'token')),
    failed AS (
        SELECT code, region, kind, count(*) AS calls, min(called_at) AS since, array_agg(DISTINCT account_id) AS account_ids
          FROM calls c WHERE code IS NOT NULL
           AND NOT EXISTS (SELECT FROM calls s WHERE s.region = c.region AND s.kind = c.kind AND s.code IS NULL AND s.called_at > c.called_at
                              AND (c.code <> 'throttled' OR s.account_id IS NOT DISTINCT FROM c.account_id))
         GROUP BY code, region, kind)
    SELECT f.*, r.reports, r.accounts, r.names,
           greatest((SELECT max(next_create_at) FROM report_gates g
                      WHERE g.region = f.region AND f.kind = 'create' AND g.refusals > 0 AND g.next_create_at > :now), r.next_step_at) AS next_at
      FROM failed f
     CROSS JOIN LATERAL (SELECT count(*) AS reports, min(next_step_at) AS next_step_at, count(DISTINCT account_id) AS accounts,
                               (array_agg(DISTINCT {ADS_ACCOUNT_LABEL}))[1:3] AS names
                          FROM report_requests r JOIN ads_accounts o USING (account_id)
                          WHERE o.region = f.region AND o.needs_attention IS NULL AND (f.code <> 'throttled' OR f.kind IN ('create', 'token') OR account_id = ANY(f.account_ids))
                            AND r.status = ANY(CASE f.kind WHEN 'create' THEN ARRAY['planned', 'sent'] WHEN 'retrieve' THEN ARRAY['in_flight'] WHEN 'download' THEN ARRAY['completed']
                                                              ELSE ARRAY['planned', 'sent', 'in_flight', 'completed'] END)) r
     WHERE r.reports > 0 ORDER BY f.code, f.calls DESC""")


def find_calls(connection: Connection, settings: Settings, now: datetime) -> list[Finding]:
    """Return what calls that reports wait for Amazon has throttled or not answered since the last that succeeded."""
    rows = connection.execute(_TROUBLE, {"now": now, "since": now - LATELY}).mappings()
    return [_calls(row, now) for row in rows]


def _calls(row: RowMapping, now: datetime) -> Finding:
    calls, waiting = counted(row["calls"], "call"), counted(row["reports"], "report")
    did = f"{row['region']}: {calls} to {_WHAT[row['kind']]} failed, {waiting} waiting"
    is_long = now - row["since"] >= ORDINARY
    severity = Severity.WARNING if is_long else Severity.WAITING
    cause, effect = {"code": row["code"]}, Effect(did, "/#limits")
    return found(cause, effect, severity=severity, **facts_of(row))


_RETRIED = text(f"""
    SELECT cause - 'detail' AS shape, (array_agg(cause ORDER BY attempts DESC))[1] AS cause, count(*) AS reports, count(DISTINCT account_id) AS accounts,
           min(next_step_at) AS next_at, max(attempts) AS attempts, min(created_at) AS since,
           (array_agg(DISTINCT {ADS_ACCOUNT_LABEL}))[1:3] AS names, array_agg(DISTINCT dataset) AS of_datasets
      FROM report_requests r JOIN ads_accounts o USING (account_id)
     WHERE r.status IN ('planned', 'sent') AND r.cause IS NOT NULL AND o.needs_attention IS NULL GROUP BY 1""")


def find_retries(connection: Connection, settings: Settings, now: datetime) -> list[Finding]:
    """Return why reports are requested again, and when."""
    return [_retry(row) for row in connection.execute(_RETRIED).mappings()]


def _retry(row: RowMapping) -> Finding:
    reports = counted(row["reports"], "report")
    effect = f"{reports} requested again{in_datasets(row['of_datasets'])}"
    link = f"/sessions?{urlencode({'type': 'request-retried', 'since': '24h'})}"
    return found(
        row["cause"],
        Effect(effect, link),
        severity=Severity.WAITING,
        advice="It is requested again by itself.",
        attempt=f"attempt {min(row['attempts'] + 1, MAX_ATTEMPTS)} of {MAX_ATTEMPTS}",
        action=None,
        **facts_of(row),
    )


_STOPPED = text(f"""
    SELECT needs_attention - 'detail' AS shape, (array_agg(needs_attention))[1] AS cause, count(*) AS accounts, min(needs_attention_since) AS since,
           (array_agg({ADS_ACCOUNT_LABEL} ORDER BY ads_account_key))[1:3] AS names,
           (SELECT account_key FROM advertiser_accounts a WHERE a.account_id = min(o.account_id) ORDER BY paused, account_key LIMIT 1) AS account_key,
           CAST(sum((SELECT sum(d.windows) FROM dataset_windows d
                       JOIN advertiser_accounts a USING (account_id, country_code) WHERE d.account_id = o.account_id AND {IS_ACTIVE})) AS bigint) AS windows
      FROM ads_accounts o
     WHERE needs_attention IS NOT NULL AND EXISTS (SELECT FROM advertiser_accounts a WHERE a.account_id = o.account_id AND {IS_ACTIVE})
     GROUP BY 1 ORDER BY accounts DESC""")


def find_stopped(connection: Connection, settings: Settings, now: datetime) -> list[Finding]:
    """Return why ads accounts with active countries need attention."""
    return [_stopped(row) for row in connection.execute(_STOPPED).mappings()]


def _stopped(row: RowMapping) -> Finding:
    number, windows = row["accounts"], row["windows"]
    accounts, of = counted(number, "ads account"), ""
    if windows:
        of = f" with {counted(windows, 'window')}"
    link = f"/accounts/{row['account_key']}" if number == 1 else "/accounts"
    effect = Effect(f"{accounts}{of} not refreshed", link, number)
    unit = "" if number == 1 else accounts
    return found(row["cause"], effect, severity=Severity.ERROR, unit=unit, **facts_of(row))


_UNLISTED = text("""
    SELECT payload ->> 'region' AS region, payload ->> 'client_id' AS client_id, payload -> 'cause' AS cause, session_id
      FROM session_actions
     WHERE type = 'region-not-listed'
       AND session_id = (SELECT session_id FROM session_actions WHERE type = 'accounts-synced' ORDER BY at DESC LIMIT 1)
     ORDER BY region""")


def find_unlisted(connection: Connection, settings: Settings, now: datetime) -> list[Finding]:
    """Return the regions whose accounts the last sync could not list."""
    return [_unlisted(row) for row in connection.execute(_UNLISTED).mappings()]


def _unlisted(row: RowMapping) -> Finding:
    detail = {"reason": explain(row["cause"]).sentence, "client": row["client_id"]}
    cause = {"code": "region-not-listed", "region": row["region"], "detail": detail}
    return found(cause, link=f"/sessions/{row['session_id']}", tell_after=_NEXT_SYNC)


_SILENT = text(f"""
    SELECT count(DISTINCT payload ->> 'account') AS accounts, min(at) AS since, CAST(sum(jsonb_array_length(payload -> 'windows')) AS bigint) AS windows,
           array_agg(DISTINCT payload ->> 'dataset') AS datasets, (array_agg(DISTINCT {ACCOUNT_LABEL}))[1:3] AS names
      FROM session_actions n
      JOIN advertiser_accounts a ON a.account_key = n.payload ->> 'account' JOIN ads_accounts o USING (account_id)
     WHERE n.type = 'silence-accepted' AND n.at >= :since HAVING count(*) > 0""")


def find_silent(connection: Connection, settings: Settings, now: datetime) -> list[Finding]:
    """Return the days of the last 24 hours that were loaded without rows of a country that has deliverable campaigns."""
    rows = connection.execute(_SILENT, {"since": now - RECENTLY}).mappings()
    return [_silent(row) for row in rows]


def _silent(row: RowMapping) -> Finding:
    windows = counted(row["windows"], "window")
    link = f"/sessions?{urlencode({'type': 'silence-accepted', 'since': '24h'})}"
    effect = Effect(f"{windows} without rows{in_datasets(row['datasets'])}", link, row["windows"])
    return found({"code": "country-silent"}, effect, **facts_of(row))


def find_quarantine(connection: Connection, settings: Settings, now: datetime) -> list[Finding]:
    """Return the accounts of which too many rows of a dataset are quarantined."""
    return [_quarantine(row) for row in list_quarantined(connection) if row["is_too_large"]]


def _quarantine(row: RowMapping) -> Finding:
    rows = counted(row["quarantined"], "row")
    did = f"{rows} of {row['label']} in quarantine, {row['rows']:,} good ones, in {row['dataset']}"
    effect = Effect(did, f"/accounts/{row['account_key']}", row["quarantined"])
    cause, of = {"code": "quarantine-too-large"}, (row["label"],)
    datasets = (row["dataset"],)
    return found(cause, effect, since=row["since"], names=of, accounts=1, datasets=datasets)
