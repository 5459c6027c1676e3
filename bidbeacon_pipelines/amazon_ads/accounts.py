"""Lists the accounts that a credential may use in all regions, with their profiles."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    AliasPath,
    BeforeValidator,
    Field,
    RootModel,
    model_validator,
)

from bidbeacon_pipelines.amazon_ads import wire
from bidbeacon_pipelines.amazon_ads.client import AdsApiClient, AdsRequest, Owner
from bidbeacon_pipelines.amazon_ads.countries import (
    NO_CURRENCY,
    Country,
    get_country,
    normalise_country,
)
from bidbeacon_pipelines.amazon_ads.endpoints import REGIONS
from bidbeacon_pipelines.amazon_ads.errors import (
    AdsApiError,
    CredentialRefused,
    NotAuthorized,
    Rejected,
)
from bidbeacon_pipelines.settings import Region
from bidbeacon_sessions.sentences import join_sentences

_LIST: dict[str, Any] = {
    "name": "list_accounts",
    "operation": "list the accounts",
    "method": "POST",
    "path": "/adsAccounts/list",
    "json": {"maxResults": 100},
    "headers": {"Content-Type": "application/vnd.listaccountsresource.v1+json"},
}
_MOST_PROFILES_NAMED: Final = 10
_CountryCode = Annotated[wire.Text, AfterValidator(normalise_country), Field(min_length=1)]
_OptionalId = Annotated[wire.Id | None, BeforeValidator(lambda value: value or None)]


class AlternateId(wire.WireModel):
    """Profile and entity id of an ads account in one country; either may be missing."""

    country_code: _CountryCode
    profile_id: _OptionalId = None
    entity_id: _OptionalId = None


class CountryError(wire.WireModel):
    """Why an ads account doesn't work in a country."""

    error_code: wire.Text | None = None
    error_message: wire.Text | None = None


class ListedAdsAccount(wire.WireModel):
    """An Amazon ads account: one for many countries."""

    ads_account_id: wire.Id
    account_name: wire.Lenient[wire.Text] = None
    status: wire.Lenient[wire.Text] = None
    country_codes: tuple[wire.Text, ...] | None = None
    # `AlternateId`s, read one by one: an invalid one doesn't lose the account.
    alternate_ids: tuple[Any, ...] | None = None
    errors: wire.Lenient[dict[wire.Text, tuple[CountryError, ...]]] = None

    @model_validator(mode="before")
    @classmethod
    def _unwrap(cls, body: Any) -> Any:
        return body["adsAccount"] if isinstance(body, dict) and "adsAccount" in body else body

    @property
    def countries(self) -> list[str]:
        """The ISO codes of its countries."""
        codes = map(normalise_country, self.country_codes or ())
        ids = (one.country_code for one in self.alternate_ids or ())
        return list(dict.fromkeys(filter(None, (*codes, *ids))))

    @property
    def sentences(self) -> dict[str, list[str]]:
        """Amazon's errors of it, by country."""
        sentences: dict[str, list[str]] = {}
        for code, errors in (self.errors or {}).items():
            texts = (one.error_message or one.error_code or "not usable" for one in errors)
            sentences.setdefault(normalise_country(code), []).extend(map(join_sentences, texts))
        return sentences

    def merged_with(self, other: Self) -> Self:
        """Return it with the countries, ids, errors and missing texts of another listing of it."""
        mine, others = self.errors or {}, other.errors or {}
        errors = {code: _all(mine.get(code), others.get(code)) for code in {**mine, **others}}
        return self.model_copy(
            update={
                "account_name": self.account_name or other.account_name,
                "status": self.status or other.status,
                "country_codes": _all(self.country_codes, other.country_codes),
                "alternate_ids": _all(self.alternate_ids, other.alternate_ids),
                "errors": errors,
            }
        )


def _all(some: Iterable[Any] | None, others: Iterable[Any] | None) -> tuple[Any, ...]:
    return tuple(dict.fromkeys((*(some or ()), *(others or ()))))


class Profile(wire.WireModel):
    """An account in one country, as `/v2/profiles` describes it."""

    profile_id: wire.Id
    currency_code: wire.Lenient[wire.Text] = None
    timezone: wire.Lenient[wire.Text] = None
    marketplace_id: wire.Lenient[wire.Text] = Field(
        None, validation_alias=AliasPath("accountInfo", "marketplaceStringId")
    )
    name: wire.Lenient[wire.Text] = Field(None, validation_alias=AliasPath("accountInfo", "name"))
    type: wire.Lenient[wire.Text] = Field(None, validation_alias=AliasPath("accountInfo", "type"))


class Page(wire.WireModel):
    """One page, from either shape seen: an object with a list, or a bare list."""

    ads_accounts: tuple[Any, ...]
    next_token: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _with_name(cls, body: Any) -> Any:
        return {"adsAccounts": body} if isinstance(body, list) else body


