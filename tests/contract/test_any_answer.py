"""Whatever answer Amazon's documents allow, the client returns its value or one of its errors, and drops nothing of it."""

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from itertools import takewhile
from typing import Any

import httpx
import pytest
from hypothesis import core, given, note, settings
from hypothesis import strategies as st
from hypothesis.vendor.pretty import RepresentationPrinter

from bidbeacon_pipelines.amazon_ads.accounts import AccountListing, list_accounts, list_profiles
from bidbeacon_pipelines.amazon_ads.client import AdsApiClient, Owner
from bidbeacon_pipelines.amazon_ads.entities import (
    Export,
    ExportKind,
    ExportStatus,
    create_export,
    get_export,
    list_portfolios,
)
from bidbeacon_pipelines.amazon_ads.errors import (
    AdsApiError,
    MalformedAnswer,
    NotAuthorized,
    NotFound,
    OutcomeUnknown,
    Rejected,
    Throttled,
    TooLarge,
    Unavailable,
    as_text,
)
from bidbeacon_pipelines.amazon_ads.reports import (
    Report,
    ReportStatus,
    create_report,
    retrieve_report,
)
from bidbeacon_pipelines.entities.read import EntityProblems, read_entities
from bidbeacon_pipelines.values.countries import normalise_country
from bidbeacon_pipelines.values.field_types import is_storable
from bidbeacon_sessions.sentences import join_sentences
from tests.contract.answers import MADE_QUICKLY, Answer, failures, schema_of, successes
from tests.contract.catalogue import needs_documents
from tests.unit.amazon_ads.fakes import FakeAmazon

pytestmark = needs_documents

