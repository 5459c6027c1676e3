"""The ways in which fault tests break the stream on purpose are still changes of the code as it is."""

from pathlib import Path

import pytest

from tests.faults.stream import stream_mutations


@pytest.mark.parametrize("mutation", stream_mutations.ALL)
def test_what_a_mutation_changes_is_there_once(
    mutation: stream_mutations.Mutation, tmp_path: Path
) -> None:
    """Who changes that code learns it here, and not months later in a suite that takes hours."""
    stream_mutations.mutated_code(tmp_path, mutation)
