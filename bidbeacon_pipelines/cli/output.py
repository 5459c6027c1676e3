"""Printing of commands: consoles, JSON, and output that is closed or not in UTF-8."""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Any

import typer

from bidbeacon_pipelines.cli.safe_console import SafeConsole, safe_json

console = SafeConsole()
errors = SafeConsole(stderr=True)

Json = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]


@contextmanager
def safe_output() -> Iterator[None]:
    """Make printing safe inside the block: with closed output, a full disk, or an encoding without our characters.

    Raises:
        OSError: the output could not be written.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # it was closed
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115 - for as long as the process lives
        elif isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        yield
    except BaseException as end:
        # What went wrong is told already, or by the caller: once is enough.
        is_told = not isinstance(end, SystemExit) or bool(end.code)
        with suppress(OSError) if is_told else nullcontext():
            _flush_output()
        raise
    _flush_output()


def _flush_output() -> None:
    """Flush the output; drop what can't be written, or Python would try again at exit."""
    try:
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if error.errno != errno.EPIPE:
            raise


def print_json(value: Any) -> None:
    """Print a value as JSON; values that JSON has no type for as text."""
    sys.stdout.write(safe_json(value, indent=2) + "\n")
