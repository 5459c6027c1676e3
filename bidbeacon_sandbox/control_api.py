"""The sandbox's own calls, which need no token: health, rules, clock, and true rows."""

import json
from collections.abc import Awaitable, Callable
from datetime import date
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from bidbeacon_sandbox.answers import json_response
from bidbeacon_sandbox.entities import AdProduct
from bidbeacon_sandbox.fields import KNOWN_FIELDS
from bidbeacon_sandbox.rulebook import RuleError, check_names, read_rules
from bidbeacon_sandbox.settings import FIRST_START, LAST_START
from bidbeacon_sandbox.state import SandboxState
from bidbeacon_sandbox.truth import day_truth


class ClockChange(BaseModel):
    """A change of the clock: a jump by `advance_seconds`, then a stop or restart (`frozen`)."""

    model_config = ConfigDict(extra="forbid")

    advance_seconds: float = Field(0, ge=-1e9, le=1e9)
    frozen: bool | None = None


Day = Annotated[date, Field(ge=FIRST_START.date(), lt=LAST_START.date())]


class TruthQuery(BaseModel):
    """A query for the true rows of one day: its rows before any rule changes them.

    `date` is the account's local date. `fields` are report fields, separated by commas. The
    rows are those known at `at` (default: now).
    """

    model_config = ConfigDict(extra="forbid")

    account: str
    country: str
    date: Day
    product: AdProduct = "SPONSORED_PRODUCTS"
    fields: str
    at: AwareDatetime | None = Field(None, ge=FIRST_START, lt=LAST_START)


Page = Callable[[SandboxState, Request], Awaitable[Response]]


def page(answer: Page) -> Callable[[Request], Awaitable[Response]]:
    """Return a route endpoint that calls `answer`; invalid input gets a 400 with the reason."""

    async def endpoint(request: Request) -> Response:
        try:
            return await answer(request.app.state.sandbox, request)
        except ValidationError as error:
            wrong = error.errors(include_url=False, include_context=False, include_input=False)
            return json_response({"errors": wrong}, 400)
        except (RuleError, OverflowError) as error:
            return json_response({"errors": [str(error)]}, 400)

    return endpoint


async def healthz(sandbox: SandboxState, _: Request) -> Response:
    """Return the status, the clock's time and the seed; `GET /healthz`."""
    now = sandbox.clock.now().isoformat()
    return json_response({"status": "ok", "now": now, "seed": sandbox.config.seed})


async def show_rules(sandbox: SandboxState, _: Request) -> Response:
    """Return all rules, and how often each matched and applied; `GET /sandbox/rules`."""
    return json_response({"rules": sandbox.rules.overview()})


async def add_rules(sandbox: SandboxState, request: Request) -> Response:
    """Add one rule or a list of rules; `POST /sandbox/rules`."""
    put_in_force(sandbox, await request.body())
    return json_response({"rules": sandbox.rules.overview()}, 201)


def put_in_force(sandbox: SandboxState, text: str | bytes) -> None:
    """Add one rule or a list of rules, given as JSON; raise `RuleError` if invalid."""
    try:
        given = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RuleError(f"The rules are not valid JSON: {error}") from None
    rules = read_rules(given)
    check_names(rules, sandbox.world.accounts.accounts, sandbox.clients)
    sandbox.rules.add(*rules)


async def clear_rules(sandbox: SandboxState, _: Request) -> Response:
    """Remove all rules; `DELETE /sandbox/rules`."""
    sandbox.rules.clear()
    return Response(status_code=204)


async def change_clock(sandbox: SandboxState, request: Request) -> Response:
    """Move, stop or restart the clock; `POST /sandbox/clock`."""
    change = ClockChange.model_validate_json(await request.body())
    sandbox.clock.advance(change.advance_seconds)
    if change.frozen is not None:
        sandbox.clock.freeze(is_frozen=change.frozen)
    return json_response({"now": sandbox.clock.now().isoformat()})


async def show_truth(sandbox: SandboxState, request: Request) -> Response:
    """Return a day's rows, unchanged by rules; `GET /sandbox/truth?account=…&date=…&…`."""
    query = TruthQuery.model_validate(dict(request.query_params))
    account = sandbox.world.accounts.find(query.account)
    country = account.find_country(query.country) if account else None
    if account is None or country is None:
        return json_response({"errors": [f"No account {query.account} in {query.country}"]}, 404)
    fields = query.fields.split(",")
    if unknown := sorted(set(fields) - KNOWN_FIELDS):
        return json_response({"errors": [f"Unknown fields: {', '.join(unknown)}"]}, 400)
    now, world = query.at or sandbox.clock.now(), sandbox.world
    catalog = await run_in_threadpool(world.catalog, account, country, query.product)
    rows = await run_in_threadpool(day_truth, catalog, query.date, now, fields)
    return json_response({"at": now.isoformat(), "currency": country.market.currency, "rows": rows})
