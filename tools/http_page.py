"""The page of the Event Stream's HTTP API: `python -m tools.http_page` prints it."""

import inspect
from collections.abc import Iterator

from starlette.routing import Route

from bidbeacon_pipelines.settings import Settings
from bidbeacon_pipelines.web import pipelines_extension
from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.server import create_app

_HEAD = """# HTTP API

Printed from the routes of `bidbeacon stream` by `make docs`; a test compares them. The page in
the browser, named Event Stream, sends only these requests, and those of [the stream's
protocol](stream-protocol.md).

Responses are JSON. On this page, `{"key", "label"}` is an object with these fields. Instants are
UTC, in the form `2026-11-23T05:00:00Z`; days are days of the account's own calendar. The response
to an invalid request is `{"error", "what_to_do"}` with the status 400, 404 or 409.

A request that changes something is a `POST` with a JSON object and the content type
`application/json`. It needs a token, either in the header `Authorization: Bearer …` or in the
cookie that `/login` sets. Names in the text, such as `account`, are parameters of the URL or, in a
`POST`, fields of the JSON object.
"""


def make_page() -> str:
    """Return the page as Markdown with a final newline."""
    store = SessionStore.connect("postgresql://nowhere")
    app = create_app(store, extension=pipelines_extension(store, Settings()))
    routes = [one for one in app.routes if isinstance(one, Route)]
    handlers = [one for one in routes if inspect.isroutine(one.endpoint)]  # others are pages
    return "\n".join([_HEAD, *(line for route in handlers for line in _entry(route))])


def _entry(route: Route) -> Iterator[str]:
    method = "POST" if "POST" in (route.methods or ()) else "GET"
    text = inspect.getdoc(route.endpoint)
    if not text:
        raise ValueError(f"expected a docstring of the handler of {route.path}")
    yield f"## `{method} {route.path}`\n"
    yield f"{text}\n"


if __name__ == "__main__":
    print(make_page(), end="")
