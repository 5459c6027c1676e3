"""What `bidbeacon doctor` finds, and what it makes of it."""

import json
import os
import socket
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Engine, text
from typer.testing import CliRunner, Result

from bidbeacon_pipelines.accounts.tables import Account, AdsAccount
from bidbeacon_pipelines.amazon_ads.call_queries import CallSummary
from bidbeacon_pipelines.cli import app
from bidbeacon_pipelines.database.engine import shared_engine
from bidbeacon_pipelines.database.presence import announce, find_dagster_kind, program_version
from bidbeacon_pipelines.database.processes import list_processes, note_process
from bidbeacon_pipelines.database.schema import list_revisions, schema_problem
from bidbeacon_pipelines.problems.health_checks import (
    AmazonState,
    Level,
    check_accounts,
    check_amazon,
    check_calls,
    check_dagster,
    check_database,
    check_disk,
    check_gates,
    check_processes,
    check_requests,
    check_sessions,
    check_windows,
)
from bidbeacon_pipelines.problems.health_queries import (
    FailedWindows,
    RequestsState,
    ServerState,
    find_daemon_heartbeat,
    read_requests,
)
from bidbeacon_pipelines.requests.gate_queries import GateState
from bidbeacon_pipelines.requests.tables import ReportGate
from bidbeacon_pipelines.sandbox.faults import FaultRule
from bidbeacon_pipelines.sandbox.server import SandboxHandle
from bidbeacon_pipelines.settings import get_settings

NOW = datetime(2026, 3, 15, 12, tzinfo=UTC)
GIB = 2**30


def account(key: str, *, needs_attention: str | None = None, paused: bool = False) -> Account:
    """Make an account."""
    ads_account = AdsAccount(
        account_id=f"amzn1.{key}", ads_account_key=key, name=key, needs_attention=needs_attention
    )
    return Account(
        account_id=ads_account.account_id,
        country_code="US",
        account_key=key,
        amazon_status="CREATED",
        paused=paused,
        ads_account=ads_account,
    )


def calls(
    name: str, number: int, *, failed: int = 0, throttled: int = 0, waited: float = 0
) -> CallSummary:
    """Make the summary of calls of one name."""
    took = timedelta(seconds=waited)
    return CallSummary(
        name, number, failed, throttled, took, timedelta(seconds=40), timedelta(seconds=1)
    )


def gate(**changes: Any) -> GateState:
    """Make a gate with two reports in flight of two, and three planned."""
    stored = ReportGate(
        client_id="client",
        region="EU",
        in_flight_limit=2.0,
        pace=timedelta(seconds=1),
        next_create_at=NOW - timedelta(minutes=1),
        refusals=0,
        refused_count=0,
        closed_for=timedelta(0),
    )
    return GateState(2, 3, stored.with_changes(**changes))


def test_a_gate_that_amazon_keeps_closed_is_told_with_what_it_costs() -> None:
    """An open one is fine however much waits; a closed one says until when, how often 429 came, and for how long nothing was created."""
    fine = check_gates([gate()], NOW)
    assert (fine.level, fine.details) == (Level.OK, ("EU: 2 of 2 in flight, 3 planned",))
    closed = gate(
        in_flight_limit=1.0,
        next_create_at=NOW + timedelta(minutes=4),
        refusals=1,
        region="NA",
        refused_count=5,
        closed_for=timedelta(minutes=21),
    )
    told = check_gates([gate(), closed], NOW)
    assert (told.level, told.found) == (Level.WARNING, "6 reports planned, NA refused (429)")
    assert told.details[1] == (
        "NA: 2 of 1 in flight, 3 planned, nothing created before 2026-03-15 12:04 UTC, "
        "5 × 429 so far, closed for 21 min 00 s in all"
    )
    assert told.facts["gates"][1]["closed_seconds"] == 1260
    assert "no report was created yet" == check_gates([], NOW).found


