"""How addresses of databases are read, and what every connection asks for."""

import pytest

from bidbeacon_sessions.database import connect_args, parse_database_url
from bidbeacon_sessions.errors import InvalidDatabaseUrlError


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg2", "postgresql+psycopg"])
def test_each_form_of_address_is_read_for_psycopg(scheme: str) -> None:
    """The address may name any driver; ours is used."""
    url = parse_database_url(f"{scheme}://bob:p%2Fq@db.example:5433/ads?sslmode=verify-full")

    assert "postgresql+psycopg" == url.drivername
    assert ("bob", "p/q", "db.example", 5433, "ads") == (
        url.username,
        url.password,
        url.host,
        url.port,
        url.database,
    )
    assert "verify-full" == url.query["sslmode"]


@pytest.mark.parametrize(
    "address", ["", "nonsense-SECRET", "mysql://bob:SECRET@db/ads", "postgresql://bob:SECRET@db:port/ads"]
)
def test_an_invalid_address_is_refused_without_showing_it(address: str) -> None:
    """The message says which form is expected, and nothing of what came."""
    with pytest.raises(
        InvalidDatabaseUrlError, match="postgresql://user:password@host:port/database"
    ) as refused:
        parse_database_url(address)

    assert "SECRET" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_options_of_the_address_are_kept_before_ours() -> None:
    """The search path of the address stays; the time zone is UTC all the same, since the last setting counts."""
    url = parse_database_url("postgresql://db/ads?options=-csearch_path%3Dours%20-ctimezone%3DEST")

    options = connect_args(url)["options"]
    assert options.startswith("-csearch_path=ours -ctimezone=EST -c timezone=UTC ")
