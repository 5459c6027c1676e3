"""Lists the accounts that a credential may use in all regions, with their profiles."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Self, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, Field, RootModel, model_validator

from bidbeacon_pipelines.amazon_ads import wire
from bidbeacon_pipelines.amazon_ads.client import AdsApiClient, AdsRequest, Owner
from bidbeacon_pipelines.amazon_ads.endpoints import REGIONS
from bidbeacon_pipelines.amazon_ads.errors import (
    AdsApiError,
    CredentialRefused,
    NotAuthorized,
    Rejected,
)
from bidbeacon_pipelines.settings import Region
from bidbeacon_pipelines.values.countries import (
    COUNTRIES,
    NO_CURRENCY,
    Country,
    get_country,
    normalise_country,
)
from bidbeacon_sessions.sentences import join_sentences

T = TypeVar("T")

_MOST_PROFILES_NAMED: Final = 10
_NoneIsEmpty: Final = BeforeValidator(lambda items: () if items is None else items)


def _is_time_zone(name: str | None) -> bool:
    try:
        return bool(ZoneInfo(name or ""))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False


_Country = Annotated[
    wire.Text,
    wire.documented(
        "a known country code, such as US", lambda code: normalise_country(code) in COUNTRIES
    ),
]
_TIME_ZONE: Final = wire.documented("an IANA time zone, such as Europe/Berlin", _is_time_zone)
_CURRENCY: Final = wire.documented("a currency code, such as EUR", re.compile("[A-Z]{3}").fullmatch)
_STATUS: Final = wire.one_of("CREATED", "PARTIALLY_CREATED", "PENDING", "DISABLED")
_OptionalId = Annotated[wire.Id | None, BeforeValidator(lambda value: value or None)]


class AlternateId(wire.WireModel):
    """Profile and entity id of an ads account in one country; either id may be missing."""

    country_code: Annotated[_Country, AfterValidator(normalise_country), Field(min_length=1)]
    profile_id: _OptionalId = None
    entity_id: _OptionalId = None


class CountryError(wire.WireModel):
    """Why an ads account doesn't work in a country."""

    error_code: wire.Text | None = None
    error_message: wire.Text | None = None


class ListedAdsAccount(wire.WireModel):
    """An ads account as Amazon lists it, with all of its countries."""

    ads_account_id: wire.Id
    account_name: wire.Sent[wire.Text] = None
    status: wire.Sent[Annotated[wire.Text, _STATUS]] = None
    country_codes: Annotated[tuple[_Country, ...], _NoneIsEmpty] = ()
    alternate_ids: Annotated[tuple[wire.Item[AlternateId], ...], _NoneIsEmpty] = ()
    errors: wire.Lenient[dict[wire.Text, tuple[CountryError, ...]]] = None

    @model_validator(mode="before")
    @classmethod
    def _unwrap(cls, body: Any) -> Any:
        return body["adsAccount"] if isinstance(body, dict) and "adsAccount" in body else body

    @property
    def countries(self) -> list[str]:
        """The ISO codes of the ads account's countries."""
        codes = (*self.country_codes, *(one.country_code for one in self.alternate_ids))
        return _once(filter(None, map(normalise_country, codes)))

    @property
    def sentences(self) -> dict[str, list[str]]:
        """Amazon's error messages about the ads account, by country."""
        sentences: dict[str, list[str]] = {}
        for code, errors in (self.errors or {}).items():
            texts = (one.error_message or one.error_code or "not usable" for one in errors)
            sentences.setdefault(normalise_country(code), []).extend(map(join_sentences, texts))
        return sentences

    def merged_with(self, other: Self) -> Self:
        """Return this ads account, completed with another listing of the same ads account."""
        errors = dict(self.errors or {})
        for code, others in (other.errors or {}).items():
            errors[code] = errors.get(code, ()) + others
        return self.model_copy(
            update={
                "account_name": self.account_name or other.account_name,
                "status": self.status or other.status,
                "country_codes": self.country_codes + other.country_codes,
                "alternate_ids": self.alternate_ids + other.alternate_ids,
                "errors": errors,
            }
        )


def _once(items: Iterable[T]) -> list[T]:
    return list(dict.fromkeys(items))


class AccountInfo(wire.WireModel):
    """The seller or vendor that a profile belongs to."""

    id: wire.Sent[wire.Text] = None
    name: wire.Sent[wire.Text] = None
    type: wire.Sent[Annotated[wire.Text, wire.one_of("seller", "vendor", "agency")]] = None
    marketplace_string_id: wire.Lenient[wire.Text] = None


class Profile(wire.WireModel):
    """An account in one country, as `/v2/profiles` describes it."""

    profile_id: wire.Id
    country_code: wire.Sent[_Country] = None
    currency_code: wire.Sent[Annotated[wire.Text, _CURRENCY]] = None
    timezone: wire.Sent[Annotated[wire.Text, _TIME_ZONE]] = None
    account_info: wire.Sent[AccountInfo] = None

    @property
    def info(self) -> AccountInfo:
        """The profile's seller or vendor; an empty `AccountInfo` if Amazon sends none."""
        return self.account_info or AccountInfo()


