"""The pages: what a product adds to the server, and the files of both.

Files are read once and kept in memory: a page asks for some twenty of them at once, and they are
small.
"""

import hashlib
import mimetypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import BaseRoute

from bidbeacon_sessions.messages import to_json

_OURS = Path(__file__).resolve().parent.parent / "web"
_TYPES = {
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".css": "text/css",
    ".html": "text/html",
}
STREAM_PAGE = "/sessions"
_NOT_FOUND_PAGE = "not-found.html"
_NAVIGATION, _LINKS = "<!-- navigation -->", "<!-- links -->"


@dataclass(frozen=True)
class Extension:
    """Additions of a product to the server, all in one place.

    Args:
        routes: of its API. They are guarded like all others.
        pages: its pages, by address: the name of an HTML file of `files`; an address may end in a
            `{name}`. One at `/` is the first page in place of the stream.
        files: the folder of its pages' files, without folders inside; they are served below
            `/web/`.
        navigation: entries of every page's navigation: the label by the address. One of `/` stands
            before the stream.
        links: how the pages link to what only the product knows: an address with `{name}` for each
            value, by what it leads to.
            The pages ask for `account` (`{account}`) and `window` (`{account}`, `{dataset}`,
            `{window}`), and load names and time zones of accounts from `accounts`. A module at
            `session_actions` makes the buttons of a session's page. What is not there is not
            linked.
    """

    routes: Sequence[BaseRoute] = ()
    pages: Mapping[str, str] = field(default_factory=dict)
    files: Path | None = None
    navigation: Mapping[str, str] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)


class WebFiles:
    """The server's own files and those of a product; what changes in them is seen after a restart.

    In a page, `<!-- navigation -->` becomes the navigation, and `<!-- links -->` the product's
    links.
    """

    def __init__(self, extension: Extension) -> None:
        folders = [_OURS, *([extension.files] if extension.files else [])]
        self._extension = extension
        self._files = {
            path.name: self._read(path)
            for folder in folders
            for path in folder.iterdir()
            if path.is_file()
        }

    def answer(self, name: str, headers: Headers) -> Response:
        """Return a file, or 304 where the browser has it already.

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

    def _read(self, path: Path) -> tuple[bytes, str, str]:
        """Return a file's content, its type, and a tag that changes with the content."""
        body = path.read_bytes()
        if path.suffix == ".html":
            body = self._fill(path.name, body.decode()).encode()
        kind = (
            _TYPES.get(path.suffix)
            or mimetypes.guess_type(path.name)[0]
            or "application/octet-stream"
        )
        return body, kind, f'"{hashlib.sha256(body).hexdigest()[:20]}"'

    def _fill(self, name: str, page: str) -> str:
        addresses = {file: address for address, file in self._extension.pages.items()} | {
            "index.html": STREAM_PAGE,
            "session.html": f"{STREAM_PAGE}/{{session_id}}",
        }
        others = dict(self._extension.navigation)
        first = {"/": others.pop("/")} if "/" in others else {}
        entries = {**first, STREAM_PAGE: "Stream", **others}
        links = escape(to_json(dict(self._extension.links)))
        here = addresses.get(name, "")
        navigation = "\n      ".join(
            _link(address, label, here) for address, label in entries.items()
        )
        return page.replace(_NAVIGATION, navigation).replace(
            _LINKS, f'<meta name="links" content="{links}">'
        )


def _link(address: str, label: str, here: str) -> str:
    """Return an entry of the navigation; that of the page itself is current, and so is the list that it is one of."""
    current = "page" if address == here else "true" if here.startswith(f"{address}/") else None
    marked = f' aria-current="{current}"' if current else ""
    return f'<a href="{escape(address)}"{marked}>{escape(label)}</a>'
