"""TLS to the database is what its address asks for, on every connection: a server that can't prove who it is gets no password."""

from collections.abc import Callable

import pytest
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import OperationalError

from bidbeacon_pipelines.dagster_instance.storage import dagster_database_url
from bidbeacon_pipelines.database.engine import make_engine
from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.log_reader import LogReader


def connect_pipelines(url: str) -> None:
    """Connect as commands, jobs and migrations do."""
    with make_engine(url).connect() as connection:
        connection.execute(text("SELECT 1"))


def connect_sessions(url: str) -> None:
    """Connect as sessions and the stream's pages do."""
    with SessionStore.connect(url).begin() as connection:
        connection.execute(text("SELECT 1"))


def connect_change_log(url: str) -> None:
    """Connect as the stream does to follow its log."""
    LogReader(SessionStore.connect(url).engine).advance()


def connect_dagster(url: str) -> None:
    """Connect as Dagster's storage does."""
    with create_engine(dagster_database_url(url)).connect() as connection:
        connection.execute(text("SELECT 1"))


@pytest.mark.parametrize(
    "connect", [connect_pipelines, connect_sessions, connect_change_log, connect_dagster]
)
def test_every_connection_demands_what_the_address_demands(
    database_url: str, connect: Callable[[str], None]
) -> None:
    """`sslmode=verify-full` with a root certificate that is not there: nobody connects without it."""
    connect(database_url)
    demanding = make_url(database_url).update_query_dict(
        {"sslmode": "verify-full", "sslrootcert": "/nonexistent/root.crt"}
    )
    with pytest.raises(OperationalError, match=r"SSL|certificate"):
        connect(demanding.render_as_string(hide_password=False))
