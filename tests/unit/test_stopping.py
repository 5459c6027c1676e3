"""A worker that is being stopped says so to the processes that it has forked for its runs."""

import subprocess
import sys

FORK = """
import os
from bidbeacon_pipelines.job_context import is_stopping, request_stop

read, write = os.pipe()
if os.fork() == 0:
    os.read(read, 1)
    os._exit(7 if is_stopping() else 8)
assert not is_stopping()
request_stop()
os.write(write, b".")
raise SystemExit(os.waitstatus_to_exitcode(os.wait()[1]))
"""


def test_forked_process_sees_that_its_worker_is_being_stopped() -> None:
    """Celery tells only the process that forked those of its pool."""
    assert 7 == subprocess.run([sys.executable, "-c", FORK], check=False).returncode
