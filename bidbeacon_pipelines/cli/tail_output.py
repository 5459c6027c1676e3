"""Prints followed sessions in a terminal: a line per action and a status line below, or JSON lines."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Self, TextIO

from rich.console import Console
from rich.live import Live
from rich.text import Text

from bidbeacon_pipelines.cli.safe_console import safe_json
from bidbeacon_pipelines.cli.session_output import TONES, account_of, action_sentence, dated_line
from bidbeacon_sessions.presentation import error_text, whose
from bidbeacon_sessions.sentences import format_duration

_MOST_RUNNING = 4


class TerminalTail:
    """Shows sessions and actions as lines; while the console is a terminal, the last line says what runs and for how long."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._running: dict[str, Mapping[str, Any]] = {}
        self._live = Live(
            console=console, get_renderable=self._running_line, refresh_per_second=2, transient=True
        )

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def session(self, session: Mapping[str, Any]) -> None:
        """Show a session that began or ended."""
        if session["status"] == "running":
            self._running[session["id"]] = session
        else:
            self._running.pop(session["id"], None)
        self._print(dated_line(session))
        if session["error"] and session["status"] != "running":
            self._print(Text(f"          {error_text(session['error'])}", style="bold red"))

    def action(self, session: Mapping[str, Any], action: Mapping[str, Any]) -> None:
        """Show an action with whose it is."""
        at = datetime.fromisoformat(action["at"]).astimezone()
        line = Text(f"{at:%Y-%m-%d %H:%M:%S} ", style="dim")
        line.append(f"{session['job_name']} ", style="bold")
        if session["account"]:
            line.append(f"{account_of(session)} ", style="blue")
        line.append("│ ", style=TONES[action["tone"]])
        if others := whose(action, session["account"]):
            line.append(f"{others} ", style="blue")
        self._print(line.append_text(action_sentence(action)))

    def gone(self, session_id: str) -> None:
        """A session does not match any more, so it is no longer among those that run."""
        self._running.pop(session_id, None)

    def notice(self, text: str) -> None:
        """Show a notice about the stream itself."""
        self._print(Text(text, style="yellow"))

    def _print(self, line: Text) -> None:
        self._console.print(line, soft_wrap=True)

    def _running_line(self) -> Text:
        if not self._running:
            return Text("No session is running. Press Ctrl-C to stop.", style="dim")
        line = Text(f"● {len(self._running)} running", style="cyan")
        now = datetime.now(UTC)
        for session in list(self._running.values())[:_MOST_RUNNING]:
            ran = (now - datetime.fromisoformat(session["started_at"])).total_seconds()
            line.append(
                f" · {session['job_name']} {session['account_label'] or session['account'] or ''} {format_duration(max(ran, 0))}",
                style="dim",
            )
        return line


class JsonTail:
    """Shows each action and each state of a session as a line of JSON."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def session(self, session: Mapping[str, Any]) -> None:
        """Show a session that began or ended."""
        self._write(
            {"session": {name: value for name, value in session.items() if name != "actions"}}
        )

    def action(self, session: Mapping[str, Any], action: Mapping[str, Any]) -> None:
        """Show an action with whose it is."""
        self._write(
            {"action": {**action, "job_name": session["job_name"], "account": session["account"]}}
        )

    def gone(self, session_id: str) -> None:
        """A session does not match any more."""
        self._write({"gone": session_id})

    def notice(self, text: str) -> None:
        """Show a notice about the stream itself."""
        self._write({"notice": text})

    def _write(self, line: dict[str, Any]) -> None:
        self._out.write(safe_json(line) + "\n")
        self._out.flush()
