"""The documents say what the code does: catalogue, settings, dependencies, links, paths and commands."""

import re
import shlex
import tomllib
from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from importlib.metadata import metadata
from pathlib import Path
from typing import Any

import pytest
import typer.main
from pydantic_settings import BaseSettings

from bidbeacon_pipelines.cli import app
from bidbeacon_pipelines.database.address import OLDEST_VERSION
from bidbeacon_pipelines.settings import PROJECT_ROOT, Settings
from bidbeacon_sessions.settings import SessionSettings
from tools import actions_page, causes_page
from tools.data_dictionary import make_dictionary

DOCS = sorted([*PROJECT_ROOT.glob("*.md"), *(PROJECT_ROOT / "docs").glob("*.md")])
OF_TESTS = {"BIDBEACON_TEST_CLUSTER_URL"}
FOLDERS = (
    *("bidbeacon_pipelines/", "bidbeacon_sandbox/", "bidbeacon_sessions/"),
    *("docs/", "tests/", "benchmarks/", ".ci/"),
)
PRINTED = {
    "actions.md": actions_page.make_page,
    "causes.md": causes_page.make_page,
    "data-dictionary.md": make_dictionary,
}

each_document = pytest.mark.parametrize("document", DOCS, ids=lambda path: path.name)


@pytest.mark.parametrize("name", PRINTED)
def test_pages_of_actions_causes_and_data_are_as_printed(name: str) -> None:
    """They list exactly what is registered."""
    assert PRINTED[name]() == _doc(name), "run `make docs`"


def test_every_setting_is_listed_with_its_default() -> None:
    """docs/settings.md has one line for each field of both settings classes, and no other."""
    rows = re.findall(r"^\| `(BIDBEACON_\w+)` \| (.+?) \|", _doc("settings.md"), re.MULTILINE)
    assert {**_defaults(Settings), **_defaults(SessionSettings)} == dict(rows)
    assert len(rows) == len(dict(rows))


def test_documents_promise_the_oldest_supported_postgres() -> None:
    """Every "PostgreSQL n or newer" names the version that the check of a database demands."""
    readme = PROJECT_ROOT / "bidbeacon_sessions" / "README.md"
    promised = {
        document.name: set(re.findall(r"PostgreSQL (\d+) or newer", _text(document)))
        for document in [*DOCS, readme]
    }
    found = {name: versions for name, versions in promised.items() if versions}
    assert {"README.md", "running.md", "settings.md", "sessions-library.md"} <= found.keys()
    assert {str(OLDEST_VERSION)} == set().union(*found.values())


@each_document
def test_settings_that_a_document_names_exist(document: Path) -> None:
    """Every BIDBEACON_… of a document is a setting, or one of the tests'."""
    named = set(re.findall(r"\bBIDBEACON_[A-Z_]*[A-Z]\b", _text(document)))
    assert named <= {*_defaults(Settings), *_defaults(SessionSettings), *OF_TESTS}


@pytest.mark.parametrize("heading", ["Runtime", "Cluster", "Development", "Deployment files"])
def test_every_dependency_has_its_reason(heading: str) -> None:
    """docs/dependencies.md lists what pyproject.toml asks for, and nothing else."""
    section = _doc("dependencies.md").partition(f"## {heading}\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| ([a-z][\w, -]+?) \| .+ \|$", section, re.MULTILINE)
    listed = [name for row in rows if row != "package" for name in row.split(", ")]
    assert sorted(_dependencies()[heading]) == sorted(listed)


def test_the_lock_holds_every_dependency_with_hashes_and_no_index() -> None:
    """What is asked for is locked, each version with a hash, and nothing says where packages come from."""
    lock = _text(PROJECT_ROOT / "requirements.lock")
    pinned = r"^([a-z0-9-]+)(?:\[\S+\])?==\S+.*\\\n    --hash=sha256:"
    locked = re.findall(pinned, lock, re.MULTILINE)
    assert set().union(*_dependencies().values()) <= set(locked)
    assert len(re.findall("^[a-z]", lock, re.MULTILINE)) == len(locked)
    assert [] == re.findall(r"--(?:extra-)?index-url \S+|https?://\S+", lock)


