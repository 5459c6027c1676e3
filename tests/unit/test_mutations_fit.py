"""The ways in which fault tests break the stream on purpose are still changes of the code as it is."""

from pathlib import Path

import pytest

from tests.faults.stream import test_stream_mutations as stream_mutations

NAMES = [
    name
    for name, each in vars(stream_mutations).items()
    if isinstance(each, list) and name.isupper()
]


@pytest.mark.parametrize("name", NAMES)
def test_what_a_mutation_changes_is_there_once(name: str, tmp_path: Path) -> None:
    """Who changes that code learns it here, and not months later in a suite that takes hours."""
    stream_mutations.mutated_code(tmp_path, getattr(stream_mutations, name))
