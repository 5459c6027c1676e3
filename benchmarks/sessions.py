"""The suite `sessions`: recording, and reading 100,000 sessions with 2 million actions."""

import statistics
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from functools import partial
from hashlib import md5
from uuid import UUID

from sqlalchemy import Engine, event

from benchmarks.bulk_rows import LONGEST, SESSIONS, fill_sessions
from benchmarks.database import RESULTS, explained, fresh_database, url_of, write_plans
from benchmarks.figures import RATE, Figure, at_least, at_most, milliseconds, sample
from benchmarks.writers import make_action, write
from bidbeacon_sessions import SessionRecorder, SessionStore, with_job_session
from bidbeacon_sessions.filters import SessionFilter
from bidbeacon_sessions.listing import MOST_ACTIONS, read_session, read_sessions
from bidbeacon_sessions.messages import json_bytes
from bidbeacon_sessions.queries import list_sessions
from bidbeacon_sessions.server.serve import skip_imported_objects
from bidbeacon_sessions.settings import MAX_ACTIONS
from bidbeacon_sessions.statistics import aggregate_jobs

PLANS = RESULTS / "sessions-plans.md"
PLANS_HEAD = """# Query plans of reading sessions

Written by `make bench SUITE=sessions KEEP=results`: 100,000 sessions, 2 million actions, 3 \
million references, everything in memory."""
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
WRITERS, WRITER_SECONDS = 8, 5.0
EACH, ROUNDS = 10, 40
"""Appends in a row, and the number of rows."""
MOST_MILLISECONDS = 100
MOST_FOR_TEXT = 250
"""Rare texts are slower: inputs, errors and names of all 100,000 headers are searched."""
WEEK_AGO = NOW - timedelta(days=7)
SOME, MIDDLE = UUID(int=SESSIONS - 50), UUID(int=SESSIONS // 2)
ACCOUNT, DAY, REPORT = "US.7bench", date(2026, 11, 1), md5(b"50000", usedforsecurity=False)
OTHERS_WORD, QUIET_ACCOUNT = "US.3bench", "US.55bench"
"""A word in 30,000 actions of 11,000 sessions, and an account without it."""

FILTERS: Mapping[str, SessionFilter] = {
    "no filter": SessionFilter(),
    "a job, common": SessionFilter(job="refresh-account"),
    "a job, rare": SessionFilter(job="load-windows"),
    "an unknown job": SessionFilter(job="nothing"),
    "an account": SessionFilter(account=ACCOUNT),
    "an unknown account": SessionFilter(account="US.unknown"),
    "a status, common": SessionFilter(status="succeeded"),
    "a status, rare": SessionFilter(status="crashed"),
    "a status without sessions": SessionFilter(status="running"),
    "an outcome, common": SessionFilter(outcome="ok"),
    "an outcome, rare": SessionFilter(outcome="warnings"),
    "an account and an outcome": SessionFilter(account=ACCOUNT, outcome="problems"),
    "an action's type, common": SessionFilter(type="report-pending"),
    "an action's type, one session in a hundred": SessionFilter(type="report-failed"),
    "an action's type, ten sessions": SessionFilter(type="report-suspicious"),
    "an action's type, unknown": SessionFilter(type="nothing"),
    "a dataset": SessionFilter(dataset="daily_targets"),
    "an unknown dataset": SessionFilter(dataset="weather"),
    "a window": SessionFilter(window=str(DAY)),
    "a window of a dataset": SessionFilter(window=str(DAY), dataset="daily_targets"),
    "a window of an account": SessionFilter(window=str(DAY), account=ACCOUNT),
    "a run": SessionFilter(run="run-5000"),
    "since an hour ago": SessionFilter(since=NOW - timedelta(hours=1)),
    "before 80 days ago": SessionFilter(before=NOW - timedelta(days=80)),
    "an account and a type": SessionFilter(account=ACCOUNT, type="report-failed"),
    "an account and a job": SessionFilter(account=ACCOUNT, job="poll-reports"),
    "a status and a type": SessionFilter(status="failed", type="report-processed"),
    "a job, a type and a status": SessionFilter(
        job="poll-reports", type="report-pending", status="succeeded"
    ),
    "a text, in every session": SessionFilter(text="processing"),
    "a text, in one session of a hundred": SessionFilter(text="out of ink"),
    "a text, in one session": SessionFilter(text=REPORT.hexdigest()),
    "a text, in no session": SessionFilter(text="nothing"),
    "a text of common words, in no session": SessionFilter(text="ink usd"),
    "a text that is a job's name": SessionFilter(text="load-windows"),
    "a common text and an account that has it": SessionFilter(text="processing", account=ACCOUNT),
    "a common text and an account without it": SessionFilter(
        text=OTHERS_WORD, account=QUIET_ACCOUNT
    ),
    "a common text and a status without it": SessionFilter(text=OTHERS_WORD, status="running"),
    "a common text and a type": SessionFilter(text="processing", type="report-failed"),
    "a common text and a window": SessionFilter(text="processing", window=str(DAY)),
    "a rare text and an account": SessionFilter(text="out of ink", account=ACCOUNT),
}
OLDER = ("no filter", "an account", "a dataset", "a text, in every session")
EXPLAINED = (
    "no filter",
    "an account",
    "an outcome, rare",
    "a window of a dataset",
    "an action's type, one session in a hundred",
    "an account and a type",
)


def sessions(*, keep_plans: bool = False) -> Iterator[Figure]:
    """Measure; with `keep_plans`, also write the query plans."""
    with fresh_database(durable=True) as engine:
        yield from _writing(SessionStore(engine))
        written = write(url_of(engine), WRITERS, WRITER_SECONDS, actions_each=MAX_ACTIONS)
        yield at_least(f"{WRITERS} writers together, at least", written.rate, RATE, 2_000)
    with fresh_database() as engine:
        fill_sessions(engine, NOW)
        yield from _reading(SessionStore(engine))
        if keep_plans:
            _keep_plans(engine)


def _writing(store: SessionStore) -> Iterator[Figure]:
    """Append to short sessions and to one of the greatest length in turns, as load varies."""
    sent: list[str] = []
    event.listen(Engine, "before_cursor_execute", lambda _c, _cur, sql, *_: sent.append(sql))
    with with_job_session("bench", store=store, run_id="run", step_key="step"):
        pass
    yield at_most("statements of a session that records nothing", len(sent), "", 4)
    short: list[float] = []
    long: list[float] = []
    with with_job_session("bench", store=store) as longest:
        for number in range(MAX_ACTIONS - EACH * ROUNDS):
            longest.add(make_action(number))
        for _ in range(ROUNDS):
            with with_job_session("bench", store=store) as session:
                short += _append(session)
            long += _append(longest)
    few, many = statistics.median(short), statistics.median(long)
    yield at_most("an append to a session of 10 actions, median", few, "ms a commit", 1)
    yield at_most("an append to a session of 5,000 actions, median", many, "ms a commit", 1)
    yield at_most("the same, above that to a session of 10 actions", (many / few - 1) * 100, "%", 5)


def _append(session: SessionRecorder) -> list[float]:
    return [milliseconds(partial(session.add, make_action(number))) for number in range(EACH)]


def _reading(store: SessionStore) -> Iterator[Figure]:
    skip_imported_objects()  # as the stream's server does at its start
    for name, wanted in FILTERS.items():
        yield _p95(f"50 sessions, {name}", partial(read_sessions, store, wanted, 50), wanted)
    for name in OLDER:
        older = partial(read_sessions, store, FILTERS[name], 50, MIDDLE)
        yield _p95(f"50 sessions, {name}, older than one in the middle", older, FILTERS[name])
    yield _p95("one session of 20 actions", partial(read_session, store, SOME))
    some_of = partial(read_session, store, LONGEST, most=MOST_ACTIONS)
    for page, after in enumerate(range(0, MAX_ACTIONS, MOST_ACTIONS), 1):
        name = f"one session of 5,000 actions, its answer {page}"
        yield _p95(name, partial(some_of, after=after))
    yield _p95("metrics of a week by hours", partial(_metrics, store))


def _p95(
    name: str, call: Callable[[], object], wanted: SessionFilter = FILTERS["no filter"]
) -> Figure:
    """Measure a call with its answer as JSON, encoded as by the stream's server."""
    took = sample({name: lambda: json_bytes(call())}, rounds=20)[name]
    most = MOST_MILLISECONDS if wanted.text is None else MOST_FOR_TEXT
    return at_most(f"{name}, p95", statistics.quantiles(took, n=20)[-1], "ms", most)


def _metrics(store: SessionStore) -> object:
    with store.snapshot() as connection:
        return aggregate_jobs(connection, WEEK_AGO, NOW)


def _keep_plans(engine: Engine) -> None:
    with engine.begin() as connection:
        parts = [
            explained(
                connection,
                f"The newest 50 sessions, {name}",
                partial(list_sessions, connection, FILTERS[name], limit=50),
            )
            for name in EXPLAINED
        ]
        metrics = partial(aggregate_jobs, connection, WEEK_AGO, NOW)
        parts.append(explained(connection, "Metrics of a week by hours", metrics))
        write_plans(PLANS, PLANS_HEAD, connection, parts)
