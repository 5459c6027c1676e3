"""The suite can fail: with each promise of the stream broken on purpose, a test of the suite says so, and says what was broken.

Each mutation is a copy of our package with a few lines changed, which the processes of a test
import.
"""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bidbeacon_pipelines.settings import PROJECT_ROOT
from tests.faults.stream import test_stream_commits as commits
from tests.faults.stream import test_stream_processes as processes
from tests.faults.stream import test_stream_readers as readers
from tests.faults.stream.stage import Stage
from tests.faults.stream.stream_cluster import StreamCluster

Mutation = list[tuple[str, str, str]]
"""Files of `bidbeacon_sessions`, each with lines that are there once, and what is there instead."""
MutatedStage = Callable[[Mutation], Stage]

NOTHING: Mutation = []
SEQ_ABOVE_LAST: Mutation = [
    (
        "change_log.py",
        "published_snapshot = pg_current_snapshot(), stepped_at = clock_timestamp()\n    RETURNING position",
        """published_snapshot = coalesce((
               SELECT CAST(n || ':' || n || ':' AS pg_snapshot)
                 FROM (SELECT max(CAST(CAST(changed_xid AS text) AS bigint)) + 1 AS n FROM changed) newest
                WHERE n IS NOT NULL), published_snapshot), stepped_at = clock_timestamp()
    RETURNING position""",
    )
]
"""The cursor is the highest number published so far; transaction ids are such numbers, taken before the commit."""
ORD_ABOVE_LAST: Mutation = [
    (
        "log_reader.py",
        "    places = {(change.session_id, change.ord) for change in changes if change.ord > 0}\n",
        """    from bidbeacon_sessions.queries import list_actions
    places = {
        (id_, row["ord"]) for id_ in ids for row in list_actions(connection, id_, after=_LAST.get(id_, 0))
    }
    _LAST.update(sorted(places, key=lambda place: place[1]))
""",
    ),
    ("log_reader.py", "MOST_CHANGES = 500\n", "MOST_CHANGES = 500\n_LAST = {}\n"),
]
"""Of a changed session, the actions above the last `ord` are read."""
NO_EPOCH_CHECK: Mutation = [
    (
        "change_log.py",
        'if place != taken["system_identifier"] or is_from_the_future:',
        'if taken["system_identifier"] is None:',
    )
]
NO_AS_OF: Mutation = [
    (
        "listing.py",
        "        labels = load_labels(connection, rows)\n        cursor = str(head(connection).cursor)\n    actions:",
        "        labels = load_labels(connection, rows)\n    with store.begin() as connection:\n        cursor = str(head(connection).cursor)\n    actions:",
    )
]
"""The list's cursor is of a later moment than its rows."""
FOREIGN_IDS_KEPT: Mutation = [
    ("change_log.py", 'for table in ("session_headers", "session_actions"):', "for table in ():")
]
"""Restored rows keep the transaction ids of where they come from."""
NO_BOUND_ON_FREEZING: Mutation = [
    ("change_log.py", "set_config('idle_in_transaction_session_timeout', '5s', true)", "NULL")
]
"""A frozen stepper may hold the cursor for ever."""
NO_LOOK_AT_THE_OLDEST: Mutation = [
    ("log_reader.py", "if after.position < newest.oldest - 1:", "if after.position < 0:"),
    (
        "log_reader.py",
        "if not changes or changes[0].position != after.position + 1:",
        "if not changes:",
    ),
]
"""A reader continues with the oldest change there is, whatever was trimmed before."""
GONE_UNTOLD: Mutation = [
    ("log_reader.py", "if kept[id_] and id_ in headers:", "if id_ in headers:"),
    ("log_reader.py", "if kept.get(place[0])", "if place[0] in kept"),
]
"""Who asked for one status is not told when a session leaves it."""
EVERY_MESSAGE_MOVES_THE_CURSOR: Mutation = [
    ("log_reader.py", "cursors = [*[str(told)] *", "cursors = [*[str(upto)] *")
]


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
    (code / "bidbeacon_pipelines").symlink_to(PROJECT_ROOT / "bidbeacon_pipelines")
    for name, old, new in mutation:
        text = (ours / name).read_text()
        assert 1 == text.count(old), f"{name} has {text.count(old)} places like {old}"
        (ours / name).write_text(text.replace(old, new))
    return code


@pytest.fixture
def stage_with(stream_cluster: StreamCluster, tmp_path: Path) -> Iterator[MutatedStage]:
    """Yield a stage whose processes run a broken stream, and whose readers are not waited for long."""
    made: list[Stage] = []

    def make(mutation: Mutation) -> Stage:
        code = mutated_code(tmp_path, mutation)
        made.append(Stage(stream_cluster, tmp_path, code=code, patience=12))
        return made[0]

    yield make
    made[0].close()


@pytest.mark.faults
def test_stream_a_copy_in_which_nothing_is_broken_passes(stage_with: MutatedStage) -> None:
    """What is found below is not found because the code is a copy."""
    commits.test_stream_writers_of_every_kind_lose_nothing(stage_with(NOTHING))


@pytest.mark.faults
@pytest.mark.parametrize(
    ("mutation", "test", "said"),
    [
        (SEQ_ABOVE_LAST, commits.test_stream_writers_of_every_kind_lose_nothing, "never arrived"),
        (
            ORD_ABOVE_LAST,
            commits.test_stream_writers_of_every_kind_lose_nothing,
            "action .* never arrived",
        ),
        (
            EVERY_MESSAGE_MOVES_THE_CURSOR,
            commits.test_stream_writers_of_every_kind_lose_nothing,
            "positions from",
        ),
        (NO_AS_OF, readers.test_stream_a_list_is_true_as_of_its_cursor, "never arrived"),
        (GONE_UNTOLD, readers.test_stream_filtered_readers_keep_no_ghosts, "is a ghost"),
        (
            NO_BOUND_ON_FREEZING,
            processes.test_stream_a_frozen_stepper_is_cut_off,
            "the last is published",
        ),
    ],
    ids=["seq", "ord", "every message", "as of", "gone", "freezing"],
)
def test_stream_what_is_broken_is_found(
    stage_with: MutatedStage, mutation: Mutation, test: Callable[[Stage], None], said: str
) -> None:
    """The named test fails, with what was to be expected."""
    with pytest.raises(AssertionError, match=said):
        test(stage_with(mutation))


@pytest.mark.faults
def test_stream_a_log_trimmed_unseen_is_found(stage_with: MutatedStage) -> None:
    """A reader that continues with the oldest change there is shows too little."""
    with pytest.raises(AssertionError, match="never arrived"):
        readers.test_stream_a_reader_that_slept_longer_than_the_log_is_told(
            stage_with(NO_LOOK_AT_THE_OLDEST), connected=False
        )


@pytest.mark.faults
@pytest.mark.parametrize(
    ("mutation", "said"),
    [
        (NO_EPOCH_CHECK, "session .* never arrived"),
        (FOREIGN_IDS_KEPT, "published twice|again and again"),
    ],
    ids=["no epoch check", "foreign ids kept"],
)
def test_stream_a_restore_unseen_is_found(
    stage_with: MutatedStage,
    second_cluster: StreamCluster,
    tmp_path: Path,
    mutation: Mutation,
    said: str,
) -> None:
    """Without the epoch readers miss what was committed before the first step; with foreign transaction ids the same comes over and over."""
    with pytest.raises(AssertionError, match=said):
        readers.test_stream_dumped_and_restored_into_a_new_cluster(
            stage_with(mutation), second_cluster, tmp_path
        )
