"""What differs between a session and the last good one, and how a stretch of time is divided."""

import re
from datetime import timedelta
from pathlib import Path

import pytest

import bidbeacon_pipelines
import bidbeacon_sessions
from bidbeacon_sessions.listing import compare
from bidbeacon_sessions.server.answers import RefusedError
from bidbeacon_sessions.server.figures import divide
from bidbeacon_sessions.server.pages import list_modules
from tests.support.recorded_sessions import NOON


def test_actions_input_and_labels_are_compared() -> None:
    """Counts by type, each leaf of the input by its path, labels; what is the same is not told."""
    one, other = {"account": "US.a", "only": {"dataset": "x"}}, {"only": {"dataset": "y"}}
    here = {"input": one, "labels": {}, "actions": {"asked": 1, "failed": 1}}
    there = {
        "input": one | other | {"days": [1, 2]},
        "labels": {"asset": "a"},
        "actions": {"asked": 1, "loaded": 2},
    }
    expected = [
        ("action", "loaded", 0, 2),
        ("action", "failed", 1, 0),
        ("input", "only.dataset", "x", "y"),
        ("input", "days", None, "[1, 2]"),
        ("label", "asset", None, "a"),
    ]
    assert expected == [(*one.values(),) for one in compare(here, there)]


def test_a_comparison_is_bounded() -> None:
    """At most fifty differences, and no value longer than 201 characters."""
    nothing: dict[str, object] = {"input": {}, "labels": {}, "actions": {}}
    long = {str(number): "x" * 1_000 for number in range(60)}
    found = compare(nothing | {"input": long}, nothing)
    assert (50, 201) == (len(found), len(found[0]["here"]))


@pytest.mark.parametrize(
    ("stretch", "seconds"),
    [
        (timedelta(minutes=1), 1),
        (timedelta(hours=1), 60),
        (timedelta(hours=24), 1800),
        (timedelta(days=30), 12 * 3600),
        (timedelta(days=456), 7 * 86_400),
        (timedelta(days=40 * 365), 30 * 7 * 86_400),
    ],
)
def test_intervals_have_widths_that_people_read(stretch: timedelta, seconds: int) -> None:
    """They are few, cover the whole stretch, and begin at a multiple of their width."""
    made = divide(NOON + timedelta(seconds=7) - stretch, NOON + timedelta(seconds=7))
    assert seconds == made.interval.total_seconds()
    assert made.count <= 72
    assert made.since <= NOON + timedelta(seconds=7) - stretch
    assert made.before == NOON + timedelta(seconds=7)
    assert 0 == made.since.timestamp() % seconds


def test_a_stretch_must_have_a_length() -> None:
    """One that ends before it begins is refused with what to do."""
    with pytest.raises(RefusedError, match="Expected `since` to be earlier than `before`"):
        divide(NOON, NOON)


def test_the_page_is_light_and_holds_nothing_inline() -> None:
    """All its files together are below 300 KB; no script, style or handler stands in the markup."""
    ours = Path(bidbeacon_sessions.__file__).parent / "web"
    product = Path(bidbeacon_pipelines.__file__).parent / "web" / "files"
    files = [path for path in (*ours.iterdir(), *product.iterdir()) if path.suffix != ".ts"]
    assert sum(path.stat().st_size for path in files) < 300_000
    pages = [path for path in files if path.suffix == ".html"]
    assert pages
    for page in pages:
        markup = page.read_text(encoding="utf-8")
        assert markup.count("<script") == markup.count('<script type="module" src="/web/')
        assert not re.search("<style| style=| onclick=|javascript:", markup)


def test_a_page_preloads_all_that_its_script_imports() -> None:
    """Directly or through others, each module once; what it loads later, or only names, is not among them."""
    modules = {
        "page.js": 'import { a } from "./a.js";\nimport { b } from "./b.js";\nimport(address);',
        "a.js": 'import {\n  b,\n} from "./b.js";\nconst address = "./late.js";',
        "b.js": 'import { a } from "./a.js";',
        "late.js": "",
    }
    assert ["a.js", "b.js"] == list_modules("page.js", modules.__getitem__)
