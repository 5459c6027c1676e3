"""Who paused, resumed, renamed or slowed down an account: recorded where it was done."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError

from bidbeacon_pipelines.accounts.changes import AccountChanges
from bidbeacon_pipelines.accounts.names import BadAliasError
from bidbeacon_pipelines.accounts.queries import IS_ACTIVE, IS_REFRESHED, STOP_WORD, get_account
from bidbeacon_pipelines.accounts.rules import Cadence
from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.settings import Settings
from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.presentation import action_json, read_labels
from bidbeacon_sessions.queries import list_actions
from tests.support.commands import run_command
from tests.support.rows import add_account, change_accounts, change_ads_accounts
from tests.support.world import query

GB = "GB.acmeshop0001"


@pytest.fixture
def store(engine: Engine, database_url: str, monkeypatch: pytest.MonkeyPatch) -> SessionStore:
    """Store one account, for commands as well."""
    monkeypatch.setenv("BIDBEACON_DATABASE_URL", database_url)
    add_account(engine, "GB", "amzn1.acmeshop0001", name="Acme")
    return SessionStore(engine)


def account(store: SessionStore) -> Account:
    """Return the account as it is stored."""
    with store.begin() as connection:
        return get_account(connection, GB)


def changes(store: SessionStore, by: str = "maria") -> AccountChanges:
    """Return what makes changes in somebody's name."""
    return AccountChanges(store, Settings(), by=by)


def told(store: SessionStore) -> list[str]:
    """Return the sentences of all sessions, in the order of their beginning."""
    sentences = []
    for row in query(store.engine, "SELECT id FROM session_headers ORDER BY started_at, id"):
        with store.begin() as connection:
            actions = list_actions(connection, row["id"])
            labels = read_labels(connection, actions)
        sentences += [action_json(action, labels)["text"] for action in actions]
    return sentences


def test_a_pause_and_its_end_are_recorded_with_who_did_it(store: SessionStore) -> None:
    """The account says it as long as it is paused, the sessions for good; a second pause changes nothing."""
    changes(store).pause(account(store))
    paused = account(store)
    assert (True, "maria") == (paused.paused, paused.paused_by)
    assert paused.paused_at is not None
    changes(store, "paul").pause(paused)
    assert paused.paused_at == account(store).paused_at
    changes(store, "paul").resume(paused)
    resumed = account(store)
    assert (False, None, None) == (resumed.paused, resumed.paused_by, resumed.paused_at)
    assert ["Paused Acme · GB, by maria", "Resumed Acme · GB, by paul"] == told(store)


def test_an_account_that_needed_a_person_is_resumed_by_one(store: SessionStore) -> None:
    """It was never paused; clearing why it is stopped is recorded all the same."""
    change_ads_accounts(store.engine, needs_attention={}, needs_attention_for="account")
    changes(store).resume(account(store))
    assert None is account(store).needs_attention
    changes(store).resume(account(store))
    assert ["Resumed Acme · GB, by maria"] == told(store)


def test_cadence_and_alias_are_recorded(store: SessionStore) -> None:
    """With the words that people read, and the names before and after."""
    ads_account = account(store).ads_account
    for _ in range(2):
        changes(store).set_cadence(ads_account, Cadence(every=timedelta(hours=6)))
    changes(store).rename(ads_account, "Tea")
    changes(store).rename(ads_account, None)
    assert [
        "Changed the cadence of Acme to: every 6 hours, by maria",
        "Renamed Acme: Acme is now Tea, by maria",
        "Renamed Acme: Tea is now Acme, by maria",
    ] == told(store)
    with pytest.raises(BadAliasError):
        changes(store).rename(ads_account, "x" * 81)
    assert 4 == len(query(store.engine, "SELECT id FROM session_headers"))


CADENCE = "Changed the cadence of Acme to: cron 0 6 * * *, by command line"


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("pause", "Acme"), "Paused Acme · GB, by command line"),
        (("cadence", "Acme", "--cron", "0 6 * * *"), CADENCE),
        (("rename", "Acme", "Tea"), "Renamed Tea: Acme is now Tea, by command line"),
    ],
)
def test_what_the_command_line_changes_is_recorded_as_its_own(
    store: SessionStore, command: Sequence[str], said: str
) -> None:
    """No user is known there."""
    run_command("accounts", *command)
    assert [said] == told(store)


def test_who_paused_an_account_has_an_answer(store: SessionStore) -> None:
    """In the list of accounts, in explain, and in the sessions of the account by type."""
    run_command("accounts", "pause", "Acme")
    assert "paused by command line at 20" in run_command("accounts", "list").stdout
    day = datetime.now(UTC).date() - timedelta(days=10)
    explained = run_command("explain", "--account", "Acme", "--window", str(day))
    assert "The account is paused (by command line)" in " ".join(explained.stdout.split())
    listed = run_command("sessions", "list", "account:acme", "type:account-paused").stdout
    assert "change-account" in listed
    assert "Acme · GB" in listed


def test_nobody_pauses_anonymously(store: SessionStore) -> None:
    """The database wants both, who and when."""
    with pytest.raises(IntegrityError):
        change_accounts(store.engine, paused_by="maria")


@pytest.mark.parametrize("paused", [True, False])
@pytest.mark.parametrize("status", ["DISABLED", "CREATED"])
@pytest.mark.parametrize("needs_attention", [{"code": "missing-rights"}, None])
def test_sql_and_rows_stop_an_account_for_the_same_reason(
    store: SessionStore, *, paused: bool, status: str, needs_attention: dict[str, str] | None
) -> None:
    """Queries read it in SQL, jobs from the account; the first of several reasons counts."""
    change_accounts(store.engine, paused=paused, amazon_status=status)
    stop = {"needs_attention": needs_attention}
    change_ads_accounts(store.engine, **stop, needs_attention_for=needs_attention and "account")
    by_sql = query(
        store.engine,
        f"""SELECT {STOP_WORD} AS stopped, {IS_ACTIVE} AS is_active, {IS_REFRESHED} AS is_refreshed
              FROM advertiser_accounts a JOIN ads_accounts o USING (account_id)""",
    )
    row = account(store)
    is_refreshed = row.stop_cause is None
    expected = {"stopped": row.stopped, "is_active": row.is_active, "is_refreshed": is_refreshed}
    assert [expected] == by_sql
