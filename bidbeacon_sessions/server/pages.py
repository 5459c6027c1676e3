"""The pages, their files, and the extension with a product's own pages and routes.

Pages are Jinja templates that extend `layout.html`. They are rendered once, when the server starts.
Scripts, styles and icons are read once too: a page has some thirty of them.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from bidbeacon_sessions.messages import to_json

_OURS = Path(__file__).resolve().parent.parent / "web"
STREAM_PAGE = "/sessions"
LOGIN_PAGE = "/login"
NOT_FOUND = ""
_OUR_PAGES = {
    STREAM_PAGE: "index.html",
    f"{STREAM_PAGE}/{{session_id:uuid}}": "session.html",
    LOGIN_PAGE: "login.html",
    NOT_FOUND: "not-found.html",
}
_SERVED = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
_IMPORT = re.compile(r'from "\./([\w-]+\.js)"')


@dataclass(frozen=True)
class Extension:
    """A product's additions to the server.

    Args:
        routes: the routes of the product's API. Requests that change something need a token.
        pages: templates in `files` that extend `layout.html`, by address. An address may end in
            `{name}`. A page at `/` replaces the stream as the first page.
        files: the folder of templates, scripts, styles and icons. All but the templates are served
            below `/web/`.
        navigation: the labels in the navigation of every page, by address.
        links: addresses of the product by name, each optional. `account` is the page of an
            account and contains `{account}`. `window` is the page of a window and contains
            `{account}`, `{dataset}` and `{window}`. `accounts` returns the labels of accounts.
            `session_actions` is a JavaScript module that adds buttons to sessions' pages.
        values: further values for the templates, by name.
        login_hint: a sentence on where to find the token.
    """

    routes: Sequence[BaseRoute] = ()
    pages: Mapping[str, str] = field(default_factory=dict)
    files: Path | None = None
    navigation: Mapping[str, str] = field(default_factory=lambda: {STREAM_PAGE: "Stream"})
    links: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)
    login_hint: str = "The token is the value of `BIDBEACON_STREAM_TOKEN` where the stream runs."


class PageFiles:
    """Serves scripts, styles and icons, but no templates and no TypeScript declarations."""

    def __init__(self, extension: Extension) -> None:
        folders = [_OURS, *([extension.files] if extension.files else [])]
        paths = [path for folder in folders for path in folder.iterdir() if path.suffix in _SERVED]
        self._files = {path.name: _file_response(path) for path in paths}

    async def serve(self, request: Request) -> Response:
        """Return a script, style or icon; the status is 304 if the client has the same content."""
        found = self._files.get(request.path_params["name"])
        if found is None:
            raise HTTPException(404)
        tag = found.headers["etag"]
        if tag in request.headers.get("if-none-match", ""):  # a proxy may make it `W/"…"`
            return Response(status_code=304, headers={"ETag": tag})
        return found


def _file_response(path: Path) -> Response:
    content = path.read_bytes()
    tag = f'"{sha256(content).hexdigest()}"'
    return Response(content, media_type=_SERVED[path.suffix], headers={"ETag": tag})


def render_pages(extension: Extension) -> dict[str, str]:
    """Return the HTML of all pages by address; `NOT_FOUND` has the page for unknown addresses."""
    files = FileSystemLoader([*([extension.files] if extension.files else []), _OURS])
    templates = Environment(
        loader=files,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.globals |= extension.values
    templates.globals |= {
        "links": to_json(dict(extension.links)),
        "login_hint": extension.login_hint.split("`"),
        "modules": lambda script: list_modules(
            script, lambda it: files.get_source(templates, it)[0]
        ),
        "navigation": extension.navigation,
    }
    pages = {
        address: templates.get_template(file).render(here=address)
        for address, file in {**_OUR_PAGES, **extension.pages}.items()
    }
    return {"/": pages[STREAM_PAGE], **pages}


def list_modules(script: str, read: Callable[[str], str]) -> list[str]:
    """Return the modules that a script imports, also indirectly; `read` returns a file's text."""
    found: set[str] = set()
    unread = [script]
    while unread:
        imported = {*_IMPORT.findall(read(unread.pop()))}
        unread += imported - found
        found |= imported
    return sorted(found)
