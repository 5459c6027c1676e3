"""Findings on Amazon: what it throttles, refuses or does not answer, and what it does not list."""

from datetime import datetime, timedelta
from urllib.parse import urlencode

from sqlalchemy import Connection, RowMapping, text

from bidbeacon_pipelines.accounts.queries import ACCOUNT_LABEL, ADS_ACCOUNT_LABEL, IS_ACTIVE
from bidbeacon_pipelines.causes import Severity, explain
from bidbeacon_pipelines.problems.checks import list_quarantined
from bidbeacon_pipelines.problems.findings import Effect, Finding, counted, found, in_datasets, verb
from bidbeacon_pipelines.problems.grants import find_missing_grant
from bidbeacon_pipelines.problems.job_findings import RECENTLY
from bidbeacon_pipelines.requests.rules import MAX_ATTEMPTS
from bidbeacon_pipelines.settings import Settings
from bidbeacon_pipelines.windows.resumed import list_resumed

LATELY = timedelta(hours=1)
"""Calls before this are history."""
ORDINARY = timedelta(minutes=10)
"""Being throttled, or not answered, for so long is ordinary."""
_NEXT_SYNC = timedelta(minutes=65)
"""Accounts are listed once an hour, and one bad answer is no news."""
_IS_PAUSE = "l.next_start_at BETWEEN CAST(:now AS timestamptz) + interval '2 seconds' AND CAST(:now AS timestamptz) + interval '1 hour'"
_WHAT = {
    "create": "create reports",
    "retrieve": "poll reports",
    "download": "download reports",
    "token": "renew the access token",
}

