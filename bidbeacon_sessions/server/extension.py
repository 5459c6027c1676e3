"""The one place where a product adds to the server: routes, pages, navigation and links."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from starlette.routing import BaseRoute


@dataclass(frozen=True)
class Extension:
    """Additions of a product to the server.

    Args:
        routes: of its API. They are guarded like all others.
        pages: its pages, by address: the name of an HTML file of `files`; an address may end in a `{name}`. One at `/` is the first page in place of the stream.
        files: the folder of its pages' files, without folders inside; they are served below `/web/`.
        navigation: entries of every page's navigation: the label by the address. One of `/` stands before the stream.
        links: how the pages link to what only the product knows: an address with `{name}` for each value, by what it leads to.
            The pages ask for `account` (`{account}`) and `window` (`{account}`, `{dataset}`, `{window}`), and load names and
            time zones of accounts from `accounts`. A module at `session_actions` makes the buttons of a session's page. What is not there
            is not linked.
    """

    routes: Sequence[BaseRoute] = ()
    pages: Mapping[str, str] = field(default_factory=dict)
    files: Path | None = None
    navigation: Mapping[str, str] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
