"""The sandbox's own pages: health, ledger, rules, clock, and the truth to compare with.

No token is needed here.
"""

import itertools
import json
from collections.abc import Awaitable, Callable, Iterator
from datetime import date, datetime, timedelta
from typing import Any, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from bidbeacon_sandbox.call import json_response
from bidbeacon_sandbox.entities import AD_PRODUCTS, AdProduct
from bidbeacon_sandbox.rulebook import RuleError, check_accounts, read_rules
from bidbeacon_sandbox.settings import FASTEST, FIRST_START, LAST_START
from bidbeacon_sandbox.state import SandboxState
from bidbeacon_sandbox.truth import Grain, TotalOf, day_totals, day_truth

_LONGEST_TOTALS = 400


class ClockChange(BaseModel):
    """A change of the clock; `set` comes first, then `advance_seconds`, then the rate (`freeze` is rate 0)."""

    model_config = ConfigDict(extra="forbid")

    set: AwareDatetime | None = Field(None, ge=FIRST_START, lt=LAST_START)
    advance_seconds: float = Field(0, ge=-1e9, le=1e9)
    rate: float | None = Field(None, ge=0, le=FASTEST)
    freeze: bool = False


class TruthQuery(BaseModel):
    """Which day's truth is asked for; `date` is account-local, `at` an instant to look from (absent: now)."""

    model_config = ConfigDict(extra="forbid")

    account: str
    country: str
    date: date
    product: AdProduct = "SPONSORED_PRODUCTS"
    grain: Grain = "target"
    hourly: bool = False
    at: AwareDatetime | None = None


class TotalsQuery(BaseModel):
    """Which totals are asked for: of the days from `start` to `end`, of all accounts, countries and products or of one."""

    model_config = ConfigDict(extra="forbid")

    start: date
    end: date
    account: str | None = None
    country: str | None = None
    product: AdProduct | None = None
    dataset: TotalOf = "daily"
    at: AwareDatetime | None = None

    @model_validator(mode="after")
    def _is_a_period(self) -> Self:
        if not 0 <= (self.end - self.start).days < _LONGEST_TOTALS:
            raise ValueError(f"expected start, then end, at most {_LONGEST_TOTALS} days in all")
        return self


Page = Callable[[SandboxState, Request], Awaitable[Response]]


def page(answer: Page) -> Callable[[Request], Awaitable[Response]]:
    """Make a route's endpoint of a page: it gets the sandbox; what can't be understood is a 400 that says why."""

    async def endpoint(request: Request) -> Response:
        try:
            return await answer(request.app.state.sandbox, request)
        except ValidationError as error:
            return json_response(
                {"errors": error.errors(include_url=False, include_context=False)}, 400
            )
        except RuleError as error:
            return json_response({"errors": [str(error)]}, 400)

    return endpoint


async def healthz(sandbox: SandboxState, _: Request) -> Response:
    """Answer that the sandbox is up; `GET /healthz`."""
    return json_response(
        {"status": "ok", "now": sandbox.clock.now().isoformat(), "seed": sandbox.config.seed}
    )


async def show_ledger(sandbox: SandboxState, request: Request) -> Response:
    """Return the calls, oldest first, and a summary of them; `GET /sandbox/ledger?operation=…&account=…`."""
    asked = request.query_params
    operation, account = asked.get("operation"), asked.get("account")
    calls = sandbox.ledger.calls(operation, account)
    return json_response(
        {
            "count": len(calls),
            "summary": sandbox.ledger.summary(operation, account),
            "calls": [call.as_json() for call in calls],
        }
    )


async def clear_ledger(sandbox: SandboxState, _: Request) -> Response:
    """Remove every recorded call; `DELETE /sandbox/ledger`."""
    sandbox.ledger.clear()
    return Response(status_code=204)


async def show_rules(sandbox: SandboxState, _: Request) -> Response:
    """Return the rules in force; `GET /sandbox/rules`."""
    return json_response({"rules": sandbox.rules.overview()})