class _Profiles(RootModel[tuple[Any, ...]]):
    pass


@dataclass(frozen=True)
class ListedAccount:
    """An ads account in one country.

    `account_id` is shared by all countries; `country_code` is ISO's (GB, never UK); an account
    without `profile_id` can't be exported; `account_type` (`seller`, `vendor` or `agency`)
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

    Region, currency and time zone of an account can be trusted if its region is in
    `answered_regions` and its ads account not in `unsure_accounts`, which have an invalid alternate
    id in some region. Otherwise they may be defaults. `problems` are sentences about invalid items,
    profiles without account, and countries where an account doesn't work; `errors` are those of
    regions that could not be listed completely.
    """

    accounts: tuple[ListedAccount, ...]
    answered_regions: tuple[Region, ...]
    unsure_accounts: frozenset[str]
    problems: tuple[str, ...]
    errors: Mapping[Region, AdsApiError] = field(default_factory=dict)


@dataclass
class _RegionAnswer:
    region: Region
    accounts: list[ListedAdsAccount] = field(default_factory=list)
    profiles: list[Profile] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    error: AdsApiError | None = None
    listed: int = 0
    broken_accounts: int = 0
    unsure_accounts: set[str] = field(default_factory=set)
    is_trusted: bool = False

    @property
    def is_complete(self) -> bool:
        """Whether all its ads accounts were listed, and each is valid with all its ids."""
        return not (self.error or self.broken_accounts or self.unsure_accounts)

    def add_accounts(self, listed: Iterable[Any]) -> None:
        """Add the valid ads accounts of a page, with their valid ids."""
        items = tuple(listed)
        accounts, broken = wire.read_each(ListedAdsAccount, items, first=self.listed + 1)
        self.listed += len(items)
        self.broken_accounts += len(broken)
        self.problems.extend(f"Region {self.region}, account {problem}" for problem in broken)
        for account in accounts:
            ids, broken = wire.read_each(AlternateId, account.alternate_ids or ())
            self.accounts.append(account.model_copy(update={"alternate_ids": tuple(ids)}))
            of = f"Region {self.region}, account {account.ads_account_id}, alternate id"
            self.problems.extend(f"{of} {problem}" for problem in broken)
            if broken:
                self.unsure_accounts.add(account.ads_account_id)

    def add_profiles(self, listed: Iterable[Any]) -> int:
        """Add the valid profiles; return the number of invalid ones."""
        profiles, broken = wire.read_each(Profile, listed)
        self.profiles.extend(profiles)
        self.problems.extend(f"Region {self.region}, profile {problem}" for problem in broken)
        return len(broken)


def list_accounts(client: AdsApiClient) -> AccountListing:
    """List the accounts of every region that answers.

    Raises:
        CredentialRefused: The credential was refused.
        AdsApiError: All regions failed; the first one's error.
    """
    answers = [_call_region(client, region) for region in REGIONS]
    errors = {answer.region: answer.error for answer in answers if answer.error}
    if len(errors) == len(answers):
        raise errors[REGIONS[0]]
    listed = _merge(answers)
    problems = [problem for answer in answers for problem in answer.problems]
    problems += [sentence for _, account in listed for sentence in _left_out(account)]
    if all(answer.is_complete for answer in answers):
        problems += _profiles_without_account(answers, [account for _, account in listed])
    return AccountListing(
        accounts=tuple(_join(answers, listed)),
        answered_regions=tuple(answer.region for answer in answers if answer.is_trusted),
        unsure_accounts=frozenset().union(*(answer.unsure_accounts for answer in answers)),
        problems=tuple(dict.fromkeys(problems)),
        errors=errors,
    )


def _call_region(client: AdsApiClient, region: Region) -> _RegionAnswer:
    answer = _RegionAnswer(region)
    try:
        request = AdsRequest(owner=Owner(region), **_LIST)
        for page in client.call_pages(request, Page):
            answer.add_accounts(page.ads_accounts)
        broken_profiles = answer.add_profiles(list_profiles(client, region))
        broken_profiles += answer.add_profiles(_list_view_only(client, answer))
        answer.is_trusted = not broken_profiles
    except CredentialRefused:
        raise
    except AdsApiError as error:
        answer.error = error
    return answer


def _list_view_only(client: AdsApiClient, answer: _RegionAnswer) -> tuple[Any, ...]:
    try:
        return list_profiles(client, answer.region, view_only=True)
    except (Rejected, NotAuthorized) as error:
        problem = "profiles that may only be viewed could not be listed"
        problem = f"Region {answer.region}: {problem}: {error.reason}"
        answer.problems.append(join_sentences(problem))
        return ()


