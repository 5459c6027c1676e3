"""Which database a process works on, and which ones it refuses; nothing is started or changed."""

import socket
import struct
import threading
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine

from bidbeacon_pipelines.database.address import find_database, open_database
from bidbeacon_pipelines.database.errors import DatabaseUnavailableError
from bidbeacon_pipelines.database.mode import WrongModeError, check_mode, store_mode
from bidbeacon_pipelines.settings import Settings


def settings_with(url: str, **others: Any) -> Settings:
    """Return settings that name a database."""
    return Settings(database_url=SecretStr(url), **others)


def test_without_an_address_there_is_no_database() -> None:
    """The one line says what starts one, and how to set one."""
    with pytest.raises(DatabaseUnavailableError) as refused:
        open_database(Settings())
    expected = "No database is running: start `bidbeacon dev` or `bidbeacon db start`, or set BIDBEACON_DATABASE_URL."
    assert expected == str(refused.value)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_each_form_of_an_address_is_used(database_url: str, scheme: str) -> None:
    """The address is returned in the form that all clients read."""
    given = database_url.replace("postgresql", scheme, 1)
    assert database_url == open_database(settings_with(given))


def test_database_that_does_not_answer_is_named_without_its_password() -> None:
    """In one line."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"postgresql://someone:hidden-word@127.0.0.1:{unused.getsockname()[1]}/nowhere"
        with pytest.raises(DatabaseUnavailableError, match=r"someone:\*\*\*@.*doesn't answer") as e:
            find_database(settings_with(url))
    assert "hidden-word" not in str(e.value)
    assert len(str(e.value).splitlines()) == 1


def test_server_older_than_16_is_refused() -> None:
    """PostgreSQL 15 is named in the refusal, with what is needed."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        greeter = threading.Thread(target=greet_as_postgres_15, args=(listener,))
        greeter.start()
        url = f"postgresql://someone@127.0.0.1:{listener.getsockname()[1]}/db?sslmode=disable&gssencmode=disable"
        with pytest.raises(DatabaseUnavailableError, match="is PostgreSQL 15: 16 or newer"):
            find_database(settings_with(url))
        greeter.join(timeout=10)


def greet_as_postgres_15(listener: socket.socket) -> None:
    """Speak the first words of PostgreSQL's protocol, version 3, as an old server would."""

    def message(kind: bytes, body: bytes) -> bytes:
        return kind + struct.pack("!i", len(body) + 4) + body

    client, _ = listener.accept()
    with client:
        client.recv(1024)
        settings = (b"server_version\x0015.4\x00", b"client_encoding\x00UTF8\x00")
        words = b"".join(message(b"S", setting) for setting in settings)
        client.sendall(message(b"R", struct.pack("!i", 0)) + words + message(b"Z", b"I"))
        client.recv(1024)


@pytest.mark.parametrize(("mine", "other"), [("sandbox", "real"), ("real", "sandbox")])
def test_database_of_the_other_mode_is_refused(engine: Engine, mine: Any, other: Any) -> None:
    """Its mode is stored once; a database without one fits both."""
    url = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    modes = {"sandbox": settings_with(url), "real": settings_with(url, ads_api_client_id="amzn1.x")}
    with engine.begin() as connection:
        check_mode(connection, mine)
        check_mode(connection, other)
        store_mode(connection, other)
        with pytest.raises(WrongModeError, match="set BIDBEACON_DATABASE_URL to another database"):
            store_mode(connection, mine)
    assert url == open_database(modes[other])
    with pytest.raises(WrongModeError):
        open_database(modes[mine])
