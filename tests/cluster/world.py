"""A cluster at work: its accounts, simulated days, faults of Amazon's, and what must hold whatever is broken meanwhile."""

import os
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.amazon_ads.download_folders import download_folder
from bidbeacon_pipelines.datasets.fields import products_of
from bidbeacon_pipelines.datasets.registry import DATASETS
from tests.cluster.cluster import (
    DAGSTER_PORT,
    SANDBOX_PORT,
    START_SECONDS,
    STREAM_PORT,
    VARIABLES,
    Cluster,
)
from tests.cluster.hosts import Host, Program, wait_patiently
from tests.faults.stream.stream_followers import LastingReader
from tests.support import world as support
from tests.support.one_dataset import shorten_history
from tests.support.rows import change_accounts, simulate_time
from tests.support.truth import DayRows, differences

COUNTRIES = (("US", "CA", "MX"), ("DE", "GB", "FR"), ("ES", "IT", "NL"), ("JP", "AU", "SG"))
"""Of four ads accounts in three regions: a dozen accounts, and 48 reports a day."""
REPORTS_IN_FLIGHT = 20
"""Reports of a gate, and of an ads account, at a time."""
SANDBOX = {
    "accounts": len(COUNTRIES),
    "countries": COUNTRIES,
    "rows_per_day": 10,
    "max_reports_in_flight": REPORTS_IN_FLIGHT,
}
SETTINGS = {
    "BIDBEACON_SANDBOX_URL": f"http://sandbox:{SANDBOX_PORT}",
    "BIDBEACON_FIRST_REPORTS_IN_FLIGHT": str(REPORTS_IN_FLIGHT),
    "BIDBEACON_WAIT_FOR_COUNTRIES_HOURS": "0",
    "BIDBEACON_LOADS_AT_ONCE": "4",
}
"""Settings that a person writes into `settings.env`, here with the sandbox for Amazon."""
HISTORY_DAYS = 5
"""Amazon serves so few days instead of 15 months, so that a first fill takes minutes."""
REPOSITORY, LOCATION = "__repository__", "bidbeacon"
DAY_SECONDS = 420
"""Until all that falls due in a day is loaded, on a machine that does other things as well."""
QUIET_HOUR = 17
"""UTC; no account's day ends in the hours after it. At its end, an Amazon that stands still would still be in the day before."""
AT_A_STREAM_SECONDS = (4.0, 6.0)
"""So long the reader stays at one of the two stream servers."""
TOKEN = {"Authorization": f"Bearer {VARIABLES['STREAM_TOKEN']}"}
EVER = datetime(2000, 1, 1, tzinfo=UTC)
SHORTEST_REST = timedelta(seconds=20)
"""Shorter ones pass by themselves."""
_WATCHED_GATE = """
    CREATE SCHEMA watched;
    CREATE TABLE watched.beyond_the_gate (request_id bigint, in_flight bigint, in_flight_limit float);
    CREATE FUNCTION watched.note() RETURNS trigger LANGUAGE plpgsql SET search_path = public AS $$
    BEGIN
        INSERT INTO watched.beyond_the_gate
        SELECT NEW.id, count(*), min(g.in_flight_limit)
          FROM report_requests r JOIN ads_accounts o USING (account_id) JOIN report_gates g USING (client_id, region)
         WHERE (g.client_id, g.region) = (SELECT client_id, region FROM ads_accounts a WHERE a.account_id = NEW.account_id)
           AND r.status IN ('sent', 'in_flight')
        HAVING count(*) > floor(min(g.in_flight_limit));
        RETURN NULL;
    END $$;
    CREATE CONSTRAINT TRIGGER watched AFTER UPDATE ON report_requests DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW WHEN (OLD.status = 'planned' AND NEW.status = 'sent') EXECUTE FUNCTION watched.note();"""
"""Notes each create that goes out though as many reports are in flight as the gate allows, when its transaction commits."""
_OPEN_WORK = """
    SELECT (SELECT count(*) FROM report_requests WHERE finished_at IS NULL) AS requests,
           (SELECT count(*) FROM report_windows w JOIN advertiser_accounts a USING (account_id, country_code)
             WHERE NOT a.paused AND w.next_refresh_at <= :now) AS windows,
           (SELECT count(*) FROM advertiser_accounts WHERE NOT paused AND entities_synced_at IS NULL) AS accounts,
           (SELECT count(*) FROM session_headers WHERE status = 'running') AS sessions,
           (SELECT count(*) FROM dagster.runs
             WHERE status IN ('QUEUED', 'NOT_STARTED', 'STARTING', 'STARTED', 'CANCELING')) AS runs"""
