"""Child processes, each in its own process group and with a log; all are stopped together."""

import asyncio
import os
import re
import shutil
import signal
import time
from collections.abc import Awaitable, Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, NoReturn, TypeVar

import psutil

from bidbeacon_pipelines.dev.services import LocalError, Service

READY_SECONDS: Final = 120
STOP_STAGES: Final = ((signal.SIGINT, 10), (signal.SIGTERM, 3), (signal.SIGKILL, 5))
LOG_BYTES: Final = 10_000_000
ROTATE_SECONDS: Final = 10
LOG_TAIL_LINES: Final = 12
COLORS: Final = re.compile(r"\x1b\[[0-9;]*m")

T = TypeVar("T")


class ServiceFailedError(LocalError):
    """A service ended or did not become ready; the message has the last lines of its log."""


class Child:
    """One running service and its log."""

    def __init__(self, service: Service, process: asyncio.subprocess.Process, log: Path) -> None:
        self.service = service
        self.ended = asyncio.ensure_future(process.wait())
        self._group = process.pid
        self._log = log

    @property
    def is_alive(self) -> bool:
        """Whether any process of the service's group is alive; zombies don't count."""
        return not self.ended.done() or any(map(self._is_member, psutil.pids()))

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to all processes of the service's group."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._group, number)

    def failure(self, what: str) -> ServiceFailedError:
        """Return an error with the sentence `what` and the log's last lines without colors."""
        lines = COLORS.sub("", self._log.read_text(errors="replace")).splitlines()
        tail = "\n".join(lines[-LOG_TAIL_LINES:])
        return ServiceFailedError(f"{self.service.name}: {what}. The end of {self._log}:\n{tail}")

    def rotate_log(self) -> None:
        """Move the content of a long log to `.log.1`; delete the content if the disk is full."""
        if self._log.stat().st_size > LOG_BYTES:
            with suppress(OSError):
                shutil.copyfile(self._log, self._log.with_suffix(".log.1"))
            os.truncate(self._log, 0)  # its writer appends, so it continues at the start

    def _is_member(self, pid: int) -> bool:
        with suppress(ProcessLookupError, PermissionError, psutil.Error):
            is_member = os.getpgid(pid) == self._group
            return is_member and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
        return False


class Processes:
    """The processes of one `bidbeacon dev`, each with a log file in the folder `logs`."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._children: list[Child] = []

    async def start(self, service: Service, environment: Mapping[str, str] | None = None) -> None:
        """Start a service with a new log file; the previous one is kept as `.log.1`."""
        log = self._logs / f"{service.name}.log"
        if log.exists():
            log.replace(log.with_suffix(".log.1"))
        options = {"start_new_session": True, "env": environment, **service.options}
        with log.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *service.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=asyncio.subprocess.STDOUT,
                **options,
            )
        self._children.append(Child(service, process, log))

    async def wait_until_ready(self, service: Service) -> None:
        """Wait until a service is ready, for at most two minutes.

        Raises:
            ServiceFailedError: The service is not ready in time, or a service ended.
        """
        await self.while_all_live(self._poll(service))

    async def wait_until_one_ends(self) -> NoReturn:
        """Rotate long logs until a service ends, then raise `ServiceFailedError`."""
        while True:
            await self.while_all_live(asyncio.sleep(ROTATE_SECONDS))
            for child in self._children:
                child.rotate_log()

    async def while_all_live(self, work: Awaitable[T]) -> T:
        """Return the result of `work`; raise `ServiceFailedError` if a service ends first."""
        task = asyncio.ensure_future(work)
        ends = [child.ended for child in self._children]
        try:
            await asyncio.wait([task, *ends], return_when=asyncio.FIRST_COMPLETED)
            for child in self._children:
                if child.ended.done():
                    raise child.failure(f"the service ended (exit code {child.ended.result()})")
            return await task
        finally:
            task.cancel()

    async def stop(self) -> None:
        """Stop all children, by SIGKILL if necessary; the one that was started first stops last."""
        await _stop(self._children[1:])
        await _stop(self._children)
        self._children = []

    def kill(self) -> None:
        """Kill all children immediately."""
        for child in self._children:
            child.signal(signal.SIGKILL)

    async def _poll(self, service: Service) -> None:
        deadline = time.monotonic() + READY_SECONDS
        assert service.problem is not None  # noqa: S101 - callers pass only services with a check
        while problem := await asyncio.to_thread(service.problem, service):
            if time.monotonic() > deadline:
                [child] = [child for child in self._children if child.service is service]
                raise child.failure(f"the service is not ready after {READY_SECONDS} s: {problem}")
            await asyncio.sleep(0.1)


async def _stop(children: Collection[Child]) -> None:
    for number, seconds in STOP_STAGES:
        deadline = time.monotonic() + seconds
        for child in children:
            child.signal(number)
        while (  # noqa: ASYNC110 - asyncio has no event for the end of a group
            any(child.is_alive for child in children) and time.monotonic() < deadline
        ):
            await asyncio.sleep(0.05)