class Page(wire.WireModel):
    """One page of ads accounts; Amazon sends an object with a list, or the list alone."""

    ads_accounts: tuple[wire.Item[ListedAdsAccount], ...]
    next_token: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _with_name(cls, body: Any) -> Any:
        return {"adsAccounts": body} if isinstance(body, list) else body


class Profiles(RootModel[tuple[wire.Item[Profile], ...]]):
    """The profiles of a region."""


@dataclass(frozen=True)
class ListedAccount:
    """An ads account in one country.

    `account_id` is the same in all countries; `country_code` is the ISO code (GB, never UK).
    Entities can't be exported without `profile_id`. `account_type` (`seller`, `vendor` or `agency`)
    determines how long sales are attributed to an ad. `problems` are sentences for users.
    """

    account_id: str
    country_code: str
    name: str
    status: str
    profile_id: str | None
    entity_id: str | None
    region: Region
    currency_code: str
    time_zone: str
    marketplace_id: str | None
    account_type: str | None = None
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class AccountListing:
    """The answers of all regions: the accounts in Amazon's order, and the errors.

    `answered_regions` were listed without errors or invalid profiles. In all other regions, an
    account's region, currency and time zone may be defaults. The same applies to `unsure_accounts`:
    ads accounts with an invalid alternate id. `problems` are sentences about invalid items,
    profiles without an account, and countries where an account doesn't work. `errors` has regions
    that were not listed completely.
    """

    accounts: tuple[ListedAccount, ...]
    answered_regions: tuple[Region, ...]
    unsure_accounts: frozenset[str]
    problems: tuple[str, ...]
    errors: Mapping[Region, AdsApiError] = field(default_factory=dict)


def list_accounts(client: AdsApiClient) -> AccountListing:
    """List the accounts of every region that answers.

    Raises:
        CredentialRefused: The credential was refused.
        AdsApiError: All regions failed; this is the error of the first region.
    """
    listed = _Listed(client)
    for region in REGIONS:
        listed.add_region(region)
    if len(listed.errors) == len(REGIONS):
        raise listed.errors[REGIONS[0]]
    return AccountListing(
        accounts=tuple(listed.by_country()),
        answered_regions=tuple(listed.answered_regions),
        unsure_accounts=frozenset(listed.unsure_accounts),
        problems=tuple(_once([*listed.problems, *listed.leftovers()])),
        errors=listed.errors,
    )


@dataclass
class _Listed:
    """The ads accounts and profiles by id, each with the first region that listed it."""

    client: AdsApiClient
    accounts: dict[str, tuple[Region, ListedAdsAccount]] = field(default_factory=dict)
    profiles: dict[str, tuple[Region, Profile]] = field(default_factory=dict)
    answered_regions: list[Region] = field(default_factory=list)
    unsure_accounts: set[str] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)
    errors: dict[Region, AdsApiError] = field(default_factory=dict)
    is_complete: bool = True
    """Whether all ads accounts and their ids were valid."""

    def add_region(self, region: Region) -> None:
        """Add a region's ads accounts and profiles; keep those that were read before an error."""
        try:
            self._add_accounts(region)
            is_trusted = self._add_profiles(region, list_profiles(self.client, region))
            is_trusted &= self._add_profiles(region, self._list_view_only(region))
            if is_trusted:
                self.answered_regions.append(region)
        except CredentialRefused:
            raise
        except AdsApiError as error:
            self.errors[region] = error

    def _add_accounts(self, region: Region) -> None:
        known_problems, of = len(self.problems), f"Region {region}, account"
        items = _list_ads_accounts(self.client, region)
        for account in wire.read_each(ListedAdsAccount, items, of, self.problems):
            id_, listed = account.ads_account_id, account.alternate_ids
            of_id = f"{of} {id_}, alternate id"
            ids = tuple(wire.read_each(AlternateId, listed, of_id, self.problems))
            if len(ids) < len(listed):
                self.unsure_accounts.add(id_)
            valid = account.model_copy(update={"alternate_ids": ids})
            first, known = self.accounts.get(id_, (region, None))
            self.accounts[id_] = first, known.merged_with(valid) if known else valid
        self.is_complete &= len(self.problems) == known_problems

    def _add_profiles(self, region: Region, items: tuple[Any, ...]) -> bool:
        """Add the valid profiles of a region; return whether all of its profiles are valid."""
        known_problems, of = len(self.problems), f"Region {region}, profile"
        for profile in wire.read_each(Profile, items, of, self.problems):
            # If an id is listed twice, its first profile is used, which our user may edit.
            self.profiles.setdefault(profile.profile_id, (region, profile))
        return len(self.problems) == known_problems

    def _list_view_only(self, region: Region) -> tuple[Any, ...]:
        try:
            return list_profiles(self.client, region, view_only=True)
        except (Rejected, NotAuthorized) as error:
            problem = "profiles with view-only access could not be listed"
            self.problems.append(join_sentences(f"Region {region}: {problem}: {error.reason}"))
            return ()

    def by_country(self) -> Iterator[ListedAccount]:
        for region, account in self.accounts.values():
            for code in account.countries:
                yield _account(account, get_country(code, region=region), self.profiles)

    def leftovers(self) -> Iterator[str]:
        """Yield sentences about countries and profiles that belong to no account."""
        for _, account in self.accounts.values():
            yield from _left_out(account)
        if self.is_complete and not self.errors:
            for region in REGIONS:
                yield from self._profiles_without_account(region)

    def _profiles_without_account(self, region: Region) -> Iterator[str]:
        ids = (one.profile_id for _, of in self.accounts.values() for one in of.alternate_ids)
        unnamed = self.profiles.keys() - set(ids)
        shown = [
            f"{id_} ({profile.info.name})" if profile.info.name else id_
            for id_, (of, profile) in self.profiles.items()
            if of == region and id_ in unnamed
        ]
        if shown:
            more = ["…"] if len(shown) > _MOST_PROFILES_NAMED else []
            those = ", ".join(shown[:_MOST_PROFILES_NAMED] + more)
            belong = "profile belongs" if len(shown) == 1 else "profiles belong"
            yield f"Region {region}: {len(shown)} {belong} to no listed ads account: {those}."


