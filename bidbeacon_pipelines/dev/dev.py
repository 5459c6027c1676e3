"""`bidbeacon dev` and `bidbeacon db start`: run the database and services until Ctrl-C."""

import asyncio
import fcntl
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, cast

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bidbeacon_pipelines.database.address import get_database, show_database_url
from bidbeacon_pipelines.database.engine import DatabaseUnavailableError
from bidbeacon_pipelines.dev.environment import (
    LOGIN_VARIABLE,
    make_dagster_home,
    service_environment,
    shared_environment,
    shared_with_other_terminals,
)
from bidbeacon_pipelines.dev.postgres import EmbeddedPostgres
from bidbeacon_pipelines.dev.processes import Processes, ServiceFailedError
from bidbeacon_pipelines.dev.services import OURS, LocalError, Service, choose_port, list_services
from bidbeacon_pipelines.private_files import PASSAGE, make_private_folder
from bidbeacon_pipelines.settings import Settings
from bidbeacon_pipelines.settings_files import RUNNING_ENV
from bidbeacon_sessions.masking import mask_text

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
STILL_DYING: Final = "pre-existing shared memory block"
"""Part of PostgreSQL's message while processes of a killed server are still ending."""
DYING_SECONDS: Final = 20


def run_dev(settings: Settings, console: Console, *, with_services: bool = True) -> int:
    """Run all services, or only the database; return 0 after a signal, 1 after an error."""
    try:
        with only_start(settings.home):
            asyncio.run(_Start(settings, console, with_services=with_services).run())
    except (DatabaseUnavailableError, LocalError) as error:
        console.print(Text(mask_text(str(error))), style="red", soft_wrap=True)
        return 1
    console.print("Everything is stopped.")
    return 0


class _Start:
    def __init__(self, settings: Settings, console: Console, *, with_services: bool) -> None:
        self._settings = settings
        self._console = console
        self._code_server_port = settings.code_server_port or choose_port()
        self._services = list_services(settings, self._code_server_port) if with_services else []
        self._processes = Processes(settings.home / "logs")
        self._is_stopping = False
        self._started_at = time.monotonic()

    async def run(self) -> None:
        task = cast("asyncio.Task[None]", asyncio.current_task())
        for number in SIGNALS:
            asyncio.get_running_loop().add_signal_handler(number, self._interrupt, task)
        with suppress(asyncio.CancelledError):
            try:
                await self._run()
            finally:
                self._is_stopping = True
                self._print("Stopping. Press Ctrl-C again to kill everything immediately.")
                await self._processes.stop()

    def _interrupt(self, task: "asyncio.Task[None]") -> None:
        if self._is_stopping:
            self._processes.kill()
        else:
            self._is_stopping = True
            task.cancel()

    async def _run(self) -> None:
        for service in self._services:
            service.check_port()
        url = await self._open_database()
        make_dagster_home(self._settings, self._code_server_port)
        shared = shared_environment(self._settings, url)
        environment = service_environment(shared)
        await self._start(environment, needs_database=False)
        await self._upgrade(environment)
        with shared_with_other_terminals(self._settings, shared):
            await self._start(environment, needs_database=True)
            await asyncio.gather(*map(self._wait_until_ready, self._watched()))
            self._show_ready(url, shared.get(LOGIN_VARIABLE))
            await self._processes.wait_until_one_ends()

    async def _start(self, environment: dict[str, str], *, needs_database: bool) -> None:
        for service in self._services:
            if service.needs_database == needs_database:
                await self._processes.start(service, environment)

    async def _open_database(self) -> str:
        if self._settings.database_url is not None:
            return await asyncio.to_thread(get_database, self._settings)
        # Sandbox and Amazon use separate databases, so credentials can be set or removed later.
        name = "sandbox" if self._settings.uses_sandbox else "bidbeacon"
        server = EmbeddedPostgres(self._settings.home, name)
        service = await asyncio.to_thread(server.prepare)
        deadline = time.monotonic() + DYING_SECONDS
        while True:
            try:
                await self._processes.start(service)
                await self._wait_until_ready(service)
            except ServiceFailedError as error:
                if STILL_DYING not in str(error) or time.monotonic() > deadline:
                    raise
                await self._processes.stop()
                await asyncio.sleep(0.5)
            else:
                return server.url()

    async def _upgrade(self, environment: dict[str, str]) -> None:
        # A separate process returns all its memory when it ends.
        upgrade = await asyncio.create_subprocess_exec(
            *(*OURS, "db", "upgrade"),
            stdin=asyncio.subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
        )
        try:
            code = await self._processes.while_all_live(upgrade.wait())
        finally:
            with suppress(ProcessLookupError):
                upgrade.terminate()
            await upgrade.wait()
        if code != 0:
            raise LocalError(f"`bidbeacon db upgrade` failed (exit code {code}), see above.")

    async def _wait_until_ready(self, service: Service) -> None:
        started = time.monotonic()
        await self._processes.wait_until_ready(service)
        self._print(f"{service.name} is ready ({time.monotonic() - started:.1f} s)")

    def _show_ready(self, url: str, token: str | None) -> None:
        table = Table(box=None, show_header=False, pad_edge=False)
        for service in self._watched():
            table.add_row(service.name, service.url)
        table.add_row("database", show_database_url(url))
        table.add_row("logs", str(self._settings.home / "logs"))
        self._console.print(table)
        if self._services and token is not None:
            self._print(
                "To use the page's buttons, open this address once per browser "
                "(`bidbeacon login` prints it again):\n" + self._settings.login_url(token)
            )
        elif self._services:
            self._print("`bidbeacon login` prints the address that enables the page's buttons.")
        self._print(
            "In other terminals, `bidbeacon` uses this database. Dagster's own commands use it "
            f"after `set -a; . {self._settings.home / RUNNING_ENV}`."
        )
        seconds = time.monotonic() - self._started_at
        self._console.print(
            f"Ready in {seconds:.1f} s. Ctrl-C stops everything.", style="bold green"
        )

    def _watched(self) -> list[Service]:
        """Return the services with a readiness check; these are the ones with web pages."""
        return [service for service in self._services if service.problem]

    def _print(self, line: str) -> None:
        self._console.print(Text(line), soft_wrap=True)


@contextmanager
def only_start(home: Path) -> Iterator[None]:
    """Lock the home folder; raise `LocalError` if it is locked or not writable."""
    try:
        make_private_folder(home, PASSAGE)
        make_private_folder(home / "logs")
        descriptor = os.open(home / "dev.lock", os.O_CREAT | os.O_RDWR, 0o600)
    except OSError as error:
        raise LocalError(
            "Expected BIDBEACON_HOME to be a folder that you can write, "
            f"got: {error.filename} ({error.strerror}). "
            "Repair it, or set BIDBEACON_HOME to a folder of your own."
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise LocalError(
            f"`bidbeacon dev` or `bidbeacon db start` is already running for {home}. Use it, "
            "stop it, or start a second one with another BIDBEACON_HOME and other ports "
            "(BIDBEACON_DAGSTER_PORT, …)."
        ) from None
    finally:
        os.close(descriptor)
