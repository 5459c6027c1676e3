"""The suite `sessions`: what recording costs a job, and how long reading takes among 100,000 sessions and 2 million actions."""

import os
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import partial

from sqlalchemy import Engine, text

from benchmarks.figures import Figure, at_most, p95_milliseconds, told
from benchmarks.planning_plans import explained
from benchmarks.session_world import (
    LONGEST,
    MIDDLE,
    NOW,
    OTHERS_WORD,
    QUIET_ACCOUNT,
    SOME_ACCOUNT,
    SOME_DAY,
    SOME_REPORT,
    SOME_RUN,
    ago,
    session_world,
)
from benchmarks.session_writers import writing
from bidbeacon_pipelines import actions  # noqa: F401 - their sentences are made, not shown as data of an unknown type
from bidbeacon_pipelines.settings import PROJECT_ROOT
from bidbeacon_pipelines.web.job_queries import aggregate_jobs
from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.filters import SessionFilter
from bidbeacon_sessions.listing import MOST_ACTIONS, load_session, load_sessions
from bidbeacon_sessions.messages import json_bytes
from bidbeacon_sessions.queries import list_sessions
from bidbeacon_sessions.server.serve import skip_imported_objects
from bidbeacon_sessions.settings import MAX_ACTIONS

PLANS = PROJECT_ROOT / "docs" / "sessions-query-plans.md"
MOST_MILLISECONDS = 100
MOST_FOR_TEXT = 250
"""If fewer sessions have a text than are asked for, each of 100,000 headers is looked through: its input, its error, its names."""

FILTERS: Mapping[str, SessionFilter] = {
    "no filter": SessionFilter(),
    "a job, common": SessionFilter(job="refresh-account"),
    "a job, rare": SessionFilter(job="load-windows"),
    "a job that never was": SessionFilter(job="nothing"),
    "an account": SessionFilter(account=SOME_ACCOUNT),
    "an account that never was": SessionFilter(account="US.nobody"),
    "a status, common": SessionFilter(status="succeeded"),
    "a status, rare": SessionFilter(status="crashed"),
    "a status without sessions": SessionFilter(status="running"),
    "an outcome, common": SessionFilter(outcome="ok"),
    "an outcome, rare": SessionFilter(outcome="warnings"),
    "an account and an outcome": SessionFilter(account=SOME_ACCOUNT, outcome="problems"),
    "an action's type, common": SessionFilter(type="report-pending"),
    "an action's type, one session in a hundred": SessionFilter(type="report-failed"),
    "an action's type, ten sessions": SessionFilter(type="report-suspicious"),
    "an action's type that never was": SessionFilter(type="nothing"),
    "a dataset": SessionFilter(dataset="daily_targets"),
    "a dataset that never was": SessionFilter(dataset="weather"),
    "a window": SessionFilter(window=str(SOME_DAY)),
    "a window of a dataset": SessionFilter(window=str(SOME_DAY), dataset="daily_targets"),
    "a window of an account": SessionFilter(window=str(SOME_DAY), account=SOME_ACCOUNT),
    "a run": SessionFilter(run=SOME_RUN),
    "since an hour ago": SessionFilter(since=ago(hours=1)),
    "before 80 days ago": SessionFilter(before=ago(days=80)),
    "an account and a type": SessionFilter(account=SOME_ACCOUNT, type="report-failed"),
    "an account and a job": SessionFilter(account=SOME_ACCOUNT, job="poll-reports"),
    "a status and a type": SessionFilter(status="failed", type="report-processed"),
    "a job, a type and a status": SessionFilter(
        job="poll-reports", type="report-pending", status="succeeded"
    ),
    "a text, in every session": SessionFilter(text="processing"),
    "a text, in one session of a hundred": SessionFilter(text="out of ink"),
    "a text, in one session": SessionFilter(text=SOME_REPORT),
    "a text that never was": SessionFilter(text="nothing"),
    "a text of common words that never were together": SessionFilter(text="ink usd"),
    "a text that is a job's name": SessionFilter(text="load-windows"),
    "a common text and an account that has it": SessionFilter(
        text="processing", account=SOME_ACCOUNT
    ),
    "a common text and an account without it": SessionFilter(
        text=OTHERS_WORD, account=QUIET_ACCOUNT
    ),
    "a common text and a status without it": SessionFilter(text=OTHERS_WORD, status="running"),
    "a common text and a type": SessionFilter(text="processing", type="report-failed"),
    "a common text and a window": SessionFilter(text="processing", window=str(SOME_DAY)),
    "a rare text and an account": SessionFilter(text="out of ink", account=SOME_ACCOUNT),
}
OLDER: Mapping[str, SessionFilter] = {
    "everything": SessionFilter(),
    "an account": SessionFilter(account=SOME_ACCOUNT),
    "a dataset": SessionFilter(dataset="daily_targets"),
    "a text, in every session": SessionFilter(text="processing"),
}
SPANS: Mapping[str, datetime] = {
    "a day by hours": ago(days=1),
    "a week by hours": ago(days=7),
}
EXPLAINED = (
    "no filter",
    "an account",
    "an outcome, rare",
    "a window of a dataset",
    "an action's type, one session in a hundred",
    "an account and a type",
)


