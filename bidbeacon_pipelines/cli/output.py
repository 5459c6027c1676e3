"""Output of commands: safe consoles, JSON, lists, tables and errors."""

import errno
import json
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from bidbeacon_sessions.errors import mask_error
from bidbeacon_sessions.masking import mask_text
from bidbeacon_sessions.terminal import MARKS as SESSION_MARKS
from bidbeacon_sessions.terminal import Line

Json = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]
Row = Mapping[Any, Any]

MARKS: Final = SESSION_MARKS | {
    "fine": ("✔", "green"),
    "waiting": ("●", "cyan"),
    "warning": ("▲", "yellow"),
    "error": ("✘", "bold red"),
    "stopped": ("■", "yellow"),
}
"""The icon and style of each session mark and severity, and of stopped accounts."""

_C0 = {code: chr(0x2400 + code) for code in range(0x20) if chr(code) not in "\t\n"} | {0x7F: "␡"}
_C1_AND_BIDI = (
    *range(0x80, 0xA0),
    0x61C,
    *(0x200E, 0x200F),
    *range(0x202A, 0x202F),
    *range(0x2066, 0x206A),
)
_VISIBLE: Final = _C0 | dict.fromkeys(_C1_AND_BIDI, "\N{REPLACEMENT CHARACTER}")
_ESCAPED: Final = {code: f"\\u{code:04x}" for code in (0x7F, *_C1_AND_BIDI)}
_NARROWEST = 24
_INSUFFICIENT_PRIVILEGE = "42501"


def safe_text(text: str) -> str:
    """Return a text with control and bidirectional characters replaced by visible ones."""
    return text.translate(_VISIBLE)


def safe_json(value: Any, *, indent: int | None = None) -> str:
    """Return a value as JSON without raw control characters; unknown types become text."""
    return json.dumps(value, ensure_ascii=False, indent=indent, default=str).translate(_ESCAPED)


class SafeConsole(Console):
    """A console that makes control characters in texts visible, and still prints colors."""

    def render_str(self, text: str, **options: Any) -> Text:
        """Return a string as rich text, made safe before rich measures its width for the layout."""
        return super().render_str(safe_text(text), **options)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Yield the segments of a rendered object, with safe texts and links."""
        for text, style, control in super().render(renderable, options):
            if control:
                yield Segment(text, style, control)
            else:
                linked = style.update_link(safe_text(style.link)) if style and style.link else style
                yield Segment(safe_text(text), linked)


console = SafeConsole(highlight=False, markup=False, emoji=False)
errors = SafeConsole(stderr=True, highlight=False, markup=False, emoji=False)


def print_json(value: Any, *, indent: int | None = 2) -> None:
    """Print a value as JSON, on one line if `indent` is None; unknown types become text."""
    sys.stdout.write(safe_json(value, indent=indent) + "\n")
    sys.stdout.flush()


def print_list(
    rows: Sequence[Row], print_row: Callable[[Row], None], *, as_json: bool, if_empty: str
) -> None:
    """Print rows as JSON, or with `print_row`; print `if_empty` if there are no rows."""
    if as_json:
        print_json([dict(row) for row in rows])
        return
    for row in rows:
        print_row(row)
    if not rows:
        console.print(if_empty)


def print_entry(
    mark: str, head: Text, lines: Iterable[str | None] = (), link: str | None = None
) -> None:
    """Print `head` after the icon of `mark`; below this line, print `lines` and the link."""
    icon, style = MARKS[mark]
    _print_hanging(Text(f"{icon} ", style), head)
    for line in filter(None, lines):
        _print_hanging(Text("  "), Text(line, "dim"))
    if link is not None:
        console.print(Text("  ").append(link, f"dim link {link}"), soft_wrap=True)


def print_lines(lines: Iterable[Line]) -> None:
    """Print lines about sessions; if a line is wrapped, the continuation lines are indented."""
    for head, body in lines:
        _print_hanging(Text.assemble(*head), Text.assemble(*body))


def _print_hanging(head: Text, body: Text) -> None:
    margin = head.cell_len
    lines = body.wrap(console, max(_NARROWEST, console.width - margin))
    for line in lines:
        line.rstrip()
    console.print(Text.assemble(head, Text("\n" + " " * margin).join(lines)), soft_wrap=True)


def table_of(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """Return a table of texts; all columns except the first are aligned right, for numbers."""
    table = Table(title=title, title_justify="left", box=None, collapse_padding=True)
    for place, column in enumerate(columns):
        table.add_column(column, justify="right" if place else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def report(error: BaseException) -> int:
    """Print an error as one line, or a bug with its traceback; secrets are masked.

    Return the exit code: 1 if the command failed, 2 if it could not begin, or 128 plus the
    number of a signal. Raise the error again if a pipe was closed, or for Ctrl-C outside a session.
    """
    line = _line_of(error)
    if line is not None:
        errors.print(mask_text(line), style="bold red", soft_wrap=True)
    elif isinstance(error, KeyboardInterrupt | BrokenPipeError):
        raise error
    else:
        trace = "".join(traceback.format_exception(mask_error(error)))
        errors.print(trace, soft_wrap=True, end="")
    return getattr(error, "exit_code", 1)


def _line_of(error: BaseException) -> str | None:
    if hasattr(error, "exit_code"):  # an `ExpectedError`, a `StoppedBySignal`, or one of typer's
        is_stopped = isinstance(error, KeyboardInterrupt)
        rest = ": the session is cancelled, and the next run continues the work."
        return f"{error}{rest if is_stopped else ''}"
    origin = getattr(error, "orig", error)  # psycopg's, or of Dagster's psycopg2
    reason = str(origin).strip().partition("\n")[0]
    codes = {getattr(origin, "sqlstate", None), getattr(origin, "pgcode", None)}
    if _INSUFFICIENT_PRIVILEGE in codes:
        return (
            f"The role of BIDBEACON_DATABASE_URL may not do this ({reason}): "
            "grant it the missing right, or use the role that owns the tables."
        )
    if type(error).__name__ == "OperationalError":  # SQLAlchemy's
        return f"The database failed ({reason}): run `bidbeacon doctor` to check it."
    if isinstance(error, OSError) and not isinstance(error, BrokenPipeError):
        return f"The operating system refused: {error}."
    return None


@contextmanager
def safe_output() -> Iterator[None]:
    """Let printing work with a closed output or an encoding other than UTF-8.

    Raises:
        OSError: The output could not be written, for example because the disk is full.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # it was closed; the replacement is open until the process ends
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115 - stays open
        elif isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        yield
    except BaseException as end:
        # An error is reported once, here or by the caller.
        is_reported = not isinstance(end, SystemExit) or bool(end.code)
        with suppress(OSError) if is_reported else nullcontext():
            _flush_output()
        raise
    _flush_output()


def _flush_output() -> None:
    try:
        sys.stdout.flush()
    except OSError as error:  # without the next line Python would try again at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if error.errno != errno.EPIPE:
            raise
