"""The countries Amazon Ads sells in, and the sandbox's ads accounts: their countries and profile ids."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from random import Random
from typing import Literal
from zoneinfo import ZoneInfo

from bidbeacon_sandbox.seeded import seed_number

Region = Literal["NA", "EU", "FE"]


@dataclass(frozen=True, slots=True)
class Market:
    """One country as the API knows it; `country` is the code accounts use (`GB`, where profiles say `UK`)."""

    country: str
    region: Region
    currency: str
    time_zone: str
    marketplace_id: str | None

    @property
    def zone(self) -> ZoneInfo:
        """The time zone in which the country's accounts count their days."""
        return ZoneInfo(self.time_zone)

    @property
    def profile_country(self) -> str:
        """The country code as `/v2/profiles` writes it."""
        return "UK" if self.country == "GB" else self.country

    @property
    def has_cents(self) -> bool:
        """Whether amounts of the currency usually have two decimals (the yen has none)."""
        return self.currency != "JPY"


_MARKETS = (
    Market("BR", "NA", "BRL", "America/Sao_Paulo", "A2Q3Y263D00KWC"),
    Market("CA", "NA", "CAD", "America/Los_Angeles", "A2EUQ1WTGCTBG2"),
    Market("MX", "NA", "MXN", "America/Los_Angeles", "A1AM78C64UM0Y8"),
    Market("US", "NA", "USD", "America/Los_Angeles", "ATVPDKIKX0DER"),
    Market("AE", "EU", "AED", "Asia/Dubai", "A2VIGQ35RCS4UG"),
    Market("BE", "EU", "EUR", "Europe/Brussels", "AMEN7PMS3EDWL"),
    Market("DE", "EU", "EUR", "Europe/Paris", "A1PA6795UKMFR9"),
    Market("EG", "EU", "EGP", "Africa/Cairo", "ARBP9OOSHTCHU"),
    Market("ES", "EU", "EUR", "Europe/Paris", "A1RKKUPIHCS9HS"),
    Market("FR", "EU", "EUR", "Europe/Paris", "A13V1IB3VIYZZH"),
    Market("GB", "EU", "GBP", "Europe/London", "A1F83G8C2ARO7P"),
    Market("IE", "EU", "EUR", "Europe/Dublin", "A28R8C7NBKEWEA"),
    Market("IN", "EU", "INR", "Asia/Kolkata", "A21TJRUUN4KGV"),
    Market("IT", "EU", "EUR", "Europe/Paris", "APJ6JRA9NG5V4"),
    Market("NL", "EU", "EUR", "Europe/Amsterdam", "A1805IZSGTT6HS"),
    Market("PL", "EU", "PLN", "Europe/Warsaw", "A1C3SOZRARQ6R3"),
    Market("SA", "EU", "SAR", "Asia/Riyadh", "A17E79C6D8DWNP"),
    Market("SE", "EU", "SEK", "Europe/Stockholm", "A2NODRKZP88ZB9"),
    Market("TR", "EU", "TRY", "Europe/Istanbul", "A33AVAJ2PDY3EV"),
    Market("ZA", "EU", "ZAR", "Africa/Johannesburg", None),
    Market("AU", "FE", "AUD", "Australia/Sydney", "A39IBJ37TRP1C6"),
    Market("JP", "FE", "JPY", "Asia/Tokyo", "A1VC38T7YXB528"),
    Market("SG", "FE", "SGD", "Asia/Singapore", "A19VAU5U5O7RUS"),
)

