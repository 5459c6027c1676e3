"""The pages: what a product adds to the server, and the files of both.

Pages are Jinja templates that extend `layout.html`. They are rendered once, and files are read once,
since a page asks for some twenty of them at once, and they are small.
"""

import hashlib
import mimetypes
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import BaseRoute

from bidbeacon_sessions.messages import to_json

_OURS = Path(__file__).resolve().parent.parent / "web"
_TYPES = {".js": "text/javascript", ".svg": "image/svg+xml", ".css": "text/css"}
_NOT_SERVED = frozenset({".html", ".ts"})
"""Templates, and declarations of types for the check of the scripts."""
STREAM_PAGE = "/sessions"
_NOT_FOUND_PAGE = "not-found.html"
_OUR_PAGES = {
    "index.html": STREAM_PAGE,
    "session.html": f"{STREAM_PAGE}/{{session_id}}",
    "login.html": "/login",
    _NOT_FOUND_PAGE: "",
}
_IMPORT = re.compile(rb'from "\./([\w-]+\.js)"')


@dataclass(frozen=True)
class Extension:
    """Additions of a product to the server, all in one place.

    Args:
        routes: of its API. They are guarded like all others.
        pages: its pages, by address: the name of a template of `files`, which extends
            `layout.html`; an address may end in a `{name}`. One at `/` is the first page in place
            of the stream.
        files: the folder of its pages and their files, without folders inside; all but the
            templates are served below `/web/`.
        navigation: entries of every page's navigation: the label by the address. One of `/` stands
            before the stream.
        links: how the pages link to what only the product knows: an address with `{name}` for each
            value, by what it leads to.
            The pages ask for `account` (`{account}`) and `window` (`{account}`, `{dataset}`,
            `{window}`), and load names of accounts from `accounts`. A module at
            `session_actions` makes the buttons of a session's page. What is not there is not
            linked.
    """

    routes: Sequence[BaseRoute] = ()
    pages: Mapping[str, str] = field(default_factory=dict)
    files: Path | None = None
    navigation: Mapping[str, str] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)


class _File(NamedTuple):
    """The body of a response: content, its media type, and an ETag that changes with the content."""

    body: bytes
    kind: str
    tag: str

    @classmethod
    def of(cls, body: bytes, kind: str) -> "_File":
        """Return a file with its tag."""
        return cls(body, kind, f'"{hashlib.sha256(body).hexdigest()[:20]}"')


class WebFiles:
    """The server's own pages and files, and those of a product; what changes in them is seen after a restart."""

    def __init__(self, extension: Extension) -> None:
        folders = [_OURS, *([extension.files] if extension.files else [])]
        bodies = {
            path.name: path.read_bytes()
            for folder in folders
            for path in folder.iterdir()
            if path.is_file() and path.suffix not in _NOT_SERVED
        }
        self._files = {name: _File.of(body, _type_of(name)) for name, body in bodies.items()}
        templates = Environment(
            loader=FileSystemLoader(folders[::-1]),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        templates.globals |= {
            "links": to_json(dict(extension.links)),
            "modules": lambda script: find_modules(script, bodies),
            "navigation": _navigation(extension),
        }
        pages = _OUR_PAGES | {file: address for address, file in extension.pages.items()}
        for name, address in pages.items():
            page = templates.get_template(name).render(here=address)
            self._files[name] = _File.of(page.encode(), "text/html")

    def answer(self, name: str, headers: Headers) -> Response:
        """Return a page or file, or 304 where the browser has it already.

        Raises:
            HTTPException: there is no such file.
        """
        if name not in self._files:
            raise HTTPException(404)
        body, kind, tag = self._files[name]
        if headers.get("if-none-match") == tag:
            return Response(status_code=304, headers={"ETag": tag})
        return Response(body, media_type=kind, headers={"ETag": tag})

    def answer_not_found(self) -> Response:
        """Return the page that says that there is none at the address that was asked for."""
        body, kind, _ = self._files[_NOT_FOUND_PAGE]
        return Response(body, status_code=404, media_type=kind)


def find_modules(script: str, bodies: Mapping[str, bytes]) -> list[str]:
    """Return the names of the modules that a script imports, directly or through others."""
    found: set[str] = set()
    unread = [script]
    while unread:
        imported = {name.decode() for name in _IMPORT.findall(bodies[unread.pop()])}
        unread += imported - found
        found |= imported
    return sorted(found)


def _type_of(name: str) -> str:
    kind = _TYPES.get(Path(name).suffix) or mimetypes.guess_type(name)[0]
    return kind or "application/octet-stream"


def _navigation(extension: Extension) -> dict[str, str]:
    """Return the label by the address of each entry; that of the first page stands before the stream."""
    others = dict(extension.navigation)
    first = {"/": others.pop("/")} if "/" in others else {}
    return {**first, STREAM_PAGE: "Stream", **others}
