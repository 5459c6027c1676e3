"""Protect a server from web pages of other sites, by the headers `Host` and `Origin`.

A page can make the browser that opens it send requests to this machine, for images, forms and
WebSockets. If the name of the page's site resolves to this machine (DNS rebinding), the page can
send any request. A page cannot forge these two headers. Programs that are not browsers send no
`Origin`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from bidbeacon_sessions.settings import is_loopback


@dataclass(frozen=True)
class BrowserGuard:
    """The hosts that are served, and the origins from which requests may come.

    Attributes:
        public_url: another address at which browsers reach the server, such as that of a proxy.
        only_loopback: if True, only loopback hosts and the host of `public_url` are served. If
            False, IP addresses and names without a dot are served too, since other sites cannot
            make these point to this machine.
    """

    public_url: str = ""
    only_loopback: bool = True

    def serves(self, headers: Mapping[str, str]) -> bool:
        """Return whether requests to the host in the `Host` header may be answered."""
        name = split_address(f"//{headers.get('host', '')}").hostname or ""
        if is_loopback(name) or (name and name == split_address(self.public_url).hostname):
            return True
        is_local_or_address = "." not in name or re.fullmatch(r"[\d.]+|.*:.*", name)
        return not self.only_loopback and name != "" and bool(is_local_or_address)

    def comes_from_own_page(self, headers: Mapping[str, str]) -> bool:
        """Return whether `Origin`, which only browsers send, is missing or names this server."""
        origin, host = headers.get("origin"), headers.get("host")
        public = split_address(self.public_url)
        own = {f"http://{host}", f"https://{host}", f"{public.scheme}://{public.netloc}"}
        return origin is None or origin in own


def split_address(address: str) -> SplitResult:
    """Split a URL into its parts; for an invalid URL such as `http://[`, all parts are empty."""
    try:
        return urlsplit(address)
    except ValueError:
        return urlsplit("")
