"""Routes that change accounts or findings, start loads and syncs, or decide on reports.

Each is a `POST` with a JSON object. A page of another site can't send such a request: browsers
first ask the server with a preflight request, and the server does not permit other sites. The
server also refuses requests with a foreign `Origin`, and requests without a token.
"""

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

from pydantic import Field
from sqlalchemy import Connection
from sqlalchemy.exc import ProgrammingError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from bidbeacon_pipelines.accounts.changes import PAGE, AccountChanges
from bidbeacon_pipelines.accounts.names import get_named_account, get_named_ads_account
from bidbeacon_pipelines.accounts.queries import get_ads_account
from bidbeacon_pipelines.accounts.rules import choose_cadence
from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.database.clock import read_now
from bidbeacon_pipelines.datasets.registry import get_dataset
from bidbeacon_pipelines.entities.wanted_queries import want_sync
from bidbeacon_pipelines.problems.alerts import acknowledge, unacknowledge
from bidbeacon_pipelines.problems.finding_actions import act
from bidbeacon_pipelines.problems.home import finding_json
from bidbeacon_pipelines.settings import Settings
from bidbeacon_pipelines.web.parameters import AccountParameters, Day, refusing_errors
from bidbeacon_pipelines.windows.wanted import decide_days, list_wanted_json, want_load
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

MOST_BODY_BYTES = 16 * 1024
MOST_WINDOWS = 100
LONGEST_USER = 80
LONGEST_NOTE = 500
_INSUFFICIENT_PRIVILEGE = "42501"


class _CadenceParameters(AccountParameters):
    every: Value | None = None
    cron: Value | None = None


class _AliasParameters(AccountParameters):
    alias: Text | None = None


class _DaysParameters(AccountParameters):
    dataset: Value
    windows: list[Day] = Field(min_length=1, max_length=MOST_WINDOWS)


class _FindingParameters(Parameters):
    finding: Value


class _AcknowledgementParameters(_FindingParameters):
    note: Text | None = Field(None, max_length=LONGEST_NOTE)


Change = Callable[[Any, str], dict[str, Any]]
"""Makes a change, given a request's body and the user's name; returns the response's JSON."""


def change_routes(store: SessionStore, settings: Settings) -> list[BaseRoute]:
    """Return the routes that pages use to change the database of a session store."""
    handlers = _ChangeHandlers(store, settings)
    changes: dict[str, tuple[Change, type[Parameters]]] = {
        "/api/account/pause": (handlers.pause, AccountParameters),
        "/api/account/resume": (handlers.resume, AccountParameters),
        "/api/account/cadence": (handlers.set_cadence, _CadenceParameters),
        "/api/account/alias": (handlers.rename, _AliasParameters),
        "/api/account/sync-entities": (handlers.sync_entities, AccountParameters),
        "/api/account/load-windows": (handlers.load_windows, _DaysParameters),
        "/api/account/accept-report": (handlers.accept_report, _DaysParameters),
        "/api/account/keep-rows": (handlers.keep_rows, _DaysParameters),
        "/api/findings/act": (handlers.act, _FindingParameters),
        "/api/findings/keep": (handlers.keep, _FindingParameters),
        "/api/findings/acknowledge": (handlers.acknowledge, _AcknowledgementParameters),
        "/api/findings/unacknowledge": (handlers.unacknowledge, _FindingParameters),
    }
    return [
        *(
            Route(path, _endpoint(settings, *change), methods=["POST"])
            for path, change in changes.items()
        ),
        Route("/api/changes", handlers.answer_whether_allowed),
        Route("/api/account/wanted", refusing_errors()(handlers.answer_wanted)),
    ]


