"""Lists the accounts we have access to: every page of every region, joined with the region's profiles."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from bidbeacon_pipelines.amazon_ads.client import AdsApiClient
from bidbeacon_pipelines.amazon_ads.countries import (
    NO_CURRENCY,
    Country,
    get_country,
    normalise_country,
)
from bidbeacon_pipelines.amazon_ads.credentials import REGIONS
from bidbeacon_pipelines.amazon_ads.errors import (
    AdsApiError,
    InvalidClient,
    InvalidGrant,
    MalformedAnswer,
)
from bidbeacon_pipelines.amazon_ads.models import (
    WireAccount,
    WireAccountPage,
    WireProfile,
    read_as,
    read_each,
    read_list,
)
from bidbeacon_pipelines.amazon_ads.transport import Answer, ApiCall
from bidbeacon_pipelines.settings import Region
from bidbeacon_sessions.sentences import join_sentences

_PAGE_SIZE = 100
_MAX_PAGES = 1000
_MEDIA_TYPE = "application/vnd.listaccountsresource.v1+json"


@dataclass(frozen=True)
class AdsAccount:
    """One (Amazon ads account, country) pair.

    Attributes:
        account_id: `amzn1.ads-account.g.…`; shared by all countries of the account.
        country_code: ISO 3166; GB, never UK.
        status: `CREATED`, `PARTIALLY_CREATED`, `PENDING`, `DISABLED`, or a word we don't know.
        profile_id: None where Amazon names none: such a pair can't be exported.
        region: Whose host serves the pair.
        time_zone: IANA name, of the profile, else of the country.
        account_type: `seller`, `vendor` or `agency`, as the profile says; it decides how long sales
            are attributed to an ad.
        problems: What is missing or odd, in sentences for a person; empty as a rule.
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
    """What the regions answered.

    Attributes:
        accounts: The pairs, in Amazon's order.
        answered_regions: The regions with all pages and readable profiles: region, currency and
            time zone of their pairs can be trusted;
            elsewhere they may be defaults.
        problems: What couldn't be read, and countries where an account doesn't work, in sentences.
        errors: Why a region could not be listed to its end, by region.
    """

    accounts: tuple[AdsAccount, ...]
    answered_regions: tuple[Region, ...]
    problems: tuple[str, ...]
    errors: Mapping[Region, AdsApiError] = field(default_factory=dict)


@dataclass
class _RegionAnswer:
    region: Region
    accounts: list[WireAccount] = field(default_factory=list)
    profiles: list[WireProfile] = field(default_factory=list)
    error: AdsApiError | None = None
    broken_accounts: list[str] = field(default_factory=list)
    broken_profiles: list[str] = field(default_factory=list)

    @property
    def is_trusted(self) -> bool:
        return self.error is None and not self.broken_profiles

    @property
    def problems(self) -> list[str]:
        return [
            *(f"Region {self.region}, account {problem}" for problem in self.broken_accounts),
            *(f"Region {self.region}, profile {problem}" for problem in self.broken_profiles),
        ]


@dataclass(frozen=True)
class _LocatedProfile:
    region: Region
    wire: WireProfile


def list_accounts(client: AdsApiClient) -> AccountListing:
    """List the accounts of every region that answers.

    Raises:
        InvalidGrant: The refresh token is revoked: no region would answer.
        InvalidClient: Client id and secret don't belong together.
        AdsApiError: No region answered; the first one's error.
    """
    answers = [_call_region(client, region) for region in REGIONS]
    errors = [answer.error for answer in answers if answer.error]
    if len(errors) == len(answers):
        raise errors[0]
    problems = [problem for answer in answers for problem in answer.problems]
    return AccountListing(
        accounts=tuple(_join(answers)),
        answered_regions=tuple(answer.region for answer in answers if answer.is_trusted),
        problems=(*problems, *_countries_without_account(answers)),
        errors={answer.region: answer.error for answer in answers if answer.error},
    )


def _call_region(client: AdsApiClient, region: Region) -> _RegionAnswer:
    """Read what a region has; an error keeps what was read before it."""
    answer = _RegionAnswer(region)
    try:
        for page in _account_pages(client, region):
            accounts = read_each(WireAccount, page.ads_accounts)
            answer.accounts.extend(accounts.items)
            answer.broken_accounts.extend(accounts.problems)
        profiles = read_each(WireProfile, client.call(_profiles_call(region), read_list))
        answer.profiles.extend(profiles.items)
        answer.broken_profiles.extend(profiles.problems)
    except (InvalidGrant, InvalidClient):
        raise
    except AdsApiError as error:
        answer.error = error
    return answer


def _account_pages(client: AdsApiClient, region: Region) -> Iterator[WireAccountPage]:
    """Follow `nextToken` to the end; stop at a repeated token, which would loop."""
    tokens: set[str | None] = set()
    token: str | None = None
    while token not in tokens and len(tokens) < _MAX_PAGES:
        tokens.add(token)
        page = client.call(_list_call(region, token), _read_page)
        yield page
        if not page.next_token:
            return
        token = page.next_token
    raise MalformedAnswer(
        f"the pages were to end, got the same nextToken twice or more than {_MAX_PAGES} pages",
        operation="list the accounts",
        about=f"region {region}",
    )


