"""Text for users is plain: no sentence names a class of the program, none has words that were given up."""

import ast
import re
from collections.abc import Iterator
from typing import Any

import pytest
import typer.main

from bidbeacon_pipelines.accounts.queries import UnknownAccountError
from bidbeacon_pipelines.actions import SkipReason
from bidbeacon_pipelines.causes import CAUSE_KINDS, explain, explain_as_json
from bidbeacon_pipelines.cli import app
from bidbeacon_pipelines.definitions import defs
from bidbeacon_pipelines.settings import PROJECT_ROOT
from bidbeacon_sessions.actions import action_classes
from bidbeacon_sessions.presentation import error_text
from bidbeacon_sessions.session import describe_error

PACKAGES = ("bidbeacon_pipelines", "bidbeacon_sessions")
INNER_CAPITAL = re.compile(r"[A-Za-z]+[a-z][A-Z]\w*")
GIVEN_UP = re.compile(r"succeeded with|skipped only|needs a person|goes on by itself")
STRINGS = re.compile(r'"([^"\n]* [^"\n]*)"|`([^`]* [^`]*)`|>([^<>{}]*\w[^<>{}]*)<')


def our_classes() -> set[str]:
    """Return the names of our classes that can't be words of English."""
    trees = [
        ast.parse(path.read_text(encoding="utf-8"))
        for package in PACKAGES
        for path in (PROJECT_ROOT / package).rglob("*.py")
    ]
    nodes = (node for tree in trees for node in ast.walk(tree))
    names = {node.name.lstrip("_") for node in nodes if isinstance(node, ast.ClassDef)}
    return {name for name in names if INNER_CAPITAL.fullmatch(name)}


def of_actions() -> Iterator[str]:
    """Yield the sentences of all actions, and the reasons inside of them."""
    yield from (kind.sentence for kind in action_classes().values())
    yield from SkipReason


def of_causes() -> Iterator[str]:
    """Yield the sentence and the advice of each cause."""
    for kind in CAUSE_KINDS.values():
        yield explain({"code": kind.code, **dict.fromkeys(kind.parameters, "x")}).text


def of_commands(command: Any = None) -> Iterator[str]:
    """Yield the help of all commands, and of their options."""
    command = command or typer.main.get_command(app)
    yield command.help or ""
    yield from (getattr(parameter, "help", None) or "" for parameter in command.params)
    for below in getattr(command, "commands", {}).values():
        yield from of_commands(below)


def of_pages() -> Iterator[str]:
    """Yield the texts of the pages."""
    for folder in ("bidbeacon_pipelines/web/files", "bidbeacon_sessions/web"):
        for path in (PROJECT_ROOT / folder).glob("*.[jh]*"):
            for found in STRINGS.findall(path.read_text(encoding="utf-8")):
                yield from filter(None, found)


def of_dagster() -> Iterator[str]:
    """Yield what Dagster's pages show of jobs, sensors and assets."""
    named = [*(defs.jobs or ()), *(defs.sensors or ()), *(defs.schedules or ())]
    yield from (getattr(one, "description", None) or "" for one in named)
    yield from (spec.description or "" for spec in defs.resolve_all_asset_specs())


@pytest.mark.parametrize(
    "texts", [of_actions, of_causes, of_commands, of_pages, of_dagster], ids=lambda f: f.__name__
)
def test_no_text_names_a_class_or_has_words_that_were_given_up(texts: Any) -> None:
    """So that nobody has to know the program to understand a sentence."""
    found, classes = list(texts()), our_classes()
    assert found
    words = {word for text in found for word in INNER_CAPITAL.findall(text)}
    assert set() == words & classes
    assert [] == [text for text in found if GIVEN_UP.search(text)]


def test_an_error_that_is_no_bug_is_told_without_its_class() -> None:
    """Its message is the sentence, on pages and in findings; it stays beside it as data."""
    error = describe_error(UnknownAccountError("US.x"))
    told = error_text(error | {"explained": explain_as_json(error["cause"])})
    assert "UnknownAccountError" == error["type"]
    assert told.startswith("No account 'US.x': `bidbeacon accounts list` shows all accounts")
