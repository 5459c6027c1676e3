"""The command line as a process of its own, on a database whose texts try to control the terminal."""

import json
import os
import subprocess
import sys
import unicodedata
from typing import Any

import pytest

from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.settings import PROJECT_ROOT
from bidbeacon_sessions import Subject, with_job_session
from tests.support.rows import change_accounts, change_ads_accounts
from tests.support.world import World

EVIL = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202egnp"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command as a person would."""
    command = [sys.executable, "-m", "bidbeacon_pipelines", *arguments]
    environment = os.environ | {"COLUMNS": "300", "PYTHONIOENCODING": "utf-8"}
    options: dict[str, Any] = {"capture_output": True, "encoding": "utf-8", "cwd": PROJECT_ROOT}
    return subprocess.run(command, env=environment, check=False, **options)


def controls_in(text: str) -> set[str]:
    """Return the control and format characters of a text, beside line breaks."""
    return {repr(one) for one in text if unicodedata.category(one) in {"Cc", "Cf"} and one != "\n"}


def failed_session(world: World, account: Account) -> str:
    """Record a session of an account with such an error; return its id."""
    ref = Subject(account.account_key)
    with (
        pytest.raises(ValueError, match="owned"),
        with_job_session("refresh-account", store=world.sessions, account=ref) as session,
    ):
        raise ValueError(EVIL)
    return str(session.session_id)


def test_no_text_controls_the_terminal(stocked: World) -> None:
    """Stored names, reasons and errors, and given arguments, in results, in errors and in JSON."""
    account = stocked.account()
    why = {"code": "other", "detail": {"reason": EVIL}}
    attention = {"needs_attention": why, "needs_attention_for": "account"}
    change_ads_accounts(stocked.engine, name=EVIL, **attention)
    change_accounts(stocked.engine, name=EVIL)
    session_id = failed_session(stocked, account)
    of_window = ("--account", account.account_key, "--window", str(stocked.day()))
    commands = [
        ("accounts", "list"),
        ("sessions", "show", session_id),
        ("explain", *of_window),
        ("doctor",),
        ("accounts", "list", "--json"),
        ("sessions", "show", session_id, "--json"),
        ("sessions", "list", f"since:{EVIL}"),
        ("explain", "--account", EVIL, "--window", str(stocked.day())),
        (f"--{EVIL}",),
        ("sessions", "show", EVIL),
    ]
    done = {command: run(*command) for command in commands}
    found = {command: controls_in(one.stdout + one.stderr) for command, one in done.items()}
    assert {} == {command: controls for command, controls in found.items() if controls}
    shows = {command: "owned" in one.stdout or "␛" in one.stderr for command, one in done.items()}
    assert all(shows.values()), shows
    shown = json.loads(done["sessions", "show", session_id, "--json"].stdout)
    assert EVIL == shown["error"]["message"]
