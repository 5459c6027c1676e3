"""Check the words of docs, docstrings, commands and pages: `python -m tools.words`.

`tools/words.toml` has patterns of words and phrases, each with what to write instead.
"""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("bidbeacon_pipelines", "bidbeacon_sandbox", "bidbeacon_sessions", "benchmarks", "tools")
_CODE = re.compile(r"^ *```.*?^ *```|`[^`]+`|\]\([^)]*\)|<!--.*?-->", re.MULTILINE | re.DOTALL)
_TEXTS_OF_PAGES = re.compile(r'"[^"\n]* [^"\n]*"|`[^`]* [^`]*`|>[^<>{}]*\w[^<>{}]*<')
_TAGS = re.compile(r"<[^>]*>|\{[{%#].*?[}%#]\}", re.DOTALL)


class Text(NamedTuple):
    """A text for readers, and the line of its file on which it begins."""

    path: Path
    line: int
    text: str


def list_texts() -> Iterator[Text]:
    """Yield all texts, without code."""
    documents = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    for path in [*documents, ROOT / "bidbeacon_sessions" / "README.md"]:
        yield Text(path, 1, _without(_CODE, path.read_text(encoding="utf-8")))
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            yield from _texts_of_module(path)
    for folder in ("bidbeacon_pipelines/web/files", "bidbeacon_sessions/web"):
        for path in (ROOT / folder).glob("*.[jh]*"):
            page = path.read_text(encoding="utf-8")
            for found in _TEXTS_OF_PAGES.finditer(page):
                yield Text(path, _line(page, found.start()), _without(_TAGS, found[0]))


def _texts_of_module(path: Path) -> Iterator[Text]:
    """Yield a module's docstrings, help of commands, and sentences that messages consist of."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            yield Text(path, node.lineno, _without(_CODE, node.value))


def _without(pattern: re.Pattern[str], text: str) -> str:
    """Return a text with the matches of a pattern blanked; line breaks stay."""
    return pattern.sub(lambda found: re.sub(r"[^\n]", "\0", found[0]), text)


def _line(text: str, place: int) -> int:
    return text.count("\n", 0, place) + 1


def list_faults() -> Iterator[str]:
    """Yield a line for each word or phrase that should not be used."""
    words = tomllib.loads((ROOT / "tools" / "words.toml").read_text(encoding="utf-8"))["instead"]
    patterns = [
        (re.compile(rf"\b(?:{pattern})\b".replace(" ", r"\s+"), re.IGNORECASE), instead)
        for pattern, instead in words.items()
    ]
    for path, line, text in list_texts():
        for pattern, instead in patterns:
            for found in pattern.finditer(text):
                place = f"{path.relative_to(ROOT)}:{line + _line(text, found.start()) - 1}"
                yield f"{place}: {' '.join(found[0].split())!r}: write: {instead}"


if __name__ == "__main__":
    faults = list(list_faults())
    print("\n".join(faults) or "No word or phrase of tools/words.toml is used.")
    sys.exit(1 if faults else 0)
