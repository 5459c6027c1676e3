"""The suite can fail: with each promise of the stream broken on purpose, a test of the suite says so, and says what was broken.

Each mutation is a copy of our package with a few lines changed, which the processes of a test
import.
"""

import shutil
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from bidbeacon_pipelines.settings import PROJECT_ROOT
from tests.faults.stream import test_stream_commits as commits
from tests.faults.stream import test_stream_processes as processes
from tests.faults.stream import test_stream_readers as readers
from tests.faults.stream.stage import Stage
from tests.faults.stream.stream_cluster import StreamCluster

pytestmark = pytest.mark.faults

WRITERS_OF_EVERY_KIND = commits.test_stream_writers_of_every_kind_lose_nothing
LIST = readers.test_stream_a_list_is_true_as_of_its_cursor
FILTERED = readers.test_stream_filtered_readers_keep_no_ghosts
FROZEN = processes.test_stream_a_frozen_stepper_is_cut_off
RESTORED = readers.test_stream_dumped_and_restored_into_a_new_cluster
SLEPT = partial(
    readers.test_stream_a_reader_that_slept_longer_than_the_log_is_told, connected=False
)

Mutation = list[tuple[str, str, str]]
"""Files of `bidbeacon_sessions`, each with lines that are there once, and what is there instead."""

SNAPSHOT = """published_snapshot = pg_current_snapshot(), stepped_at = clock_timestamp()
    RETURNING position"""

SEQ_ABOVE_LAST = """published_snapshot = coalesce((
               SELECT CAST(n || ':' || n || ':' AS pg_snapshot)
                 FROM (SELECT max(CAST(CAST(changed_xid AS text) AS bigint)) + 1 AS n FROM changed) newest
                WHERE n IS NOT NULL), published_snapshot), stepped_at = clock_timestamp()
    RETURNING position"""
"""The cursor is the highest number published so far; transaction ids are such numbers, taken before the commit."""
PLACES = "    places = {(change.session_id, change.ord) for change in changes if change.ord > 0}\n"
ORD_ABOVE_LAST = """    from bidbeacon_sessions.queries import list_actions
    places = {
        (id_, row["ord"]) for id_ in ids for row in list_actions(connection, id_, after=_LAST.get(id_, 0))
    }
    _LAST.update(sorted(places, key=lambda place: place[1]))
"""
"""Of a changed session, the actions above the last `ord` are read."""
AS_OF = "        cursor = str(head(connection).cursor)\n    actions:"
BOUND_ON_FREEZING = "set_config('idle_in_transaction_session_timeout', '5s', true)"
EPOCH_CHECK = 'if place != taken["system_identifier"] or is_from_the_future:'

MUTATIONS: dict[str, tuple[Mutation, Callable[[Stage], None], str]] = {
    "seq above last": (
        [("change_log.py", SNAPSHOT, SEQ_ABOVE_LAST)],
        WRITERS_OF_EVERY_KIND,
        "never arrived",
    ),
    "ord above last": (
        [
            ("log_reader.py", PLACES, ORD_ABOVE_LAST),
            ("log_reader.py", "MOST_CHANGES = 500\n", "MOST_CHANGES = 500\n_LAST = {}\n"),
        ],
        WRITERS_OF_EVERY_KIND,
        "action .* never arrived",
    ),
    "every message moves the cursor": (
        [("log_reader.py", "cursors = [*[str(told)] *", "cursors = [*[str(upto)] *")],
        WRITERS_OF_EVERY_KIND,
        "positions from",
    ),
    "the list's cursor is of a later moment than its rows": (
        [("listing.py", AS_OF, "    with store.begin() as connection:\n" + AS_OF)],
        LIST,
        "never arrived",
    ),
    "who leaves a filter is not told": (
        [
            ("log_reader.py", "if kept[id_] and id_ in headers:", "if id_ in headers:"),
            ("log_reader.py", "if kept.get(place[0])", "if place[0] in kept"),
        ],
        FILTERED,
        "is a ghost",
    ),
    "a frozen stepper may hold the cursor for ever": (
        [("change_log.py", BOUND_ON_FREEZING, "NULL")],
        FROZEN,
        "the last is published",
    ),
    "nobody looks whether the log was trimmed": (
        [
            ("log_reader.py", "if after.position < newest.oldest - 1:", "if after.position < 0:"),
            (
                "log_reader.py",
                "if not changes or changes[0].position != after.position + 1:",
                "if not changes:",
            ),
        ],
        SLEPT,
        "never arrived",
    ),
    "no epoch check": (
        [("change_log.py", EPOCH_CHECK, 'if taken["system_identifier"] is None:')],
        RESTORED,
        "session .* never arrived",
    ),
    "restored rows keep their transaction ids": (
        [("change_log.py", 'in ("session_headers", "session_actions"):', "in ():")],
        RESTORED,
        "published twice|again and again",
    ),
}


def mutated_code(folder: Path, mutation: Mutation) -> Path:
    """Make a folder to import our packages from, with the changes.

    Raises:
        AssertionError: lines are not there exactly once: the code has moved on, and the mutation
            must too.
    """
    code = folder / "code"
    ours = code / "bidbeacon_sessions"
    skipped = shutil.ignore_patterns("__pycache__")
    shutil.copytree(PROJECT_ROOT / "bidbeacon_sessions", ours, ignore=skipped)
    for other in ("bidbeacon_pipelines", "tests"):
        (code / other).symlink_to(PROJECT_ROOT / other)
    for name, old, new in mutation:
        text = (ours / name).read_text()
        assert 1 == text.count(old), f"{name} has {text.count(old)} places like {old}"
        (ours / name).write_text(text.replace(old, new))
    return code


def test_stream_a_copy_in_which_nothing_is_broken_passes(
    stream_cluster: StreamCluster, tmp_path: Path
) -> None:
    """An unbroken copy of the code passes, so the faults found below come from the mutations."""
    with closing(Stage(stream_cluster, tmp_path, code=mutated_code(tmp_path, []))) as stage:
        WRITERS_OF_EVERY_KIND(stage)


@pytest.mark.parametrize(("mutation", "test", "said"), MUTATIONS.values(), ids=MUTATIONS)
def test_stream_what_is_broken_is_found(
    stream_cluster: StreamCluster,
    tmp_path: Path,
    mutation: Mutation,
    test: Callable[[Stage], None],
    said: str,
) -> None:
    """The named test fails, with what was to be expected."""
    stage = Stage(stream_cluster, tmp_path, code=mutated_code(tmp_path, mutation), patience=12)
    with closing(stage), pytest.raises(AssertionError, match=said):
        test(stage)