def user_of(request: Request, settings: Settings) -> str:
    """Return the user's name from the header `BIDBEACON_USER_HEADER`, or "page" without it.

    A trusted proxy sets the header. The name is shortened and masked like all text from outside. A
    header that comes twice is ignored, because only one of its two values is from the proxy.
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
    change = refusing_errors()(change)

    @wraps(change)
    async def answer(request: Request) -> Response:
        _check_sender(request)
        body = read_body(kind, await _read_bytes(request))
        try:
            return JSONResponse(await run_in_threadpool(change, body, user_of(request, settings)))
        except ProgrammingError as error:
            if getattr(error.orig, "sqlstate", None) != _INSUFFICIENT_PRIVILEGE:
                raise
            return problem(
                403,
                "The stream's database role may only read.",
                "Use `bidbeacon accounts` and `bidbeacon load`, or run the stream as the owner of "
                "the tables (docs/how-to/use-your-own-postgres.md).",
            )

    return answer


def _check_sender(request: Request) -> None:
    """Refuse requests from pages of other sites, and requests that do not contain JSON."""
    if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
        raise RefusedError(
            403, "This request comes from another site.", "Use the buttons on BidBeacon's pages."
        )
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != "application/json":
        expected = "Expected the content type application/json."
        raise RefusedError(415, expected, "Send a JSON object as application/json.")


async def _read_bytes(request: Request) -> bytes:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BODY_BYTES:
            most = f"Send a JSON object of at most {MOST_BODY_BYTES:,} bytes."
            raise RefusedError(413, "This request is too large.", most)
    return body


class _ChangeHandlers:
    def __init__(self, store: SessionStore, settings: Settings) -> None:
        self._store = store
        self._settings = settings

    def pause(self, body: AccountParameters, by: str) -> dict[str, Any]:
        """Pause the `account`. The response is `{"account", "account_label"}`."""
        account = self._account(body)
        self._changes(by).pause(account)
        return _named(account)

    def resume(self, body: AccountParameters, by: str) -> dict[str, Any]:
        """Resume the `account`. The response is `{"account", "account_label"}`."""
        account = self._account(body)
        self._changes(by).resume(account)
        return _named(account)

    def set_cadence(self, body: _CadenceParameters, by: str) -> dict[str, Any]:
        """Set how often an ads account is refreshed.

        `account` may name an account or an ads account. The cadence is either `every`, such as
        `6h`, or `cron`. If both are missing, the ads account is refreshed as soon as data is due.

        The response is `{"account", "account_label", "cadence"}`.
        """
        is_default = body.every is None and body.cron is None
        cadence = choose_cadence(every=body.every, cron=body.cron, as_soon_as_due=is_default)
        with self._store.begin() as connection:
            ads_account = get_named_ads_account(connection, body.account)
        if cadence is not None:
            self._changes(by).set_cadence(ads_account, cadence)
        named = {"account": ads_account.ads_account_key, "account_label": ads_account.label}
        return named | {"cadence": str(cadence)}

    def rename(self, body: _AliasParameters, by: str) -> dict[str, Any]:
        """Set the `alias` of the ads account to which the `account` belongs.

        An empty alias restores Amazon's name. The response is `{"account", "account_label"}`.
        """
        with self._store.begin() as connection:
            key = _get_account(connection, body).account_key
            ads_account = get_ads_account(connection, key)
        self._changes(by).rename(ads_account, body.alias or None)
        return _named(self._account(AccountParameters(account=key)))

    def sync_entities(self, body: AccountParameters, by: str) -> dict[str, Any]:
        """Start a run that syncs the entities of the `account`.

        The response has the fields of the response to `load-windows`; `dataset` is null.
        """
        with self._store.begin() as connection:
            account = _get_account(connection, body)
            want_sync(connection, account, by=by)
            return next(one for one in list_wanted_json(connection, account) if not one["dataset"])

    def load_windows(self, body: _DaysParameters, by: str) -> dict[str, Any]:
        """Start a run that loads the days `windows` of a `dataset` of the `account`.

        `{"account", "account_label", "dataset", "windows", "by", "at", "session"}`

        `session` is the running session that loads the days, or null if the session has not started
        yet. Days that are not over or that Amazon no longer serves are left out. If no day is left,
        the status is 409.
        """
        dataset = get_dataset(body.dataset)
        with self._store.begin() as connection:
            account = _get_account(connection, body)
            now = read_now(connection, self._settings)
            return want_load(connection, account, dataset, body.windows, by=by, now=now)

    def accept_report(self, body: _DaysParameters, by: str) -> dict[str, Any]:
        """Accept later reports that have far fewer rows of final days than are loaded.

        The request has `account`, `dataset` and the days `windows`. The response is `{"account",
        "account_label", "dataset", "windows"}`; its `windows` are the given days that waited for a
        decision. If no day waits for a decision, the status is 409.
        """
        return self._decide(body, by, accepts=True)

    def keep_rows(self, body: _DaysParameters, by: str) -> dict[str, Any]:
        """Keep the loaded rows of final days for which later reports have far fewer rows.

        The request and the response have the fields of `accept-report`.
        """
        return self._decide(body, by, accepts=False)

    def _decide(self, body: _DaysParameters, by: str, *, accepts: bool) -> dict[str, Any]:
        account, dataset = self._account(body), get_dataset(body.dataset)
        of = (self._store, self._settings, account, dataset, body.windows)
        decided = decide_days(*of, accepts=accepts, by=by)
        return _named(account) | {"dataset": dataset.name, "windows": list(map(str, decided))}

    def act(self, body: _FindingParameters, by: str) -> dict[str, Any]:
        """Run the action of a finding's button.

        `finding` is the `key` of the finding. The response is `{"message", "link"}`. If the finding
        has ended, the status is 404.
        """
        return act(self._store, self._settings, body.finding, by=by)

    def keep(self, body: _FindingParameters, by: str) -> dict[str, Any]:
        """Run the action of a finding's `other_button`, which keeps the loaded rows.

        `finding` is the `key` of the finding. The response is `{"message", "link"}`.
        """
        return act(self._store, self._settings, body.finding, by=by, keeps=True)

    def acknowledge(self, body: _AcknowledgementParameters, by: str) -> dict[str, Any]:
        """Acknowledge the `finding` with a `note`, and return the finding."""
        note = mask_text(body.note or "")
        with self._store.begin() as connection:
            now = read_now(connection, self._settings)
            of = (connection, self._settings, now, body.finding)
            return finding_json(acknowledge(*of, by=by, note=note))

    def unacknowledge(self, body: _FindingParameters, _: str) -> dict[str, Any]:
        """Remove the acknowledgement of the `finding`, and return the finding."""
        with self._store.begin() as connection:
            now = read_now(connection, self._settings)
            return finding_json(unacknowledge(connection, self._settings, now, body.finding))

    def answer_whether_allowed(self, request: Request) -> Response:
        """Return whether this client may change something.

        `{"allowed", "error", "what_to_do"}`. If changes are allowed, `error` and `what_to_do` are
        null.
        """
        read_query(Parameters, request.query_params)
        access: Access = request.app.state.access
        error, what_to_do = access.refusal_of_changes(request) or (None, None)
        return JSONResponse({"allowed": not error, "error": error, "what_to_do": what_to_do})

    def answer_wanted(self, request: Request) -> Response:
        """Return the requested loads and syncs of the `account`, oldest first.

        Each is an object with the fields of the response to `load-windows`.
        """
        query = read_query(AccountParameters, request.query_params)
        with self._store.snapshot() as connection:
            return JSONResponse(list_wanted_json(connection, _get_account(connection, query)))

    def _account(self, body: AccountParameters) -> Account:
        with self._store.begin() as connection:
            return _get_account(connection, body)

    def _changes(self, by: str) -> AccountChanges:
        return AccountChanges(self._store, self._settings, by=by)


def _get_account(connection: Connection, body: AccountParameters) -> Account:
    return get_named_account(connection, body.account)


def _named(account: Account) -> dict[str, Any]:
    return {"account": account.account_key, "account_label": account.label}
