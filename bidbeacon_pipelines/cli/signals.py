"""Signals that end a command: they cancel its session, and no signal is lost."""

import os
import signal
import sys
import threading
from types import FrameType
from typing import Final

_SIGNALS: Final = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM", signal.SIGHUP: "SIGHUP"}
_SEND_AGAIN_SECONDS: Final = 0.1


class StoppedBySignal(KeyboardInterrupt):
    """A signal ended the command; `exit_code` is 128 plus the signal's number."""

    def __init__(self, number: int) -> None:
        self.number, self.exit_code = number, 128 + number
        super().__init__(f"Stopped by {_SIGNALS[signal.Signals(number)]}")


def stop_at_signals() -> None:
    """Install handlers that raise `StoppedBySignal` at Ctrl-C, SIGTERM and SIGHUP.

    A second signal ends the process immediately. Signals ignored before (`nohup`) stay ignored.
    """
    for number in _SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _stop)


def _stop(number: int, _: FrameType | None) -> None:
    signal.signal(number, signal.SIG_DFL)
    raise StoppedBySignal(number)


def resend_lost_signals() -> None:
    """Install a hook that sends a signal again if Python dropped the signal's exception.

    Python drops exceptions that are raised in finalizers, such as `__del__`.
    """
    report = sys.unraisablehook

    def resend(unraisable: "sys.UnraisableHookArgs") -> None:
        lost = unraisable.exc_value
        if not isinstance(lost, KeyboardInterrupt):
            report(unraisable)
            return
        number = signal.SIGINT
        if isinstance(lost, StoppedBySignal):
            number = signal.Signals(lost.number)
            signal.signal(number, _stop)
        threading.Timer(_SEND_AGAIN_SECONDS, os.kill, (os.getpid(), number)).start()

    sys.unraisablehook = resend
