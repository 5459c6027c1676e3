"""BidBeacon's pages and routes, which extend the server of `bidbeacon_sessions`."""

from pathlib import Path

from bidbeacon_pipelines.causes import CAUSE_KINDS, explain_kind
from bidbeacon_pipelines.database.clock import DatabaseClock
from bidbeacon_pipelines.settings import Settings
from bidbeacon_pipelines.web.changes import change_routes
from bidbeacon_pipelines.web.reads import read_routes
from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.clock import Clock
from bidbeacon_sessions.server import STREAM_PAGE, Extension


def pipelines_extension(
    store: SessionStore, settings: Settings, *, clock: Clock | None = None
) -> Extension:
    """Return BidBeacon's pages and routes for the server; `clock` defaults to the database's."""
    clock = clock or DatabaseClock(store.engine, settings)
    return Extension(
        routes=[
            *read_routes(store, settings, clock=clock),
            *change_routes(store, settings),
        ],
        pages={
            "/": "home.html",
            "/causes": "causes.html",
            "/coverage": "coverage.html",
            "/queue": "queue.html",
            "/accounts": "accounts.html",
            "/accounts/{key}": "account.html",
        },
        files=Path(__file__).resolve().parent / "files",
        navigation={
            "/": "Home",
            "/queue": "Queue",
            STREAM_PAGE: "Stream",
            "/coverage": "Coverage",
            "/accounts": "Accounts",
        },
        links={
            "account": "/accounts/{account}",
            "accounts": "/api/accounts",
            "session_actions": "/web/session-actions.js",
            "window": "/coverage?dataset={dataset}&account={account}&window={window}",
        },
        values={"causes": [explain_kind(kind) for kind in CAUSE_KINDS.values()]},
        login_hint=(
            "Open the address that `bidbeacon dev` printed when it started, "
            "or that `bidbeacon login` prints where the stream runs."
        ),
    )
