"""The comparison of what a reader shows with the tables can fail."""

import pytest

from tests.faults.stream.stream_oracle import Stored, view_faults
from tests.stream.view import View

SESSION = {"id": "s", "job_name": "job", "status": "running", "revision": 2, "action_count": 2}
STORED = Stored({"s": SESSION}, {("s", 1): {}, ("s", 2): {}})


@pytest.mark.parametrize(
    ("messages", "faults"),
    [
        pytest.param([[1, 2]], [], id="all is well"),
        pytest.param([[1]], ["action ('s', 2) never arrived"], id="one is missing"),
        pytest.param([[1, 2], [2]], ["('s', 2) came twice"], id="one comes twice"),
        pytest.param([[1, 2, 3]], ["action ('s', 3) is a ghost"], id="one is unknown"),
    ],
)
def test_what_a_reader_was_told_wrongly_is_found(
    messages: list[list[int]], faults: list[str]
) -> None:
    """Each message has the session with the actions of these numbers."""
    view = View()
    for position, numbers in enumerate(messages, start=1):
        actions = [{"session_id": "s", "ord": number, "payload": {}} for number in numbers]
        data = {"session": SESSION, "actions": actions, "from": position, "to": position}
        view.take("job-sessions:updated", f"epoch.{position}", data)
    assert faults == view_faults(view, STORED, {})
