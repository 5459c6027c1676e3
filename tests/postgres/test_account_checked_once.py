"""A first load checks the foreign key to its account once for all rows; never less than that, and row by row wherever the rows must be seen."""

from collections.abc import Iterator
from dataclasses import replace

import psycopg.errors
import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from bidbeacon_pipelines.store.accounts import Account
from bidbeacon_pipelines.store.first_load import open_table
from bidbeacon_pipelines.store.performance import Scope
from bidbeacon_pipelines.store.performance_tables import DAILY
from tests.postgres.load_world import AS_OF, DAY, LoadWorld, run

ROWS = 50
LOOKED_UP = text(
    "SELECT idx_scan + seq_scan FROM pg_stat_xact_user_tables WHERE relname = 'advertiser_accounts'"
)
AS_A_PLAIN_ROLE = """
    CREATE ROLE plain_loader;
    GRANT ALL ON ALL TABLES IN SCHEMA public TO plain_loader;
    SET LOCAL ROLE plain_loader"""
WITH_A_TRIGGER = """
    CREATE TABLE seen (ad_id text);
    CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN INSERT INTO seen VALUES (NEW.ad_id); RETURN NEW; END $$;
    CREATE TRIGGER sees AFTER INSERT ON performance_daily FOR EACH ROW EXECUTE FUNCTION see()"""
WITH_A_KEY = """
    CREATE TABLE campaigns_of_mine (id text COLLATE "C" PRIMARY KEY);
    INSERT INTO campaigns_of_mine VALUES ('1001');
    ALTER TABLE performance_daily ADD FOREIGN KEY (campaign_id) REFERENCES campaigns_of_mine"""


@pytest.fixture
def connection(shelf: LoadWorld) -> Iterator[Connection]:
    """A transaction that is rolled back at the end, with all that a test adds to the schema."""
    with shelf.engine.connect() as opened:
        yield opened


def write(connection: Connection, account: Account) -> int:
    """Write rows into the table as a first load does; give how often the account was looked up for it."""
    before = connection.execute(LOOKED_UP).scalar_one()
    with open_table(connection, DAILY, Scope(account, "daily_targets", 1, AS_OF)) as rows:
        day, names = str(DAY).encode(), b"4001\t\tUSD\t1001\tShirts\t2001\tDogs\tdog shirt\tEXACT\tt"
        rows.rows([b"%b\t%d\t%b\t100\t5\t1\t19.99\t1.23" % (day, ad, names) for ad in range(ROWS)])
    return int(connection.execute(LOOKED_UP).scalar_one() - before)


def count(connection: Connection, table: str) -> int:
    """Count a table's rows."""
    return int(connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())


def test_the_account_is_looked_up_once(shelf: LoadWorld, connection: Connection) -> None:
    """Not once a row; and whatever the transaction writes next is checked again as ever."""
    assert 1 == write(connection, shelf.account)
    assert ROWS == count(connection, "performance_daily")
    assert "origin" == connection.execute(text("SHOW session_replication_role")).scalar_one()


def test_the_account_can_not_go_before_its_rows_are_there(shelf: LoadWorld, connection: Connection) -> None:
    """Whoever wants to delete it waits for the load."""
    write(connection, shelf.account)
    with shelf.engine.connect() as other, pytest.raises(OperationalError, match="lock timeout"):
        run(other, "SET lock_timeout = '200ms'")
        run(other, "DELETE FROM advertiser_accounts")


def test_rows_of_no_account_are_refused(shelf: LoadWorld, connection: Connection) -> None:
    """By the key itself."""
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        write(connection, replace(shelf.account, country_code="CA"))


@pytest.mark.parametrize("case", [AS_A_PLAIN_ROLE, WITH_A_TRIGGER, WITH_A_KEY])
def test_each_row_is_checked_where_the_rows_must_be_seen(
    shelf: LoadWorld, connection: Connection, case: str
) -> None:
    """The role may not do otherwise, or the table has a trigger or a key that its users gave it."""
    for statement in case.split(";\n    "):
        run(connection, statement.replace(":", r"\:"))
    assert ROWS <= write(connection, shelf.account)
    assert ROWS == count(connection, "performance_daily")
    if case == WITH_A_TRIGGER:
        assert ROWS == count(connection, "seen")


def test_a_role_may_be_let_check_once(shelf: LoadWorld, connection: Connection) -> None:
    """By the one privilege that the documentation names."""
    for statement in [
        *AS_A_PLAIN_ROLE.split(";\n")[:2],
        "GRANT SET ON PARAMETER session_replication_role TO plain_loader",
        "SET LOCAL ROLE plain_loader",
    ]:
        run(connection, statement)
    assert 1 == write(connection, shelf.account)