def test_the_license_is_the_apache_license() -> None:
    """The package's metadata name it, and LICENSE is its full text as apache.org publishes it."""
    assert "Apache-2.0" == metadata("bidbeacon")["License-Expression"]
    text = (PROJECT_ROOT / "LICENSE").read_bytes()
    published = "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"
    assert published == sha256(text).hexdigest()


@each_document
def test_links_lead_somewhere(document: Path) -> None:
    """The file of every relative link exists."""
    targets = re.findall(r"\]\(([^)#\s]+)", _text(document))
    relative = [target for target in targets if not re.match(r"[a-z]+:", target)]
    assert [] == [target for target in relative if not (document.parent / target).exists()]


def test_the_readme_leads_to_every_document() -> None:
    """No document is reachable by a listing of the folder alone."""
    readme = _text(PROJECT_ROOT / "README.md")
    others = [path.name for path in DOCS if path.name != "README.md"]
    assert [] == [name for name in others if f"{name})" not in readme]


@each_document
def test_paths_that_a_document_names_exist(document: Path) -> None:
    """Every file or folder of the project that stands in code marks exists."""
    named = [span for span in _code_spans(document) if span.startswith(FOLDERS) and " " not in span]
    assert [] == [path for path in named if not (PROJECT_ROOT / path).exists()]


@each_document
def test_commands_that_a_document_shows_exist(document: Path) -> None:
    """Every `bidbeacon …` is a command with these options, every `make …` a target."""
    targets = set(re.findall(r"^([a-z-]+):", _text(PROJECT_ROOT / "Makefile"), re.MULTILINE))
    shown = [*_code_spans(document), *_code_lines(document)]
    made = {match[1] for command in shown if (match := re.match(r"make ([a-z-]+)", command))}
    assert made <= targets
    for command in shown:
        if match := re.match(r"(?:\$ )?(?:\.venv/bin/)?bidbeacon (.+)", command):
            _check_command(shlex.split(match[1], comments=True))


@cache
def _bidbeacon() -> Any:
    return typer.main.get_command(app)


def _check_command(words: list[str]) -> None:
    command = _bidbeacon()
    while words and (subcommands := getattr(command, "commands", None)):
        assert words[0] in subcommands, words
        command = subcommands[words.pop(0)]
    known = {name for parameter in command.params for name in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= known


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _doc(name: str) -> str:
    return _text(PROJECT_ROOT / "docs" / name)


def _defaults(settings: type[BaseSettings]) -> dict[str, str]:
    """Return each setting's default as docs/settings.md shows it."""
    shown = {
        name: _shown(field.get_default(call_default_factory=True, validated_data={}))
        for name, field in settings.model_fields.items()
    }
    return {f"BIDBEACON_{name.upper()}": default for name, default in shown.items()}


def _shown(default: object) -> str:
    if default is None:
        return "none"
    return f"`{default.relative_to(PROJECT_ROOT) if isinstance(default, Path) else default}`"


def _dependencies() -> dict[str, list[str]]:
    project = tomllib.loads(_text(PROJECT_ROOT / "pyproject.toml"))
    wanted = {
        "Runtime": project["project"]["dependencies"],
        "Cluster": project["project"]["optional-dependencies"]["cluster"],
        "Development": project["dependency-groups"]["dev"],
        "Deployment files": project["dependency-groups"]["deploy"],
    }
    names = re.compile(r"[^\[~=<>! ]+")
    return {group: [names.findall(line)[0] for line in lines] for group, lines in wanted.items()}


def _code_spans(document: Path) -> list[str]:
    """Return what stands between single code marks, outside of code blocks; line breaks inside count as blanks."""
    outside = re.sub(r"^ *```.*?^ *```", "", _text(document), flags=re.MULTILINE | re.DOTALL)
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", outside)]


def _code_lines(document: Path) -> Iterator[str]:
    for block in re.findall(r"^ *```\n(.*?)^ *```", _text(document), re.MULTILINE | re.DOTALL):
        yield from (line.strip() for line in block.splitlines())
