"""Ports: which is free, and what is said about one that isn't."""

import os
import socket
from collections.abc import Iterator

import pytest

from bidbeacon_pipelines.dev.errors import PortInUseError
from bidbeacon_pipelines.dev.ports import check_port, choose_port, is_free


@pytest.fixture
def taken_port() -> Iterator[int]:
    """Yield a port that this process listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_a_port_that_someone_listens_on_is_not_free(taken_port: int) -> None:
    """A port with a listener isn't free."""
    assert not is_free(taken_port)


def test_the_preferred_port_is_chosen_where_it_is_free(taken_port: int) -> None:
    """A free preferred port is chosen, and another one where it is taken."""
    free = choose_port()
    assert choose_port(free) == free
    assert choose_port(taken_port) != taken_port


def test_a_taken_port_is_told_with_holder_and_variable(taken_port: int) -> None:
    """The one line names the port, its purpose, who holds it, and the variable to set."""
    with pytest.raises(PortInUseError) as caught:
        check_port(taken_port, host="127.0.0.1", title="Dagster", variable="BIDBEACON_DAGSTER_PORT")
    message = str(caught.value)
    assert caught.value.port == taken_port
    assert message.startswith(f"Port {taken_port} (Dagster) is in use by ")
    assert f"(process {os.getpid()})" in message
    assert "set BIDBEACON_DAGSTER_PORT" in message
    assert "\n" not in message


def test_a_free_port_passes() -> None:
    """Nothing is said about a free port."""
    check_port(choose_port(), host="127.0.0.1", title="Dagster", variable="BIDBEACON_DAGSTER_PORT")