some = settings(MADE_QUICKLY, max_examples=MADE_QUICKLY.max_examples // 4)
few = settings(MADE_QUICKLY, max_examples=MADE_QUICKLY.max_examples // 10)
DAY = date(2025, 12, 29)
OWNER = Owner("EU", "amzn1.one", "DE", "123")
KINDS: Sequence[tuple[ExportKind, str]] = (
    ("campaigns", "export_campaigns"),
    ("adGroups", "export_ad_groups"),
    ("ads", "export_ads"),
    ("targets", "export_targets"),
)


def create(client: AdsApiClient) -> Report:
    """Create a report."""
    fields = ["date.value", "campaign.id", "metric.clicks"]
    return create_report(client, "NA", "amzn1.one", fields=fields, start=DAY, end=DAY)


CALLS: dict[str, Callable[[AdsApiClient], object]] = {
    "create_report": create,
    "list_accounts": list_accounts,
    "retrieve_report": lambda client: retrieve_report(client, "NA", "r-1"),
    "list_portfolios": lambda client: list_portfolios(client, OWNER),
    "export_campaigns": lambda client: create_export(client, OWNER, "campaigns"),
    "get_export": lambda client: get_export(client, OWNER, "campaigns", "e-1"),
}
"""The calls whose failures are described, one of the four exports for all."""


def outcome_of(call: Callable[[AdsApiClient], Any], *answers: Answer) -> Any:
    """Return what a call returns or which error of the client it raises, given these answers; any other error fails the test."""
    note("\n".join(map(repr, answers)))
    amazon = FakeAmazon()
    amazon.plays(*(answer.response for answer in answers))
    with amazon.connect(attempts=1) as client:
        try:
            return call(client)
        except AdsApiError as error:
            return error


EXPECTED: dict[int, type[AdsApiError]] = {
    401: NotAuthorized,
    403: NotAuthorized,
    404: NotFound,
    413: TooLarge,
    429: Throttled,
}


@pytest.mark.parametrize("name", CALLS)
@few
@given(data=st.data())
def test_failure_is_the_error_of_its_status(name: str, data: st.DataObject) -> None:
    """Whatever its body says; a create that Amazon may have accepted has an unknown outcome."""
    answer = data.draw(failures(name))
    error = outcome_of(
        CALLS[name], *[answer] * 6
    )  # one for each region, twice where a token is renewed

    usual = Unavailable if answer.status >= httpx.codes.INTERNAL_SERVER_ERROR else Rejected
    expected = EXPECTED.get(answer.status, usual)
    assert answer.status == error.status
    assert is_storable(str(error))
    if name == "create_report" and expected in (Throttled, Unavailable):
        assert isinstance(error, OutcomeUnknown)
        error = error.cause
    assert isinstance(error, expected)


REPORT = successes(
    "retrieve_report",
    reportId={"enum": ["r-1", "r-2"]},
    url={"type": "string", "minLength": 1},
    failureCode={"enum": ["TOO_MANY_ROWS"]},
)


@pytest.mark.parametrize("is_new", [False, True], ids=["retrieve", "create"])
@some
@given(answer=REPORT)
def test_report_is_read_with_all_of_its_parts(answer: Answer, *, is_new: bool) -> None:
    """Or its answer is an error, that names what stands beside a partial failure."""
    entries = answer.body.get("success") or []
    id_ = as_text(entries[0]["report"]["reportId"].strip()) if entries else "r-1"
    found = outcome_of(
        lambda client: create(client) if is_new else retrieve_report(client, "NA", id_), answer
    )

    if errors := answer.body.get("error"):
        is_partial_failure(found, errors, entries)
    elif not entries or not id_ or not all(map(url_of, parts_of(entries[0]["report"]))):
        assert isinstance(found, OutcomeUnknown if is_new else MalformedAnswer)
    else:
        is_report(found, entries[0]["report"])


def parts_of(report: Any) -> list[dict[str, Any]]:
    """Return the parts of a report as Amazon describes it."""
    parts: list[dict[str, Any]] = report.get("completedReportParts", [])
    return parts


def url_of(part: Any) -> str:
    """Return the address of a part."""
    return str(part["url"])


def is_report(found: Report, described: dict[str, Any]) -> None:
    """Assert that a report is what Amazon describes."""
    assert isinstance(found, Report), found
    assert as_text(described["reportId"].strip()) == found.report_id
    assert described["status"] == found.raw_status
    urls = dict.fromkeys(map(url_of, parts_of(described)))
    assert list(urls) == [part.url.get_secret_value() for part in found.parts]
    for ours, theirs in (
        (found.failure_code, "failureCode"),
        (found.failure_reason, "failureReason"),
    ):
        assert (as_text(described[theirs]) if theirs in described else None) == ours
    assert [as_text(field) for field in described["query"]["fields"]] == list(found.fields)
    assert 1 == len(found.periods)


def is_partial_failure(
    found: AdsApiError, errors: list[dict[str, Any]], entries: list[dict[str, Any]]
) -> None:
    """Assert that an error has the code that Amazon gives, and names the report that came with it."""
    assert isinstance(found, AdsApiError)
    assert errors[0]["errors"][0]["code"] == found.code
    for report in (entry["report"] for entry in entries if entry["report"]["reportId"].strip()):
        if all(map(url_of, parts_of(report))):
            assert as_text(report["reportId"].strip()) in found.reason


def test_status_of_a_report_is_known() -> None:
    """A status that counts as being processed without a reason would keep its request waiting for ever."""
    words = schema_of("AdsAPIv1All", "ReportStatus")["enum"]
    statuses = {word: Report(report_id="r-1", raw_status=word).status for word in words}
    processing = {word for word, status in statuses.items() if status is ReportStatus.PROCESSING}
    assert {"PENDING", "PROCESSING"} == processing


def test_status_of_an_export_is_known() -> None:
    """As that of a report."""
    described = schema_of("ExportsSnapshots", "UniversalApiExportResponse")["properties"]["status"]
    assert set(ExportStatus) == set(described["enum"])


@few
@pytest.mark.parametrize(("kind", "name"), KINDS)
@given(data=st.data())
def test_export_is_started(kind: ExportKind, name: str, data: st.DataObject) -> None:
    """Its answer is read, or it is an error."""
    answer = data.draw(successes(name, exportId={"enum": ["e-1"]}))
    is_export(outcome_of(lambda client: create_export(client, OWNER, kind), answer), answer.body)


@some
@given(answer=successes("get_export", exportId={"enum": ["e-1"]}))
def test_export_is_looked_at(answer: Answer) -> None:
    """Its answer is read, or it is an error."""
    id_ = as_text(answer.body["exportId"].strip())
    found = outcome_of(lambda client: get_export(client, OWNER, "ads", id_), answer)
    is_export(found, answer.body)


def is_export(found: Export | AdsApiError, described: dict[str, Any]) -> None:
    """Assert that an export is what Amazon describes; one without an id, or completed without a file, is an error."""
    has_no_file = described["status"] == "COMPLETED" and not described.get("url")
    if not described["exportId"].strip() or has_no_file:
        assert isinstance(found, MalformedAnswer)
        return
    assert isinstance(found, Export), found
    assert (as_text(described["exportId"].strip()), described["status"]) == (
        found.export_id,
        found.status,
    )
    assert described.get("url") == (None if found.url is None else found.url.get_secret_value())
    error = described.get("error", {})
    assert (error.get("errorCode"), "message" in error) == (
        found.error_code,
        found.error_message is not None,
    )


def pages(answers: Sequence[Answer]) -> list[Answer]:
    """Return answers as the pages of one list."""
    *others, last = answers
    ends = Answer(last.status, {n: value for n, value in last.body.items() if n != "nextToken"})
    return [
        *(Answer(one.status, one.body | {"nextToken": f"{n}"}) for n, one in enumerate(others)),
        ends,
    ]


PORTFOLIOS = successes("list_portfolios")


@some
@given(answers=st.lists(PORTFOLIOS, min_size=1, max_size=2).map(pages))
def test_every_portfolio_is_returned(answers: list[Answer]) -> None:
    """In the order of the pages; each one is read, or set aside with its cause."""
    found = outcome_of(lambda client: list_portfolios(client, OWNER), *answers)
    described = [one for answer in answers for one in answer.body.get("portfolios", [])]
    assert [one["portfolioId"] for one in described] == [one["portfolioId"] for one in found]

    problems = EntityProblems()
    rows = list(read_entities("portfolios", found, problems))
    assert len(described) == len(rows) + problems.set_aside
    assert all(row["state"] == "ENABLED" for row in rows)
    assert all(one.cause for one in problems.kept)


COUNTRY = {"enum": ["US", "UK", "GB", "DE", " de", "QQ", ""]}
ACCOUNTS = successes(
    "list_accounts",
    adsAccountId={"enum": ["amzn1.one", "amzn1.two"]},
    countryCodes={"type": "array", "items": COUNTRY, "maxItems": 2},
    countryCode=COUNTRY,
    profileId={"anyOf": [{"type": "integer", "minimum": 1, "maximum": 4}, {"enum": [5.5]}]},
    entityId={"enum": ["ENTITY1", "ENTITY2"]},
    errors={
        "type": "object",
        "maxProperties": 2,
        "additionalProperties": False,
        "patternProperties": {
            "^(US|UK|GB|MX)$": {
                "type": "array",
                "maxItems": 1,
                "items": {
                    "type": "object",
                    "required": ["errorMessage"],
                    "properties": {"errorMessage": {"enum": ["Suspended", "Not registered"]}},
                },
            }
        },
    },
)
PROFILES = successes("list_profiles", profileId={"type": "integer", "minimum": 1, "maximum": 6})
LONELY = re.compile(r"(\d+) profiles? belongs? to no listed ads account")
MOST_NAMED = 10
NOTHING = [Answer(200, {"adsAccounts": []}), Answer(200, []), Answer(200, [])]


@some
@given(
    na=st.lists(ACCOUNTS, min_size=1, max_size=2).map(pages),
    eu=ACCOUNTS.map(lambda answer: pages([answer])),
    edited=PROFILES,
    viewed=PROFILES,
)
def test_no_account_is_dropped(
    na: list[Answer], eu: list[Answer], edited: Answer, viewed: Answer
) -> None:
    """Each account, country, id and profile is listed or in a problem; a region without a list of accounts is an error."""
    regions = [
        with_profiles(na, edited, viewed),
        with_profiles(eu, Answer(200, []), Answer(200, [])),
        NOTHING,
    ]
    found = outcome_of(list_accounts, *(answer for region in regions for answer in region))

    assert isinstance(found, AccountListing)
    unlisted = [name for name, some in (("NA", na), ("EU", eu)) if not all(map(has_list, some))]
    assert unlisted == list(found.errors)
    said = [*found.problems, *(each for account in found.accounts for each in account.problems)]
    for listed in until_error(na) + until_error(eu):
        is_listed(listed, found, said)
    if not unlisted and not has_unreadable(found):
        are_listed([*edited.body, *viewed.body], found, said)
    else:
        assert not LONELY.search(" ".join(said))
    assert all(map(is_storable, said))


def has_unreadable(found: AccountListing) -> bool:
    """Return whether an ads account or one of its ids could not be read."""
    return any(re.match(r"Region \w+, account ", problem) for problem in found.problems)


def with_profiles(listed: list[Answer], edited: Answer, viewed: Answer) -> list[Answer]:
    """Return the answers of a region; after a page without a list nothing else is asked for."""
    read = [*takewhile(has_list, listed)]
    return [*read, *(listed[len(read) :][:1] or (edited, viewed))]


def has_list(page: Answer) -> bool:
    """Return whether a page has a list of ads accounts."""
    return "adsAccounts" in page.body


def until_error(listed: list[Answer]) -> list[dict[str, Any]]:
    """Return the ads accounts of the pages before the first one without a list."""
    return [one for page in takewhile(has_list, listed) for one in page.body["adsAccounts"]]


def is_listed(listed: dict[str, Any], found: AccountListing, said: list[str]) -> None:
    """Assert that the countries, ids and errors of an ads account are listed, or said."""
    own = [each for each in found.accounts if each.account_id == listed["adsAccountId"]]
    named = " ".join(said)
    countries = {normalise_country(as_text(code)) for code in listed.get("countryCodes", [])}
    assert countries - {""} <= {each.country_code for each in own}
    assert own or listed["adsAccountId"] in named or as_text(listed["accountName"]) in named
    for one in listed.get("alternateIds", []):
        is_id_listed(one, own, named)
    for errors in listed.get("errors", {}).values():
        assert all(sentence_of(each) in named for each in errors)


def sentence_of(error: dict[str, Any]) -> str:
    """Return what is said of an account's error."""
    return join_sentences(
        as_text(error.get("errorMessage") or error.get("errorCode", "not usable"))
    )


def is_id_listed(one: dict[str, Any], own: Iterable[Any], named: str) -> None:
    """Assert that an alternate id is listed, or said."""
    country = normalise_country(as_text(one.get("countryCode", "")))
    profile, entity = (one.get(name) or None for name in ("profileId", "entityId"))
    if not country or isinstance(profile, float) or (entity and not entity.strip()):
        assert "alternate id No." in named
        return
    assert country in {each.country_code for each in own}
    for id_, ids in (
        (profile, {each.profile_id for each in own}),
        (entity, {each.entity_id for each in own}),
    ):
        assert id_ is None or as_text(id_).strip() in ids or as_text(id_).strip() in named


def are_listed(profiles: Iterable[Any], found: AccountListing, said: list[str]) -> None:
    """Assert that each profile is an account's, or said: named, or counted among those of no account."""
    ids = {each.profile_id for each in found.accounts}
    named = " ".join(said)
    unsaid = {
        id_
        for id_ in (str(profile.get("profileId", "profile No.")) for profile in profiles)
        if id_ not in ids and id_ not in named
    }
    counted = LONELY.search(named)
    assert not unsaid or (counted and len(unsaid) <= int(counted[1]) - MOST_NAMED)


@some
@given(edited=PROFILES, viewed=PROFILES)
def test_no_profile_is_dropped(edited: Answer, viewed: Answer) -> None:
    """Where all ads accounts and their ids can be read, each profile is an account's or in a problem."""
    ids = [{"countryCode": code, "profileId": id_} for id_, code in enumerate(("US", "CA"), 1)]
    listed = Answer(200, {"adsAccounts": [{"adsAccountId": "amzn1.one", "alternateIds": ids}]})
    found = outcome_of(list_accounts, listed, edited, viewed, *NOTHING, *NOTHING)
    said = [*found.problems, *(each for account in found.accounts for each in account.problems)]
    assert not has_unreadable(found)
    are_listed([*edited.body, *viewed.body], found, said)


@some
@given(answer=PROFILES)
def test_every_profile_is_returned(answer: Answer) -> None:
    """In Amazon's order."""
    found = outcome_of(lambda client: list_profiles(client, "NA"), answer)
    ids = ([each.get("profileId") for each in profiles] for profiles in (answer.body, found))
    assert next(ids) == next(ids)


def test_failing_examples_are_printed(pytestconfig: pytest.Config) -> None:
    """Schemathesis, as a plugin of pytest or where it makes a strategy, would have them printed without their values, in all tests."""
    successes("get_export").validate()
    assert vars(core)["RepresentationPrinter"] is RepresentationPrinter
    assert not pytestconfig.pluginmanager.has_plugin("schemathesis")
