"""The page of commands: `python -m tools.commands_page` prints it, by Typer's own printer."""

import html
import re
import subprocess
import sys

from bidbeacon_pipelines import cli

_HEAD = """# Commands

Printed from the command line's own help by `make docs`; a test compares them.

Run commands in the project's folder, with `.venv/bin/` before `bidbeacon`. The page
[Errors](errors.md) lists exit codes.
"""
_LEFT_OUT = re.compile(
    r"\A(?s:.*?)(?=^## )"  # the root command, whose help is only the list of commands
    r"|^\*\*Commands\*\*:\n\n(?:\* .*\n)+\n"
    r"|^\*\*Options\*\*:\n\n\* `--help`.*\n\n"
    r"|^\* `--help`.*\n",
    re.MULTILINE,
)


def make_page() -> str:
    """Return the page as Markdown with a final newline."""
    command = ["typer", cli.__name__, "utils", "docs", "--name", "bidbeacon"]
    done = subprocess.run(
        [sys.executable, "-m", *command], check=True, capture_output=True, text=True
    )
    pages = _LEFT_OUT.sub("", html.unescape(done.stdout))
    return f"{_HEAD}\n{pages.replace('```console', '```text').strip()}\n"


if __name__ == "__main__":
    print(make_page(), end="")
