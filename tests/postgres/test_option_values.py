"""Every value of every option ends its command with the exit code that it deserves, whatever the value is."""

from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import typer.main
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine
from typer.testing import CliRunner

from bidbeacon_pipelines.amazon_ads.client import AdsApiClient
from bidbeacon_pipelines.cli import app
from bidbeacon_pipelines.datasets.registry import DAILY_TARGETS, DATASETS
from bidbeacon_pipelines.settings import get_settings
from tests.support.rows import add_account

FINE, FAILED, USAGE = 0, 1, 2
Path_ = tuple[str, ...]

KEY = "US.one"
OF_ACCOUNT = ("--account", KEY)
OF_WINDOW = (*OF_ACCOUNT, "--window", "2026-11-23")
NEEDED: Mapping[Path_, Path_] = {
    ("accounts", "cadence"): (KEY,),
    ("accounts", "pause"): ("US.two",),  # other commands need the first one active
    ("accounts", "resume"): (KEY,),
    ("alerts", "acknowledge"): ("no-such-finding",),
    ("contract", "forget"): ("NA", DAILY_TARGETS.name, "period:SP+SB+SD"),
    ("contract", "set"): ("NA", DAILY_TARGETS.name, "history:SP+SB+SD", "10"),
    ("explain",): OF_WINDOW,
    ("load",): OF_WINDOW,
    ("refresh",): OF_ACCOUNT,
    ("restatements",): OF_WINDOW,
    ("windows", "accept"): OF_WINDOW,
    ("windows", "keep"): OF_WINDOW,
}
"""What a command needs beside the option."""
ENDS: Mapping[Path_, int] = {
    ("alerts", "acknowledge"): USAGE,  # there is no such finding
    ("contract", "forget"): USAGE,  # nothing is overridden
    ("entities", "sync"): FAILED,  # nobody answers in Amazon's place
    ("probe",): FAILED,  # the same
    ("windows", "accept"): USAGE,  # no day waits for a decision
    ("windows", "keep"): USAGE,  # the same
}
"""How a command ends if the value is good, unless it succeeds."""
WAIT_FOR_AMAZON = {("load",), ("refresh",)}
"""Commands that get bad values only."""
SERVE = {"dev", "stream", "tail"}

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=5_000)
"""Whatever a shell can pass."""
WORDS = TEXT.filter(lambda text: not any(char.isnumeric() for char in text))
MISLEADING = st.sampled_from(["-1", "0", "nan", "1e3", "9" * 30, "2026-02-30", "9999-12-31"])
MARKED_UP = st.just("[red]\n\x1b[31m🐕'; --")
NOBODY = WORDS.map("nobody {}".format)
"""Names of accounts may be cut short: a letter could be the beginning of one."""
BAD = MISLEADING | MARKED_UP | st.just("")
DAYS = st.dates(date(1970, 1, 1), date(2999, 12, 31)).map(str)
GOOD: Mapping[str, st.SearchStrategy[str]] = {
    "--account": st.just(KEY),
    "--country": st.sampled_from(["US", "us"]),
    "--cron": st.just("0 6 * * *"),
    "--dataset": st.sampled_from(sorted(DATASETS)),
    "--day": DAYS,
    "--every": st.integers(1, 48).map("{}h".format),
    "--limit": st.integers(1, 1_000).map(str),
    "--report": st.just("SP+SB+SD"),
    "--window": DAYS,
    "account:": st.just(KEY),
    "since:": DAYS | st.integers(1, 99).map("{}h".format),
    "window:": DAYS,
}
"""The values that an option takes; one that is not here takes any text."""
TAKE_ANYTHING = {
    (("quarantine", "list"), "--country"),
    (("quarantine", "replay"), "--country"),
    (("probe",), "--account"),  # it asks Amazon for the accounts first
}


def options_of(path: Path_, command: Any) -> Iterator[tuple[Path_, str]]:
    """Yield all commands below one, each with an option that takes a value, or the beginning of a term of a filter."""
    for name, below in getattr(command, "commands", {}).items():
        yield from options_of((*path, name), below)
    for parameter in command.params:
        if parameter.param_type_name == "option" and not parameter.is_flag:
            yield path, parameter.opts[0]
        if parameter.name == "terms":
            yield from ((path, f"{name}:") for name in ("window", "since", "account"))


OPTIONS = [
    (path, option)
    for path, option in options_of((), typer.main.get_command(app))
    if not SERVE.intersection(path)
]


@st.composite
def calls(draw: st.DrawFn) -> tuple[Path_, int]:
    """Return the arguments of a command, one of them an option's value, and the exit code that is right."""
    path, option = draw(st.sampled_from(OPTIONS))
    takes_any = option not in GOOD or (path, option) in TAKE_ANYTHING
    is_good = takes_any or (path not in WAIT_FOR_AMAZON and draw(st.booleans()))
    bad = BAD | (NOBODY if "account" in option or option == "--country" else WORDS)
    value = draw(GOOD[option] if is_good and not takes_any else bad)
    term = (option, value) if option.startswith("--") else (f"{option}{value}",)
    return (*path, *NEEDED.get(path, ()), *term), ENDS.get(path, FINE) if is_good else USAGE


@pytest.fixture
def _without_amazon(
    shared_database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Let commands work on a database with two accounts; nobody answers in Amazon's place."""
    monkeypatch.setenv("BIDBEACON_DATABASE_URL", shared_database_url)
    monkeypatch.setenv("BIDBEACON_SANDBOX_URL", "http://127.0.0.1:1")
    get_settings.cache_clear()
    monkeypatch.chdir(tmp_path)  # some values are names of files
    monkeypatch.setattr(AdsApiClient, "_gives_up", lambda *_: True)
    engine = create_engine(shared_database_url)
    with engine.begin() as connection:
        add_account(connection)
        add_account(connection, account_id="two", account_key="US.two", name="Two", profile_id="2")
    engine.dispose()


@pytest.mark.usefixtures("_without_amazon")
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(call=calls())
def test_a_value_of_an_option_ends_as_it_deserves(call: tuple[Path_, int]) -> None:
    """A good one as its command ends, a bad one as wrong usage; neither with a traceback."""
    arguments, code = call
    result = CliRunner().invoke(app, list(arguments))
    assert "Traceback" not in result.stderr
    assert code == result.exit_code, result.output
