"""Bodies that no client sends on purpose: each is refused, and none is an error of the server."""

from datetime import UTC, datetime

import pytest

from tests.unit.sandbox.conftest import Caller

_V1 = "application/vnd.listaccountsresource.v1+json"
_PORTFOLIOS = "application/vnd.spPortfolio.v3+json"
_EXPORT = "application/vnd.campaignsexport.v1+json"
PATHS = {
    "/na/adsAccounts/list": _V1,
    "/na/adsApi/v1/create/reports": "application/json",
    "/na/adsApi/v1/retrieve/reports": "application/json",
    "/na/adsApi/v1/delete/reports": "application/json",
    "/na/adsApi/v1/query/advertiserAccounts": "application/json",
    "/na/campaigns/export": _EXPORT,
    "/na/portfolios/list": _PORTFOLIOS,
    "/na/auth/o2/token": "application/x-www-form-urlencoded",
    "/sandbox/rules": "application/json",
    "/sandbox/clock": "application/json",
    "/sandbox/change": "application/x-www-form-urlencoded",
    "/sandbox/ready-made": "application/x-www-form-urlencoded",
}
NESTED = [
    opened * depth + closed * depth
    for opened, closed in (("[", "]"), ('{"a":', "}"))
    for depth in (300, 900, 980, 5_000)
]
BODIES = [b"\xff", b"{", b"do=add&rule=%ff", b"9" * 5_000, *(one.encode() for one in NESTED)]
BODIES += [b"do=add&rule=" + one.encode() for one in NESTED[:4]]


@pytest.mark.parametrize("path", PATHS)
def test_an_odd_body_is_refused(caller: Caller, path: str) -> None:
    """Deeply nested JSON, half of it, a number of 5,000 digits, and what is not UTF-8."""
    headers = caller.headers | dict.fromkeys(("Content-Type", "Accept"), PATHS[path])
    headers["Amazon-Advertising-API-Scope"] = caller.profile
    for body in BODIES:
        answer = caller.http.post(caller.url + path, content=body, headers=headers)
        assert answer.status_code < 500, (body[:20], answer.text)


def test_an_instant_outside_of_the_calendar_is_refused(caller: Caller) -> None:
    """As the day or the instant of the truth, and as the clock's after many steps."""
    wrong = ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59-14:00")
    asked = {"account": caller.account().account_id, "country": "US", "fields": "campaign.id"}
    for given in (*({"date": "2026-01-10", "at": at} for at in wrong), {"date": "9999-12-31"}):
        answer = caller.http.get(f"{caller.url}/sandbox/truth", params=asked | given)
        assert 400 == answer.status_code, given
    caller.state.clock.set(datetime(9999, 12, 1, tzinfo=UTC))
    answer = caller.http.post(f"{caller.url}/sandbox/clock", json={"advance_seconds": 1e9})
    assert (400, "date value out of range") == (answer.status_code, answer.json()["errors"][0])
