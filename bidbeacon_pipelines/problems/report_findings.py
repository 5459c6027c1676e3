"""Findings about reports: failed or late windows, failing calls, accounts not refreshed."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlencode

from sqlalchemy import Connection, RowMapping, text

from bidbeacon_pipelines.accounts.queries import ADS_ACCOUNT_LABEL, IS_ACTIVE
from bidbeacon_pipelines.causes import Severity, explain
from bidbeacon_pipelines.credentials import DEFAULT, shown_name
from bidbeacon_pipelines.problems.data_findings import FINAL_ROWS_LOST, HISTORY_NOT_PROVEN
from bidbeacon_pipelines.problems.findings import (
    NAMES_SHOWN,
    NOTHING_HAPPENS,
    SETTLES_AFTER,
    Effect,
    Findings,
    counted,
    facts_of,
    finding_key,
    found,
    in_datasets,
    window_link,
)
from bidbeacon_pipelines.requests.outlook import QueueState
from bidbeacon_pipelines.requests.rules import MAX_ATTEMPTS
from bidbeacon_pipelines.settings import Settings
from bidbeacon_pipelines.states.window_states import WindowState, state_values, windows_in

_WORDS: Final = {
    WindowState.FAILED: "failed",
    WindowState.LATE: "late",
    WindowState.LATE_AT_AMAZON: "waiting for Amazon",
    WindowState.SUSPICIOUS: "waiting for a second report",
    WindowState.UNCONFIRMED: "waiting for a second report",
    WindowState.NOT_SERVED: "not served",
}
"""The texts of states that cause findings; not of `EXPIRED`, which nothing can change."""
SEVERITIES: Final = {
    WindowState.FRESH: Severity.FINE,
    WindowState.MISSING: Severity.FINE,
    WindowState.DUE: Severity.WAITING,
    WindowState.REQUESTED: Severity.WAITING,
    WindowState.LOADING: Severity.WAITING,
    WindowState.NOT_SERVED: Severity.WAITING,
    WindowState.FAILED: Severity.ERROR,
    WindowState.LATE: Severity.ERROR,
    WindowState.EXPIRED: Severity.ERROR,
    WindowState.NEEDS_ATTENTION: Severity.ERROR,
}
"""The severities of states; the states that are missing here are warnings."""
_FOUND_APART: Final = (FINAL_ROWS_LOST, HISTORY_NOT_PROVEN)
_SECOND_REPORT = timedelta(minutes=45)
_ALL_DAYS = 731
LATELY = timedelta(hours=1)
"""How far back failed calls are considered."""
ORDINARY = timedelta(minutes=10)
"""How long failing calls are normal; if they fail longer, the finding is a warning."""
_NEXT_SYNC = timedelta(minutes=65)
"""The delay of an alert: accounts are listed hourly, and the next listing may succeed."""
_WHAT = {
    "create": "create reports",
    "retrieve": "poll reports",
    "download": "download reports",
    "token": "renew the access token",
}


def unsettled_windows(unsettled: Sequence[RowMapping], limits: Sequence[str] = ()) -> Findings:
    """Yield a finding for each state and cause of windows with problems, such as late ones.

    `unsettled` is from `WindowSummary`. `limits` are sentences on what delays all reports; late
    windows wait for that. Windows for which `undecided_days` or `unproven_histories` yields
    findings are left out.
    """
    alike: dict[tuple[WindowState, str], list[RowMapping]] = {}
    for row in unsettled:
        if row["cause"]["code"] in _FOUND_APART:
            continue
        alike.setdefault((WindowState(row["state"]), finding_key(row["cause"])), []).append(row)
    for (state, _), rows in alike.items():
        windows = sum(row["windows"] for row in rows)
        accounts = max(row["accounts"] for row in rows)
        names = dict.fromkeys(name for row in rows for name in row["names"])
        datasets = [row["dataset"] for row in rows]
        of = f" of {counted(accounts, 'account')}" if accounts > 1 else ""
        effect = f"{counted(windows, 'window')}{of} {_WORDS[state]}{in_datasets(datasets)}"
        waits = {"advice": " ".join(limits), "link": "/queue"} if limits else {}
        needs_second = state in (WindowState.SUSPICIOUS, WindowState.UNCONFIRMED)
        yield found(
            rows[0]["cause"],
            Effect(effect, _link(state, rows), windows),
            severity=SEVERITIES.get(state, Severity.WARNING),
            names=tuple(names)[:NAMES_SHOWN],
            accounts=accounts,
            since=min((row["since"] for row in rows if row["since"]), default=None),
            next_at=min((row["next_at"] for row in rows if row["next_at"]), default=None),
            action="load",
            unit=counted(windows, "window"),
            because=(NOTHING_HAPPENS,) if state is WindowState.LATE else (),
            alert_after=_SECOND_REPORT if needs_second else timedelta(0),
            settles_after=SETTLES_AFTER,
            **(waits if state is WindowState.LATE else {}),
        )


def _link(state: WindowState, rows: Sequence[RowMapping]) -> str:
    first = rows[0]
    if len(rows) == 1 and first["windows"] == 1:
        return window_link(first["dataset"], first["account_key"], first["newest"])
    chosen = {"dataset": first["dataset"], "state": str(state), "days": str(_ALL_DAYS)}
    return f"/coverage?{urlencode(chosen)}"


_WINDOWS = text(f"""
    SELECT account_key, dataset, window_date, wanted_by, cause - 'detail' AS cause
      FROM ({windows_in(_WORDS)}) w
     ORDER BY window_date DESC""")


def list_finding_windows(
    connection: Connection, settings: Settings, now: datetime, key: str
) -> list[RowMapping]:
    """Return a finding's windows (account_key, dataset, window_date, wanted_by), newest first."""
    values = state_values(now, settings.late_after)
    rows = connection.execute(_WINDOWS, values).mappings()
    return [row for row in rows if row["cause"] and finding_key(row["cause"]) == key]