def _list_ads_accounts(client: AdsApiClient, region: Region) -> Iterator[Any]:
    request = AdsRequest(
        name="list_accounts",
        operation="list the accounts",
        method="POST",
        owner=Owner(region),
        path="/adsAccounts/list",
        json={"maxResults": 100},
        headers={"Content-Type": "application/vnd.listaccountsresource.v1+json"},
    )
    return (one for page in client.call_pages(request, Page) for one in page.ads_accounts)


def list_profiles(
    client: AdsApiClient, region: Region, *, view_only: bool = False
) -> tuple[Any, ...]:
    """Return a region's profiles as Amazon sends them; also a cheap check of the connection.

    Profiles that our user may only view, such as those of many vendors, are listed only with
    `view_only`. It is unknown whether Amazon then also lists profiles that our user may edit.
    """
    request = AdsRequest(
        name="list_profiles",
        operation="list the profiles",
        method="GET",
        owner=Owner(region),
        path="/v2/profiles" + ("?accessLevel=view" if view_only else ""),
    )
    return client.call_model(request, Profiles).root


def _account(
    listed: ListedAdsAccount, country: Country, profiles: Mapping[str, tuple[Region, Profile]]
) -> ListedAccount:
    code = country.code
    ids = [one for one in listed.alternate_ids if one.country_code == code]
    ids.sort(key=lambda one: one.profile_id not in profiles)  # the first known profile is used
    profile_ids = _once(one.profile_id for one in ids if one.profile_id)
    entity_ids = _once(one.entity_id for one in ids if one.entity_id)
    profile_id = next(iter(profile_ids), None)
    found = profiles.get(profile_id or "")
    region, profile = found or (country.region, Profile(profile_id="none"))
    zone = profile.timezone if _is_time_zone(profile.timezone) else None
    problems = listed.sentences.get(code, [])
    if found is None or zone is None:
        problems = [*problems, _missing(profile_id, found and found[1], country)]
    problems = [*problems, *_ignored("profiles", profile_ids), *_ignored("entities", entity_ids)]
    return ListedAccount(
        account_id=listed.ads_account_id,
        country_code=code,
        name=listed.account_name or profile.info.name or "",
        status=(listed.status or "UNKNOWN").strip().upper(),
        profile_id=profile_id,
        entity_id=next(iter(entity_ids), None),
        region=region,
        currency_code=(profile.currency_code or "").strip().upper() or country.currency_code,
        time_zone=zone or country.time_zone,
        marketplace_id=profile.info.marketplace_string_id or country.marketplace_id,
        account_type=(profile.info.type or "").strip().lower() or None,
        problems=tuple(_once(problems)),
    )


def _ignored(what: str, ids: list[str]) -> Iterator[str]:
    if ids[1:]:
        ignored = ", ".join(ids[1:])
        yield f"Amazon lists several {what} for this country. Using {ids[0]}; ignored: {ignored}."


def _missing(profile_id: str | None, profile: Profile | None, country: Country) -> str:
    used = f"using {country.time_zone}"
    if profile is not None:
        return f"The profile's time zone is {profile.timezone!r}, which is unknown; {used}."
    unknown = ", since the country is unknown" if country.currency_code == NO_CURRENCY else ""
    used += f" and {country.currency_code}{unknown}."
    if profile_id is None:
        return f"Amazon lists no profile in {country.code}; {used}"
    return f"Profile {profile_id} is not among the profiles listed; {used}"


def _left_out(listed: ListedAdsAccount) -> Iterator[str]:
    """Yield Amazon's errors for unlisted countries, and a sentence if no country is listed."""
    name = listed.account_name or listed.ads_account_id
    for code, sentences in listed.sentences.items():
        if code not in listed.countries:
            where = f"{name} in {code}" if code else name
            yield from (f"{where}: {sentence}" for sentence in sentences)
    if not listed.countries:
        status = (listed.status or "UNKNOWN").strip().upper()
        yield f"{name} ({listed.ads_account_id}, {status}) has no country."
