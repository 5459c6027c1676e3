"""Accounts by the names that people use: in the resolver, on the command line, as aliases, and in searches for sessions."""

import json
from collections.abc import Sequence

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError

from bidbeacon_pipelines.accounts.names import (
    AmbiguousAccountError,
    get_named_account,
    get_named_ads_account,
    list_named_accounts,
)
from bidbeacon_pipelines.accounts.queries import UnknownAccountError, get_account, list_subjects
from bidbeacon_pipelines.accounts.rules import slug_of
from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.cli.options import complete_account
from bidbeacon_sessions import SessionStore, Subject, with_job_session
from bidbeacon_sessions.filters import SessionFilter
from bidbeacon_sessions.queries import find_accounts, list_sessions
from bidbeacon_sessions.writes import name_subjects
from tests.support.commands import run_command
from tests.support.rows import add_account, change_accounts, change_ads_accounts
from tests.support.world import World

ON_DAY = ("--window", "2026-07-20")

SHOPS = {"acme": ("Acme Merch", ("US", "CA", "GB")), "nord": ("Nordwind GmbH", ("JP",))}
"""Name and countries of each ads account, by the end of its id."""


@pytest.fixture
def shops(engine: Engine, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """Store two ads accounts, for commands as well."""
    monkeypatch.setenv("BIDBEACON_DATABASE_URL", database_url)
    for tail, (name, countries) in SHOPS.items():
        for country in countries:
            add_account(engine, country, f"amzn1.{tail}shop0001", name=name)
    with engine.begin() as connection:
        name_subjects(connection, list_subjects(connection))
    return engine


US = "US.acmeshop0001"
JP = "JP.nordshop0001"


def named(engine: Engine, given: str, country: str | None = None) -> Account:
    """Return the account that a text means."""
    with engine.begin() as connection:
        return get_named_account(connection, given, country)


def label(engine: Engine) -> str:
    """Return what the US account is called."""
    with engine.begin() as connection:
        return get_account(connection, US).label


@pytest.mark.parametrize(
    ("given", "country"),
    [
        ("Acme Merch · US", None),
        ("acme merch us", None),
        ("acme-merch-us", None),
        ("Acme Merch", "US"),
        ("ACME", "us"),
        (US, None),
        ("US.acmesh", None),
        ("acmeshop0001", "US"),
    ],
)
def test_an_account_is_found_by_all_that_it_is_called(
    shops: Engine, given: str, country: str | None
) -> None:
    """Label, name and country, key, and the beginning of a key; case and punctuation do not matter."""
    assert US == named(shops, given, country).account_key


def test_the_country_of_the_united_kingdom_has_two_codes(shops: Engine) -> None:
    """UK is GB."""
    change_accounts(shops, Account.country_code == "GB", name="Tea")
    assert "GB" == named(shops, "Tea", "UK").country_code


def test_a_name_of_several_countries_lists_them(shops: Engine) -> None:
    """Each with its label and key, and what to add."""
    with pytest.raises(AmbiguousAccountError, match="add the country") as caught:
        named(shops, "Acme Merch")
    countries = {account.country_code for account in caught.value.candidates}
    assert {"US", "CA", "GB"} == countries
    assert f"Acme Merch · US ({US})" in str(caught.value)


def test_two_accounts_of_one_name_and_country_are_told_apart_by_key(shops: Engine) -> None:
    """The message does not ask for the country, which the user has given."""
    add_account(shops, "US", "amzn1.acmeshop0002", name="Acme Merch")
    with pytest.raises(AmbiguousAccountError, match=r"Write one of these\.$"):
        named(shops, "Acme Merch", "US")


def test_an_exact_name_counts_more_than_the_beginning_of_another(shops: Engine) -> None:
    """A shop that is called `Nord` is found though `Nordwind GmbH` begins like it."""
    change_accounts(shops, Account.account_key == US, name="Nord")
    with shops.begin() as connection:
        found = list_named_accounts(connection, "nord")
    assert [US] == [one.account_key for one in found]


@pytest.mark.parametrize(
    ("given", "country", "said"),
    [
        ("Nordwint", None, "Did you mean Nordwind GmbH · JP"),
        ("Nordwind GmbH", "BR", "No account 'Nordwind GmbH' in BR"),
        ("Nordwind GmbH", "BR", "Did you mean Nordwind GmbH · JP?"),
        ("Nordwind GmbH · JP", "uk", "No account 'Nordwind GmbH · JP' in GB"),
        (JP, "US", "Did you mean Nordwind GmbH · JP?"),
        ("zzzzzzzz", None, "`bidbeacon accounts list` shows all accounts"),
        ("", None, "No account ''"),
        ("·", None, "No account '·'"),
    ],
)
def test_a_name_that_nobody_has_names_the_nearest(
    shops: Engine, given: str, country: str | None, said: str
) -> None:
    """The names that come closest, or where all are listed."""
    with pytest.raises(UnknownAccountError) as caught:
        named(shops, given, country)
    assert said in str(caught.value)


def test_an_ads_account_is_found_by_its_name_alone(shops: Engine) -> None:
    """A cadence and an alias belong to all countries, so their number does not matter."""
    with shops.begin() as connection:
        found = get_named_ads_account(connection, "Acme Merch")
    assert "amzn1.acmeshop0001" == found.account_id


def test_an_alias_is_shown_in_place_of_the_name(shops: Engine) -> None:
    """The label, the subject of sessions and the search have it; Amazon's name is found as well; without it the name is back."""
    renamed = run_command("accounts", "rename", "Acme Merch", " Die Firma ")
    assert "acmeshop0001 is now called Die Firma." in renamed.stdout
    assert (US, "Die Firma · US") == (named(shops, "die firma", "US").account_key, label(shops))
    assert US == named(shops, "Acme Merch · US").account_key
    with shops.begin() as connection:
        found = find_accounts(connection, "die firma")
    assert {US, "CA.acmeshop0001", "GB.acmeshop0001", "acmeshop0001"} == set(found)
    run_command("accounts", "rename", "Die Firma")
    assert "Acme Merch · US" == label(shops)


def test_an_alias_survives_a_sync_of_accounts(world: World) -> None:
    """Amazon's name is stored anew, the alias stays."""
    change_ads_accounts(world.engine, alias="Mine")
    world.sync_accounts()
    assert "Mine · US" == world.account("US").label
    assert "Mine" != world.account("US").name


@pytest.mark.parametrize("alias", ["", "  ", "two\nlines", "x" * 81, "bell\x07"])
def test_an_alias_is_one_line_of_text(shops: Engine, alias: str) -> None:
    """The command says what it expects; the database refuses what SQL would set."""
    result = run_command("accounts", "rename", "Acme Merch", alias, code=2)
    assert "Expected an alias of 1 to 80 characters" in result.stderr
    with pytest.raises(IntegrityError):
        change_ads_accounts(shops, alias=alias)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("accounts", "pause", "Acme Merch", "--country", "US"), "Acme Merch · US is paused."),
        (("accounts", "resume", "acme-merch-us"), "Acme Merch · US is resumed."),
        (("accounts", "cadence", "Acme Merch"), "Acme Merch is refreshed as soon as due."),
        (("explain", "--account", "Acme Merch · US", *ON_DAY), "Acme Merch · US daily_targets"),
        (("restatements", "--account", "ACME", "--country", "US", *ON_DAY), "Acme Merch · US da"),
        (("quarantine", "list", "--account", "acme merch us"), "No row in quarantine matches."),
        (("entities", "list", "--account", "Acme Merch"), "No entities are stored yet"),
    ],
)
def test_commands_take_and_show_names(shops: Engine, command: Sequence[str], said: str) -> None:
    """Every argument that names an account understands its name, and the output has it."""
    assert said in " ".join(run_command(*command).stdout.split())