# Only calls that reports wait for: failed syncs are findings of their sessions. Throttling is
# judged for each ads account, since Amazon limits each; an error of Amazon's own is over as soon as
# any call of its kind succeeds.
_TROUBLE = text(f"""
    WITH calls AS (
        SELECT credential, region, account_id, called_at,
               CASE call WHEN 'create_report' THEN 'create'
                         WHEN 'retrieve_report' THEN 'retrieve'
                         ELSE call END AS kind,
               CASE WHEN status = 429 OR error = 'Throttled' THEN 'throttled'
                    WHEN status >= 500 THEN 'amazon-unavailable'
                    WHEN status IS NULL THEN 'unreachable' END AS code
          FROM api_calls
         WHERE called_at >= :since
           AND call IN ('create_report', 'retrieve_report', 'download', 'token')),
    failed AS (
        SELECT code, credential, region, kind, count(*) AS calls, min(called_at) AS since,
               array_agg(DISTINCT account_id) AS account_ids
          FROM calls c
         WHERE code IS NOT NULL
           AND NOT EXISTS (
               SELECT FROM calls s
                WHERE s.credential = c.credential AND s.region = c.region AND s.kind = c.kind
                  AND s.code IS NULL AND s.called_at > c.called_at
                  AND (c.code <> 'throttled' OR s.account_id IS NOT DISTINCT FROM c.account_id))
         GROUP BY code, credential, region, kind)
    SELECT f.*, r.reports, r.accounts, r.names,
           greatest((SELECT max(next_create_at)
                       FROM report_gates g
                       JOIN ads_accounts o USING (client_id, region)
                      WHERE o.credential = f.credential AND region = f.region
                        AND f.kind = 'create' AND g.refusals > 0 AND g.next_create_at > :now),
                    r.next_step_at) AS next_at
      FROM failed f
     CROSS JOIN LATERAL (
           SELECT count(*) AS reports, min(next_step_at) AS next_step_at,
                  count(DISTINCT account_id) AS accounts,
                  (array_agg(DISTINCT {ADS_ACCOUNT_LABEL}))[1:3] AS names
             FROM report_requests r
             JOIN ads_accounts o USING (account_id)
            WHERE o.credential = f.credential AND o.region = f.region
              AND o.needs_attention IS NULL
              AND (f.code <> 'throttled' OR f.kind IN ('create', 'token')
                   OR account_id = ANY(f.account_ids))
              AND r.status = ANY(CASE f.kind
                                 WHEN 'create' THEN ARRAY['planned', 'sent']
                                 WHEN 'retrieve' THEN ARRAY['in_flight']
                                 WHEN 'download' THEN ARRAY['completed']
                                 ELSE ARRAY['planned', 'sent', 'in_flight', 'completed'] END)) r
     WHERE r.reports > 0
     ORDER BY f.code, f.calls DESC""")


def failing_calls(connection: Connection, settings: Settings, now: datetime) -> Findings:
    """Yield findings about failed calls that no successful call of the same kind followed."""
    for row in connection.execute(_TROUBLE, {"now": now, "since": now - LATELY}).mappings():
        calls, waiting = counted(row["calls"], "call"), counted(row["reports"], "report")
        of = "" if row["credential"] == DEFAULT else f", credential {row['credential']}"
        extent = f"{row['region']}{of}: {calls} to {_WHAT[row['kind']]} failed, {waiting} waiting"
        is_long = now - row["since"] >= ORDINARY
        severity = Severity.WARNING if is_long else Severity.WAITING
        cause, effect = {"code": row["code"]}, Effect(extent, "/#limits")
        yield found(cause, effect, severity=severity, **facts_of(row))


_RETRIED = text(f"""
    SELECT cause - 'detail' AS shape, (array_agg(cause ORDER BY attempts DESC))[1] AS cause,
           count(*) AS reports, count(DISTINCT account_id) AS accounts,
           min(next_step_at) AS next_at, max(attempts) AS attempts,
           min(least(first_failed_at,
                     (SELECT min(w.cause_since)
                        FROM report_windows w
                       WHERE w.request_id = r.id
                         AND w.cause - 'detail' = r.cause - 'detail'))) AS since,
           (array_agg(DISTINCT {ADS_ACCOUNT_LABEL}))[1:3] AS names,
           array_agg(DISTINCT dataset) AS datasets
      FROM report_requests r
      JOIN ads_accounts o USING (account_id)
     WHERE r.status IN ('planned', 'sent') AND r.cause IS NOT NULL AND o.needs_attention IS NULL
     GROUP BY 1""")


