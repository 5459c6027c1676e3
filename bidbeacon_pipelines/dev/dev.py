"""`bidbeacon dev`: database, sandbox, stream and Dagster as one program, from one start to one Ctrl-C."""

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bidbeacon_pipelines.database.address import show_database_url
from bidbeacon_pipelines.database.errors import DatabaseUnavailableError
from bidbeacon_pipelines.dev.errors import LocalError, ServiceFailedError, UnusableHomeError
from bidbeacon_pipelines.dev.locks import FileLock
from bidbeacon_pipelines.dev.ports import check_port
from bidbeacon_pipelines.dev.postgres import embedded_postgres, resolve_database_url
from bidbeacon_pipelines.dev.processes import MARK, kill_marked
from bidbeacon_pipelines.dev.services import (
    Service,
    changes_need_no_token,
    make_dagster_home,
    service_environment,
    services,
)
from bidbeacon_pipelines.dev.stop_request import StopRequest
from bidbeacon_pipelines.dev.supervisor import Supervisor
from bidbeacon_pipelines.private_files import PASSAGE, make_private_folder
from bidbeacon_pipelines.settings import PROJECT_ROOT, Settings

DATABASE_CHECK_SECONDS: Final = 2

Prepare = Callable[[str, Mapping[str, str], Callable[[str], None]], int]
"""Makes a database ready for the services, from its address, their environment and what shows a line; gives the number of dead runs closed."""


def run_dev(
    settings: Settings,
    *,
    list_services: Callable[[Settings], Sequence[Service]] = services,
    prepare: Prepare | None = None,
    console: Console | None = None,
) -> int:
    """Run everything until Ctrl-C, SIGTERM or the terminal's end, and return the exit code.

    Args:
        settings: Ports, home folder, database, credentials.
        list_services: What to run.
        prepare: What to do with the database before; `prepare_database` where absent.
        console: Where to say what happens.

    Returns:
        0 after an orderly end; 1 when something kept it from running, which one line has said.
    """
    dev = Dev(settings, list_services(settings), prepare or prepare_database, console or Console())
    return dev.run()