def ago(**duration: float) -> datetime:
    """Return an instant so long ago."""
    return NOW - timedelta(**duration)


@pytest.mark.parametrize(
    ("revision", "level", "said"),
    [
        ("0002", Level.OK, ""),
        ("0001", Level.FAILURE, "run `bidbeacon db upgrade` as the role that owns them"),
        ("9999", Level.FAILURE, "upgrade the program"),
        (None, Level.FAILURE, "run `bidbeacon db upgrade`"),
    ],
)
def test_tables_have_to_be_as_this_program_needs_them(
    revision: str | None, level: Level, said: str
) -> None:
    """Older, newer or missing ones are a failure: nothing else would work."""
    check = check_database(
        ServerState("18.4", revision, "0002"), schema_problem(revision, ["0001", "0002"])
    )
    assert check.level is level
    assert said in (check.to_do or "")


@pytest.mark.parametrize(
    ("problems", "level"),
    [
        ((None, None, None), Level.OK),
        ((None, "no connection", None), Level.WARNING),
        (("no connection", "no connection", "no connection"), Level.FAILURE),
    ],
)
def test_a_region_that_is_away_is_odd_and_all_are_a_failure(
    problems: tuple[str | None, ...], level: Level
) -> None:
    """Accounts of the other regions go on."""
    check = check_amazon(
        AmazonState("Amazon", False, dict(zip(("NA", "EU", "FE"), problems, strict=True)))
    )
    assert check.level is level


def test_refused_credentials_are_a_failure_with_what_to_do() -> None:
    """What the client said is what the doctor says."""
    check = check_amazon(
        AmazonState("Amazon", False, credential_problem="Authorise BidBeacon again.")
    )
    assert (Level.FAILURE, "Authorise BidBeacon again.") == (check.level, check.found)


def test_accounts_that_need_a_person_are_named_with_the_reason_once() -> None:
    """As long as others go on it is odd; where all stand still it is a failure."""
    refused = [account(f"US.{n}", needs_attention="revoked") for n in range(4)]
    check = check_accounts([account("US.well"), *refused, account("US.off", paused=True)])
    assert check.level is Level.WARNING
    assert check.found == "6 known, 1 refreshed, 1 paused, 4 need attention"
    assert check.details == ("US.0 · US, US.1 · US and 2 more: revoked",)
    assert check_accounts(refused).level is Level.FAILURE
    assert check_accounts([]).level is Level.WARNING
    assert check_accounts([account("US.well")]).level is Level.OK


@pytest.mark.parametrize(
    ("state", "level", "said"),
    [
        (RequestsState(0, None, 0, None), Level.OK, "no report is in flight"),
        (
            RequestsState(1, ago(hours=1), 0, None),
            Level.OK,
            "1 report in flight, the oldest for 1 h 00 min",
        ),
        (RequestsState(2, ago(hours=7), 0, None), Level.WARNING, "the oldest for 7 h 00 min"),
        (
            RequestsState(2, ago(hours=1), 1, ago(minutes=20)),
            Level.WARNING,
            "1 is overdue for a check, by 20 min",
        ),
        (
            RequestsState(2, ago(hours=9), 2, ago(hours=3)),
            Level.FAILURE,
            "2 are overdue for a check, by 3 h",
        ),
    ],
)
def test_reports_that_nobody_looks_at_are_told(
    state: RequestsState, level: Level, said: str
) -> None:
    """A late look is odd, one that is two hours late means that nobody works."""
    check = check_requests(state, NOW)
    assert check.level is level
    assert said in check.found


def failed(shop: int, dataset: str, windows: int, reason: str | None) -> FailedWindows:
    """Make the failed windows of a dataset of a shop."""
    return FailedWindows(f"US.{shop}", f"Shop {shop} · US", dataset, windows, reason)