def _list_call(region: Region, token: str | None) -> ApiCall:
    body: dict[str, Any] = {"maxResults": _PAGE_SIZE}
    if token:
        body["nextToken"] = token
    return ApiCall(
        name="list_accounts",
        operation="list the accounts",
        method="POST",
        region=region,
        path="/adsAccounts/list",
        json=body,
        headers={"Content-Type": _MEDIA_TYPE},
        about=f"region {region}",
    )


def _profiles_call(region: Region) -> ApiCall:
    return ApiCall(
        name="list_profiles",
        operation="list the profiles",
        method="GET",
        region=region,
        path="/v2/profiles",
        about=f"region {region}",
    )


def _read_page(answer: Answer) -> WireAccountPage:
    return read_as(WireAccountPage, answer)


def _join(answers: list[_RegionAnswer]) -> list[AdsAccount]:
    """Make the pairs; an account that several regions list is taken from the first."""
    profiles = {
        wire.profile_id: _LocatedProfile(answer.region, wire)
        for answer in answers
        for wire in answer.profiles
    }
    pairs: dict[tuple[str, str], AdsAccount] = {}
    for answer in answers:
        for wire in answer.accounts:
            for code in _countries_of(wire):
                pairs.setdefault(
                    (wire.ads_account_id, code), _pair(wire, code, answer.region, profiles)
                )
    return list(pairs.values())


def _countries_of(wire: WireAccount) -> list[str]:
    codes = [*(wire.country_codes or ()), *(ids.country_code for ids in wire.alternate_ids or ())]
    return list(dict.fromkeys(normalise_country(code) for code in codes if code.strip()))


def _pair(
    wire: WireAccount, code: str, listed_in: Region, profiles: Mapping[str, _LocatedProfile]
) -> AdsAccount:
    ids = [
        alternate
        for alternate in wire.alternate_ids or ()
        if normalise_country(alternate.country_code) == code
    ]
    profile_id = next((alternate.profile_id for alternate in ids if alternate.profile_id), None)
    country = get_country(code, region=listed_in)
    account = AdsAccount(
        account_id=wire.ads_account_id,
        country_code=code,
        name=wire.account_name or "",
        status=(wire.status or "UNKNOWN").strip().upper(),
        profile_id=profile_id,
        entity_id=next((alternate.entity_id for alternate in ids if alternate.entity_id), None),
        region=country.region,
        currency_code=country.currency_code,
        time_zone=country.time_zone,
        marketplace_id=country.marketplace_id,
        problems=tuple(_errors_of(wire).get(code, ())),
    )
    return _with_profile(account, country, profiles.get(profile_id or ""))


def _with_profile(
    account: AdsAccount, country: Country, profile: _LocatedProfile | None
) -> AdsAccount:
    """Return the account with what its profile says, which wins over the country's defaults."""
    if profile is None:
        return replace(account, problems=(*account.problems, _missing_profile(account, country)))
    wire, info = profile.wire, profile.wire.account_info
    time_zone, problems = _time_zone(wire.timezone, country)
    return replace(
        account,
        name=account.name or (info.name if info and info.name else ""),
        region=profile.region,
        currency_code=(wire.currency_code or "").strip().upper() or country.currency_code,
        time_zone=time_zone,
        marketplace_id=(info.marketplace_string_id if info else None) or country.marketplace_id,
        account_type=((info.type if info else None) or "").strip().lower() or None,
        problems=(*account.problems, *problems),
    )


def _missing_profile(account: AdsAccount, country: Country) -> str:
    used = f"{country.time_zone} and {country.currency_code}"
    if country.currency_code == NO_CURRENCY:
        used += ", since the country is unknown"
    if account.profile_id is None:
        return f"Amazon names no profile in {country.code}; using {used}."
    return f"Profile {account.profile_id} is not among the profiles listed; using {used}."


def _time_zone(name: str | None, country: Country) -> tuple[str, tuple[str, ...]]:
    """Return the profile's time zone if it is one, else the country's with a sentence why."""
    try:
        return ZoneInfo(name or "").key, ()
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return country.time_zone, (
            f"The profile's time zone is {name!r}; using {country.time_zone}.",
        )


def _errors_of(wire: WireAccount) -> dict[str, list[str]]:
    return {
        normalise_country(code): [
            join_sentences(error.error_message or error.error_code or "not usable")
            for error in errors
        ]
        for code, errors in (wire.errors or {}).items()
    }


def _countries_without_account(answers: list[_RegionAnswer]) -> list[str]:
    """Name the countries in which an account has nothing but an error, each once."""
    sentences = [
        f"{wire.account_name or wire.ads_account_id} in {code}: {text}"
        for answer in answers
        for wire in answer.accounts
        for code, texts in _errors_of(wire).items()
        if code not in _countries_of(wire)
        for text in texts
    ]
    return list(dict.fromkeys(sentences))
