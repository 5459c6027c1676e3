"""Two tests that use the cluster and wait to be ended; run by `test_left_running.py` only."""

import threading

import pytest


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.usefixtures("cluster_url")
def test_waits_to_be_ended(number: int) -> None:
    """Wait for two minutes, which is longer than anybody needs to end this."""
    threading.Event().wait(120)
    pytest.fail(f"test {number} was not ended")
