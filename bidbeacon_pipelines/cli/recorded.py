"""The session around a command's work: its actions are printed as they happen, and a signal ends it as cancelled."""

import signal
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final

import typer
from rich.console import Console

from bidbeacon_pipelines.cli.output import console, errors
from bidbeacon_pipelines.cli.session_output import StatusLine, following
from bidbeacon_pipelines.job_context import JobContext
from bidbeacon_sessions import SessionRecorder, Subject, with_job_session

_SIGNALS: Final = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM", signal.SIGHUP: "SIGHUP"}


class StoppedBySignal(KeyboardInterrupt):
    """A signal asked the command to end.

    Attributes:
        number: The signal's.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(f"Stopped by {_SIGNALS[signal.Signals(number)]}")


@contextmanager
def recorded(
    context: JobContext,
    job_name: str,
    *,
    input: dict[str, Any],  # noqa: A002 - as `with_job_session` calls it
    account: Subject | None = None,
    as_json: bool = False,
    hidden: Collection[str] = (),
) -> Iterator[tuple[SessionRecorder, StatusLine]]:
    """Record everything inside as one session and print it as it happens; yield the session, and its status line.

    Ctrl-C, SIGTERM and the end of the terminal end it as cancelled (`ending_by_signals`); a second
    signal ends the process at once.

    Args:
        context: the tools.
        job_name: what this work is called.
        input: what the command was given.
        account: the account it works for, where it is just one.
        as_json: print nothing.
        hidden: types of actions that are not printed.
    """
    shown_on = Console(quiet=True) if as_json else console
    status = StatusLine()
    with (
        ending_by_signals(),
        with_job_session(job_name, input=input, store=context.sessions, account=account) as session,
        following(
            shown_on,
            context.sessions,
            session.session_id,
            account=account.key if account else None,
            hidden=hidden,
            status=status,
        ),
    ):
        yield session, status


@contextmanager
def ending_by_signals() -> Iterator[None]:
    """End the block at Ctrl-C, SIGTERM and the end of the terminal, so that a session inside is cancelled, and say so on stderr.

    Signals that were ignored, as by `nohup`, stay ignored. Outside of the main thread nothing
    changes, since Python allows it nowhere else.

    Raises:
        typer.Exit: a signal ended the block: 128 and its number, as shells count.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    try:
        with _raising_on_signals():
            yield
    except StoppedBySignal as stopped:
        line = f"{stopped}: its session is cancelled, and the next run continues with the rest."
        errors.print(line, highlight=False, soft_wrap=True)
        raise typer.Exit(128 + stopped.number) from None


@contextmanager
def _raising_on_signals() -> Iterator[None]:
    """Raise `StoppedBySignal` inside the block at the first signal; later ones do what they did before."""
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    heeded = [number for number, handler in before.items() if handler is not signal.SIG_IGN]

    def restore() -> None:
        for number in heeded:
            signal.signal(number, before[number])

    def stop(number: int, _: FrameType | None) -> None:
        restore()
        raise StoppedBySignal(number)

    for number in heeded:
        signal.signal(number, stop)
    try:
        yield
    finally:
        restore()
