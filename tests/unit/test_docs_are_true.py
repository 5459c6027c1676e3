"""The documents say what the code does: printed pages, settings, dependencies, links, paths, tables and commands."""

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

from bidbeacon_pipelines.cli import app
from bidbeacon_pipelines.database.address import OLDEST_VERSION
from bidbeacon_pipelines.settings import PROJECT_ROOT, Settings
from bidbeacon_pipelines.tables import PipelinesBase
from bidbeacon_pipelines.views import REPORT_VIEWS
from bidbeacon_sessions.tables import SessionsBase
from tools.documents import PRINTED

SITE = PROJECT_ROOT / "docs"
DOCS = sorted(
    [
        *PROJECT_ROOT.glob("*.md"),
        *SITE.rglob("*.md"),
        PROJECT_ROOT / "bidbeacon_sessions" / "README.md",
    ]
)
BY_HAND = [path for path in DOCS if path not in PRINTED]
MOST_WORDS, MOST_WORDS_OF_A_PAGE = 45_000, 2_000
OF_TESTS = {"BIDBEACON_TEST_CLUSTER_URL"}
OF_USERS = {"deploy/.env", "deploy/settings.env"}
"""Files that a page lets its reader create."""
FOLDERS = (
    *("bidbeacon_pipelines/", "bidbeacon_sandbox/", "bidbeacon_sessions/"),
    *("docs/", "tests/", "benchmarks/", "tools/", "deploy/", ".ci/"),
)
DOORS = (
    *("tutorial/first-hour.md", "tutorial/first-real-account.md", "how-to/on-call.md"),
    *("how-to/answer-business-questions.md", "sessions/quick-start.md"),
)
COLUMNS = {
    **{view.name: {column.name for column in view.columns} for view in REPORT_VIEWS},
    **{
        name: set(table.columns.keys())
        for base in (PipelinesBase, SessionsBase)
        for name, table in base.metadata.tables.items()
    },
}
"""The columns of each table and view, by its name."""


def _name(document: Path) -> str:
    return str(document.relative_to(PROJECT_ROOT))


each_document = pytest.mark.parametrize("document", DOCS, ids=_name)


@pytest.mark.parametrize("document", PRINTED, ids=_name)
def test_printed_pages_are_as_printed(document: Path) -> None:
    """They list exactly what is registered."""
    assert PRINTED[document]() == _text(document), "run `make docs`"


def test_pages_are_short() -> None:
    """Pages that are written by hand can be read in a quarter of an hour each, and all of them in a day."""
    words = {_name(path): len(_without_blocks(path).split()) for path in BY_HAND}
    assert {} == {name: count for name, count in words.items() if count > MOST_WORDS_OF_A_PAGE}
    assert sum(words.values()) <= MOST_WORDS


def test_the_site_has_every_page() -> None:
    """The navigation leads to each page of docs/, and to nothing else."""
    listed = re.findall(r"^ *- .+: (\S+\.md)$", _text(PROJECT_ROOT / "mkdocs.yml"), re.MULTILINE)
    assert sorted(listed) == sorted(str(path.relative_to(SITE)) for path in SITE.rglob("*.md"))


def test_documents_promise_the_oldest_supported_postgres() -> None:
    """Every "PostgreSQL n or newer" names the version that the check of a database demands."""
    promised = [re.findall(r"PostgreSQL (\d+) or newer", _text(document)) for document in DOCS]
    assert {str(OLDEST_VERSION)} == set().union(*promised)


@each_document
def test_settings_that_a_document_names_exist(document: Path) -> None:
    """Every BIDBEACON_… of a document is a setting, or one of the tests'."""
    named = set(re.findall(r"\bBIDBEACON_[A-Z_]*[A-Z]\b", _text(document)))
    assert named <= {f"BIDBEACON_{name.upper()}" for name in Settings.model_fields} | OF_TESTS


@each_document
def test_columns_that_a_document_names_exist(document: Path) -> None:
    """Every `table.column` of a table or view of ours has this column."""
    named = [span.split(".") for span in _code_spans(document) if re.fullmatch(r"\w+\.\w+", span)]
    known = [(table, column) for table, column in named if table in COLUMNS]
    assert [] == [(table, column) for table, column in known if column not in COLUMNS[table]]


@pytest.mark.parametrize("heading", ["Runtime", "Cluster", "Development", "Deployment files"])
def test_every_dependency_has_its_reason(heading: str) -> None:
    """docs/reference/dependencies.md lists what pyproject.toml asks for, and nothing else."""
    section = (
        _text(SITE / "reference" / "dependencies.md")
        .partition(f"## {heading}\n")[2]
        .partition("\n## ")[0]
    )
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
    """The file of every relative link exists, with the heading that the link names."""
    broken = []
    for target, heading in re.findall(r"\]\(([^)#\s]*)#?([^)\s]*)\)", _without_blocks(document)):
        if re.match(r"[a-z]+:", target):
            continue
        path = (document.parent / target).resolve() if target else document
        if not path.exists() or (heading and heading not in _anchors(path)):
            broken.append(f"{target}#{heading}")
    assert [] == broken


@pytest.mark.parametrize(("page", "folder"), [("README.md", "docs/"), ("docs/index.md", "")])
def test_the_front_pages_lead_to_the_doors(page: str, folder: str) -> None:
    """To try, to run, to analyze, and to use the sessions elsewhere; the site's navigation leads to the other pages."""
    links = set(re.findall(r"\]\(([^)#\s]+)", _text(PROJECT_ROOT / page)))
    assert {f"{folder}{door}" for door in DOORS} <= links


@pytest.mark.parametrize("document", sorted(SITE.rglob("*.md")), ids=_name)
def test_pages_of_the_site_link_to_nothing_outside_of_it(document: Path) -> None:
    """A site has no other files of the project: a page names their paths instead."""
    targets = re.findall(r"\]\(([^)#\s]+)", _without_blocks(document))
    paths = [(document.parent / one).resolve() for one in targets if not re.match("[a-z]+:", one)]
    assert [] == [path for path in paths if not path.is_relative_to(SITE)]


@each_document
def test_paths_that_a_document_names_exist(document: Path) -> None:
    """Every file or folder of the project that stands in code marks exists."""
    named = [span for span in _code_spans(document) if span.startswith(FOLDERS) and " " not in span]
    missing = {path for path in named if not (PROJECT_ROOT / path).exists()}
    assert set() == missing - OF_USERS


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


def _without_blocks(path: Path) -> str:
    return re.sub(r"^ *```.*?^ *```", "", _text(path), flags=re.MULTILINE | re.DOTALL)


@cache
def _anchors(path: Path) -> set[str]:
    """Return the names of a page's headings in links, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", _without_blocks(path), re.MULTILINE)
    return {
        re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings
    }


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
    spans = re.findall(r"`([^`]+)`", _without_blocks(document))
    return [" ".join(span.split()) for span in spans]


def _code_lines(document: Path) -> Iterator[str]:
    for block in re.findall(
        r"^ *```(?:sh)?\n(.*?)^ *```", _text(document), re.MULTILINE | re.DOTALL
    ):
        yield from (line.strip() for line in block.splitlines())