class Dev:
    """One run of `bidbeacon dev`."""

    def __init__(
        self,
        settings: Settings,
        services_to_run: Sequence[Service],
        prepare: Prepare,
        console: Console,
    ) -> None:
        self._settings = settings
        self._services = services_to_run
        self._prepare = prepare
        self._console = console
        self._stop = StopRequest()
        self._mark = uuid.uuid4().hex
        self._started_at = time.monotonic()
        self._database_checked_at = 0.0

    def run(self) -> int:
        """Run to the end; see `run_dev`."""
        with self._stop.listening():
            try:
                with only_instance(self._settings.home), self._marked():
                    self._check_ports()
                    self._run_with_database()
            except (DatabaseUnavailableError, LocalError, PermissionError) as error:
                from bidbeacon_sessions.redaction import redact_text

                shown = UnusableHomeError(error) if isinstance(error, PermissionError) else error
                self._console.print(escape(redact_text(str(shown))), style="red", soft_wrap=True)
                return 1
        self._print("Everything is stopped.")
        return 0

    @contextmanager
    def _marked(self) -> Iterator[None]:
        """Clear away what a killed run left, and leave nothing: whatever carries our mark at the end is ended."""
        record = self._settings.home / "dev.json"
        if record.exists() and (killed := kill_marked(_recorded_mark(record))):
            self._print(f"Stopped {killed} processes that an earlier start had left behind")
        record.write_text(json.dumps({"mark": self._mark, "process": os.getpid()}))
        try:
            yield
        finally:
            kill_marked(self._mark)
            record.unlink()

    def _check_ports(self) -> None:
        for service in self._services:
            check_port(
                service.port, host=service.host, title=service.title, variable=service.port_variable
            )

    def _run_with_database(self) -> None:
        self._print("Starting the database")
        try:
            database_url = resolve_database_url(self._settings)
            self._print("Bringing its tables up to date")
            make_dagster_home(self._settings)
            environment = {**service_environment(self._settings, database_url), MARK: self._mark}
            if closed := self._prepare(database_url, environment, self._print):
                self._print(f"Closed {closed} Dagster runs whose processes are gone")
            if not self._stop.requested:
                self._run_services(database_url, environment)
        finally:
            if self._settings.database_url is None:
                embedded_postgres(self._settings.home).stop_if_unused()

    def _run_services(self, database_url: str, environment: Mapping[str, str]) -> None:
        logs = self._settings.home / "logs"
        supervisor = Supervisor(
            logs=logs, environment=environment, stop=self._stop, report=self._print
        )
        try:
            self._print(f"Starting {', '.join(service.title for service in self._services)}")
            supervisor.start(self._services)
            supervisor.wait_until_ready()
            if not self._stop.requested:
                self._show_ready(database_url, logs)
                supervisor.supervise(lambda: self._watch_database(database_url))
        finally:
            self._print("Stopping (Ctrl-C again: at once)")
            supervisor.end()

    def _watch_database(self, database_url: str) -> None:
        """Start the embedded server again where it died."""
        now = time.monotonic()
        if (
            self._settings.database_url is not None
            or now - self._database_checked_at < DATABASE_CHECK_SECONDS
        ):
            return
        self._database_checked_at = now
        server = embedded_postgres(self._settings.home)
        if server.is_running():
            return
        self._print(f"The database ended and starts again; see {server.files.log}")
        if server.ensure_running() != database_url:
            raise ServiceFailedError(
                "The database's port was taken by another program: start `bidbeacon dev` again."
            )

    def _show_ready(self, database_url: str, logs: Path) -> None:
        table = Table(box=None, show_header=False, pad_edge=False)
        for service in reversed(self._services):
            table.add_row(service.title, service.url)
        table.add_row("Database", show_database_url(database_url))
        table.add_row("Logs", str(logs))
        self._console.print(table)
        if self._settings.stream_token is None:
            self._print(self._who_may_change())
        self._console.print(
            f"Ready in {time.monotonic() - self._started_at:.1f} s. Ctrl-C stops everything.",
            style="bold green",
        )

    def _who_may_change(self) -> str:
        if changes_need_no_token(self._settings):
            return (
                "Everyone on this machine can pause accounts and start loads on the page without a token; "
                "BIDBEACON_STREAM_TOKEN demands one."
            )
        return "The page is read-only: changes need BIDBEACON_STREAM_TOKEN."

    def _print(self, line: str) -> None:
        self._console.print(escape(line), soft_wrap=True, highlight=False)


@contextmanager
def only_instance(home: Path) -> Iterator[None]:
    """Hold the home folder for this process alone.

    Raises:
        LocalError: Another `bidbeacon dev` holds it.
        UnusableHomeError: It can't be written.
    """
    lock = FileLock(home / "dev.lock")
    try:
        make_private_folder(home, PASSAGE)
        is_ours = lock.acquire(wait=False)
    except OSError as error:
        raise UnusableHomeError(error) from error
    if not is_ours:
        raise LocalError(
            f"`bidbeacon dev` runs already for {home}: use that one, stop it first, or set BIDBEACON_HOME and the "
            "ports (BIDBEACON_DAGSTER_PORT, …) for a second one."
        )
    try:
        yield
    finally:
        lock.release()


def prepare_database(
    database_url: str, environment: Mapping[str, str], report: Callable[[str], None]
) -> int:
    """Bring our tables and Dagster's up to date, and close the Dagster runs of the dead.

    Raises:
        ServiceFailedError: Dagster could not open its storage; the message ends with what it said.
    """
    from bidbeacon_pipelines.database.schema import upgrade

    upgrade(database_url, report=report)
    result = subprocess.run(
        [sys.executable, "-m", "bidbeacon_pipelines.dagster_instance.prepare"],
        env={**os.environ, **environment},
        cwd=PROJECT_ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        start_new_session=True,
        check=False,
    )
    if result.returncode != 0:
        raise ServiceFailedError(
            f"Dagster could not open its storage (exit code {result.returncode}):\n{result.stderr.strip()[-2000:]}"
        )
    return int(result.stdout.strip().rpartition("\n")[2])


def _recorded_mark(record: Path) -> str:
    """Read the mark of the run that left its record behind; one that can't be read belongs to nobody."""
    try:
        return str(json.loads(record.read_text())["mark"])
    except (ValueError, KeyError, TypeError):
        return "unreadable"
