"""Requests that change something: pause, resume, cadence and alias of an account, loads and syncs that somebody asks for, decisions about reports, and what is done about findings.

All are `POST` with a JSON object. A page of another site can't send one: a browser asks first
before it sends JSON elsewhere. The server refuses requests with a foreign `Origin` and requests
without a token.
"""

from collections.abc import Awaitable, Callable, Mapping
from datetime import date
from typing import Any

import msgspec
from sqlalchemy import Connection
from sqlalchemy.exc import ProgrammingError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from bidbeacon_pipelines.accounts.cadence import choose_cadence
from bidbeacon_pipelines.accounts.changes import PAGE, AccountChanges
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
from bidbeacon_pipelines.requests.decisions import decide_days
from bidbeacon_pipelines.requests.wanted import (
    CannotAskError,
    list_wanted_json,
    want_load,
    want_sync,
)
from bidbeacon_pipelines.settings import Settings
from bidbeacon_pipelines.web.parameters import AccountAsked
from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.clock import read_day
from bidbeacon_sessions.masking import mask_text
from bidbeacon_sessions.server import Access
from bidbeacon_sessions.server.answers import (
    Parameters,
    RefusedError,
    problem,
    read_query,
)

MOST_BYTES = 16 * 1024
MOST_WINDOWS = 100
LONGEST_USER = 80
LONGEST_NOTE = 500
_INSUFFICIENT_PRIVILEGE = "42501"
_EXAMPLE = 'Send a JSON object such as {"account": "Acme Merch · US"}.'

_NAMES = "Take a name from /api/accounts."
_ANSWERS: Mapping[type[Exception], tuple[int, str]] = {
    UnknownAccountError: (404, _NAMES),
    UnknownDatasetError: (404, _NAMES),
    FindingIsOverError: (404, "Home shows what is wrong now."),
    AmbiguousAccountError: (400, _EXAMPLE),
    BadAliasError: (400, _EXAMPLE),
    BadCadenceError: (400, _EXAMPLE),
}

Fields = Mapping[str, Any]
Change = Callable[[Fields, str], dict[str, Any]]


def change_routes(store: SessionStore, settings: Settings) -> list[BaseRoute]:
    """Return the routes that change accounts and ask for runs in a store's database."""
    desk = _Desk(store, settings)
    account, finding = frozenset({"account"}), frozenset({"finding"})
    changes: dict[str, tuple[Change, frozenset[str]]] = {
        "/api/account/pause": (desk.pause, account),
        "/api/account/resume": (desk.resume, account),
        "/api/account/cadence": (desk.set_cadence, account | {"every", "cron"}),
        "/api/account/alias": (desk.rename, account | {"alias"}),
        "/api/account/sync-entities": (desk.sync_entities, account),
        "/api/account/load-windows": (desk.load_windows, account | {"dataset", "windows"}),
        "/api/account/accept-report": (desk.accept_report, account | {"dataset", "windows"}),
        "/api/account/keep-rows": (desk.keep_rows, account | {"dataset", "windows"}),
        "/api/findings/act": (desk.act, finding),
        "/api/findings/keep": (desk.keep, finding),
        "/api/findings/acknowledge": (desk.acknowledge, finding | {"note"}),
        "/api/findings/unacknowledge": (desk.unacknowledge, finding),
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
    settings: Settings, change: Change, known: frozenset[str]
) -> Callable[[Request], Awaitable[Response]]:
    """Return what answers one kind of change, whose body has some of the known fields."""

    async def answer(request: Request) -> Response:
        try:
            _check_sender(request)
            fields = await _read_fields(request, known)
            return JSONResponse(await run_in_threadpool(change, fields, user_of(request, settings)))
        except tuple(_ANSWERS) as error:
            status, what_to_do = next(
                _ANSWERS[kind] for kind in type(error).mro() if kind in _ANSWERS
            )
            return problem(status, str(error), what_to_do)
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
            415, "Expected the content type application/json.", f"Send it as a header. {_EXAMPLE}"
        )


async def _read_fields(request: Request, known: frozenset[str]) -> Fields:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            raise RefusedError(413, "This request is too large.", _EXAMPLE)
    try:
        fields = msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise RefusedError(400, "Expected a JSON object.", _EXAMPLE) from None
    if unknown := sorted(set(fields) - known):
        raise RefusedError(
            400, f"Unknown field {unknown[0][:50]!r}.", f"Use some of: {', '.join(sorted(known))}."
        )
    return fields


def _text(fields: Fields, name: str) -> str:
    found = _optional_text(fields, name)
    if not found:
        raise RefusedError(400, f"The field {name} is missing.", _EXAMPLE)
    return found


def _optional_text(fields: Fields, name: str) -> str | None:
    value = fields.get(name)
    if value is not None and (not isinstance(value, str) or "\0" in value):
        raise RefusedError(400, f"Expected {name} to be text.", _EXAMPLE)
    return value


def _windows(fields: Fields) -> list[date]:
    given = fields.get("windows")
    if not isinstance(given, list) or not 0 < len(given) <= MOST_WINDOWS:
        raise RefusedError(
            400, f"Expected windows to be a list of 1 to {MOST_WINDOWS} days.", _EXAMPLE
        )
    try:
        return [read_day(str(day)) for day in given]
    except ValueError:
        raise RefusedError(400, "Expected windows to be days like 2026-11-23.", _EXAMPLE) from None


