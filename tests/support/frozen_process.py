"""A process that is frozen in the middle of its work, by a signal or by its network, and wakes up later."""

import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from sqlalchemy import make_url

from bidbeacon_pipelines.settings import PROJECT_ROOT

_CHUNK = 1 << 16


class SilentProxy:
    """Forwards TCP to the server of a database, until it is told to keep silent: connections stay open, and nothing passes.

    Its kernel goes on to acknowledge what it gets and to answer keepalives, as a frozen pooler or
    load balancer does.
    """

    def __init__(self, database_url: str) -> None:
        self._target = make_url(database_url)
        self._open = threading.Event()
        self._open.set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def database_url(self) -> str:
        """The address of the database through this proxy."""
        port = self._listener.getsockname()[1]
        return self._target.set(host="127.0.0.1", port=port).render_as_string(hide_password=False)

    def freeze(self) -> None:
        """Let nothing pass any more, in neither direction."""
        self._open.clear()

    def thaw(self) -> None:
        """Let everything pass again, and what came meanwhile."""
        self._open.set()

    def close(self) -> None:
        """End it, with all connections."""
        self._open.set()
        for each in (self._listener, *self._sockets):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(
                    (self._target.host or "", self._target.port or 5432)
                )
                self._sockets += [client, server]
                for pair in ((client, server), (server, client)):
                    threading.Thread(target=self._forward, args=pair, daemon=True).start()

    def _forward(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(_CHUNK):
                self._open.wait()
                target.sendall(data)
        self._open.wait()
        with suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)


class HaltedProcess:
    """A Python program that says `halted` when it is where it should be frozen, and waits there for a line."""

    def __init__(
        self, module: str, *arguments: str, log: Path, env: Mapping[str, str] | None = None
    ) -> None:
        self._log = log
        with log.open("w") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-W", "ignore", "-m", module, *arguments],
                cwd=PROJECT_ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=env,
            )

    def wait_until_halted(self) -> None:
        """Wait until it is where it should be frozen."""
        assert self._process.stdout is not None
        lines: Sequence[str] = iter(self._process.stdout.readline, "")  # type: ignore[assignment] # read once
        assert any(line == "halted\n" for line in lines), self.log

    def go_on(self) -> None:
        """Let it go on from where it was halted."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def stop(self) -> None:
        """Stop it, as a host that is frozen."""
        self._process.send_signal(signal.SIGSTOP)

    def wake_up(self) -> None:
        """Let a stopped process run again."""
        self._process.send_signal(signal.SIGCONT)

    def wait_for_end(self, seconds: float = 60) -> int:
        """Wait until it has ended by itself; return its exit code."""
        return self._process.wait(seconds)

    def kill(self) -> None:
        """End it, however it is."""
        self._process.kill()
        self._process.communicate()

    @property
    def log(self) -> str:
        """What it wrote to stderr."""
        return self._log.read_text()


class Way:
    """A way in which a process is frozen where it is halted, and wakes up again."""

    def __init__(self, name: str, place: str) -> None:
        self.name = name
        self.place = place

    def __str__(self) -> str:
        return f"{self.name} in {self.place}"

    def freeze(self, process: HaltedProcess, proxy: SilentProxy) -> None:
        """Freeze it: by a signal, or by its network, in which it then hangs with the next thing it asks of the database."""
        if self.name == "SIGSTOP":
            process.stop()
        else:
            proxy.freeze()
            process.go_on()

    def wake_up(self, process: HaltedProcess, proxy: SilentProxy) -> None:
        """Let it go on from where it was frozen."""
        if self.name == "SIGSTOP":
            process.go_on()
            process.wake_up()
        else:
            proxy.thaw()


WAYS = (Way("SIGSTOP", "copy"), Way("SIGSTOP", "statement"), Way("silent network", "copy"))


@contextmanager
def silent_proxy(database_url: str) -> Iterator[SilentProxy]:
    """Run a proxy for the length of a block."""
    proxy = SilentProxy(database_url)
    try:
        yield proxy
    finally:
        proxy.close()