def test_a_command_with_an_ambiguous_name_lists_the_candidates(shops: Engine) -> None:
    """One line, and exit code 2; nothing was changed."""
    result = run_command("accounts", "pause", "Acme Merch", code=2)
    assert "is the name of" in result.stderr
    assert "Acme Merch · US (US." in result.stderr
    assert not named(shops, US).paused


def test_a_shell_completes_names_that_need_no_quotes(shops: Engine) -> None:
    """The slug of the label, with the label as its help; by the key where that was begun."""
    assert ("acme-merch-us", "Acme Merch · US") in complete_account("acm")
    assert [(US, "Acme Merch · US")] == complete_account("us.a")
    assert complete_account("zzz") == []
    assert "acme-merch-us" == slug_of("Acme Merch · US")


def test_a_name_that_two_accounts_have_is_completed_to_their_keys(shops: Engine) -> None:
    """Nobody could tell them apart else."""
    change_ads_accounts(shops, name="Acme Merch")
    change_accounts(shops, Account.account_key == JP, country_code="US")
    assert {JP, US} <= {name for name, _ in complete_account("")}


def test_sessions_are_found_by_a_part_of_an_accounts_name(shops: Engine) -> None:
    """`acme` finds what worked for any of its countries, newest first; a key finds its own only, and a name of nobody nothing."""
    for key in (US, JP, "CA.acmeshop0001", US):
        with with_job_session("bake", store=SessionStore(shops), account=Subject(key, None)):
            pass

    def found(account: str, limit: int = 50) -> list[str]:
        with shops.begin() as connection:
            rows = list_sessions(connection, SessionFilter(account=account), limit=limit)
        return [row["account_key"] for row in rows]

    assert [US, "CA.acmeshop0001", US] == found("acme") == found("ACME-merch")
    assert [US, "CA.acmeshop0001"] == found("acme", limit=2)
    assert [US, US] == found(US) == found("Acme Merch · US")
    assert [] == found("nobody at all")


def test_the_list_of_sessions_says_what_accounts_are_called(shops: Engine) -> None:
    """In the terminal the label alone; as JSON the key and the label."""
    run_command("quarantine", "replay", "--account", "acme-merch-us")
    listed = run_command("sessions", "list", "account:acme")
    assert "Acme Merch · US" in listed.stdout
    assert US not in listed.stdout
    [session] = json.loads(run_command("sessions", "list", f"account:{US}", "--json").stdout)
    assert (US, "Acme Merch · US") == (session["account"], session["account_label"])