class _Desk:
    """Makes the changes, each with the name of who asks for it."""

    def __init__(self, store: SessionStore, settings: Settings) -> None:
        self._store = store
        self._settings = settings

    def pause(self, fields: Fields, by: str) -> dict[str, Any]:
        account = self._account(fields)
        self._changes(by).pause(account)
        return _named(account)

    def resume(self, fields: Fields, by: str) -> dict[str, Any]:
        account = self._account(fields)
        self._changes(by).resume(account)
        return _named(account)

    def set_cadence(self, fields: Fields, by: str) -> dict[str, Any]:
        every, cron = _optional_text(fields, "every"), _optional_text(fields, "cron")
        cadence = choose_cadence(
            every=every, cron=cron, as_soon_as_due=every is None and cron is None
        )
        with self._store.begin() as connection:
            ads_account = get_named_ads_account(connection, _text(fields, "account"))
        if cadence is not None:
            self._changes(by).set_cadence(ads_account, cadence)
        named = {"account": ads_account.ads_account_key, "account_label": ads_account.label}
        return named | {"cadence": str(cadence)}

    def rename(self, fields: Fields, by: str) -> dict[str, Any]:
        account, alias = self._account(fields), _optional_text(fields, "alias")
        with self._store.begin() as connection:
            ads_account = get_ads_account(connection, account.account_key)
        self._changes(by).rename(ads_account, alias or None)
        return _named(self._account({"account": account.account_key}))

    def sync_entities(self, fields: Fields, by: str) -> dict[str, Any]:
        with self._store.begin() as connection:
            account = _find(connection, fields)
            return want_sync(connection, account, by=by)

    def load_windows(self, fields: Fields, by: str) -> dict[str, Any]:
        dataset, windows = get_dataset(_text(fields, "dataset")), _windows(fields)
        with self._store.begin() as connection:
            account = _find(connection, fields)
            now = read_now(connection, self._settings)
            return want_load(connection, account, dataset, windows, by=by, now=now)

    def accept_report(self, fields: Fields, by: str) -> dict[str, Any]:
        return self._decide(fields, by, accepts=True)

    def keep_rows(self, fields: Fields, by: str) -> dict[str, Any]:
        return self._decide(fields, by, accepts=False)

    def _decide(self, fields: Fields, by: str, *, accepts: bool) -> dict[str, Any]:
        account, dataset = self._account(fields), get_dataset(_text(fields, "dataset"))
        asked = (account, dataset, _windows(fields))
        decided = decide_days(self._store, self._settings, *asked, accepts=accepts, by=by)
        return _named(account) | {"dataset": dataset.name, "windows": list(map(str, decided))}

    def act(self, fields: Fields, by: str) -> dict[str, Any]:
        return act(self._store, self._settings, _text(fields, "finding"), by=by)

    def keep(self, fields: Fields, by: str) -> dict[str, Any]:
        return act(self._store, self._settings, _text(fields, "finding"), by=by, keeps=True)

    def acknowledge(self, fields: Fields, by: str) -> dict[str, Any]:
        key, note = _text(fields, "finding"), _optional_text(fields, "note") or ""
        if len(note) > LONGEST_NOTE:
            raise RefusedError(
                400, f"Expected a note of at most {LONGEST_NOTE} characters.", _EXAMPLE
            )
        with self._store.begin() as connection:
            now = read_now(connection, self._settings)
            note = mask_text(note)
            found = acknowledge(connection, self._settings, now, key, by=by, note=note)
        return finding_json(found)

    def unacknowledge(self, fields: Fields, _: str) -> dict[str, Any]:
        with self._store.begin() as connection:
            now = read_now(connection, self._settings)
            key = _text(fields, "finding")
            return finding_json(unacknowledge(connection, self._settings, now, key))

    def answer_whether_allowed(self, request: Request) -> Response:
        """Answer whether this client may change something, and if not, why and what helps."""
        read_query(Parameters, request.query_params)
        access: Access = request.app.state.access
        error, what_to_do = access.refusal_of_changes(request) or (None, None)
        return JSONResponse({"allowed": not error, "error": error, "what_to_do": what_to_do})

    def answer_wanted(self, request: Request) -> Response:
        """Answer with what people want of an account, as the page follows it."""
        fields = read_query(AccountAsked, request.query_params).model_dump()
        with self._store.snapshot() as connection:
            try:
                return JSONResponse(list_wanted_json(connection, _find(connection, fields)))
            except UnknownAccountError as error:
                return problem(404, str(error), "Take a name from /api/accounts.")

    def _account(self, fields: Fields) -> Account:
        with self._store.begin() as connection:
            return _find(connection, fields)

    def _changes(self, by: str) -> AccountChanges:
        return AccountChanges(self._store, self._settings, by=by)


def _find(connection: Connection, fields: Fields) -> Account:
    return get_named_account(connection, _text(fields, "account"))


def _named(account: Account) -> dict[str, Any]:
    return {"account": account.account_key, "account_label": account.label}
