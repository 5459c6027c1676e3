"""The cluster of `deploy/compose.yaml` on hosts of its own: Postgres, Redis, the sandbox, and everything that is ours on three others."""

import json
import os
import shutil
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import psycopg
import redis
from sqlalchemy import Engine

from bidbeacon_pipelines.database.engine import make_engine
from bidbeacon_pipelines.dev.postgres import find_binaries
from bidbeacon_pipelines.dev.services import QUERY
from tests.cluster.compose import read_services
from tests.cluster.hosts import Host, Program, make_bridge, wait_patiently

PROGRAM = Path("/opt/bidbeacon")
SANDBOX_PORT, DAGSTER_PORT, STREAM_PORT = 3040, 3000, 3030
VARIABLES = {
    "POSTGRES_PASSWORD": "a-password-of-postgres",
    "REDIS_PASSWORD": "a-password-of-redis",
    "STREAM_TOKEN": "a-token-of-the-stream",
    "WORKER_PROCESSES": "2",
}
SERVE_SANDBOX = """
import sys
from bidbeacon_sandbox import SandboxConfig, serve
serve(SandboxConfig.model_validate_json(sys.argv[1]), "0.0.0.0", int(sys.argv[2]))"""
PARTS = {"ours": "--exclude-schema=dagster", "dagsters": "--schema=dagster"}
"""Options of `pg_dump`, by whose tables it dumps."""
START_SECONDS = 180
"""Until a service of a cluster that has just been started is ready, on a machine that does other things as well."""


