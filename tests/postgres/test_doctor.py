"""`bidbeacon doctor`: the database, Amazon's answers and all findings, each with what to do; and what is found of the machine and of processes."""

import json
import os
import socket
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import Engine, func

from bidbeacon_pipelines.causes import Severity
from bidbeacon_pipelines.database.engine import shared_engine
from bidbeacon_pipelines.database.processes import (
    announce,
    find_dagster_kind,
    list_processes,
    program_version,
    record_process,
)
from bidbeacon_pipelines.database.schema import list_revisions
from bidbeacon_pipelines.problems.doctor import judge_regions
from bidbeacon_pipelines.problems.system_findings import (
    judge_disk,
    judge_logs,
    judge_processes,
    too_many_partitions,
    unpolled_reports,
)
from bidbeacon_pipelines.settings import Settings, get_settings
from bidbeacon_sandbox.server import SandboxHandle
from tests.support.commands import run_command
from tests.support.rows import add_account, add_ads_account, add_request, add_session
from tests.support.rules import rule
from tests.support.waiting import wait_until
from tests.support.world import execute

NOW = datetime(2026, 3, 15, 12, tzinfo=UTC)
HOUR, GIB = timedelta(hours=1), 2**30


@pytest.mark.parametrize(
    ("problems", "severity"),
    [
        ((None, None, None), Severity.FINE),
        ((None, "no connection", None), Severity.WARNING),
        (("no connection", "no connection", "no connection"), Severity.ERROR),
    ],
)
def test_a_region_that_is_away_is_odd_and_all_are_a_failure(
    problems: tuple[str | None, ...], severity: Severity
) -> None:
    """Accounts of the other regions go on."""
    check = judge_regions("Amazon", "Amazon", dict(zip(("NA", "EU", "FE"), problems, strict=True)))
    assert check.severity is severity


def process(kind: str, host: str, **changes: Any) -> dict[str, Any]:
    """Make a process that started an hour ago, and was seen just now with a right clock."""
    usual = {"pid": 1, "version": "0.2.0 (0014)", "started_at": NOW - HOUR, "seen_at": NOW}
    no_time = {"silent_for": timedelta(0), "clock_ahead_by": timedelta(0)}
    return {"kind": kind, "host": host, **usual, **no_time, **changes}


SILENT = {"seen_at": NOW - 3 * HOUR, "silent_for": 3 * HOUR}
CLUSTER = [process("daemon", "a"), process("stream", "b"), process("worker", "c")]
CLUSTERS: dict[str, tuple[list[dict[str, Any]], str | None]] = {
    "none": ([], None),
    "all well": (CLUSTER, None),
    "one host": ([process("daemon", "a"), process("stream", "a", **SILENT)], None),
    "no daemon": (
        [process("daemon", "a", **SILENT), process("stream", "a")],
        "No daemon is running any more.",
    ),
    "fewer workers": ([*CLUSTER, process("worker", "d", **SILENT)], None),
    "a silent kind": (
        [*CLUSTER, process("webserver", "d", **SILENT)],
        "No webserver is running any more.",
    ),
    "daemons": ([*CLUSTER, process("daemon", "d")], "Several Dagster daemons are running: a, d."),
    "a daemon that was restarted": (
        [
            process("daemon", "a", seen_at=NOW - timedelta(seconds=20)),
            process("daemon", "a", started_at=NOW - timedelta(seconds=10)),
        ],
        None,
    ),
    "versions": (
        [*CLUSTER, process("worker", "d", version="0.10.0 (0014)")],
        "Processes run different versions: 0.10.0 (0014), 0.2.0 (0014).",
    ),
    "clocks that are right": (
        [
            process("daemon", "a", clock_ahead_by=timedelta(seconds=50)),
            process("worker", "c", clock_ahead_by=timedelta(seconds=-50)),
        ],
        None,
    ),
    "clocks": (
        [
            process("daemon", "a", clock_ahead_by=2 * HOUR),
            *CLUSTER[1:],
            process("worker", "d", clock_ahead_by=timedelta(seconds=-90)),
        ],
        "Clocks of hosts differ from the database's: a is 2 h 00 min ahead, d is 1 min 30 s behind.",
    ),
    "a clock of a process that ended": (
        [*CLUSTER, process("worker", "d", clock_ahead_by=HOUR, **SILENT)],
        None,
    ),
}


@pytest.mark.parametrize(("processes", "said"), CLUSTERS.values(), ids=CLUSTERS)
def test_processes_of_a_cluster_are_told(processes: list[dict[str, Any]], said: str | None) -> None:
    """A kind that is silent everywhere, a second daemon, old versions and wrong clocks are odd; on one host stopping is not."""
    found = [f"{one.sentence} {one.advice}" for one in judge_processes(processes)]
    assert [] == found if said is None else found[0].startswith(said)


