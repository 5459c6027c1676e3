"""How addresses of databases are read, and what every connection asks for."""

import pytest
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import URL

from bidbeacon_pipelines.database.address import (
    psql_args,
    psycopg_args,
    render_database_url,
    show_database_url,
)
from bidbeacon_sessions.connections import connect_args, parse_database_url
from bidbeacon_sessions.errors import SettingsError


@pytest.mark.parametrize(
    "scheme", ["postgres", "postgresql", "postgresql+psycopg2", "postgresql+psycopg"]
)
def test_each_form_of_address_is_read_for_psycopg(scheme: str) -> None:
    """The address may name any driver; ours is used."""
    read = parse_database_url(f"{scheme}://bob:p%2Fq@db.example:5433/ads?sslmode=verify-full")
    query = {"sslmode": "verify-full"}
    assert URL.create("postgresql+psycopg", "bob", "p/q", "db.example", 5433, "ads", query) == read


@pytest.mark.parametrize(
    "address",
    [
        "",
        "nonsense-SECRET",
        "mysql://bob:SECRET@db/ads",
        "postgresql://bob:SECRET@db:port/ads",
        "postgresql://bob:first@SECRET@db/ads",
        "postgresql://bob:a?b@c/SECRET@db",
    ],
)
def test_an_invalid_address_is_refused_without_showing_it(address: str) -> None:
    """The message says which form is expected, and nothing of what came."""
    form = "postgresql://user:password@host:port/database"
    with pytest.raises(SettingsError, match=form) as refused:
        parse_database_url(address)
    assert "SECRET" not in str(refused.value)
    assert "SECRET" not in show_database_url(address)
    assert refused.value.__cause__ is None


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("postgres://bob:SECRET@db:5433/ads", "postgresql://bob:***@db:5433/ads"),
        ("postgresql://bob:aa/SECRET@db/ads", "postgresql://bob:***@db/ads"),
        ("postgresql://bob:%zzSECRET@db/ads", "postgresql://bob:***@db/ads"),
        (
            "postgresql://bob@db/ads?sslmode=verify-full&passfile=p&password=SECRET&sslpassword=SECRET",
            "postgresql://bob@db/ads?passfile=p&sslmode=verify-full",
        ),
    ],
)
def test_an_address_is_shown_without_its_secrets(address: str, shown: str) -> None:
    """Passwords go wherever they stand; everything that helps to find a mistake stays."""
    assert shown == show_database_url(address)


@pytest.mark.parametrize("password", ["aa/SECRET", "%zz", "a b+c", "p@ss:word?#", "ä"])
def test_an_address_is_rendered_so_that_all_clients_read_it(password: str) -> None:
    """libpq, and so psql, comes to the same as SQLAlchemy, blanks of options included."""
    query = {"options": "-c work_mem=64MB -cgeqo=on"}
    url = URL.create("postgresql+psycopg", "bob", password, "::1", 5433, "ads", query)
    rendered = render_database_url(url)
    given = {"user": "bob", "password": password, "host": "::1", "port": "5433", "dbname": "ads"}
    assert given | query == conninfo_to_dict(rendered)
    assert url == parse_database_url(rendered)


def test_psql_gets_everything_but_no_secret_on_its_command_line() -> None:
    """Parameters of the address stay, the password is in the environment; tables are ours, whatever the role's search path."""
    shown, environment = psql_args(
        parse_database_url("postgresql://bob:SECRET@db/ads?sslmode=verify-full&sslpassword=SECRET")
    )
    given = {"user": "bob", "host": "db", "dbname": "ads", "sslmode": "verify-full"}
    assert given | {"options": "-c search_path=public"} == shown
    assert {"PGPASSWORD": "SECRET", "PGCLIENTENCODING": "UTF8"} == environment


def test_options_and_limits_of_the_address_are_kept() -> None:
    """Options of the address override our defaults."""
    url = parse_database_url("postgresql://db/ads?connect_timeout=60&options=-cgeqo%3Don")
    for args in (connect_args(url), psycopg_args(url)):
        assert args["options"].startswith("-cgeqo=on -c timezone=UTC -c search_path=public ")
        assert "utf8" == args["client_encoding"]
    assert "connect_timeout" not in connect_args(url)
    assert "60" == psycopg_args(url)["connect_timeout"]
