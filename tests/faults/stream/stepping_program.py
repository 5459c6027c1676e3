"""A stepping process beside the stream's own: it publishes and trims over and over, or freezes while it holds the cursor.

`python stepping_program.py URL` steps until it is killed; with `hold` behind it, it stops itself
inside its first step; with a number, it keeps the log that short.
"""

import os
import signal
import sys
import threading

from sqlalchemy.exc import DBAPIError

from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.change_log import step, trim

STEP_SECONDS = 0.005


def hold(store: SessionStore) -> None:
    """Take a step, and freeze before its commit."""
    with store.begin() as connection:
        step(connection)
        print("holding", flush=True)  # noqa: T201 - whoever started this waits for it
        os.kill(os.getpid(), signal.SIGSTOP)


def go_on(store: SessionStore, rows: int | None) -> None:
    """Step, and trim where a number of rows is given, whatever the database does."""
    while True:
        try:
            with store.begin() as connection:
                step(connection)
            if rows is not None:
                with store.begin() as connection:
                    trim(connection, rows=rows)
        except DBAPIError:
            store.engine.dispose()
        threading.Event().wait(STEP_SECONDS)


if __name__ == "__main__":
    made = SessionStore.connect(sys.argv[1])
    how = sys.argv[2] if len(sys.argv) > 2 else None
    if how == "hold":
        hold(made)
    else:
        go_on(made, int(how) if how else None)