_OPEN_REQUESTS = """
    SELECT o.region, o.ads_account_key, r.status, r.attempts, count(*) AS requests, min(r.created_at) AS first_created_at,
           min(r.next_step_at) AS first_step_at, min(r.sent_at) AS first_sent_at, max(r.failure_kind) AS failure
      FROM report_requests r JOIN ads_accounts o USING (account_id)
     WHERE r.finished_at IS NULL GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4"""
_DUE_WINDOWS = """
    SELECT o.ads_account_key, o.needs_attention, o.next_run_at, o.planned_at, w.country_code, w.status, w.cause ->> 'code' AS cause,
           count(*) AS windows, min(w.dataset) AS dataset, min(w.window_date) AS first_day, max(w.window_date) AS last_day,
           min(w.next_refresh_at) AS due_from, max(w.next_refresh_at) AS due_to, min(w.expires_at) AS first_expires_at,
           max(w.expires_at) AS last_expires_at, max(w.request_id) AS request, max(w.last_loaded_at) AS last_loaded_at
      FROM report_windows w JOIN advertiser_accounts a USING (account_id, country_code) JOIN ads_accounts o USING (account_id)
     WHERE NOT a.paused AND w.next_refresh_at <= :now GROUP BY 1, 2, 3, 4, 5, 6, 7 ORDER BY 1, 5, 6, 7"""
_GATES = """
    SELECT region, in_flight_limit, next_create_at, refused_count, last_refused_at FROM report_gates ORDER BY region"""
_RESTING = """
    SELECT CASE WHEN bool_and(coalesce(next_step_at > CAST(:now AS timestamptz) + :shortest, false))
                 AND NOT EXISTS (SELECT FROM session_headers WHERE status = 'running')
                THEN min(next_step_at) - CAST(:now AS timestamptz) END
      FROM report_requests WHERE finished_at IS NULL"""
"""How long all requests rest from now on; null where something can be done before."""
_SESSIONS_OF_HOSTS = """
    SELECT h.id, h.run_id FROM session_leases l
      JOIN session_headers h ON h.id = l.session_id
     WHERE split_part(l.holder, ':', 1) = ANY(:hosts) AND h.status = 'running'"""
_ENDED_SESSIONS = """
    SELECT id FROM session_headers WHERE finished_at >= :since AND status = ANY(:statuses)"""
_LOADS = """
    SELECT at FROM session_actions
     WHERE type = 'report-processed' AND payload ->> 'more_countries' = 'false'
       AND at >= :since AND session_id <> ALL(CAST(:beside AS uuid[]))
     ORDER BY at"""
_LOADED_DATASETS = """
    SELECT count(DISTINCT (account_id, country_code, dataset)) FROM report_windows WHERE load_count > 0"""
_IN_FLIGHT = "SELECT count(*) FROM report_requests WHERE status IN ('in_flight', 'completed')"
_FAILED_RUNS = """
    SELECT run_id, pipeline_name FROM dagster.runs
     WHERE status = 'FAILURE' AND create_timestamp >= CAST(:since AS timestamptz) AT TIME ZONE 'UTC'"""
_ARE_OVER = """
    SELECT NOT EXISTS (SELECT FROM session_headers WHERE status = 'running' AND id = ANY(:ids))
       AND NOT EXISTS (SELECT FROM dagster.runs WHERE run_id = ANY(:runs)
                          AND status NOT IN ('SUCCESS', 'FAILURE', 'CANCELED'))"""
_NOT_RECORDED = """
    SELECT asset_key, partition, loads FROM (
        SELECT asset_key, account_key || '|' || CAST(window_date AS text) AS partition,
               array_agg(CAST(recorded_run_id AS text)) AS runs,
               string_agg(concat_ws(' ', report, status, next_refresh_at, load_count, recorded_load_count, last_loaded_at), '; ') AS loads
          FROM report_windows JOIN advertiser_accounts USING (account_id, country_code)
          JOIN unnest(CAST(:names AS text[]), CAST(:keys AS text[])) AS d (dataset, asset_key) USING (dataset)
         GROUP BY 1, 2 HAVING bool_and(load_count > 0 OR status = 'expired') AND max(load_count) > 0) AS days
     WHERE NOT coalesce((SELECT e.run_id FROM dagster.event_logs e
            WHERE e.asset_key = days.asset_key AND e.dagster_event_type = 'ASSET_MATERIALIZATION'
              AND e.partition = days.partition ORDER BY e.id DESC LIMIT 1) = ANY(days.runs), false)"""