def test_a_process_that_runs_is_seen(database_url: str, engine: Engine) -> None:
    """Its row has its host, its version, and the database's time; another beat renews it."""
    announce("stream", database_url)
    own = ("stream", socket.gethostname(), os.getpid())
    with engine.begin() as connection:
        wait_until(lambda: list_processes(connection, within=HOUR))
        [seen] = list_processes(connection, within=HOUR)
        record_process(connection, *own, "next", is_start=False)
        [again] = list_processes(connection, within=HOUR)
    assert (*own, program_version()) == tuple(
        seen[name] for name in ("kind", "host", "pid", "version")
    )
    assert ("next", seen["started_at"]) == (again["version"], again["started_at"])
    assert again["seen_at"] > seen["seen_at"]


@pytest.mark.parametrize(
    ("command", "kind"),
    [
        ("/venv/bin/python /venv/bin/dagster-daemon run -w workspace.yaml", "daemon"),
        ("python -m dagster._daemon run", "daemon"),
        ("/venv/bin/python /venv/bin/dagster-webserver -h 0.0.0.0", "webserver"),
        ("python -m dagster_webserver", "webserver"),
        ("/venv/bin/python /venv/bin/dagster code-server start -h 0.0.0.0", "code server"),
        ("/venv/bin/python -m dagster api grpc --lazy-load-user-code", "code server"),
        ("/venv/bin/python -m dagster api execute_run", None),
        ("/venv/bin/python /venv/bin/celery -A bidbeacon_pipelines.celery_worker worker", None),
    ],
)
def test_long_lived_processes_of_dagster_are_recognised(command: str, kind: str | None) -> None:
    """By the command that started them; runs are not among them."""
    assert find_dagster_kind(command.split()) == kind


@pytest.mark.parametrize(
    ("free", "expected"), [(6, []), (3, [Severity.WARNING]), (0.5, [Severity.ERROR])]
)
def test_a_disk_that_fills_up_is_told_before_it_is_full(
    free: float, expected: list[Severity]
) -> None:
    """Below five GiB it is odd, below one a failure."""
    assert expected == [
        one.severity for one in judge_disk(Path("/data"), int(free * GIB), 100 * GIB)
    ]


def test_logs_that_cannot_be_written_are_told(tmp_path: Path) -> None:
    """Whether the folder is there or not; nothing is told where Dagster has no folder on this machine."""
    assert [] == judge_logs(tmp_path / "nowhere" / "storage")
    assert [] == judge_logs(tmp_path / "storage")
    (tmp_path / "storage").write_text("")
    [finding] = judge_logs(tmp_path / "storage")
    assert f"can't be written to {tmp_path}/storage: Not a directory." in finding.sentence
    assert [] == list(tmp_path.glob("tmp*"))


def test_partitions_of_stopped_accounts_count(engine: Engine) -> None:
    """A paused account keeps its partitions, and so does one that was disabled after its first sync of entities."""
    disabled: dict[str, Any] = {"amazon_status": "DISABLED"}
    synced: dict[str, Any] = {"entities_synced_at": NOW}
    kinds = {"paused": synced | {"paused": True}, "active": synced, "gone": synced | disabled}
    with engine.begin() as connection:
        for kind, columns in (kinds | {"never": disabled}).items():
            for number in range(50):
                add_account(connection, account_id=f"{kind}{number}", **columns)
        [found] = too_many_partitions(connection, Settings(partition_months=24), NOW)
    assert "150 accounts" in found.sentence


def test_reports_that_nobody_polls_are_told(engine: Engine) -> None:
    """One that waits for its time is not, nor one whose account needs attention; what is two hours late is an error."""
    refused: dict[str, Any] = {"needs_attention": {"code": "account-refused"}}
    refused |= {"needs_attention_for": "account"}
    with engine.begin() as connection:
        for account_id, due_at, stopped in (
            ("waits", NOW + HOUR, {}),
            ("stopped", NOW - 3 * HOUR, refused),
            ("late", NOW - HOUR, {}),
        ):
            add_ads_account(connection, account_id, **stopped)
            polled: dict[str, Any] = {"status": "in_flight", "report_id": account_id}
            add_request(connection, account_id, NOW.date(), next_step_at=due_at, **polled)
        [found] = unpolled_reports(connection, Settings(), NOW)
        [later] = unpolled_reports(connection, Settings(), NOW + timedelta(minutes=61))
    assert (1, NOW - HOUR) == (found.count, found.since)
    assert (Severity.WARNING, Severity.ERROR) == (found.severity, later.severity)