# Only calls that reports wait for: failed syncs have sessions that say so. What is throttled is judged
# apart for each ads account, since Amazon paces them apart; an error of Amazon's own is over as soon as any
# call of its kind succeeds. Starts are reserved a second ahead: a later one is a pause, and one of more
# than an hour was written by a clock that has been set back since.
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
           greatest((SELECT max(next_start_at) FROM rate_limits l
                      WHERE l.region = f.region AND l.call_class = f.kind
                        AND {_IS_PAUSE}),
                    (SELECT max(next_create_at) FROM report_gates g
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
    if any(find_missing_grant(connection, table) for table in ("api_calls", "rate_limits")):
        return []
    rows = connection.execute(_TROUBLE, {"now": now, "since": now - LATELY})
    return [_calls(row, now) for row in rows.mappings()]


def _calls(row: RowMapping, now: datetime) -> Finding:
    waiting = f"{counted(row['reports'], 'report')} {verb(row['reports'], 'waits')}"
    effect = f"{row['region']}: {counted(row['calls'], 'call')} to {_WHAT[row['kind']]} failed, {waiting}"
    is_long = now - row["since"] >= ORDINARY
    return found(
        {"code": row["code"]},
        Effect(effect, "/#limits"),
        names=tuple(row["names"]),
        accounts=row["accounts"],
        severity=Severity.WARNING if is_long else Severity.WAITING,
        since=row["since"],
        next_at=row["next_at"],
    )


_PAUSE_OF_POLLS = text(f"""
    SELECT max(next_start_at) FROM rate_limits l WHERE account_id = :account_id AND call_class = 'retrieve' AND {_IS_PAUSE}""")


def find_pause_of_polls(connection: Connection, account_id: str, now: datetime) -> datetime | None:
    """Return until when Amazon throttles polls of an ads account; None if it does not, or the role may not see it."""
    if find_missing_grant(connection, "rate_limits") is not None:
        return None
    values = {"account_id": account_id, "now": now}
    until: datetime | None = connection.execute(_PAUSE_OF_POLLS, values).scalar()
    return until


_RETRIED = text(f"""
    SELECT cause - 'detail' AS shape, (array_agg(cause ORDER BY attempts DESC))[1] AS cause, count(*) AS reports, count(DISTINCT account_id) AS accounts,
           min(next_step_at) AS next_at, max(attempts) AS attempts, min(created_at) AS since,
           (array_agg(DISTINCT {ADS_ACCOUNT_LABEL}))[1:3] AS names, array_agg(DISTINCT dataset) AS datasets
      FROM report_requests r JOIN ads_accounts o USING (account_id)
     WHERE r.status IN ('planned', 'sent') AND r.cause IS NOT NULL AND o.needs_attention IS NULL GROUP BY 1""")


def find_retries(connection: Connection, settings: Settings, now: datetime) -> list[Finding]:
    """Return why reports are requested again, and when."""
    return [_retry(row) for row in connection.execute(_RETRIED).mappings()]


def _retry(row: RowMapping) -> Finding:
    reports = row["reports"]
    effect = f"{counted(reports, 'report')} {verb(reports, 'is')} requested again{in_datasets(row['datasets'])}"
    return found(
        row["cause"],
        Effect(effect, f"/sessions?{urlencode({'type': 'request-retried', 'since': '24h'})}"),
        severity=Severity.WAITING,
        advice="It is requested again by itself.",
        names=tuple(row["names"]),
        accounts=row["accounts"],
        since=row["since"],
        next_at=row["next_at"],
        attempt=f"attempt {min(row['attempts'] + 1, MAX_ATTEMPTS)} of {MAX_ATTEMPTS}",
        action=None,
    )


_STOPPED = text(f"""
    SELECT needs_attention - 'detail' AS shape, (array_agg(needs_attention))[1] AS cause, count(*) AS ads_accounts, min(needs_attention_since) AS since,
           (array_agg({ADS_ACCOUNT_LABEL} ORDER BY ads_account_key))[1:3] AS names,
           (SELECT account_key FROM advertiser_accounts a WHERE a.account_id = min(o.account_id) ORDER BY paused, account_key LIMIT 1) AS account_key,
           CAST(sum((SELECT sum(d.windows) FROM dataset_windows d
                       JOIN advertiser_accounts a USING (account_id, country_code) WHERE d.account_id = o.account_id AND {IS_ACTIVE})) AS bigint) AS windows
      FROM ads_accounts o
     WHERE needs_attention IS NOT NULL AND EXISTS (SELECT FROM advertiser_accounts a WHERE a.account_id = o.account_id AND {IS_ACTIVE})
     GROUP BY 1 ORDER BY ads_accounts DESC""")


def find_stopped(connection: Connection, settings: Settings, now: datetime) -> list[Finding]:
    """Return why ads accounts with active countries need attention."""
    return [_stopped(row) for row in connection.execute(_STOPPED).mappings()]


def _stopped(row: RowMapping) -> Finding:
    number, windows = row["ads_accounts"], row["windows"] or 0
    link = f"/accounts/{row['account_key']}" if number == 1 else "/accounts"
    effects = [
        Effect(f"{counted(number, 'ads account')} {verb(number, 'needs')} attention", link, number)
    ]
    if windows:
        waiting = f"{counted(windows, 'window')} {verb(windows, 'is')} not refreshed"
        effects.append(Effect(waiting, link))
    return found(
        row["cause"],
        *effects,
        severity=Severity.ERROR,
        names=tuple(row["names"]),
        accounts=number,
        since=row["since"],
        unit="" if number == 1 else counted(number, "ads account"),
    )


def find_resumed(connection: Connection, settings: Settings, now: datetime) -> list[Finding]:
    """Return the accounts that were resumed and whose days are not loaded yet."""
    return [
        found(
            {"code": "account-resumed"},
            Effect(
                f"{counted(one.windows, 'window')} of {one.label} {verb(one.windows, 'is')} to be loaded, {counted(one.reports, 'report')} planned or being made",
                f"/accounts/{one.account_key}",
                one.windows,
            ),
            names=(one.label,),
            accounts=1,
            since=one.resumed_at,
        )
        for one in list_resumed(connection, since=now - RECENTLY, now=now)
    ]


# A region is listed again where a later sync does not say that it could not be.
_UNLISTED = text("""
    SELECT payload ->> 'region' AS region, payload ->> 'client_id' AS client_id, payload -> 'cause' AS cause, session_id,
           (SELECT min(earlier.at) FROM session_actions earlier
             WHERE earlier.type = n.type AND earlier.payload ->> 'region' = n.payload ->> 'region'
               AND NOT EXISTS (SELECT FROM session_actions s
                                WHERE s.type = 'accounts-synced' AND s.at > earlier.at AND s.at < n.at
                                  AND NOT EXISTS (SELECT FROM session_actions o WHERE o.session_id = s.session_id
                                                     AND o.type = n.type AND o.payload ->> 'region' = n.payload ->> 'region'))) AS since
      FROM session_actions n
     WHERE type = 'region-not-listed'
       AND session_id = (SELECT session_id FROM session_actions WHERE type = 'accounts-synced' ORDER BY at DESC LIMIT 1)
     ORDER BY region""")


def find_unlisted(connection: Connection, settings: Settings, now: datetime) -> list[Finding]:
    """Return the regions whose accounts the last sync could not list."""
    return [_unlisted(row) for row in connection.execute(_UNLISTED).mappings()]


def _unlisted(row: RowMapping) -> Finding:
    why = explain(row["cause"]).sentence
    return found(
        {
            "code": "region-not-listed",
            "region": row["region"],
            "detail": {"reason": why, "client": row["client_id"]},
        },
        link=f"/sessions/{row['session_id']}",
        since=row["since"],
        tell_after=_NEXT_SYNC,
    )


_SILENT = text(f"""
    SELECT count(DISTINCT payload ->> 'account') AS accounts, min(at) AS since, CAST(sum(jsonb_array_length(payload -> 'windows')) AS bigint) AS windows,
           array_agg(DISTINCT payload ->> 'dataset') AS datasets, (array_agg(DISTINCT {ACCOUNT_LABEL}))[1:3] AS names
      FROM session_actions n
      JOIN advertiser_accounts a ON a.account_key = n.payload ->> 'account' JOIN ads_accounts o USING (account_id)
     WHERE n.type = 'silence-accepted' AND n.at >= :since HAVING count(*) > 0""")


def find_silent(connection: Connection, settings: Settings, now: datetime) -> list[Finding]:
    """Return the days of the last 24 hours that were loaded without rows of a country that has deliverable campaigns."""
    link = f"/sessions?{urlencode({'type': 'silence-accepted', 'since': '24h'})}"
    rows = connection.execute(_SILENT, {"since": now - RECENTLY}).mappings()
    return [
        found(
            {"code": "country-silent"},
            Effect(
                f"{counted(row['windows'], 'window')} without rows{in_datasets(row['datasets'])}",
                link,
                row["windows"],
            ),
            names=tuple(row["names"]),
            accounts=row["accounts"],
            datasets=tuple(row["datasets"]),
            since=row["since"],
        )
        for row in rows
    ]


def find_quarantine(connection: Connection, settings: Settings, now: datetime) -> list[Finding]:
    """Return the accounts of which too many rows of a dataset are quarantined."""
    return [_quarantine(row) for row in list_quarantined(connection) if row["is_too_large"]]


def _quarantine(row: RowMapping) -> Finding:
    effect = f"{counted(row['quarantined'], 'row')} of {row['label']} in quarantine, {row['rows']:,} good ones, in {row['dataset']}"
    link = f"/accounts/{row['account_key']}"
    return found(
        {"code": "quarantine-too-large"},
        Effect(effect, link, row["quarantined"]),
        names=(row["label"],),
        accounts=1,
        datasets=(row["dataset"],),
        since=row["since"],
    )
