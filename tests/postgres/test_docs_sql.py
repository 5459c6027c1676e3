"""The queries and the example program of the documents run as they stand there."""

import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from dagster import materialize
from sqlalchemy import Engine, text

import bidbeacon_sessions
from bidbeacon_pipelines.actions import (
    ReportFailed,
    ReportProcessed,
    ReportRequested,
    SkipReason,
    WindowSkipped,
    WindowsQueued,
)
from bidbeacon_pipelines.causes import explain_as_json
from bidbeacon_pipelines.settings import PROJECT_ROOT
from bidbeacon_sessions import SessionStore, Subject, with_job_session
from bidbeacon_sessions.sentences import explain_causes_with
from bidbeacon_sessions.tables import create_tables
from tests.support.recorded_sessions import recorded
from tests.support.rows import change_sessions

FIRST_HOUR = "docs/tutorial/first-hour.md"
ACCOUNT = Subject("US.acme-merch.1kc1bk21")
FACTS = {"account": ACCOUNT.key, "dataset": "daily_targets", "windows": [date(2026, 11, 23)]}

BLOCK, FLAGS = r"^ *```{}\n(.*?)^ *```", re.MULTILINE | re.DOTALL


def _blocks(document: str, language: str) -> list[str]:
    text_of_page = (PROJECT_ROOT / document).read_text(encoding="utf-8")
    found = re.findall(BLOCK.format(language), text_of_page, FLAGS)
    assert found, f"{document} has no {language}"
    return found


def _about_sessions(document: str) -> list[str]:
    found = [query for query in _blocks(document, "sql") if "job_sessions" in query]
    assert found, f"{document} has no query about sessions"
    return found


@pytest.fixture
def told(session_store: SessionStore) -> Iterator[SessionStore]:
    """A database with sessions of the last hours: loaded with a failed report, skipped, rolled back, failed, and one that runs."""
    job = partial(with_job_session, store=session_store)
    loaded = {**FACTS, "request_id": 1, "report_id": "rpt-1"}
    failed = {**FACTS, "dataset": "hourly_targets", "request_id": 3}
    with job("load-windows", account=ACCOUNT, run_id="run-1", step_key="load") as session:
        session.add(WindowsQueued(**FACTS, request_id=1, by_hand=True))
        session.add(ReportRequested(**loaded))
        session.add(ReportProcessed(**loaded, rows=1_587, currency="USD"))
        session.add(ReportFailed(**failed, cause={"code": "report-failed", "status": "FAILED"}))
    with job("refresh-account", account=ACCOUNT, clock=_earlier) as session:
        session.add(WindowSkipped(**FACTS, reason=SkipReason.WAITS_FOR_AMAZON))
    with (
        job("refresh-account", account=ACCOUNT) as session,
        pytest.raises(LookupError),
        session_store.begin() as connection,
    ):
        session.add_in(connection, ReportProcessed(**loaded | {"request_id": 2}, rows=1))
        raise LookupError
    with pytest.raises(LookupError), job("load-windows", account=ACCOUNT):
        raise LookupError("no such window")
    with job("poll-reports"):
        yield session_store


def _earlier() -> datetime:
    return datetime.now(UTC) - timedelta(hours=2)


@pytest.mark.parametrize(
    "query", [*_blocks("docs/sessions/guide.md", "sql"), *_about_sessions(FIRST_HOUR)]
)
def test_a_query_of_the_documents_finds_something(told: SessionStore, query: str) -> None:
    """Each query runs as it stands, and has an answer where sessions of each kind are stored."""
    with told.begin() as connection:
        assert connection.exec_driver_sql(query).all()


def _questions() -> Iterator[Any]:
    for path in sorted((PROJECT_ROOT / "docs").rglob("*.md")):
        page = str(path.relative_to(PROJECT_ROOT))
        blocks = re.findall(BLOCK.format("sql"), path.read_text(encoding="utf-8"), FLAGS)
        for number, block in enumerate(blocks, start=1):
            if re.match(r"(--.*\n|\s)*(select|with)\b", block, re.IGNORECASE):
                yield pytest.param(block, id=f"{page}-{number}")


