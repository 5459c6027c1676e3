"""`make test-oldest`: run tests on the oldest PostgreSQL that is supported, of which the wheel has binaries, too.

python -m tests.on_oldest_postgres                    # the tests of `TESTS`
python -m tests.on_oldest_postgres tests/stream -x    # these, with options of pytest
"""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bidbeacon_pipelines.database.address import OLDEST_VERSION
from bidbeacon_pipelines.dev.postgres import find_binaries
from bidbeacon_pipelines.settings import PROJECT_ROOT
from tools.temporary_postgres import TemporaryPostgres

TESTS = ("tests/postgres", "tests/stream", "tests/web")
START_THEIR_OWN = ("test_dev_command.py", "test_embedded_postgres.py")
"""Files of tests about the embedded server, which is always the newest."""


def main(arguments: Sequence[str]) -> int:
    """Run pytest with the address of the server; return its exit code."""
    own = [f"--ignore=tests/postgres/{name}" for name in START_THEIR_OWN]
    pytest = [sys.executable, "-m", "pytest", "-m", "not faults and not dagster_ui"]
    pytest += ["-n", "3", "--dist", "worksteal", *own]
    # As Ctrl-C does, so that the server is stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with running_server() as url:
        environment = os.environ | {"BIDBEACON_TEST_CLUSTER_URL": url}
        return subprocess.run(
            [*pytest, *(arguments or TESTS)], cwd=PROJECT_ROOT, env=environment, check=False
        ).returncode


@contextmanager
def running_server() -> Iterator[str]:
    """Start a server on new data; yield the address of its maintenance database, and delete it all in the end."""
    with tempfile.TemporaryDirectory(prefix="bidbeacon-oldest-", dir=_memory()) as name:
        Path(name).chmod(0o711)  # the server's own user enters it
        server = TemporaryPostgres(Path(name), durable=False)
        server.binaries = _find_oldest_binaries()
        server.initial = ("--locale=C.UTF-8", "--no-sync")
        try:
            server.start()
            yield server.url("postgres")
        finally:
            server.remove()


def _memory() -> Path | None:
    memory = Path("/dev/shm")
    return memory if memory.is_dir() else None


def _find_oldest_binaries() -> Path:
    binaries = find_binaries().parent.with_name("pginstall") / "bin"
    version = subprocess.run(
        [binaries / "postgres", "--version"], capture_output=True, text=True, check=True
    ).stdout
    assert f"(PostgreSQL) {OLDEST_VERSION}." in version, f"the wheel's oldest is {version}"
    return binaries


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
