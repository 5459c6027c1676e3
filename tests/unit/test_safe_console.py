"""Text can't control the terminal, and our own colors and links still do."""

import io
import json
from typing import Any

import pytest
from rich.table import Table
from rich.text import Text

from bidbeacon_pipelines.cli.output import SafeConsole, safe_json, safe_text

EVIL = "a\x1b[31mb\x1b]0;title\x07c\x9b1md\u202ee\u2066f\x7f\x00g"
CONTROLS = ("\x1b[31m", "\x1b]0;", "\x07", "\x9b", "\u202e", "\u2066", "\x7f", "\x00")


def printed(renderable: object, **options: Any) -> str:
    """Return what a terminal is sent."""
    sent = io.StringIO()
    console = SafeConsole(file=sent, force_terminal=True, color_system="standard", width=200)
    console.print(renderable, **options)
    return sent.getvalue()


def table(text: str) -> Table:
    """Return a table whose heading and cell are a text."""
    made = Table(text)
    made.add_row(text)
    return made


@pytest.mark.parametrize(
    "renderable", [EVIL, Text(EVIL), table(EVIL), Text("x", style=f"link https://h/{EVIL}")]
)
def test_control_characters_are_shown_and_not_sent(renderable: object) -> None:
    """In plain text, in rich's text, in tables and in the addresses of links."""
    sent = printed(renderable)
    assert [] == [control for control in CONTROLS if control in sent]
    assert 2 <= sent.count("␛")
    assert 2 <= sent.count("\N{REPLACEMENT CHARACTER}")


def test_our_own_styles_are_sent() -> None:
    """Markup, styles and links of ours reach the terminal as they are; lines stay lines."""
    assert "\x1b[1;31mno\x1b[0m\n" == printed("no", style="bold red")
    assert "\x1b[32myes\x1b[0m" in printed("[green]yes[/green]")
    assert ";https://h/x\x1b\\" in printed(Text("x", style="link https://h/x"))
    assert "a\nb\n" == printed("a\nb")


@pytest.mark.parametrize("text", ["Ünïcode – 中文 ✔ 🎉", "عربي עברית", "a\tb\nc", "C:\\x1b [bold]"])
def test_ordinary_text_stays(text: str) -> None:
    """Any script, tabs and line breaks."""
    assert text == safe_text(text)


def test_json_escapes_what_terminals_obey_and_means_the_same() -> None:
    """Also what the JSON module leaves raw: C1 controls, DEL, and marks of the direction of writing."""
    told = safe_json({"name": EVIL, "é": 1})
    assert [] == [control for control in CONTROLS if control in told]
    assert "é" in told
    assert {"name": EVIL, "é": 1} == json.loads(told)