def sessions(*, keep_plans: bool = False) -> Iterator[Figure]:
    """Measure; with `keep_plans`, write the query plans to docs/sessions-query-plans.md as well."""
    yield told(
        "load of the machine beforehand (processes that want a core)", os.getloadavg()[0], ""
    )
    yield from writing()
    with session_world() as engine:
        yield from _reading(engine)
        if keep_plans:
            PLANS.write_text(_plans(engine))


def _reading(engine: Engine) -> Iterator[Figure]:
    skip_imported_objects()  # as the stream's server does at its start
    store = SessionStore.connect(engine.url.render_as_string(hide_password=False))
    with engine.begin() as connection:
        for table in ("session_headers", "session_actions", "session_references"):
            count = connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()
            yield told(f"rows of {table}", count, "")
        some = connection.execute(
            text("SELECT id FROM session_headers ORDER BY started_at DESC OFFSET 50000 LIMIT 1")
        ).scalar_one()
    for name, wanted in FILTERS.items():
        most = MOST_MILLISECONDS if wanted.text is None else MOST_FOR_TEXT
        yield _p95(f"50 sessions, {name}", partial(load_sessions, store, wanted, 50), most)
    for name, wanted in OLDER.items():
        most = MOST_MILLISECONDS if wanted.text is None else MOST_FOR_TEXT
        older = partial(load_sessions, store, wanted, 50, MIDDLE)
        yield _p95(f"50 sessions, {name}, older than one in the middle", older, most)
    yield _p95("one session of 20 actions", lambda: load_session(store, some))
    some_of = partial(load_session, store, LONGEST, most=MOST_ACTIONS)
    for page, after in enumerate(range(0, MAX_ACTIONS, MOST_ACTIONS), 1):
        yield _p95(
            f"one session of 5,000 actions, its answer {page}", partial(some_of, after=after)
        )
    for name, since in SPANS.items():
        yield _p95(f"metrics of {name}", partial(_metrics, store, since))
    store.dispose()


def _p95(name: str, call: Callable[[], object], most: float = MOST_MILLISECONDS) -> Figure:
    """Measure a call with its answer as JSON, made as the stream's server makes it."""
    return at_most(f"{name}, p95", p95_milliseconds(lambda: json_bytes(call())), "ms", most)


def _metrics(store: SessionStore, since: datetime) -> object:
    with store.snapshot() as connection:
        return aggregate_jobs(connection, since, NOW)


def _plans(engine: Engine) -> str:
    with engine.begin() as connection:
        version = connection.execute(text("SHOW server_version")).scalar_one()
        parts = [
            explained(
                connection,
                f"The newest 50 sessions, {name}",
                partial(list_sessions, connection, FILTERS[name], limit=50),
            )
            for name in EXPLAINED
        ]
        parts += [
            explained(
                connection, f"Metrics of {name}", partial(aggregate_jobs, connection, since, NOW)
            )
            for name, since in SPANS.items()
            if "week" in name
        ]
    return f"{PLANS_HEAD}\nPostgreSQL {version}.\n\n" + "\n".join(parts)


PLANS_HEAD = """# Query plans of reading sessions

Written by `make bench SUITE=sessions KEEP=plans`: 100,000 sessions, 2 million actions, 3 million references, everything in memory. See
[sessions-performance.md](sessions-performance.md) for the figures."""