def test_failed_windows_are_told_once_for_each_cause() -> None:
    """With how many windows, of which accounts and datasets; causes that differ in numbers only are one."""
    check = check_windows(
        [
            *(
                failed(shop, "daily_targets", 10, f"{shop} of 100 rows are bad")
                for shop in range(4)
            ),
            failed(0, "daily_products", 5, "7 of 100 rows are bad"),
            failed(1, "daily_products", 3, None),
        ]
    )
    assert (Level.WARNING, "48 windows failed") == (check.level, check.found)
    assert check.details == (
        "45 windows in daily_targets, daily_products of Shop 0 · US, Shop 1 · US and 2 more: 0 of 100 rows are bad",
        "3 windows in daily_products of Shop 1 · US: no reason is known",
    )
    assert check_windows([]).level is Level.OK


def test_only_the_first_causes_of_failed_windows_are_told() -> None:
    """How many more there are is told as well."""
    check = check_windows([failed(0, "daily_targets", 1, f"cause {name}") for name in "abcdefg"])
    assert (6, "… and 2 more") == (len(check.details), check.details[-1])


def test_sessions_without_a_sign_of_life_are_told() -> None:
    """With how long they have been silent, since their start where there never was one."""
    silent = {
        "id": uuid4(),
        "job_name": "poll-reports",
        "heartbeat_at": None,
        "started_at": ago(minutes=3),
    }
    check = check_sessions([silent], NOW)
    assert (Level.WARNING, "1 session without a heartbeat") == (check.level, check.found)
    assert "silent for 3 min 00 s" in check.details[0]
    assert check_sessions([], NOW).level is Level.OK


def test_calls_tell_what_throttling_cost() -> None:
    """Calls by name, the share that failed, 429s, and both kinds of waiting."""
    check = check_calls(
        [calls("create_report", 90, failed=9, throttled=9, waited=192), calls("token", 10)], [], NOW
    )
    assert check.level is Level.OK
    assert check.found == (
        "100 calls in the last 24 hours, 9.0% failed, 9 × 429; waited 3 min 12 s for Amazon, 1 min 20 s in our own queue"
    )
    assert check.details[0].split() == [
        "create_report",
        "90",
        "10.0%",
        "failed,",
        "9",
        "×",
        "429,",
        "waited",
        "3",
        "min",
        "12",
        "s",
    ]


def test_many_failed_calls_are_odd_unless_there_were_few() -> None:
    """One that failed of two says nothing."""
    assert check_calls([calls("token", 100, failed=30)], [], NOW).level is Level.WARNING
    assert check_calls([calls("token", 2, failed=1)], [], NOW).level is Level.OK
    assert check_calls([], [], NOW).found == "none in the last 24 hours"


def test_a_daemon_that_is_silent_starts_nothing() -> None:
    """Five minutes are ten missed signs of life."""
    assert check_dagster(ago(seconds=40), NOW).level is Level.OK
    assert check_dagster(ago(minutes=6), NOW).level is Level.WARNING
    assert check_dagster(None, NOW).level is Level.WARNING


def process(
    kind: str, host: str, *, version: str = "0.2.0 (0014)", **silent_for: float
) -> dict[str, Any]:
    """Make a process that was seen so long ago."""
    silence = timedelta(**silent_for)
    return {"kind": kind, "host": host, "pid": 1, "version": version, "silent_for": silence}


CLUSTER = [process("daemon", "a"), process("stream", "b"), process("worker", "c")]


