"""What Amazon refuses is refused over HTTP; further rules are tested beside the calls they belong to."""

from collections.abc import Callable
from datetime import date
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest

FEW = ["date.value", "campaign.id", "metric.clicks"]


def url_of_a_part(caller: Any) -> str:
    """Return the url of a completed report's part."""
    return str(caller.completed(fields=FEW)["completedReportParts"][0]["url"])


def with_query(url: str, **changes: str) -> str:
    """Return the same url with other values in its query."""
    parts = urlsplit(url)
    query = {key: values[0] for key, values in parse_qs(parts.query).items()} | changes
    return parts._replace(query=urlencode(query)).geturl()


def assert_refused_download(answer: httpx.Response, code: str) -> None:
    """Check that the file store refused, with XML and this code."""
    assert (403, "application/xml") == (
        answer.status_code,
        answer.headers["content-type"].partition(";")[0],
    )
    assert f"<Code>{code}</Code>" in answer.text


@pytest.mark.parametrize("reports", [[], None, {}, "one"])
def test_create_without_a_report(caller: Any, reports: Any) -> None:
    """A create call that asks for no report is 400000."""
    accounts = [{"advertiserAccountId": caller.account().account_id}]
    answer = caller.create(body={"accessRequestedAccounts": accounts, "reports": reports})
    assert (400, "400000") == (answer.status_code, answer.json()["code"])


@pytest.mark.parametrize("ids", [[], None, [1], "one"])
def test_retrieve_without_an_id(caller: Any, ids: Any) -> None:
    """A retrieve call without exactly one id, a text, is 400000."""
    url = f"{caller.url}/na/adsApi/v1/retrieve/reports"
    answer = caller.http.post(url, json={"reportIds": ids}, headers=caller.headers)
    assert (400, "400000") == (answer.status_code, answer.json()["code"])


def test_scope_on_a_retrieve(caller: Any) -> None:
    """A retrieve call that carries a scope header is a 400, as a create call is."""
    report_id = caller.create_id()
    headers = caller.headers | {
        "Amazon-Advertising-API-Scope": str(caller.account().countries[0].profile_id)
    }
    url = f"{caller.url}/na/adsApi/v1/retrieve/reports"
    assert (
        400 == caller.http.post(url, json={"reportIds": [report_id]}, headers=headers).status_code
    )


def test_period_of_a_day_that_ends_before_it_starts(caller: Any) -> None:
    """A period that ends before it starts is 400000 and says where."""
    body = caller.create(fields=FEW, start=date(2026, 1, 11), end=date(2026, 1, 10)).json()
    assert ("400000", "reports[0].periods[0].datePeriod.endDate") == (
        body["code"],
        body["fieldLocation"],
    )


def test_days_to_come_are_empty_not_refused(caller: Any) -> None:
    """The contract refuses no day that is still to come: its report is accepted, and empty."""
    assert [] == caller.rows(fields=FEW, start=date(2026, 3, 1), end=date(2026, 3, 2))


def test_unknown_path_of_a_host(caller: Any) -> None:
    """A path that Amazon doesn't have, or a method that a path doesn't take, is a 404 or a 405."""
    paths = [
        ("GET", "/na/adsApi/v1/reports"),
        ("GET", "/na/adsApi/v1/create/reports"),
        ("POST", "/xx/v2/profiles"),
    ]
    statuses = [
        caller.http.request(how, caller.url + path, headers=caller.headers).status_code
        for how, path in paths
    ]
    assert [404, 405, 404] == statuses


@pytest.mark.parametrize("kind", ["campaigns", "adGroups", "ads", "targets"])
def test_accept_of_each_export(caller: Any, kind: str) -> None:
    """Each kind of export wants its own media type as Accept, on GET as well: another kind's is a 406."""
    other = "application/vnd.nothingexport.v1+json"
    created = caller.export(kind, "POST", f"/{kind}/export").json()
    statuses = [
        caller.export(kind, "POST", f"/{kind}/export", headers={"Accept": other}).status_code,
        caller.export(
            kind, "GET", f"/exports/{created['exportId']}", headers={"Accept": other}
        ).status_code,
        caller.export(
            kind, "GET", f"/exports/{created['exportId']}", headers={"Accept": "*/*"}
        ).status_code,
    ]
    assert [406, 406, 406] == statuses


def test_missing_client_id_on_every_call(caller: Any) -> None:
    """No call of the API is answered without the client id."""
    headers = {"Authorization": f"Bearer {caller.token}", "Content-Type": "application/json"}
    calls = [
        ("POST", "/na/adsAccounts/list"),
        ("GET", "/na/v2/profiles"),
        ("POST", "/na/adsApi/v1/create/reports"),
        ("POST", "/na/adsApi/v1/retrieve/reports"),
        ("POST", "/na/ads/export"),
        ("GET", "/na/exports/exp-1"),
    ]
    assert {401} == {
        caller.http.request(how, caller.url + path, headers=headers).status_code
        for how, path in calls
    }


@pytest.mark.parametrize(
    "header", ["Basic c2FuZGJveA==", "Bearer some-token", "AWS4-HMAC-SHA256 Credential=a"]
)
def test_authorization_on_a_download(caller: Any, header: str) -> None:
    """A download that carries any Authorization header is a 400 with XML, however right its signature is."""
    url = url_of_a_part(caller)
    refused = caller.http.get(url, headers={"Authorization": header})
    assert (400, True) == (refused.status_code, "<Code>InvalidArgument</Code>" in refused.text)
    assert 200 == caller.http.get(url).status_code


def test_foreign_signature(start: Callable[..., Any]) -> None:
    """A signature of another sandbox, or that of another file, opens nothing."""
    caller, other = start(), start(seed=99)
    url, another = url_of_a_part(caller), url_of_a_part(caller)
    strange = urlsplit(url_of_a_part(other)).query
    assert_refused_download(
        caller.http.get(f"{url.partition('?')[0]}?{strange}"), "SignatureDoesNotMatch"
    )
    swapped = f"{url.partition('?')[0]}?{urlsplit(another).query}"
    assert_refused_download(caller.http.get(swapped), "SignatureDoesNotMatch")


def test_forged_expiry(start: Callable[..., Any]) -> None:
    """A url whose expiry was moved is refused like one that was never signed."""
    caller = start(url_seconds=60)
    url = url_of_a_part(caller)
    caller.state.clock.advance(61)
    assert_refused_download(caller.http.get(url), "AccessDenied")
    later = with_query(url, **{"X-Amz-Expires": "20300101T000000.000000Z"})
    assert_refused_download(caller.http.get(later), "SignatureDoesNotMatch")
    for broken in (with_query(url, **{"X-Amz-Signature": "é"}), url.partition("?")[0]):
        assert_refused_download(caller.http.get(broken), "SignatureDoesNotMatch")


def test_a_refused_create_makes_nothing(caller: Any) -> None:
    """A create call that is refused takes no place in flight."""
    for _ in range(3):
        assert 400 == caller.create(fields=["date.value", "metric.nonsense"]).status_code
    assert [207, 207, 429] == [caller.create().status_code for _ in range(3)]
