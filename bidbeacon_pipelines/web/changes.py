"""Requests that change something: pause, resume, cadence and alias of an account, loads and syncs that somebody asks for, decisions about reports, and what is done about findings.

All are `POST` with a JSON object. A page of another site can't send one: a browser asks first
before it sends JSON elsewhere. The server refuses requests with a foreign `Origin` and requests
without a token.
"""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from pydantic import Field
from sqlalchemy import Connection
from sqlalchemy.exc import ProgrammingError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from bidbeacon_pipelines.accounts.cadence import choose_cadence
from bidbeacon_pipelines.accounts.changes import PAGE, AccountChanges
from bidbeacon_pipelines.accounts.errors import CannotAskError
from bidbeacon_pipelines.accounts.names import (
    AmbiguousAccountError,
    BadAliasError,
    get_named_account,
    get_named_ads_account,
)
from bidbeacon_pipelines.accounts.queries import UnknownAccountError, get_ads_account
from bidbeacon_pipelines.accounts.rules import BadCadenceError
from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.database.clock import read_now
from bidbeacon_pipelines.datasets.registry import UnknownDatasetError, get_dataset
from bidbeacon_pipelines.problems.alerts import FindingIsOverError, acknowledge, unacknowledge
from bidbeacon_pipelines.problems.finding_actions import act
from bidbeacon_pipelines.problems.home import finding_json
from bidbeacon_pipelines.settings import Settings
from bidbeacon_pipelines.web.parameters import AccountAsked, Day
from bidbeacon_pipelines.windows.decisions import decide_days
from bidbeacon_pipelines.windows.wanted import list_wanted_json, want_load, want_sync
from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.filters import Text, Value
from bidbeacon_sessions.masking import mask_text
from bidbeacon_sessions.server import Access
from bidbeacon_sessions.server.answers import (
    Parameters,
    RefusedError,
    problem,
    read_body,
    read_query,
)

MOST_BYTES = 16 * 1024
MOST_WINDOWS = 100
LONGEST_USER = 80
LONGEST_NOTE = 500
_INSUFFICIENT_PRIVILEGE = "42501"
_CORRECT = "Correct it, and send the request again."
_NAMES = "Take a name from /api/accounts."
_ANSWERS: Mapping[type[Exception], tuple[int, str]] = {
    UnknownAccountError: (404, _NAMES),
    UnknownDatasetError: (404, _NAMES),
    FindingIsOverError: (404, "Home shows what is wrong now."),
    AmbiguousAccountError: (400, _CORRECT),
    BadAliasError: (400, _CORRECT),
    BadCadenceError: (400, _CORRECT),
}


class _CadenceAsked(AccountAsked):
    every: Value | None = None
    cron: Value | None = None


class _AliasAsked(AccountAsked):
    alias: Text | None = None


class _DaysAsked(AccountAsked):
    dataset: Value
    windows: list[Day] = Field(min_length=1, max_length=MOST_WINDOWS)


class _FindingAsked(Parameters):
    finding: Value


class _AcknowledgementAsked(_FindingAsked):
    note: Text | None = Field(None, max_length=LONGEST_NOTE)


Change = Callable[[Any, str], dict[str, Any]]
"""Makes a change that a body asks for, by the name of who asks; returns the answer."""


def change_routes(store: SessionStore, settings: Settings) -> list[BaseRoute]:
    """Return the routes that change accounts and ask for runs in a store's database."""
    desk = _Desk(store, settings)
    changes: dict[str, tuple[Change, type[Parameters]]] = {
        "/api/account/pause": (desk.pause, AccountAsked),
        "/api/account/resume": (desk.resume, AccountAsked),
        "/api/account/cadence": (desk.set_cadence, _CadenceAsked),
        "/api/account/alias": (desk.rename, _AliasAsked),
        "/api/account/sync-entities": (desk.sync_entities, AccountAsked),
        "/api/account/load-windows": (desk.load_windows, _DaysAsked),
        "/api/account/accept-report": (partial(desk.decide, accepts=True), _DaysAsked),
        "/api/account/keep-rows": (partial(desk.decide, accepts=False), _DaysAsked),
        "/api/findings/act": (desk.act, _FindingAsked),
        "/api/findings/keep": (partial(desk.act, keeps=True), _FindingAsked),
        "/api/findings/acknowledge": (desk.acknowledge, _AcknowledgementAsked),
        "/api/findings/unacknowledge": (desk.unacknowledge, _FindingAsked),
    }
    return [
        *(
            Route(path, _endpoint(settings, *change), methods=["POST"])
            for path, change in changes.items()
        ),
        Route("/api/changes", desk.answer_whether_allowed),
        Route("/api/account/wanted", desk.answer_wanted),
    ]


def user_of(request: Request, settings: Settings) -> str:
    """Return who sends a request: the user that a trusted proxy names in the header of `BIDBEACON_USER_HEADER`, else "page".

    The name is shortened and masked like all text from outside. A header that comes twice names
    nobody: one of them is not the proxy's.
    """
    if settings.user_header is None:
        return PAGE
    given = request.headers.getlist(settings.user_header)
    if len(given) != 1:
        return PAGE
    name = given[0].encode("latin-1").decode("utf-8", "replace")
    plain = "".join(char if char.isprintable() else " " for char in name)
    return mask_text(" ".join(plain.split()))[:LONGEST_USER] or PAGE


