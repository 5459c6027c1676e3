"""The embedded PostgreSQL for tests and benchmarks, on data that is deleted afterwards."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from bidbeacon_pipelines.dev.postgres import EmbeddedPostgres, stop_server

START_SECONDS = 60
FAKETIME = ("LD_PRELOAD", "FAKETIME", "FAKETIME_DISABLE_SHM", "FAKETIME_DONT_FAKE_MONOTONIC")
TIED = '"$@" & read -r _; kill -INT $!; wait $!'
"""Ends the server when this process ends in any way, which closes the shell's input."""


class TemporaryPostgres(EmbeddedPostgres):
    """A server that ends with the process that started it.

    Args:
        home: The folder for its data.
        durable: Whether commits survive the end of the machine; without, they are faster.
    """

    def __init__(self, home: Path, *, durable: bool = True) -> None:
        super().__init__(home)
        self._process: subprocess.Popen[bytes] | None = None
        # Each of tens of thousands of connections would hash its password 4,096 times.
        self.initial = (*self.initial, "--set=scram_iterations=1")
        if not durable:
            self.initial = (*self.initial, "--no-sync")
            self.settings = (*self.settings, "fsync=off", "full_page_writes=off")

    def start(self) -> str:
        """Start the server, and return its address once it takes connections."""
        service = self.prepare()
        passed_on = FAKETIME if "FAKETIME" in os.environ else ()  # the clock of its tests
        clock = {name: os.environ[name] for name in passed_on if name in os.environ}
        log = self.folder / "server.log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                ["sh", "-c", TIED, "sh", *service.command],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                **{**service.options, "env": {**service.options["env"], **clock}},
            )
        deadline = time.monotonic() + START_SECONDS
        while problem := self.problem():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{problem}: {log.read_text()[-2000:]}")
            time.sleep(0.02)
        return self.url()

    def stop(self) -> None:
        """Stop the server in an orderly way, unless it has ended."""
        if self._process is not None:
            stop_server(self.data.resolve())
            self._process.kill()
            self._process.communicate()

    def end_by(self, number: signal.Signals) -> None:
        """Send a signal to the server's main process, and wait until all its processes have ended.

        Those of a killed one live on for a moment, and keep another server from starting.
        """
        os.kill(int((self.data / "postmaster.pid").read_text().split()[0]), number)
        data = str(self.data.resolve())
        while any(one.info["cwd"] == data for one in psutil.process_iter(["cwd"])):
            time.sleep(0.02)

    def remove(self) -> None:
        """Stop the server and delete its data."""
        self.stop()
        shutil.rmtree(self.data.resolve(), ignore_errors=True)
        shutil.rmtree(self.folder, ignore_errors=True)


@contextmanager
def temporary_postgres(home: Path, *, durable: bool = False) -> Iterator[str]:
    """Yield the address of a new server, which is deleted at the end."""
    server = TemporaryPostgres(home, durable=durable)
    try:
        yield server.start()
    finally:
        server.remove()