class Cluster:
    """Hosts, and the services that run on them.

    Attributes:
        engine: The database, as the tests reach it.
        services: What the compose file says.
    """

    def __init__(self, folder: Path, versions: Sequence[Path], settings: Mapping[str, str]) -> None:
        self.services = read_services(VARIABLES)
        self._settings = settings
        names = ("postgres", "redis", "sandbox", "alpha", "beta", "gamma")
        hosts = [Host(name, number, folder) for number, name in enumerate(names, 11)]
        self.postgres, self.redis, self.sandbox, self.alpha, self.beta, self.gamma = hosts
        self.hosts = hosts
        make_bridge()
        addresses = {host.name: host.address for host in hosts}
        addresses["code-location"] = self.alpha.address
        image = {path: PROGRAM / str(number) for number, path in enumerate(versions, 1)}
        for host in hosts:
            host.boot(addresses, image)
        self.members = (self.alpha, self.beta, self.gamma)
        for host in self.members:
            self._prepare(host)
        password = VARIABLES["POSTGRES_PASSWORD"]
        url = f"postgresql://bidbeacon:{password}@{self.postgres.address}/bidbeacon"
        self.engine: Engine = make_engine(url)
        self.http = httpx.Client(timeout=30, trust_env=False)
        self.database: Program
        self.broker: Program

    def make_database(self) -> None:
        """Make data of a new server, start it, and make our database."""
        service, password = self.services["postgres"], self.postgres.home / "password"
        self.postgres.path(password).write_text(service.environment["POSTGRES_PASSWORD"])
        self.postgres.path(password).chmod(0o644)
        shutil.rmtree(self.postgres.path(self._data), ignore_errors=True)
        role = f"--username={service.environment['POSTGRES_USER']}"
        how = ("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync")
        self._postgres("initdb", "-D", str(self._data), role, *how, f"--pwfile={password}")
        with self.postgres.path(self._data / "pg_hba.conf").open("a") as rules:
            rules.write("host all all all scram-sha-256\n")
        self.start_database()
        with psycopg.connect(self.database_url("postgres"), autocommit=True) as connection:
            connection.execute("CREATE DATABASE bidbeacon")

    def dump(self, name: str) -> None:
        """Dump our tables and Dagster's, each into a file of its own on Postgres's host."""
        for whose, chosen in PARTS.items():
            file = f"--file={self.postgres.home / name}-{whose}"
            self._postgres("pg_dump", "--format=custom", chosen, file, self.database_url())

    def restore(self, ours: str, dagsters: str) -> None:
        """Make a new server of our tables as they are in a dump, and Dagster's as they are in another one."""
        self.stop_database()
        self.engine.dispose()
        self.make_database()
        for file in (f"{ours}-ours", f"{dagsters}-dagsters"):
            where = f"--dbname={self.database_url()}"
            self._postgres("pg_restore", where, str(self.postgres.home / file))

    def start_database(self) -> None:
        """Start Postgres on its data, and wait until it takes connections."""
        program, *options = self.services["postgres"].command
        data = ("-D", str(self._data), "-k", "", "-c", "listen_addresses=*")
        command = [str(find_binaries() / program), *data, *options]
        grace = self.services["postgres"].grace_seconds
        self.database = self.postgres.start("postgres", command, {}, grace_seconds=grace)
        wait_patiently(self._has_database, "Postgres takes connections", START_SECONDS)

    def stop_database(self) -> None:
        """Stop Postgres as its image is stopped: by a fast shutdown, which waits for nobody to disconnect."""
        self.database.stop(signal.SIGINT)

    def start_broker(self) -> None:
        """Start Redis on its data, and wait until it answers."""
        command = [*self.services["redis"].command, "--bind", "0.0.0.0"]
        self.broker = self.redis.start("redis", command, {})
        wait_patiently(self._has_broker, "Redis answers", START_SECONDS)

    def start_sandbox(self, config: Mapping[str, Any]) -> None:
        """Start the sandbox in Amazon's place."""
        command = ["python", "-c", SERVE_SANDBOX, json.dumps(config), str(SANDBOX_PORT)]
        self.sandbox.start("sandbox", command, _of_version(1))
        answers = lambda: self._answers(f"{self.sandbox_url}/healthz")
        wait_patiently(answers, "the sandbox answers", START_SECONDS)

    def start(
        self,
        name: str,
        host: Host,
        *,
        version: int = 1,
        variables: Mapping[str, str] | None = None,
    ) -> Program:
        """Start a service of the compose file on a host; return it at once."""
        service = read_services(VARIABLES | dict(variables or {}))[name]
        environment = {**_of_version(version), **self._settings, **service.environment}
        grace = service.grace_seconds
        return host.start(name, service.command, environment, grace_seconds=grace)

    def migrate(self, host: Host, *, version: int = 1) -> None:
        """Run the migration of the compose file."""
        program = self.start("migrate", host, version=version)
        assert program.wait(START_SECONDS) == 0, program.log.read_text()

    def database_url(self, database: str = "bidbeacon") -> str:
        """Return the address of a database of the server, as the tests reach it."""
        return f"postgresql://bidbeacon:{VARIABLES['POSTGRES_PASSWORD']}@{self.postgres.address}/{database}"

    @property
    def sandbox_url(self) -> str:
        """The sandbox, as the tests reach it."""
        return f"http://{self.sandbox.address}:{SANDBOX_PORT}"

    def is_ready(self) -> bool:
        """Return whether Dagster's webserver has the code location, and every daemon is healthy."""
        try:
            url = f"http://{self.alpha.address}:{DAGSTER_PORT}/graphql"
            data = self.http.post(url, json={"query": QUERY}).raise_for_status().json()["data"]
        except httpx.HTTPError:
            return False
        entries = data["workspaceOrError"]["locationEntries"]
        loaded = [(entry["locationOrLoadError"] or {}).get("__typename") for entry in entries]
        statuses = data["instance"]["daemonHealth"]["allDaemonStatuses"]
        healthy = all(one["healthy"] for one in statuses if one["required"])
        return loaded == ["RepositoryLocation"] and healthy

    def serves(self, host: Host) -> bool:
        """Return whether the stream of a host is ready."""
        return self._answers(f"http://{host.address}:{STREAM_PORT}/readyz")

    def halt(self) -> None:
        """End everything."""
        self.engine.dispose()
        self.http.close()
        for host in self.hosts:
            host.halt()

    def logs(self) -> str:
        """Return the end of what each program printed."""
        return "\n".join(host.logs() for host in self.hosts)

    def _postgres(self, program: str, *arguments: str) -> None:
        """Run one of PostgreSQL's programs on its host."""
        self.postgres.run(program, [str(find_binaries() / program), *arguments], {})

    @property
    def _data(self) -> Path:
        return self.postgres.home / "data"

    def _prepare(self, host: Host) -> None:
        """Make the folders and files of all services on a host."""
        for service in self.services.values():
            for folder in service.folders:
                host.make_folder(folder)
            for source, target in service.files.items():
                shutil.copy(source, host.path(target))

    def _has_database(self) -> bool:
        try:
            psycopg.connect(self.database_url("postgres")).close()
        except psycopg.OperationalError:
            assert self.database.is_running, self.database.log.read_text()
            return False
        return True

    def _has_broker(self) -> bool:
        password = VARIABLES["REDIS_PASSWORD"]
        try:
            return redis.Redis(self.redis.address, password=password).ping() is True
        except redis.RedisError:
            assert self.broker.is_running, self.broker.log.read_text()
            return False

    def _answers(self, url: str) -> bool:
        try:
            return self.http.get(url).is_success
        except httpx.HTTPError:
            return False


def _of_version(version: int) -> dict[str, str]:
    """Return the variables with which a version of the program is run."""
    path = f"{sys.prefix}/bin:{os.defpath}"
    return {"PATH": path, "PYTHONPATH": str(PROGRAM / str(version))}
