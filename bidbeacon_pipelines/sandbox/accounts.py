"""The ads accounts of the sandbox: who they are, in which countries, under which profile ids."""

from dataclasses import dataclass
from datetime import date, datetime
from random import Random
from typing import Literal

from bidbeacon_pipelines.sandbox.hashing import seed_number
from bidbeacon_pipelines.sandbox.markets import MARKETS, REGIONS, Market, Region

AccountStatus = Literal["CREATED", "PARTIALLY_CREATED", "PENDING", "DISABLED"]

_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
_NAMES = (
    "Acme Merch",
    'Müller & Söhne "Hundeglück" GmbH',
    "株式会社さくら商店",
    "Closed Shop <b>Ltd</b>",
    "O'Brien Outdoor",
    "متجر الصحراء",
    "Żółw i Spółka",
    "Tiny Toys 🧸",
)


@dataclass(frozen=True, slots=True)
class AccountCountry:
    """An ads account's presence in one country: its own profile, entity and amount of data."""

    market: Market
    profile_id: int
    entity_id: str
    rows_per_day: int

    @property
    def country(self) -> str:
        """The country code accounts use (`GB`, never `UK`)."""
        return self.market.country


@dataclass(frozen=True, slots=True)
class Account:
    """One ads account; all its countries are in one region."""

    account_id: str
    name: str
    status: AccountStatus
    region: Region
    countries: tuple[AccountCountry, ...]
    refused_country: str | None

    @property
    def country_codes(self) -> tuple[str, ...]:
        """The codes of its countries."""
        return tuple(country.country for country in self.countries)

    def find_country(self, code: str) -> AccountCountry | None:
        """Give its presence in a country; None where it isn't there."""
        return next((country for country in self.countries if country.country == code), None)

    def first_day(self, now: datetime) -> date:
        """Give today's date in that of its countries where the day begins last."""
        return min(now.astimezone(country.market.zone).date() for country in self.countries)


class AccountBook:
    """All accounts of a sandbox, found by account id or by profile id."""

    def __init__(self, accounts: tuple[Account, ...]) -> None:
        self.accounts = accounts
        self._by_id = {account.account_id: account for account in accounts}
        self._by_profile = {
            country.profile_id: (account, country) for account in accounts for country in account.countries
        }

    def find(self, account_id: str | None) -> Account | None:
        """Give the account with this id; None where there is none."""
        return self._by_id.get(account_id or "")

    def find_profile(self, profile_id: str | None) -> tuple[Account, AccountCountry] | None:
        """Give the account and country of a profile id (a text of digits); None where there is none."""
        if not profile_id or not profile_id.isascii() or not profile_id.isdigit():
            return None
        return self._by_profile.get(int(profile_id))

    def in_region(self, region: Region) -> list[Account]:
        """Give the accounts of a region, in a fixed order."""
        return [account for account in self.accounts if account.region == region]


def make_accounts(seed: int, count: int, rows_per_day: int | None) -> AccountBook:
    """Make `count` accounts: four known kinds first (US and CA, DE and GB, JP, a disabled one), then any."""
    return AccountBook(tuple(_make_account(seed, index, rows_per_day) for index in range(count)))


def _make_account(seed: int, index: int, rows_per_day: int | None) -> Account:
    rng = Random(seed_number(seed, "account", index))  # noqa: S311 - data, not secrets
    codes, status = _kind(rng, index)
    name = _NAMES[index % len(_NAMES)]
    return Account(
        account_id=f"amzn1.ads-account.g.{''.join(rng.choices(_LETTERS, k=25))}",
        name=name if index < len(_NAMES) else f"{name} {index}",
        status=status,
        region=MARKETS[codes[0]].region,
        countries=tuple(_make_country(rng, code, index, rows_per_day) for code in codes),
        refused_country="MX" if index == 0 else None,
    )


def _kind(rng: Random, index: int) -> tuple[tuple[str, ...], AccountStatus]:
    first: tuple[tuple[tuple[str, ...], AccountStatus], ...] = (
        (("US", "CA"), "CREATED"),
        (("DE", "GB"), "CREATED"),
        (("JP",), "CREATED"),
        (("US",), "DISABLED"),
    )
    if index < len(first):
        return first[index]
    region = rng.choice(REGIONS)
    codes = sorted(code for code, market in MARKETS.items() if market.region == region)
    chosen = tuple(sorted(rng.sample(codes, rng.randint(1, min(3, len(codes))))))
    return chosen, rng.choices(("CREATED", "PARTIALLY_CREATED"), (9, 1))[0]


def _make_country(rng: Random, code: str, index: int, rows_per_day: int | None) -> AccountCountry:
    beyond_2_53 = index % 4 == 1
    low, high = (2**53 + 1, 2**63 - 1) if beyond_2_53 else (10**14, 10**15)
    profile_id = rng.randrange(low, high)
    entity_id = "ENTITY" + "".join(rng.choices(_LETTERS.upper(), k=12))
    drawn = rng.randint(200, 2_000)
    return AccountCountry(MARKETS[code], profile_id, entity_id, rows_per_day or drawn)