def list_profiles(
    client: AdsApiClient, region: Region, *, view_only: bool = False
) -> tuple[Any, ...]:
    """Return a region's profiles as Amazon sends them; also a cheap check of the connection.

    Profiles that our user may view but not edit, as of many vendors, come only with `view_only`. It
    is not known whether Amazon lists the others there too.
    """
    request = AdsRequest(
        name="list_profiles",
        operation="list the profiles",
        method="GET",
        owner=Owner(region),
        path="/v2/profiles" + ("?accessLevel=view" if view_only else ""),
    )
    return client.call(
        request, lambda response: wire.read_as(_Profiles, wire.read_json(response))
    ).root


def _merge(answers: Iterable[_RegionAnswer]) -> list[tuple[Region, ListedAdsAccount]]:
    merged: dict[str, tuple[Region, ListedAdsAccount]] = {}
    for answer in answers:
        for listed in answer.accounts:
            region, known = merged.get(listed.ads_account_id, (answer.region, None))
            merged[listed.ads_account_id] = region, known.merged_with(listed) if known else listed
    return list(merged.values())


def _join(
    answers: Iterable[_RegionAnswer], listed: Iterable[tuple[Region, ListedAdsAccount]]
) -> Iterator[ListedAccount]:
    # Reversed: of a region's profiles with one id the first is used, which may be edited.
    profiles = {
        profile.profile_id: (answer.region, profile)
        for answer in answers
        for profile in reversed(answer.profiles)
    }
    for region, account in listed:
        for code in account.countries:
            yield _account(account, get_country(code, region=region), profiles)


def _account(
    listed: ListedAdsAccount, country: Country, profiles: Mapping[str, tuple[Region, Profile]]
) -> ListedAccount:
    code = country.code
    ids = [one for one in listed.alternate_ids or () if one.country_code == code]
    ids.sort(key=lambda one: one.profile_id not in profiles)  # the first known profile is used
    profile_ids = _all((one.profile_id for one in ids if one.profile_id), ())
    entity_ids = _all((one.entity_id for one in ids if one.entity_id), ())
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
        name=listed.account_name or profile.name or "",
        status=(listed.status or "UNKNOWN").strip().upper(),
        profile_id=profile_id,
        entity_id=next(iter(entity_ids), None),
        region=region,
        currency_code=(profile.currency_code or "").strip().upper() or country.currency_code,
        time_zone=zone or country.time_zone,
        marketplace_id=profile.marketplace_id or country.marketplace_id,
        account_type=(profile.type or "").strip().lower() or None,
        problems=tuple(problems),
    )


def _ignored(what: str, ids: tuple[str, ...]) -> Iterator[str]:
    if ids[1:]:
        ignored = ", ".join(ids[1:])
        yield f"Amazon lists several {what} for this country. Using {ids[0]}; ignored: {ignored}."


def _missing(profile_id: str | None, profile: Profile | None, country: Country) -> str:
    used = f"using {country.time_zone}"
    if profile is not None:
        return f"The profile's time zone is {profile.timezone!r}; {used}."
    unknown = ", since the country is unknown" if country.currency_code == NO_CURRENCY else ""
    used += f" and {country.currency_code}{unknown}."
    if profile_id is None:
        return f"Amazon names no profile in {country.code}; {used}"
    return f"Profile {profile_id} is not among the profiles listed; {used}"


def _is_time_zone(name: str | None) -> bool:
    try:
        return bool(ZoneInfo(name or ""))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False


def _left_out(listed: ListedAdsAccount) -> Iterator[str]:
    """Yield a sentence per country that has only an error, or one if there is no country."""
    name = listed.account_name or listed.ads_account_id
    for code, sentences in listed.sentences.items():
        if code not in listed.countries:
            where = f"{name} in {code}" if code else name
            yield from (f"{where}: {sentence}" for sentence in sentences)
    if not listed.countries:
        status = (listed.status or "UNKNOWN").strip().upper()
        yield f"{name} ({listed.ads_account_id}, {status}) has no country."


def _profiles_without_account(
    answers: Iterable[_RegionAnswer], listed: Iterable[ListedAdsAccount]
) -> Iterator[str]:
    named = {one.profile_id for account in listed for one in account.alternate_ids or ()}
    for answer in answers:
        names = {one.profile_id: one.name for one in answer.profiles if one.profile_id not in named}
        if not names:
            continue
        shown = [f"{id_} ({name})" if name else id_ for id_, name in names.items()]
        more = ["…"] if len(shown) > _MOST_PROFILES_NAMED else []
        those = ", ".join(shown[:_MOST_PROFILES_NAMED] + more)
        belong = "profile belongs" if len(shown) == 1 else "profiles belong"
        yield f"Region {answer.region}: {len(shown)} {belong} to no listed ads account: {those}."
