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
from secrets import token_urlsafe

from bidbeacon_pipelines.database.address import OLDEST_VERSION
from bidbeacon_pipelines.dev.binaries import find_binaries, reachable_binaries, run_program
from bidbeacon_pipelines.dev.ports import choose_port
from bidbeacon_pipelines.dev.server_user import find_server_user
from bidbeacon_pipelines.settings import PROJECT_ROOT

TESTS = ("tests/postgres", "tests/stream", "tests/web")
START_THEIR_OWN = ("test_dev_command.py", "test_embedded_postgres.py", "test_left_running.py")
"""Files of tests about the embedded server, which is always the newest."""
OPTIONS = (
    "-c listen_addresses=127.0.0.1 -c unix_socket_directories= -c max_connections=200 "
    "-c timezone=UTC -c fsync=off -c full_page_writes=off"
)


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
        folder, password, port = Path(name), token_urlsafe(24), choose_port()
        user = find_server_user(folder / "data")
        binaries = reachable_binaries(_find_oldest_binaries(), user)
        password_file = folder / "password"
        password_file.write_text(password)
        for path in (folder, password_file):
            os.chown(path, user.uid if user else -1, user.gid if user else -1)

        def run(program: str, *options: str) -> None:
            done = run_program(
                binaries / program, *options, f"--pgdata={folder / 'data'}", user=user
            )
            assert done.returncode == 0, done.stdout

        initial = (f"--pwfile={password_file}", "--auth=scram-sha-256", "--locale=C.UTF-8")
        run("initdb", *initial, "--username=postgres", "--encoding=UTF8", "--no-sync")
        run("pg_ctl", "start", "--wait", f"--log={folder / 'log'}", "-o", f"{OPTIONS} -p {port}")
        try:
            yield f"postgresql://postgres:{password}@127.0.0.1:{port}/postgres"
        finally:
            run("pg_ctl", "stop", "--mode=immediate")


def _memory() -> Path | None:
    memory = Path("/dev/shm")
    return memory if memory.is_dir() else None


def _find_oldest_binaries() -> Path:
    binaries = find_binaries().parent.with_name("pginstall") / "bin"
    version = run_program(binaries / "postgres", "--version", user=None).stdout
    assert f"(PostgreSQL) {OLDEST_VERSION}." in version, f"the wheel's oldest is {version}"
    return binaries


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