@pytest.fixture
def environment(
    database_url: str, sandbox: SandboxHandle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[SimpleNamespace]:
    """Point the settings at this test's database, sandbox and home."""
    monkeypatch.setenv("BIDBEACON_DATABASE_URL", database_url)
    monkeypatch.setenv("BIDBEACON_SANDBOX_PORT", sandbox.url.rpartition(":")[2])
    monkeypatch.setenv("BIDBEACON_HOME", str(tmp_path))
    get_settings.cache_clear()
    yield SimpleNamespace(rules=sandbox.state.rules, monkeypatch=monkeypatch)
    shared_engine(database_url).dispose()
    shared_engine.cache_clear()


def checks(*, code: int = 0) -> Mapping[str, Mapping[str, Any]]:
    """Return the findings of `doctor --json` by code."""
    return {
        one["code"]: one
        for one in json.loads(run_command("doctor", "--json", code=code).stdout)["checks"]
    }


def test_doctor_looks_at_everything_in_order(environment: SimpleNamespace) -> None:
    """On a fresh database nothing is wrong, and it says how to begin."""
    found = checks()
    assert ["database", "sandbox", "processes", "accounts"] == list(found)
    assert {"fine"} == {check["severity"] for check in found.values()}
    assert found["database"]["facts"]["revision"] == list_revisions()[-1]
    lines = run_command("doctor").stdout.splitlines()
    assert lines[0].startswith("✔ database: PostgreSQL")
    assert any("none is known: run `bidbeacon accounts sync`" in line for line in lines)
    assert lines[-1] == "All is well."


def test_doctor_lists_the_processes_of_all_hosts(
    environment: SimpleNamespace, engine: Engine
) -> None:
    """Each with its version and when it was last seen."""
    with engine.begin() as connection:
        record_process(connection, "worker", "b", 1, "0.2.0 (0014)", is_start=True)
        record_process(connection, "daemon", "a", 1, "0.2.0 (0014)", is_start=True)
    execute(engine, "UPDATE processes SET seen_at = now() - interval '2 hours'")
    found = checks()["processes"]
    assert ("fine", "2 seen within a day") == (found["severity"], found["sentence"])
    assert "daemon on a, 0.2.0 (0014), seen 2 h 00 min ago" == found["effects"][0]["text"]
    facts = [(one["kind"], one["host"], one["version"]) for one in found["facts"]["processes"]]
    assert [("daemon", "a", "0.2.0 (0014)"), ("worker", "b", "0.2.0 (0014)")] == facts


def test_doctor_lists_the_findings_of_home(environment: SimpleNamespace, engine: Engine) -> None:
    """With what to do; it ends with 1 where one is an error, unless it is acknowledged."""
    ago = func.now() - 3 * HOUR
    ended = {"status": "succeeded", "outcome": "ok", "finished_at": ago}
    add_session(engine, "poll-reports", started_at=ago, **ended)
    result = run_command("doctor", code=1)
    assert "✘ nothing-happens: No job has run for 3 h" in result.stdout
    assert "→ Check that Dagster is running" in result.stdout
    assert "  http://127.0.0.1:3030/sessions\n" in result.stdout
    assert "1 error." == result.stdout.splitlines()[-1]
    run_command("alerts", "acknowledge", "nothing-happens", "--by", "Bob")
    found = checks()["nothing-happens"]
    assert ("error", "Bob", None) == (
        found["severity"],
        found["acknowledged"]["by"],
        found["button"],
    )


def test_doctor_ends_with_1_where_credentials_are_refused(environment: SimpleNamespace) -> None:
    """One call finds it out, and no region is asked."""
    environment.rules.add(rule("token", what="revoked"))
    assert "Authorize BidBeacon again" in checks(code=1)["sandbox"]["sentence"]


def test_doctor_does_not_wait_for_a_region_that_throttles(environment: SimpleNamespace) -> None:
    """Amazon's wish to wait is told instead of granted."""
    environment.rules.add(rule("answer", "list_profiles", status=429, retry_after=1))
    found = checks(code=1)["sandbox"]
    assert found["severity"] == "error"
    assert "Too Many Requests" in found["effects"][0]["text"]


def test_doctor_goes_on_without_a_database(environment: SimpleNamespace) -> None:
    """It is told as the first thing, and Amazon is asked all the same."""
    environment.monkeypatch.setenv("BIDBEACON_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    get_settings.cache_clear()
    severities = {name: check["severity"] for name, check in checks(code=1).items()}
    assert {"database": "error", "sandbox": "fine"} == severities
