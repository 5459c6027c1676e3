"""The countries of Amazon Ads, and the sandbox's ads accounts with their profiles."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from random import Random
from typing import Literal
from zoneinfo import ZoneInfo

from bidbeacon_sandbox.seeded import WORLD, seed_number

Region = Literal["NA", "EU", "FE"]
AccountStatus = Literal["CREATED", "PARTIALLY_CREATED", "PENDING", "DISABLED"]


@dataclass(frozen=True, slots=True)
class Market:
    """A country of Amazon Ads; `country` is the code in ads accounts (`GB`; profiles: `UK`)."""

    country: str
    region: Region
    currency: str
    time_zone: str
    marketplace_id: str | None

    @property
    def zone(self) -> ZoneInfo:
        """The time zone of the country's accounts."""
        return ZoneInfo(self.time_zone)

    @property
    def has_cents(self) -> bool:
        """Whether amounts of the currency usually have two decimals (the yen has none)."""
        return self.currency != "JPY"


MARKETS: dict[str, Market] = {one[0]: Market(*one) for one in WORLD["markets"]}
REGIONS: tuple[Region, ...] = ("NA", "EU", "FE")
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
_KNOWN = (("US", "CA"), ("DE", "GB"), ("JP",), ("US",))
"""The default countries of the first accounts."""
_DISABLED = 3
"""The index of the account that is disabled, unless `countries` is set."""


@dataclass(frozen=True, slots=True)
class AccountCountry:
    """One country of an ads account: its profile, entity id and number of rows per day."""

    market: Market
    profile_id: int
    entity_id: str
    rows_per_day: int

    @property
    def country(self) -> str:
        """The country's code as in ads accounts (`GB`), not as in profiles (`UK`)."""
        return self.market.country


@dataclass(frozen=True, slots=True)
class AdsAccount:
    """One ads account; all its countries are in one region."""

    account_id: str
    name: str
    status: AccountStatus
    region: Region
    countries: tuple[AccountCountry, ...]
    refused_country: str | None
    kind: Literal["seller", "vendor"] = "seller"

    @property
    def country_codes(self) -> tuple[str, ...]:
        """The codes of the account's countries."""
        return tuple(country.country for country in self.countries)

    def find_country(self, code: str) -> AccountCountry | None:
        """Return the account's country with this code, or None."""
        return next((country for country in self.countries if country.country == code), None)

    def first_day(self, now: datetime) -> date:
        """Return the earliest local date at `now` among the account's countries."""
        return min(now.astimezone(country.market.zone).date() for country in self.countries)


class AccountBook:
    """All accounts of a sandbox, found by account id or by profile id."""

    def __init__(self, accounts: tuple[AdsAccount, ...]) -> None:
        self.accounts = accounts
        self._by_id = {account.account_id: account for account in accounts}
        self._by_profile = {
            str(country.profile_id): (account, country)
            for account in accounts
            for country in account.countries
        }

    def find(self, account_id: str | None) -> AdsAccount | None:
        """Return the account with this id, if any."""
        return self._by_id.get(account_id or "")

    def find_profile(self, profile_id: str | None) -> tuple[AdsAccount, AccountCountry] | None:
        """Return the account and country of the profile with this id, or None."""
        return self._by_profile.get(profile_id or "")


def make_accounts(
    seed: int,
    count: int,
    countries: Sequence[Sequence[str]] = (),
    *,
    rows_per_day: int | None = None,
    long_ids: bool = False,
) -> AccountBook:
    """Make `count` accounts, each with countries of one region.

    `countries` has the countries of the first accounts. By default, the first has US and CA, the
    second DE and GB, the third JP, and the fourth, which is disabled, US. `SandboxConfig` describes
    the arguments.
    """
    made, names = [], WORLD["accounts"]
    for index in range(count):
        rng = Random(seed_number(seed, "account", index))  # noqa: S311 - data, not secrets
        codes = (countries or _KNOWN)[index : index + 1] or [_draw_countries(rng)]
        name = names[index % len(names)]
        account = AdsAccount(
            account_id=f"amzn1.ads-account.g.{''.join(rng.choices(_LETTERS, k=25))}",
            name=name if index < len(names) else f"{name} {index}",
            status=_status(index, has_known=not countries),
            region=MARKETS[codes[0][0]].region,
            countries=tuple(
                _make_country(rng, code, rows_per_day, long_ids=long_ids) for code in codes[0]
            ),
            refused_country="MX" if index == 0 else None,
            kind="vendor" if index % 5 == 2 else "seller",  # noqa: PLR2004 - the one in Japan, and every fifth
        )
        made.append(account)
    return AccountBook(tuple(made))


def _status(index: int, *, has_known: bool) -> AccountStatus:
    if has_known and index == _DISABLED:
        return "DISABLED"
    return "PARTIALLY_CREATED" if index % 10 == 9 else "CREATED"  # noqa: PLR2004 - every tenth


def _draw_countries(rng: Random) -> list[str]:
    region = rng.choice(REGIONS)
    codes = [code for code, market in MARKETS.items() if market.region == region]
    return sorted(rng.sample(codes, rng.randint(1, 3)))


def _make_country(
    rng: Random, code: str, rows_per_day: int | None, *, long_ids: bool
) -> AccountCountry:
    lowest, highest = (2**53, 2**63) if long_ids else (10**14, 10**15)
    profile_id = rng.randrange(lowest, highest)
    entity_id = "ENTITY" + "".join(rng.choices(_LETTERS.upper(), k=12))
    drawn = rng.randint(200, 2_000)
    return AccountCountry(MARKETS[code], profile_id, entity_id, rows_per_day or drawn)
