"""Checks the database and Amazon's API, and lists all findings; changes nothing."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from bidbeacon_pipelines.accounts.queries import list_accounts
from bidbeacon_pipelines.amazon_ads.accounts import list_profiles
from bidbeacon_pipelines.amazon_ads.client import RetryPolicy, connect
from bidbeacon_pipelines.amazon_ads.endpoints import REGIONS
from bidbeacon_pipelines.amazon_ads.errors import AdsApiError, CredentialRefused
from bidbeacon_pipelines.causes import Severity
from bidbeacon_pipelines.credentials import DEFAULT
from bidbeacon_pipelines.database.clock import read_now
from bidbeacon_pipelines.database.engine import first_line
from bidbeacon_pipelines.database.processes import list_processes
from bidbeacon_pipelines.database.schema import list_revisions, read_version, schema_problem
from bidbeacon_pipelines.problems.alert_rules import KnownFinding
from bidbeacon_pipelines.problems.alerts import list_open
from bidbeacon_pipelines.problems.findings import Effect, Finding
from bidbeacon_pipelines.problems.survey import survey
from bidbeacon_pipelines.settings import Region, Settings
from bidbeacon_pipelines.states.fill import read_fill
from bidbeacon_sessions.sentences import format_duration

_HASTY = RetryPolicy(attempts=2, patience=2.0)
_NO_ACCOUNT = "none is known: run `bidbeacon accounts sync` to read them from Amazon"
_START_ALL = "`make dev` or `bidbeacon dev` starts everything."


def examine(
    settings: Settings, engine: Engine | None, why_no_engine: str = ""
) -> Iterator[Finding | KnownFinding]:
    """Yield results about the database, Amazon, processes and accounts, and all findings.

    If the database can't be used, `engine` is None; `why_no_engine` has the reason and advice.
    """
    first = _away(why_no_engine) if engine is None else _check_database(engine)
    yield first
    usable = None if first.severity is Severity.ERROR else engine
    for credential in settings.credentials or (DEFAULT,):
        yield _check_amazon(settings, usable, credential)
    if usable is None:
        return
    try:
        with usable.begin() as connection:
            now = read_now(connection, settings)
            found = survey(connection, settings, now)
            yield from list_open(connection, found.findings, now)
            yield from _check_history(connection, found.limits, now)
            yield _list_processes(connection)
            yield _count_accounts(connection)
    except SQLAlchemyError as error:
        yield _away(first_line(error))


def _check(name: str, severity: Severity, sentence: str, **facts: Any) -> Finding:
    return Finding(key=name, code=name, severity=severity, sentence=sentence, link="", **facts)


def _away(reason: str) -> Finding:
    return _check("database", Severity.ERROR, reason)


def _check_database(engine: Engine) -> Finding:
    try:
        with engine.begin() as connection:
            version = str(connection.execute(text("SHOW server_version")).scalar_one())
            schema = read_version(connection)
    except SQLAlchemyError as error:
        return _away(first_line(error))
    version = version.partition(" ")[0]
    problem, revision = schema_problem(schema), schema.revision
    tables = f"tables are at {revision}" if revision else "and has no tables"
    facts = {"version": version, "revision": revision, "newest_revision": list_revisions()[-1]}
    severity = Severity.FINE if problem is None else Severity.ERROR
    sentence = f"PostgreSQL {version} answers, {tables}"
    return _check("database", severity, sentence, advice=problem or "", facts=facts)


def _check_amazon(settings: Settings, engine: Engine | None, credential: str) -> Finding:
    """Check that Amazon (or the sandbox) accepts a credential and answers in each region."""
    address = settings.sandbox_url if settings.uses_sandbox else "Amazon"
    name = "sandbox" if settings.uses_sandbox else "Amazon"
    if credential != DEFAULT:
        name += f", {credential}"
    try:
        problems = _call_amazon(settings, engine, credential)
    except CredentialRefused as error:
        return _check(name, Severity.ERROR, str(error))
    except SQLAlchemyError:  # the role may not write rate limits, or the database has gone away
        return _check_amazon(settings, None, credential)
    return judge_regions(name, address, problems)


def judge_regions(name: str, address: str, problems: Mapping[Region, str | None]) -> Finding:
    """Return the result of calls to regions; `problems` has the error or None for each region."""
    away = {region: problem for region, problem in problems.items() if problem}
    facts = {"address": address, "regions": {one: one not in away for one in problems}}
    if not away:
        sentence = f"{address} accepts our token and answers for regions {', '.join(problems)}"
        return _check(name, Severity.FINE, sentence, facts=facts)
    severity = Severity.WARNING if len(away) < len(problems) else Severity.ERROR
    sentence = f"{address} does not answer for regions {', '.join(away)}"
    advice = (
        _START_ALL
        if name.startswith("sandbox")
        else "Check the network. Accounts of these regions can't be refreshed until Amazon answers."
    )
    effects = tuple(Effect(f"{region}: {problem}", "") for region, problem in away.items())
    return _check(name, severity, sentence, advice=advice, effects=effects, facts=facts)


def _call_amazon(
    settings: Settings, engine: Engine | None, credential: str
) -> dict[Region, str | None]:
    """Call each region, with at most one retry; return the error or None for each.

    Raises:
        CredentialRefused: Amazon refused the credential.
    """
    problems: dict[Region, str | None] = dict.fromkeys(REGIONS)
    with connect(settings, credential, engine=engine, retry=_HASTY, shares_token=False) as client:
        for region in REGIONS:
            try:
                list_profiles(client, region)
            except CredentialRefused:
                raise
            except AdsApiError as error:
                problems[region] = str(error)
    return problems


def as_checked(found: Finding | KnownFinding) -> Finding:
    """Return a result of `examine` as a finding, with severity `FINE` if acknowledged."""
    if isinstance(found, Finding):
        return found
    finding, given = found.finding, found.acknowledged
    if given is None:
        return finding
    by = Effect(f"Acknowledged by {given.by}. {given.note}".strip(), "")
    return replace(finding, severity=Severity.FINE, effects=(*finding.effects, by))


def _list_processes(connection: Connection) -> Finding:
    seen = [dict(one) for one in list_processes(connection, within=timedelta(days=1))]
    effects = []
    for one in seen:
        ago = format_duration(one["silent_for"].total_seconds())
        line = f"{one['kind']} on {one['host']}, {one['version']}, seen {ago} ago"
        effects.append(Effect(line, ""))
    found, facts = f"{len(seen)} seen within a day", {"processes": seen}
    return _check("processes", Severity.FINE, found, effects=tuple(effects), facts=facts)


def _check_history(
    connection: Connection, limits: Sequence[str], now: datetime
) -> Iterator[Finding]:
    """Yield how far the first load of the history is, and what delays it, until it is over."""
    fill = read_fill(connection, now)
    if fill.is_over:
        return
    facts = {"loaded": fill.loaded, "total": fill.total, "minutes_left": fill.minutes_left}
    effects = tuple(Effect(one, "") for one in limits)
    yield _check("history", Severity.FINE, fill.sentence, effects=effects, facts=facts)


def _count_accounts(connection: Connection) -> Finding:
    stops = [account.stop_reason for account in list_accounts(connection)]
    known = f"{len(stops):,} known, {stops.count(None):,} refreshed"
    return _check("accounts", Severity.FINE, known if stops else _NO_ACCOUNT)
