"""The suite can fail: with each promise of the stream broken on purpose, a test of the suite says so, and says what was broken."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.stream import stream_mutations as broken
from tests.faults.stream.stage import Stage
from tests.faults.stream.stream_cluster import StreamCluster
from tests.faults.stream.stream_mutations import Mutation, mutated_code
from tests.faults.stream.test_stream_commits import (
    test_stream_writers_of_every_kind_lose_nothing as writers,
)
from tests.faults.stream.test_stream_processes import (
    test_stream_a_frozen_stepper_is_cut_off as frozen,
)
from tests.faults.stream.test_stream_readers import (
    test_stream_a_list_is_true_as_of_its_cursor as loading,
)
from tests.faults.stream.test_stream_readers import (
    test_stream_a_reader_that_slept_longer_than_the_log_is_told as slept,
)
from tests.faults.stream.test_stream_readers import (
    test_stream_dumped_and_restored_into_a_new_cluster as restored,
)
from tests.faults.stream.test_stream_readers import (
    test_stream_filtered_readers_keep_no_ghosts as filtered,
)

# Under these names pytest does not take them for tests of this module.
MutatedStage = Callable[[Mutation], Stage]


@pytest.fixture
def stage_with(stream_cluster: StreamCluster, tmp_path: Path) -> Iterator[MutatedStage]:
    """Yield a stage whose processes run a broken stream, and whose readers are not waited for long."""
    made: list[Stage] = []

    def make(mutation: Mutation) -> Stage:
        made.append(
            Stage(stream_cluster, tmp_path, code=mutated_code(tmp_path, mutation), patience=12)
        )
        return made[0]

    yield make
    made[0].close()


@pytest.mark.faults
def test_stream_a_copy_in_which_nothing_is_broken_passes(stage_with: MutatedStage) -> None:
    """What is found below is not found because the code is a copy."""
    writers(stage_with(broken.NOTHING))


@pytest.mark.faults
@pytest.mark.parametrize(
    ("mutation", "test", "said"),
    [
        pytest.param(broken.SEQ_ABOVE_LAST, writers, "never arrived", id="seq above last"),
        pytest.param(
            broken.ORD_ABOVE_LAST, writers, "action .* never arrived", id="ord above last"
        ),
        pytest.param(broken.NO_AS_OF, loading, "never arrived", id="a list without its position"),
        pytest.param(
            broken.EVERY_MESSAGE_MOVES_THE_CURSOR,
            writers,
            "positions from",
            id="every message moves the cursor",
        ),
        pytest.param(broken.GONE_UNTOLD, filtered, "is a ghost", id="gone untold"),
        pytest.param(
            broken.NO_BOUND_ON_FREEZING, frozen, "the last is published", id="no bound on freezing"
        ),
    ],
)
def test_stream_what_is_broken_is_found(
    stage_with: MutatedStage, mutation: Mutation, test: Callable[[Stage], None], said: str
) -> None:
    """The named test fails, with what was to be expected."""
    with pytest.raises(AssertionError, match=said):
        test(stage_with(mutation))


@pytest.mark.faults
def test_stream_a_log_trimmed_unseen_is_found(stage_with: MutatedStage) -> None:
    """A reader that goes on with the oldest change there is shows too little."""
    with pytest.raises(AssertionError, match="never arrived"):
        slept(stage_with(broken.NO_LOOK_AT_THE_OLDEST), connected=False)


@pytest.mark.faults
@pytest.mark.parametrize(
    ("mutation", "said"),
    [
        pytest.param(broken.NO_EPOCH_CHECK, "session .* never arrived", id="no epoch check"),
        pytest.param(
            broken.FOREIGN_IDS_KEPT, "published twice|again and again", id="foreign ids kept"
        ),
    ],
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
        restored(stage_with(mutation), second_cluster, tmp_path)
