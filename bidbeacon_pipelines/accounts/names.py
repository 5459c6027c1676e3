"""Finds accounts by user input: name, alias, label, key, or a prefix of one of them."""

from collections import Counter
from collections.abc import Callable, Sequence
from difflib import get_close_matches

from sqlalchemy import Connection

from bidbeacon_pipelines.accounts.queries import (
    UnknownAccountError,
    find_ads_account,
    get_accounts,
    get_ads_account,
    list_accounts,
)
from bidbeacon_pipelines.accounts.rules import slug_of
from bidbeacon_pipelines.accounts.tables import LONGEST_ALIAS, Account, AdsAccount
from bidbeacon_pipelines.values.countries import normalise_country
from bidbeacon_sessions.errors import UsageError

_MOST_SHOWN = 8
_NEAREST = 3
_ALIKE = 0.5


class AmbiguousAccountError(UsageError):
    """The name `given` matches several accounts, the `candidates`."""

    def __init__(self, given: str, candidates: Sequence[Account]) -> None:
        self.given = given
        self.candidates = candidates
        shown = ", ".join(f"{one.label} ({one.account_key})" for one in candidates[:_MOST_SHOWN])
        left = len(candidates) - _MOST_SHOWN
        more = f" and {left:,} more" if left > 0 else ""
        countries = {one.country_code for one in candidates}
        add = ", or add the country" if len(countries) == len(candidates) else ""
        super().__init__(
            f"{given!r} is the name of {len(candidates):,} accounts: {shown}{more}. "
            f"Write one of these{add}."
        )


class NoAccountInCountryError(UsageError):
    """No account is known in a country."""

    def __init__(self, country: str) -> None:
        super().__init__(
            f"There is no account in {country}: `bidbeacon accounts list` shows all accounts."
        )


class BadAliasError(UsageError):
    """An alias is too long, or is not one line of text."""

    def __init__(self, given: str) -> None:
        super().__init__(
            f"Expected an alias of 1 to {LONGEST_ALIAS} characters on one line, "
            f"got: {given[:LONGEST_ALIAS]!r}."
        )


def get_named_account(connection: Connection, given: str, country: str | None = None) -> Account:
    """Return the account that matches a name (see `list_named_accounts`).

    Raises:
        UnknownAccountError: no account matches; the message has the nearest names.
        AmbiguousAccountError: several accounts match; the message lists them.
    """
    if country is None and (exact := get_accounts(connection, [given])):
        return exact[given]
    found = list_named_accounts(connection, given, country)
    if len(found) > 1:
        raise AmbiguousAccountError(given, found)
    return found[0]


def get_named_ads_account(connection: Connection, given: str) -> AdsAccount:
    """Return the ads account whose name, or the name of one of its accounts, matches `given`.

    The errors are those of `get_named_account`.
    """
    exact = find_ads_account(connection, given)
    if exact is not None:
        return exact
    found = list_named_accounts(connection, given)
    if len({account.account_id for account in found}) > 1:
        raise AmbiguousAccountError(given, found)
    return get_ads_account(connection, found[0].ads_account_key)


def list_named_accounts(
    connection: Connection, given: str | None, country: str | None = None
) -> list[Account]:
    """Return the accounts that match a name, sorted by label.

    `given` is a name, alias, label or key, or the beginning of one; case, blanks and punctuation do
    not matter. The name of an ads account matches its accounts in all countries, and None matches
    all accounts. If `country` is given, such as `DE`, only accounts in this country match.

    Raises:
        UnknownAccountError: no account matches the name.
        NoAccountInCountryError: the country has no account.
    """
    accounts = sorted(list_accounts(connection), key=lambda account: account.label)
    code = None if country is None else normalise_country(country)
    of_country = [one for one in accounts if code in {None, one.country_code}]
    if given is None:
        if code is not None and not of_country:
            raise NoAccountInCountryError(code)
        return of_country
    found = match_accounts(of_country, given)
    if not found:
        elsewhere = [one.label for one in match_accounts(accounts, given)[:_NEAREST]]
        raise UnknownAccountError(given, elsewhere or _nearest(accounts, given), code)
    return found


def complete_name(accounts: Sequence[Account], begun: str) -> list[tuple[str, str]]:
    """Return the shell completions of a name, each with the label of its account.

    `begun` is the text typed so far. A completion is the slug of the label. It is the account's key
    if several accounts have this slug, or if only the key starts with `begun`.
    """
    count = Counter(slug_of(account.label) for account in accounts)
    found = []
    for account in accounts:
        slug, key = slug_of(account.label), account.account_key
        names = (slug, key) if count[slug] == 1 else (key,)
        fitting = [one for one in names if one.casefold().startswith(begun.casefold())]
        found += [(one, account.label) for one in fitting[:1]]
    return found


def check_alias(given: str) -> str:
    """Return an alias without blanks at its ends, or raise `BadAliasError`."""
    alias = given.strip()
    if not 0 < len(alias) <= LONGEST_ALIAS or not alias.isprintable():
        raise BadAliasError(given)
    return alias


def match_accounts(accounts: Sequence[Account], given: str) -> list[Account]:
    """Return exact matches, else matches ignoring case and punctuation, else prefix matches."""
    if not given.strip():
        return []
    slug = slug_of(given)
    tests: tuple[Callable[[str], bool], ...] = (
        lambda name: name == given,
        lambda name: slug_of(name) == slug,
        lambda name: slug != "" and slug_of(name).startswith(slug),
    )
    for test in tests:
        found = [account for account in accounts if any(map(test, _names(account)))]
        if found:
            return found
    return []


def _names(account: Account) -> tuple[str, ...]:
    tail = account.account_key.partition(".")[2]
    by_amazon = (account.name, f"{account.name} · {account.country_code}")
    called = account.label.removesuffix(f" · {account.country_code}")
    return (account.account_key, account.ads_account_key, account.label, called, *by_amazon, tail)


def _nearest(accounts: Sequence[Account], given: str) -> list[str]:
    labels: dict[str, str] = {}
    for account in accounts:
        for name in _names(account):
            labels.setdefault(slug_of(name), account.label)
    close = get_close_matches(slug_of(given), labels, n=_NEAREST, cutoff=_ALIKE)
    return list(dict.fromkeys(labels[name] for name in close))