"""Days with all their loads of which Dagster shows another load, or none."""
_LAUNCH = """
    mutation Launch($params: ExecutionParams!) {
      launchRun(executionParams: $params) {
        __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
_LOADED_TWICE = """
    SELECT payload ->> 'request_id' AS request, payload ->> 'account' AS account FROM session_actions
     WHERE type = 'report-processed' GROUP BY 1, 2 HAVING count(*) > 1"""
_LOADED = """
    SELECT dataset, report, window_date, data_as_of FROM report_windows
     WHERE account_id = :account_id AND country_code = :country_code AND last_loaded_at >= :since ORDER BY 1, 2"""


class World:
    """A cluster, and the questions that tests ask of it."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster, self.stored = cluster, support.World(cluster.engine)
        self.day = 0
        self._ahead_by = timedelta()
        self._began = time.monotonic()
        self.notes: list[str] = []
        self.programs: dict[str, Program] = {}
        members = (cluster.beta, cluster.gamma)
        self.streams = [f"http://{host.address}:{STREAM_PORT}" for host in members]
        self.reader: LastingReader

    def begin(self) -> None:
        """Make the database, start everything, and follow the stream from its beginning."""
        cluster = self.cluster
        cluster.make_database()
        cluster.start_broker()
        cluster.start_sandbox(SANDBOX)
        cluster.migrate(cluster.alpha)
        self.stored.execute(_WATCHED_GATE)
        shorten_history(cluster.engine, HISTORY_DAYS)
        now = self.now().astimezone(UTC)
        self.let_pass((now.replace(hour=QUIET_HOUR, minute=0) - now) % timedelta(days=1))
        self.start_all()

    def start_all(self, *, version: int = 1) -> None:
        """Start all services in a version, and a reader of the stream."""
        cluster = self.cluster
        for name in ("code-location", "webserver", "daemon"):
            self.start(name, cluster.alpha, version=version)
        for host in (cluster.beta, cluster.gamma):
            self.start("stream", host, version=version)
        for host in cluster.members:
            self.start("worker", host, version=version)
        serves = lambda: cluster.serves(cluster.beta) and cluster.serves(cluster.gamma)
        wait_patiently(serves, "both streams are ready", START_SECONDS)
        self.reader = LastingReader(self.streams, cut_seconds=AT_A_STREAM_SECONDS, headers=TOKEN)
        is_connected = lambda: self.reader.counts["connections"] > 0
        wait_patiently(is_connected, "the reader is connected", START_SECONDS)
        took = wait_patiently(cluster.is_ready, "Dagster is ready", START_SECONDS)
        self.note(f"all services are ready after {took:.0f} s more")

    def stop_all(self) -> None:
        """Stop all services and the reader."""
        self.reader.close()
        self.stop(*self.programs)

    def stop(self, *names: str) -> None:
        """Stop some services, all at once."""
        programs = [self.programs.pop(name) for name in names]
        for program in programs:
            program.ask_to_stop()
        for program in programs:
            program.await_end()

    def start(self, name: str, host: Host, *, version: int = 1, **variables: str) -> None:
        """Start a service on a host, where wanted with other variables of the compose file."""
        program = self.cluster.start(name, host, version=version, variables=variables)
        self.programs[f"{name} {host.name}"] = program

    def start_workers(self, *hosts: Host, version: int, **variables: str) -> None:
        """Stop all workers, and start those of some hosts; return when they take runs."""
        self.stop(*(name for name in self.programs if name.startswith("worker ")))
        for host in hosts:
            self.start("worker", host, version=version, **variables)
        workers = [self.programs[f"worker {host.name}"] for host in hosts]
        ready = lambda: all(" ready." in worker.log.read_text() for worker in workers)
        wait_patiently(ready, "workers are ready", START_SECONDS)

    def replace(self, name: str, host: Host, *, version: int = 1) -> None:
        """Stop a service of a host, and start it again, in another version."""
        self.programs.pop(f"{name} {host.name}").stop()
        self.start(name, host, version=version)

    def ended(self) -> list[str]:
        """Return the services that have ended by themselves."""
        return [name for name, program in self.programs.items() if not program.is_running]

    def note(self, what: str) -> None:
        """Keep a figure that is printed at the end, with the seconds since the beginning."""
        self.notes.append(f"{time.monotonic() - self._began:5.0f} s: {what}")

    def now(self) -> datetime:
        """Return the simulated instant."""
        now: datetime = self.stored.value(
            "SELECT clock_timestamp() + coalesce((SELECT ahead_by FROM simulated_time), '0')"
        )
        return now

    def next_day(self) -> None:
        """Let a day pass, for Amazon and for us."""
        self.day += 1
        self.let_pass(timedelta(days=1))

    def let_pass(self, duration: timedelta) -> None:
        """Let time pass, for Amazon and for us."""
        self._ahead_by += duration
        self._change_clock(advance_seconds=duration.total_seconds())
        self.keep_time()

    @contextmanager
    def frozen_amazon(self) -> Iterator[None]:
        """Let Amazon's time stand still, so that no report becomes ready, and catch up afterwards."""
        began = time.monotonic()
        self._change_clock(frozen=True)
        yield
        self._change_clock(advance_seconds=time.monotonic() - began, frozen=False)

    def _change_clock(self, **change: float) -> None:
        url = f"{self.cluster.sandbox_url}/sandbox/clock"
        self.cluster.http.post(url, json=change).raise_for_status()

    def keep_time(self) -> None:
        """Store what time it is, which a restored database has forgotten."""
        simulate_time(self.stored.engine, ahead_by=self._ahead_by)

    def skip_entities(self) -> None:
        """Let no entities fall due on this day."""
        change_accounts(self.stored.engine, entities_synced_at=self.now())

    def break_amazon(self, *rules: Mapping[str, Any]) -> None:
        """Let the sandbox fail by these rules only; without any, by none."""
        url = f"{self.cluster.sandbox_url}/sandbox/rules"
        self.cluster.http.delete(url).raise_for_status()
        for rule in rules:
            self.cluster.http.post(url, json=rule).raise_for_status()

    def settle(self, seconds: float = DAY_SECONDS) -> float:
        """Wait until nothing is due, asked for or under way; return how many seconds that took.

        Where all requests rest until a later time, that time comes at once.
        """
        took = wait_patiently(self._is_settled, "no work is left", seconds)
        self.note(f"day {self.day}: nothing is left to do after {took:.0f} s")
        return took

    def _is_settled(self) -> bool:
        if not any(self.open_work().values()):
            return True
        resting = self.stored.value(_RESTING, now=self.now(), shortest=SHORTEST_REST)
        if resting is not None:
            self.let_pass(resting)
        return False

    def open_work(self) -> Mapping[str, int]:
        """Return how much is due, and how much is under way."""
        [row] = self.stored.query(_OPEN_WORK, now=self.now())
        return row

    def what_waits(self) -> str:
        """Return what is left to do in detail: its figures, requests, due windows and gates."""
        requests, gates = self.stored.query(_OPEN_REQUESTS), self.stored.query(_GATES)
        windows = self.stored.query(_DUE_WINDOWS, now=self.now())
        return "\n".join(map(str, [self.now(), self.open_work(), *requests, *windows, *gates]))

    def loaded_datasets(self) -> int:
        """Return how many datasets of accounts have data."""
        return int(self.stored.value(_LOADED_DATASETS))

    def is_loading(self, host: Host) -> bool:
        """Return whether a worker of a host is in the middle of a load: it has a session, and a file of Amazon's."""
        return bool(self.sessions_on(host)) and any(host.path("/scratch").iterdir())

    def folders_left(self) -> list[Path]:
        """Return the folders with files of Amazon's, of all hosts."""
        scratch_folders = [host.path("/scratch") for host in self.cluster.members]
        return [folder for scratch in scratch_folders for folder in scratch.iterdir()]

    def clean_hosts(self) -> None:
        """Let what is in the scratch folders be old, and remove it as the next download of each host does."""
        for host in self.cluster.members:
            scratch = host.path("/scratch")
            for path in scratch.rglob("*"):
                os.utime(path, (0, 0))
            with download_folder(scratch, "cleaning"):
                pass

    def sessions_on(self, *hosts: Host) -> dict[UUID, str]:
        """Return the running sessions of processes on some hosts, each with its run."""
        rows = self.stored.query(_SESSIONS_OF_HOSTS, hosts=[host.name for host in hosts])
        return {row["id"]: row["run_id"] for row in rows}

    def sessions_since(self, since: datetime, *statuses: str) -> set[UUID]:
        """Return the sessions that ended in one of some ways since an instant of the database's own clock."""
        rows = self.stored.query(_ENDED_SESSIONS, since=since, statuses=[*statuses])
        return {row["id"] for row in rows}

    def loads_since(self, since: datetime, *, beside: Collection[UUID] = ()) -> list[datetime]:
        """Return when reports were loaded since an instant, by other sessions than some."""
        rows = self.stored.query(_LOADS, since=since, beside=[*beside])
        return [row["at"] for row in rows]

    def in_flight(self) -> int:
        """Return how many reports are requested and not loaded."""
        return int(self.stored.value(_IN_FLIGHT))

    def are_over(self, sessions: Mapping[UUID, str]) -> bool:
        """Return whether sessions and their runs have ended."""
        values = {"ids": [*sessions], "runs": [*sessions.values()]}
        return bool(self.stored.value(_ARE_OVER, **values))

    def runs_failed_since(self, since: datetime) -> list[Mapping[str, Any]]:
        """Return the runs that failed, of those that were created since an instant."""
        return self.stored.query(_FAILED_RUNS, since=since)

    def database_time(self) -> datetime:
        """Return the database's own time, in which sessions are written."""
        now: datetime = self.stored.value("SELECT clock_timestamp()")
        return now

    def launch(self, job: str) -> str:
        """Launch a job as a person does in Dagster's page; return the run."""
        selector = {
            "repositoryName": REPOSITORY,
            "repositoryLocationName": LOCATION,
            "jobName": job,
        }
        variables = {"params": {"selector": selector, "runConfigData": {}, "mode": "default"}}
        url = f"http://{self.cluster.alpha.address}:{DAGSTER_PORT}/graphql"
        json = {"query": _LAUNCH, "variables": variables}
        answer = self.cluster.http.post(url, json=json).raise_for_status().json()
        run_id: str = answer["data"]["launchRun"]["run"]["runId"]
        return run_id

    def status_of(self, run_id: str) -> str:
        """Return the status of a run."""
        return str(
            self.stored.value("SELECT status FROM dagster.runs WHERE run_id = :id", id=run_id)
        )

    def not_recorded(self) -> list[Mapping[str, Any]]:
        """Return the loaded days that Dagster shows another load of, or none."""
        names = [*DATASETS]
        keys = [f'["{dataset.name}"]' for dataset in DATASETS.values()]
        return self.stored.query(_NOT_RECORDED, names=names, keys=keys)

    def lost_by_reader(self) -> list[str]:
        """Return what the reader of the stream does not know as the tables have it."""
        sessions, actions = self.reader.view.sessions, self.reader.view.actions
        rows = self.stored.query("SELECT id, status, outcome FROM job_sessions")
        known = {(key, one["status"], one["outcome"]) for key, one in sessions.items()}
        stored = {(str(row["id"]), row["status"], row["outcome"]) for row in rows}
        rows = self.stored.query("SELECT session_id, ord FROM session_actions")
        told = {(str(row["session_id"]), row["ord"]) for row in rows}
        return [str(one) for one in (stored ^ known) | (told ^ actions.keys())]

    def loaded_twice(self) -> list[Mapping[str, Any]]:
        """Return the reports that were loaded more than once."""
        return self.stored.query(_LOADED_TWICE)

    def beyond_the_gate(self) -> list[Mapping[str, Any]]:
        """Return the creates that went out though the gate was full."""
        return self.stored.query("SELECT * FROM watched.beyond_the_gate")

    def not_true(self, since: datetime = EVER) -> list[str]:
        """Return how the windows loaded since an instant differ from the rows that Amazon had when they were asked for."""
        return [
            f"{account.account_key} {window['dataset']} {window['window_date']}: {difference}"
            for account in self.stored.accounts()
            for window in self.stored.query(_LOADED, **account.identity, since=since)
            for difference in self._differences(account, window)
        ]

    def _differences(self, account: Account, window: Mapping[str, Any]) -> Iterator[str]:
        """Compare all but the targets, which come with a later sync."""
        cluster, dataset, day = self.cluster, DATASETS[window["dataset"]], window["window_date"]
        day_rows = DayRows(cluster.engine, cluster.sandbox_url, account, dataset, day)
        products = products_of(window["report"])
        true, stored = day_rows.true(window["data_as_of"], products), day_rows.stored(products)
        return differences(dataset, *map(day_rows.without_targets, (true, stored)))