async def add_rules(sandbox: SandboxState, request: Request) -> Response:
    """Put one rule or a list of rules in force; `POST /sandbox/rules`."""
    try:
        given = json.loads(await request.body())
    except ValueError as error:
        raise RuleError(f"expected JSON, got: {error}") from None
    rules = read_rules(given)
    check_accounts(rules, sandbox.world.accounts.accounts)
    sandbox.rules.add(*rules)
    return json_response({"rules": sandbox.rules.overview()}, 201)


async def clear_rules(sandbox: SandboxState, _: Request) -> Response:
    """Take every rule out of force; `DELETE /sandbox/rules`."""
    sandbox.rules.clear()
    return Response(status_code=204)


async def show_clock(sandbox: SandboxState, _: Request) -> Response:
    """Return the clock; `GET /sandbox/clock`."""
    return json_response(_clock(sandbox))


async def change_clock(sandbox: SandboxState, request: Request) -> Response:
    """Set, advance, freeze or accelerate the clock; `POST /sandbox/clock`."""
    change = ClockChange.model_validate_json(await request.body())
    if change.set is not None:
        sandbox.clock.set(change.set)
    sandbox.clock.advance(change.advance_seconds)
    if change.freeze or change.rate is not None:
        sandbox.clock.accelerate(0 if change.freeze else change.rate or 0)
    return json_response(_clock(sandbox))


async def show_truth(sandbox: SandboxState, request: Request) -> Response:
    """Return the true rows of an account's day; `GET /sandbox/truth?account=…&country=…&date=…`."""
    asked = TruthQuery.model_validate(dict(request.query_params))
    account = sandbox.world.accounts.find(asked.account)
    country = account.find_country(asked.country) if account else None
    if account is None or country is None:
        return json_response({"errors": [f"No account {asked.account} in {asked.country}"]}, 404)
    now: datetime = asked.at or sandbox.clock.now()
    catalog = await run_in_threadpool(sandbox.world.catalog, account, country, asked.product)
    rows = await run_in_threadpool(
        day_truth, catalog, asked.date, now, grain=asked.grain, hourly=asked.hourly
    )
    return json_response({"at": now.isoformat(), "currency": country.market.currency, "rows": rows})


async def show_totals(sandbox: SandboxState, request: Request) -> Response:
    """Return totals by account, country, day and ad product; `GET /sandbox/truth/totals?start=…&end=…`."""
    asked = TotalsQuery.model_validate(dict(request.query_params))
    now: datetime = asked.at or sandbox.clock.now()
    rows = await run_in_threadpool(lambda: list(_totals(sandbox, asked, now)))
    return json_response({"at": now.isoformat(), "dataset": asked.dataset, "totals": rows})


def _totals(sandbox: SandboxState, asked: TotalsQuery, now: datetime) -> Iterator[dict[str, Any]]:
    days = [
        asked.start + timedelta(days=index) for index in range((asked.end - asked.start).days + 1)
    ]
    for account in sandbox.world.accounts.accounts:
        if asked.account not in {None, account.account_id}:
            continue
        for country, product in itertools.product(account.countries, _products_with(asked)):
            if asked.country not in {None, country.country}:
                continue
            catalog = sandbox.world.catalog(account, country, product)
            for day in days:
                yield {
                    "account": account.account_id,
                    "country": country.country,
                    "currency": country.market.currency,
                    "date": day.isoformat(),
                    "product": product,
                    **day_totals(catalog, day, now, asked.dataset),
                }


def _products_with(asked: TotalsQuery) -> list[AdProduct]:
    """Return the ad products that are asked for and have the dataset."""
    lacking: set[AdProduct] = {"SPONSORED_DISPLAY"} if asked.dataset == "search_terms" else set()
    if asked.dataset == "hourly":
        lacking = {"SPONSORED_BRANDS", "SPONSORED_DISPLAY"}
    return [
        product
        for product in AD_PRODUCTS
        if product not in lacking and asked.product in {None, product}
    ]


def _clock(sandbox: SandboxState) -> dict[str, Any]:
    return {"now": sandbox.clock.now().isoformat(), "rate": sandbox.clock.rate}