@pytest.mark.parametrize("query", _questions())
def test_queries_run_as_they_stand(engine: Engine, dagster_tables: None, query: str) -> None:
    """Each query of each page can be pasted, also where nothing is loaded yet."""
    with engine.begin() as connection:
        connection.exec_driver_sql(query).all()


def test_the_windows_story_is_told_in_order(told: SessionStore) -> None:
    """The query about one window gives its skips, requests and loads by time."""
    [query] = [query for query in _blocks("docs/sessions/guide.md", "sql") if "as detail" in query]
    with told.begin() as connection:
        rows = connection.exec_driver_sql(query).all()
    assert [
        ("skipped", "no report may be created at Amazon now"),
        ("queued", None),
        ("requested", "rpt-1"),
        ("loaded", "rpt-1"),
    ] == [(row.effect, row.detail) for row in rows]


def test_the_view_has_the_columns_of_the_documents(engine: Engine) -> None:
    """docs/sessions/guide.md describes every column of `job_sessions`, and no other."""
    page = (PROJECT_ROOT / "docs" / "sessions" / "guide.md").read_text(encoding="utf-8")
    table = re.findall(r"^\| (`.+?`) \|", page.partition("## Questions")[0], re.MULTILINE)
    with engine.begin() as connection:
        columns = connection.execute(text("SELECT * FROM job_sessions LIMIT 0")).keys()
    assert sorted(columns) == sorted(re.findall(r"`(\w+)`", " ".join(table)))


def test_the_library_has_nine_names_and_each_has_its_example() -> None:
    """docs/reference/sessions-names.md has a section for each public name, and no more than ten of them are ever to be learnt."""
    page = (PROJECT_ROOT / "docs" / "reference" / "sessions-names.md").read_text(encoding="utf-8")
    sections = re.findall(r"^## (\w+)$(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    assert sorted(bidbeacon_sessions.__all__) == sorted(name for name, _ in sections)
    assert len(sections) < 10
    assert all("```python" in text and name in text for name, text in sections)


def test_the_examples_of_the_library_run(empty_url: str) -> None:
    """From the first to the last, as somebody would who reads the page, in an empty database."""
    names: dict[str, Any] = {"__name__": "examples_of_the_library", "database_url": empty_url}
    page = "docs/reference/sessions-names.md"
    for number, example in enumerate(_blocks(page, "python"), start=1):
        exec(compile(example, f"example {number} of {page}", "exec"), names)
    names["store"].dispose()
    explain_causes_with(explain_as_json)  # one of them has another function explain causes


def test_the_library_needs_no_dagster() -> None:
    """Importing it imports neither Dagster nor a web server."""
    program = "import sys, bidbeacon_sessions; print(sorted({'dagster', 'starlette', 'uvicorn'} & sys.modules.keys()))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert "[]" == done.stdout.strip()


def test_the_example_project_records_a_session(
    empty_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The code location of docs/sessions/production.md: its asset leaves a session in an empty database, and its job deletes it when it is old."""
    [program] = _blocks("docs/sessions/production.md", "python")
    (tmp_path / "example_of_the_docs.py").write_text(program, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("BIDBEACON_DATABASE_URL", empty_url)
    example = importlib.import_module("example_of_the_docs")
    monkeypatch.delitem(sys.modules, "example_of_the_docs")
    store = example.session_store()
    create_tables(store.engine)
    assert materialize([example.invoices], resources={"sessions": example.Sessions()}).success
    [row] = recorded(store)
    assert ("fetch-invoices", "succeeded") == (row.job_name, row.status)
    assert 12 == row.actions[0]["invoices"]
    old = datetime.now(UTC) - timedelta(days=91)
    change_sessions(store.engine, started_at=old, finished_at=old)
    assert example.defs.resolve_job_def("delete_old_sessions").execute_in_process().success
    [row] = recorded(store)
    assert ("delete-old-sessions", 1) == (row.job_name, row.actions[0]["sessions"])
    store.dispose()
