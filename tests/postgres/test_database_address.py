"""The database that a process works on; nothing is started or changed."""

import socket
import threading
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine

from bidbeacon_pipelines.database.address import (
    WrongModeError,
    check_mode,
    get_database,
    open_database,
    store_mode,
)
from bidbeacon_pipelines.database.engine import DatabaseUnavailableError
from bidbeacon_pipelines.settings import Settings

GREETING = (
    b"R\0\0\0\x08\0\0\0\0"
    b"S\0\0\0\x18server_version\x0015.4\0S\0\0\0\x19client_encoding\0UTF8\0"
    b"Z\0\0\0\x05I"
)
"""Authentication is done, two settings, and the server is ready, in version 3 of PostgreSQL's protocol."""


def greet_as_postgres_15(listener: socket.socket) -> None:
    """Accept a client without a password, as a server would that is too old."""
    client, _ = listener.accept()
    client.recv(1024)
    client.sendall(GREETING)
    client.close()


def test_server_older_than_16_is_refused() -> None:
    """The line names the server's version and the oldest one that is supported."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=greet_as_postgres_15, args=(listener,)).start()
        url = f"postgresql://someone@127.0.0.1:{listener.getsockname()[1]}/db?sslmode=disable&gssencmode=disable"
        with pytest.raises(DatabaseUnavailableError, match="is PostgreSQL 15: 16 or newer"):
            get_database(Settings(database_url=SecretStr(url)))


@pytest.mark.parametrize(("mine", "other"), [("sandbox", "real"), ("real", "sandbox")])
def test_database_of_the_other_mode_is_refused(engine: Engine, mine: Any, other: Any) -> None:
    """The mode is stored once; a database without one fits both."""
    url = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    sandbox = Settings(database_url=SecretStr(url))
    modes = {
        "sandbox": sandbox,
        "real": sandbox.model_copy(update={"ads_api_client_id": "amzn1.x"}),
    }
    with engine.begin() as connection:
        check_mode(connection, mine)
        check_mode(connection, other)
        store_mode(connection, other)
        with pytest.raises(WrongModeError, match="set BIDBEACON_DATABASE_URL to another database"):
            store_mode(connection, mine)
    assert url == open_database(modes[other])
    with pytest.raises(WrongModeError):
        open_database(modes[mine])