@pytest.mark.parametrize(
    ("processes", "to_do"),
    [
        ([], None),
        (CLUSTER, None),
        ([process("daemon", "a"), process("stream", "a", hours=3)], None),
        ([*CLUSTER, process("worker", "d", hours=3)], None),
        (
            [*CLUSTER, process("webserver", "d", hours=3)],
            "no webserver is seen any more: start one.",
        ),
        ([*CLUSTER, process("daemon", "d")], "2 daemons run (a, d): stop all but one."),
        (
            [*CLUSTER, process("worker", "d", version="0.10.0 (0014)")],
            "3 of 4 processes run 0.2.0 (0014): upgrade them to 0.10.0 (0014).",
        ),
    ],
    ids=["none", "all well", "one host", "fewer workers", "a silent kind", "daemons", "versions"],
)
def test_processes_of_a_cluster_are_told(
    processes: list[dict[str, Any]], to_do: str | None
) -> None:
    """A kind that is silent everywhere, a second daemon and old versions are odd; on one host stopping is not."""
    check = check_processes(processes)
    assert check.to_do == to_do
    assert check.level is (Level.OK if to_do is None else Level.WARNING)


def test_a_process_that_runs_is_seen(database_url: str, engine: Engine) -> None:
    """Its row has its host, its version, and the database's time; another beat renews it."""
    announce("stream", database_url)
    deadline = time.monotonic() + 30
    with engine.begin() as connection:
        while not (seen := list_processes(connection, within=timedelta(minutes=1))):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        note_process(
            connection, "stream", socket.gethostname(), os.getpid(), "next", is_start=False
        )
        again = list_processes(connection, within=timedelta(minutes=1))
    assert [("stream", socket.gethostname(), program_version())] == [
        (one["kind"], one["host"], one["version"]) for one in seen
    ]
    assert [("next", seen[0]["started_at"])] == [
        (one["version"], one["started_at"]) for one in again
    ]
    assert again[0]["seen_at"] > seen[0]["seen_at"]


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
    ("free", "level"), [(6, Level.OK), (3, Level.WARNING), (0.5, Level.FAILURE)]
)
def test_a_disk_that_fills_up_is_told_before_it_is_full(free: float, level: Level) -> None:
    """Below five GiB it is odd, below one a failure."""
    assert check_disk("/data", int(free * GIB), 100 * GIB).level is level


def test_a_request_is_overdue_when_its_step_is_long_due_and_its_account_may_be_asked_for(
    engine: Engine,
) -> None:
    """One that waits for its time is not, nor one whose account needs attention."""
    with engine.begin() as connection:
        for number, (due, person) in enumerate(
            [("1 hour", None), ("-1 hour", None), ("2 hours", "no rights")]
        ):
            _add_request(connection, f"a{number}", due, person)
        now = connection.execute(text("SELECT now()")).scalar_one()
        state = read_requests(connection, late_since=now - timedelta(minutes=15))
    assert (3, 1, now - timedelta(hours=1)) == (state.in_flight, state.overdue, state.overdue_since)


def test_the_daemons_sign_of_life_is_read_from_its_body(engine: Engine) -> None:
    """Its column is local time; where Dagster has no tables there is none."""
    with engine.begin() as connection:
        assert find_daemon_heartbeat(connection) is None
        connection.execute(text("CREATE SCHEMA dagster"))
        connection.execute(
            text('CREATE TABLE dagster.daemon_heartbeats ("timestamp" timestamp, body text)')
        )
        assert find_daemon_heartbeat(connection) is None
        body = json.dumps({"__class__": "DaemonHeartbeat", "timestamp": NOW.timestamp()})
        connection.execute(
            text("INSERT INTO dagster.daemon_heartbeats VALUES ('2000-01-01', :body)"),
            {"body": body},
        )
        assert NOW == find_daemon_heartbeat(connection)


