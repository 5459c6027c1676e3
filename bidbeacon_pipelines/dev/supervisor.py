"""Keeps a list of services running: starts them, waits until they are ready, starts them again, and ends them."""

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import httpx

from bidbeacon_pipelines.dev.errors import ServiceFailedError
from bidbeacon_pipelines.dev.processes import Child, stop_children
from bidbeacon_pipelines.dev.services import Service
from bidbeacon_pipelines.dev.stop_request import StopRequest
from bidbeacon_pipelines.private_files import make_private_folder

READY_SECONDS: Final = 120
DEATHS: Final = 5
DEATHS_SECONDS: Final = 60
LONGEST_PAUSE: Final = 15
TICK_SECONDS: Final = 0.2


class Supervised:
    """One service with its present process and the times of its recent deaths."""

    def __init__(self, service: Service, child: Child) -> None:
        self.service = service
        self.child = child
        self.deaths: deque[float] = deque()
        self.start_again_at: float | None = None

    def count_death(self, now: float) -> int:
        """Note a death and give how many there were within the last minute."""
        self.deaths.append(now)
        while self.deaths[0] < now - DEATHS_SECONDS:
            self.deaths.popleft()
        return len(self.deaths)


class Supervisor:
    """Runs services until it is asked to stop.

    Args:
        logs: Folder of the log files, one a service.
        environment: Variables for every service.
        stop: Asked between any two steps.
        report: Prints one line.
        first_pause: Seconds before a dead service starts again for the first time; doubled each
            time within a minute.
        patience: Seconds that services have for an orderly end.
    """

    def __init__(
        self,
        *,
        logs: Path,
        environment: Mapping[str, str],
        stop: StopRequest,
        report: Callable[[str], None],
        first_pause: float = 1,
        patience: float = 10,
    ) -> None:
        self._logs = logs
        self._environment = environment
        self._stop = stop
        self._report = report
        self._first_pause = first_pause
        self._patience = patience
        self._supervised: list[Supervised] = []

    def start(self, services: Sequence[Service]) -> None:
        """Start all services, each with a new log file; the one before is kept as `.log.1`."""
        make_private_folder(self._logs)
        for service in services:
            log = self._log(service)
            if log.exists():
                log.replace(log.with_suffix(".log.1"))
            self._supervised.append(Supervised(service, self._child(service)))

    def wait_until_ready(self) -> None:
        """Wait until every service says that it is ready, or we are asked to stop.

        Raises:
            ServiceFailedError: One ended before, or took longer than two minutes.
        """
        started = time.monotonic()
        waiting = list(self._supervised)
        while waiting and not self._stop.requested:
            for process in list(waiting):
                if self._is_ready(process, time.monotonic() - started):
                    waiting.remove(process)
                    self._report(
                        f"{process.service.title} is ready ({time.monotonic() - started:.1f} s)"
                    )
            time.sleep(TICK_SECONDS / 2)

    def supervise(self, watch: Callable[[], None]) -> None:
        """Start services again as they end, and call `watch` at every turn, until we are asked to stop.

        Raises:
            ServiceFailedError: A service ended five times within a minute.
        """
        while not self._stop.requested:
            watch()
            for process in self._supervised:
                self._keep_alive(process, time.monotonic())
            time.sleep(TICK_SECONDS)

    def end(self) -> None:
        """End all services, in order where they can within their time, and return when nothing of them is left."""
        stop_children(
            [process.child for process in self._supervised],
            patience=self._patience,
            hurried=self._stop.hurried,
        )

    def _is_ready(self, process: Supervised, waited: float) -> bool:
        if process.child.exit_code is not None:
            raise ServiceFailedError(
                _obituary(process, f"ended while it started (exit code {process.child.exit_code})")
            )
        if _answers(process.service.health_url):
            return True
        if waited > READY_SECONDS:
            raise ServiceFailedError(
                _obituary(
                    process, f"doesn't answer {process.service.health_url} after {READY_SECONDS} s"
                )
            )
        return False

    def _keep_alive(self, process: Supervised, now: float) -> None:
        if process.start_again_at is not None:
            if now >= process.start_again_at:
                process.start_again_at = None
                process.child = self._child(process.service)
        elif process.child.exit_code is not None:
            self._plan_restart(process, now)

    def _plan_restart(self, process: Supervised, now: float) -> None:
        """Clear away what is left of a dead service and decide when it starts again."""
        deaths = process.count_death(now)
        stop_children([process.child], patience=self._patience / 4, hurried=self._stop.hurried)
        if deaths >= DEATHS:
            raise ServiceFailedError(
                _obituary(process, f"ended {deaths} times within a minute, and is given up")
            )
        pause = min(self._first_pause * 2 ** (deaths - 1), LONGEST_PAUSE)
        process.start_again_at = now + pause
        self._report(
            f"{process.service.title} ended (exit code {process.child.exit_code}) and starts again in {pause:g} s; "
            f"see {process.child.log}"
        )

    def _child(self, service: Service) -> Child:
        return Child(service, self._log(service), self._environment)

    def _log(self, service: Service) -> Path:
        return self._logs / f"{service.name}.log"


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2, trust_env=False).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def _obituary(process: Supervised, what: str) -> str:
    return f"{process.service.title} {what}. The end of {process.child.log}:\n{process.child.last_lines()}"