MARKETS: dict[str, Market] = {market.country: market for market in _MARKETS}
REGIONS: tuple[Region, ...] = ("NA", "EU", "FE")


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
_Kind = tuple[tuple[str, ...], AccountStatus]
CREATED: AccountStatus = "CREATED"
_KNOWN_KINDS: list[_Kind] = [
    (("US", "CA"), CREATED),
    (("DE", "GB"), CREATED),
    (("JP",), CREATED),
    (("US",), "DISABLED"),
]


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
    kind: Literal["seller", "vendor"] = "seller"

    @property
    def country_codes(self) -> tuple[str, ...]:
        """The codes of its countries."""
        return tuple(country.country for country in self.countries)

    def find_country(self, code: str) -> AccountCountry | None:
        """Return its presence in a country; None where it isn't there."""
        return next((country for country in self.countries if country.country == code), None)

    def first_day(self, now: datetime) -> date:
        """Return today's date in that of its countries where the day begins last."""
        return min(now.astimezone(country.market.zone).date() for country in self.countries)


class AccountBook:
    """All accounts of a sandbox, found by account id or by profile id."""

    def __init__(self, accounts: tuple[Account, ...]) -> None:
        self.accounts = accounts
        self._by_id = {account.account_id: account for account in accounts}
        self._by_profile = {
            country.profile_id: (account, country)
            for account in accounts
            for country in account.countries
        }

    def find(self, account_id: str | None) -> Account | None:
        """Return the account with this id; None where there is none."""
        return self._by_id.get(account_id or "")

    def find_profile(self, profile_id: str | None) -> tuple[Account, AccountCountry] | None:
        """Return the account and country of a profile id (a text of digits); None where there is none."""
        if not profile_id or not profile_id.isascii() or not profile_id.isdigit():
            return None
        return self._by_profile.get(int(profile_id))

    def in_region(self, region: Region) -> list[Account]:
        """Return the accounts of a region, in a fixed order."""
        return [account for account in self.accounts if account.region == region]


def make_accounts(
    seed: int,
    count: int,
    rows_per_day: int | None,
    countries: Sequence[Sequence[str]] = (),
    *,
    long_ids: bool = False,
) -> AccountBook:
    """Make `count` accounts: in these countries first, or four known kinds (US and CA, DE and GB, JP, a disabled one), then any.

    The countries of one account are in one region.
    """
    kinds = [(tuple(codes), CREATED) for codes in countries] or _KNOWN_KINDS
    return AccountBook(
        tuple(
            _make_account(seed, index, rows_per_day, kinds, long_ids=long_ids)
            for index in range(count)
        )
    )


def _make_account(
    seed: int, index: int, rows_per_day: int | None, kinds: Sequence[_Kind], *, long_ids: bool
) -> Account:
    rng = Random(seed_number(seed, "account", index))  # noqa: S311 - data, not secrets
    codes, status = kinds[index] if index < len(kinds) else _draw_kind(rng)
    name = _NAMES[index % len(_NAMES)]
    return Account(
        account_id=f"amzn1.ads-account.g.{''.join(rng.choices(_LETTERS, k=25))}",
        name=name if index < len(_NAMES) else f"{name} {index}",
        status=status,
        region=MARKETS[codes[0]].region,
        countries=tuple(
            _make_country(rng, code, rows_per_day, long_ids=long_ids) for code in codes
        ),
        refused_country="MX" if index == 0 else None,
        kind="vendor" if index % 5 == 2 else "seller",  # noqa: PLR2004 - the one in Japan, and every fifth
    )


def _draw_kind(rng: Random) -> _Kind:
    region = rng.choice(REGIONS)
    codes = sorted(code for code, market in MARKETS.items() if market.region == region)
    chosen = tuple(sorted(rng.sample(codes, rng.randint(1, min(3, len(codes))))))
    return chosen, rng.choices(("CREATED", "PARTIALLY_CREATED"), (9, 1))[0]


def _make_country(
    rng: Random, code: str, rows_per_day: int | None, *, long_ids: bool
) -> AccountCountry:
    low, high = (2**53 + 1, 2**63 - 1) if long_ids else (10**14, 10**15)
    profile_id = rng.randrange(low, high)
    entity_id = "ENTITY" + "".join(rng.choices(_LETTERS.upper(), k=12))
    drawn = rng.randint(200, 2_000)
    return AccountCountry(MARKETS[code], profile_id, entity_id, rows_per_day or drawn)