@pytest.fixture
def environment(
    database_url: str, sandbox: SandboxHandle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[SimpleNamespace]:
    """Point the settings at this test's database, sandbox and home."""
    monkeypatch.setenv("BIDBEACON_DATABASE_URL", database_url)
    monkeypatch.setenv("BIDBEACON_SANDBOX_PORT", sandbox.url.rpartition(":")[2])
    monkeypatch.setenv("BIDBEACON_HOME", str(tmp_path))
    get_settings.cache_clear()
    yield SimpleNamespace(faults=sandbox.state.faults, monkeypatch=monkeypatch)
    shared_engine(database_url).dispose()
    shared_engine.cache_clear()


def doctor(*options: str) -> Result:
    """Run the command."""
    return CliRunner().invoke(app, ["doctor", *options])


def by_name(result: Result) -> Mapping[str, Mapping[str, Any]]:
    """Return the checks of `doctor --json` by name."""
    return {check["name"]: check for check in json.loads(result.stdout)["checks"]}


def test_doctor_looks_at_everything_in_order(environment: SimpleNamespace) -> None:
    """On a fresh database nothing is broken; accounts, and Dagster's daemon, are still missing."""
    result = doctor("--json")
    assert result.exit_code == 0, result.output
    levels = {name: check["level"] for name, check in by_name(result).items()}
    names = [
        "database",
        "sandbox",
        "accounts",
        "requests",
        "gates",
        "windows",
        "contract",
        "sessions",
        "calls",
        "jobs",
        "Dagster",
        "processes",
        "alerts",
        "partitions",
        "disk",
    ]
    assert names == list(levels)
    assert {"accounts", "Dagster"} == {name for name, level in levels.items() if level == "warning"}
    assert by_name(result)["database"]["facts"]["revision"] == list_revisions()[-1]
    assert by_name(result)["calls"]["facts"]["calls"] == 4  # its own: a token, and one a region


def test_doctor_prints_a_line_for_each_check(environment: SimpleNamespace) -> None:
    """With its mark, and what to do."""
    lines = doctor().stdout.splitlines()
    assert lines[0].startswith("✔ database   PostgreSQL")
    assert any(line.startswith("! accounts") for line in lines)
    assert any(line.startswith("✔ partitions ") for line in lines)
    assert any("→ Run `bidbeacon accounts sync`" in line for line in lines)
    assert lines[-1] == "2 warnings, nothing broken."


def test_doctor_ends_with_1_where_credentials_are_refused(environment: SimpleNamespace) -> None:
    """One call finds it out, and no region is asked."""
    environment.faults.add(FaultRule(fault="invalid_grant"))
    result = doctor("--json")
    assert result.exit_code == 1
    assert "Authorise BidBeacon again" in by_name(result)["sandbox"]["found"]


def test_doctor_does_not_wait_for_a_region_that_throttles(environment: SimpleNamespace) -> None:
    """Amazon's wish to wait is told instead of granted."""
    environment.faults.add(FaultRule(fault="throttle", operation="list_profiles"))
    result = doctor("--json")
    assert by_name(result)["sandbox"]["level"] == "failure"
    assert "Too Many Requests" in by_name(result)["sandbox"]["details"][0]


def test_doctor_goes_on_without_a_database(environment: SimpleNamespace) -> None:
    """It is told as the first thing, and Amazon and the disk are looked at all the same."""
    environment.monkeypatch.setenv("BIDBEACON_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    get_settings.cache_clear()
    result = doctor("--json")
    assert result.exit_code == 1
    levels = {name: check["level"] for name, check in by_name(result).items()}
    assert {"database": "failure", "sandbox": "ok", "disk": "ok"} == levels


def _add_request(connection: Any, account_id: str, due_ago: str, person: str | None) -> None:
    values = {"id": account_id, "person": person, "for": person and "account", "due_ago": due_ago}
    connection.execute(
        text("""INSERT INTO ads_accounts (account_id, ads_account_key, name, client_id, region, time_zone, needs_attention, needs_attention_for)
                VALUES (:id, :id, :id, 'test', 'NA', 'UTC', :person, :for)"""),
        values,
    )
    connection.execute(
        text("""INSERT INTO report_requests (account_id, dataset, report, start_date, end_date, status, report_id, next_step_at)
                VALUES (:id, 'daily_targets', 'SP+SB+SD', '2026-01-01', '2026-01-01', 'in_flight', :id, now() - CAST(:due_ago AS interval))"""),
        values,
    )