def _endpoint(
    settings: Settings, change: Change, kind: type[Parameters]
) -> Callable[[Request], Awaitable[Response]]:
    """Return what answers one kind of change, with a body of this kind."""

    async def answer(request: Request) -> Response:
        try:
            _check_sender(request)
            asked = read_body(kind, await _read_bytes(request))
            return JSONResponse(await run_in_threadpool(change, asked, user_of(request, settings)))
        except tuple(_ANSWERS) as error:
            return _refused(error)
        except CannotAskError as error:
            return problem(409, str(error), error.what_to_do)
        except ProgrammingError as error:
            if getattr(error.orig, "sqlstate", None) != _INSUFFICIENT_PRIVILEGE:
                raise
            return problem(
                403,
                "The stream's database role may only read.",
                "Use `bidbeacon accounts` and `bidbeacon load`, or grant the role what docs/operations.md lists for buttons.",
            )

    return answer


def _refused(error: Exception) -> Response:
    status, what_to_do = next(_ANSWERS[kind] for kind in type(error).mro() if kind in _ANSWERS)
    return problem(status, str(error), what_to_do)


def _check_sender(request: Request) -> None:
    """Refuse what another site's page may have sent."""
    if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
        raise RefusedError(
            403, "This request comes from another site.", "Use the buttons of the page itself."
        )
    if (
        request.headers.get("content-type", "").partition(";")[0].strip().lower()
        != "application/json"
    ):
        raise RefusedError(
            415,
            "Expected the content type application/json.",
            "Send a JSON object, and this header.",
        )


async def _read_bytes(request: Request) -> bytes:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            most = f"Send a JSON object of at most {MOST_BYTES:,} bytes."
            raise RefusedError(413, "This request is too large.", most)
    return body


class _Desk:
    """Makes the changes, each with the name of who asks for it."""

    def __init__(self, store: SessionStore, settings: Settings) -> None:
        self._store = store
        self._settings = settings

    def pause(self, asked: AccountAsked, by: str) -> dict[str, Any]:
        account = self._account(asked)
        self._changes(by).pause(account)
        return _named(account)

    def resume(self, asked: AccountAsked, by: str) -> dict[str, Any]:
        account = self._account(asked)
        self._changes(by).resume(account)
        return _named(account)

    def set_cadence(self, asked: _CadenceAsked, by: str) -> dict[str, Any]:
        is_default = asked.every is None and asked.cron is None
        cadence = choose_cadence(every=asked.every, cron=asked.cron, as_soon_as_due=is_default)
        with self._store.begin() as connection:
            ads_account = get_named_ads_account(connection, asked.account)
        if cadence is not None:
            self._changes(by).set_cadence(ads_account, cadence)
        named = {"account": ads_account.ads_account_key, "account_label": ads_account.label}
        return named | {"cadence": str(cadence)}

    def rename(self, asked: _AliasAsked, by: str) -> dict[str, Any]:
        with self._store.begin() as connection:
            key = _find(connection, asked).account_key
            ads_account = get_ads_account(connection, key)
        self._changes(by).rename(ads_account, asked.alias or None)
        return _named(self._account(AccountAsked(account=key)))

    def sync_entities(self, asked: AccountAsked, by: str) -> dict[str, Any]:
        with self._store.begin() as connection:
            return want_sync(connection, _find(connection, asked), by=by)

    def load_windows(self, asked: _DaysAsked, by: str) -> dict[str, Any]:
        dataset = get_dataset(asked.dataset)
        with self._store.begin() as connection:
            account = _find(connection, asked)
            now = read_now(connection, self._settings)
            return want_load(connection, account, dataset, asked.windows, by=by, now=now)

    def decide(self, asked: _DaysAsked, by: str, *, accepts: bool) -> dict[str, Any]:
        account, dataset = self._account(asked), get_dataset(asked.dataset)
        of = (self._store, self._settings, account, dataset, asked.windows)
        decided = decide_days(*of, accepts=accepts, by=by)
        return _named(account) | {"dataset": dataset.name, "windows": list(map(str, decided))}

    def act(self, asked: _FindingAsked, by: str, *, keeps: bool = False) -> dict[str, Any]:
        return act(self._store, self._settings, asked.finding, by=by, keeps=keeps)

    def acknowledge(self, asked: _AcknowledgementAsked, by: str) -> dict[str, Any]:
        note = mask_text(asked.note or "")
        with self._store.begin() as connection:
            now = read_now(connection, self._settings)
            of = (connection, self._settings, now, asked.finding)
            return finding_json(acknowledge(*of, by=by, note=note))

    def unacknowledge(self, asked: _FindingAsked, _: str) -> dict[str, Any]:
        with self._store.begin() as connection:
            now = read_now(connection, self._settings)
            return finding_json(unacknowledge(connection, self._settings, now, asked.finding))

    def answer_whether_allowed(self, request: Request) -> Response:
        """Answer whether this client may change something, and if not, why and what helps."""
        read_query(Parameters, request.query_params)
        access: Access = request.app.state.access
        error, what_to_do = access.refusal_of_changes(request) or (None, None)
        return JSONResponse({"allowed": not error, "error": error, "what_to_do": what_to_do})

    def answer_wanted(self, request: Request) -> Response:
        """Answer with what people want of an account, as the page follows it."""
        asked = read_query(AccountAsked, request.query_params)
        with self._store.snapshot() as connection:
            try:
                return JSONResponse(list_wanted_json(connection, _find(connection, asked)))
            except (UnknownAccountError, AmbiguousAccountError) as error:
                return _refused(error)

    def _account(self, asked: AccountAsked) -> Account:
        with self._store.begin() as connection:
            return _find(connection, asked)

    def _changes(self, by: str) -> AccountChanges:
        return AccountChanges(self._store, self._settings, by=by)


def _find(connection: Connection, asked: AccountAsked) -> Account:
    return get_named_account(connection, asked.account)


def _named(account: Account) -> dict[str, Any]:
    return {"account": account.account_key, "account_label": account.label}
