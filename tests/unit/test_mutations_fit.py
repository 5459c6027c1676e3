"""The ways in which fault tests break the stream on purpose are still changes of the code as it is."""

from pathlib import Path

import pytest

from tests.faults.stream.test_stream_mutations import MUTATIONS, mutated_code


@pytest.mark.parametrize("name", MUTATIONS)
def test_what_a_mutation_changes_is_there_once(name: str, tmp_path: Path) -> None:
    """Who changes that code learns it here, and not months later in a suite that takes hours."""
    mutated_code(tmp_path, MUTATIONS[name][0])