def retried_reports(connection: Connection, settings: Settings, now: datetime) -> Findings:
    """Yield a finding for each cause of failed reports that are requested again."""
    for row in connection.execute(_RETRIED).mappings():
        attempt = f"attempt {min(row['attempts'] + 1, MAX_ATTEMPTS)} of {MAX_ATTEMPTS}"
        again = f"{counted(row['reports'], 'report')} requested again, {attempt}"
        chosen = {"state": str(QueueState.AGAIN), "cause": row["cause"]["code"]}
        link = f"/queue?{urlencode(chosen)}"
        yield found(
            row["cause"],
            Effect(f"{again}{in_datasets(row['datasets'])}", link),
            severity=Severity.WAITING,
            advice="BidBeacon requests the report again.",
            action=None,
            settles_after=SETTLES_AFTER,
            **facts_of(row),
        )


_STOPPED = text(f"""
    SELECT needs_attention - 'detail' AS shape, (array_agg(needs_attention))[1] AS cause,
           count(*) AS accounts, min(needs_attention_since) AS since,
           (array_agg({ADS_ACCOUNT_LABEL} ORDER BY ads_account_key))[1:3] AS names,
           (SELECT account_key
              FROM advertiser_accounts a
             WHERE a.account_id = min(o.account_id)
             ORDER BY paused, account_key
             LIMIT 1) AS account_key,
           CAST(sum((SELECT sum(d.windows)
                       FROM dataset_windows d
                       JOIN advertiser_accounts a USING (account_id, country_code)
                      WHERE d.account_id = o.account_id AND {IS_ACTIVE})) AS bigint) AS windows
      FROM ads_accounts o
     WHERE needs_attention IS NOT NULL
       AND EXISTS (SELECT FROM advertiser_accounts a
                    WHERE a.account_id = o.account_id AND {IS_ACTIVE})
     GROUP BY 1
     ORDER BY accounts DESC""")


def stopped_accounts(connection: Connection, settings: Settings, now: datetime) -> Findings:
    """Yield a finding for each cause that ads accounts in the state `needs attention` have."""
    for row in connection.execute(_STOPPED).mappings():
        number, windows = row["accounts"], row["windows"]
        accounts = counted(number, "ads account")
        link = f"/accounts/{row['account_key']}" if number == 1 else "/accounts"
        effects = [Effect(f"{accounts} not refreshed", link, number)]
        if windows:
            effects.append(Effect(f"{counted(windows, 'window')} not refreshed", link))
        unit = "" if number == 1 else accounts
        yield found(row["cause"], *effects, severity=Severity.ERROR, unit=unit, **facts_of(row))


_UNLISTED = text("""
    SELECT credential, region, cause, session_id, listed_at + interval '1 hour' AS next_at
      FROM credential_listings
     WHERE cause IS NOT NULL
     ORDER BY region, credential""")


def unlisted_accounts(connection: Connection, settings: Settings, now: datetime) -> Findings:
    """Yield a finding for each credential or region whose accounts can't be listed."""
    for row in connection.execute(_UNLISTED).mappings():
        link, why = f"/sessions/{row['session_id']}", row["cause"]
        name = shown_name(row["credential"])
        if row["region"] is None:
            whose = "" if name is None else f" of credential {name}"
            effect = Effect(f"accounts{whose} not listed", link)
            yield found(why, effect, severity=Severity.ERROR, link=link, alert_after=_NEXT_SYNC)
            continue
        detail = {"reason": explain(why).sentence}
        cause = {"code": "region-not-listed", "region": row["region"], "detail": detail}
        of_one = {} if name is None else {"credential_name": name}
        yield found(cause | of_one, link=link, next_at=row["next_at"], alert_after=_NEXT_SYNC)


_LISTED_TWICE = text(f"""
    SELECT credential, array_remove(listed_by, credential) AS others, count(*) AS accounts,
           (array_agg({ADS_ACCOUNT_LABEL} ORDER BY ads_account_key))[1:3] AS names,
           min(ads_account_key) AS key
      FROM ads_accounts o
     WHERE credential_by IS NULL AND NOT listed_by <@ ARRAY[credential]
     GROUP BY 1, 2
     ORDER BY 1, 2""")


def accounts_listed_twice(connection: Connection, settings: Settings, now: datetime) -> Findings:
    """Yield findings about ads accounts listed by several credentials and assigned to none."""
    for row in connection.execute(_LISTED_TWICE).mappings():
        cause = {
            "code": "listed-twice",
            "credential_name": row["credential"],
            "others": row["others"],
        }
        effect = Effect(f"{counted(row['accounts'], 'ads account')} listed twice", "/accounts")
        yield found(cause | {"detail": {"account": row["key"]}}, effect, **facts_of(row))
