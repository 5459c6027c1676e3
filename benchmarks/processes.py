"""Processes of a measurement: children with a pipe, and servers."""

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from tempfile import TemporaryFile
from typing import Any

import httpx
import psutil

from tests.support.waiting import wait_until

_CONTEXT = multiprocessing.get_context("spawn")


class Child:
    """A process that runs `target(*args, pipe)`."""

    def __init__(self, target: Callable[..., None], *args: object) -> None:
        self._pipe, theirs = _CONTEXT.Pipe()
        self.process = _CONTEXT.Process(target=target, args=(*args, theirs), daemon=True)
        self.process.start()
        theirs.close()

    def send(self, message: object) -> None:
        """Send it a message."""
        self._pipe.send(message)

    def receive(self, seconds: float) -> Any:
        """Return its next message."""
        assert self._pipe.poll(seconds), f"expected a message within {seconds} s, got none"
        return self._pipe.recv()

    def end(self) -> None:
        """Wait for its end."""
        self.process.join(timeout=20)
        if self.process.is_alive():
            self.process.kill()


def run_at_once(
    processes: int, target: Callable[..., None], *args: object, seconds: float
) -> list[Any]:
    """Run `target(*args, pipe)` in processes that begin together; return a result of each."""
    children = [Child(target, *args) for _ in range(processes)]
    for child in children:
        assert child.receive(240) == "ready"
    for child in children:
        child.send("go")
    results = [child.receive(seconds) for child in children]
    for child in children:
        child.end()
    return results


@contextmanager
def running(
    command: Sequence[str], ready: str, environment: dict[str, str] | None = None
) -> Iterator[psutil.Process]:
    """Run a server and its children until the block ends; yield it once `ready` answers."""
    with TemporaryFile() as log:
        process = psutil.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            wait_until(lambda: _answers(ready), f"{ready} answers", 240)
            yield process
        finally:
            for each in [*process.children(recursive=True), process]:
                with suppress(psutil.NoSuchProcess):  # it ended with its parent
                    each.terminate()
            process.wait(20)


def _answers(address: str) -> bool:
    with suppress(httpx.TransportError):
        return httpx.get(address, trust_env=False).is_success
    return False
