"""Decides whether a request may change something: with the stream's token, or under `bidbeacon dev` from this machine.

A proxy on this machine need not leave a trace in what it passes on, so elsewhere the token is
needed on loopback too.
"""

from starlette.requests import HTTPConnection

from bidbeacon_pipelines.settings import Settings
from bidbeacon_sessions.browser_guard import host_of
from bidbeacon_sessions.server import Access
from bidbeacon_sessions.settings import is_loopback

_PROXY_HEADERS = frozenset({"forwarded", "via", "x-real-ip"})
_FORWARDED = "x-forwarded-"


def may_change(connection: HTTPConnection, settings: Settings) -> bool:
    """Return whether a request that is served may also change something.

    Where the server has a token, every request that is served has shown it.
    """
    access: Access = connection.app.state.access
    if access.token is not None:
        return True
    return settings.stream_changes_without_token and _is_direct(connection)


def _is_direct(connection: HTTPConnection) -> bool:
    """Return whether a request comes from this machine without a sign of a proxy: a header of theirs, or HTTP/1.0."""
    return (
        connection.client is not None
        and is_loopback(connection.client.host)
        and is_loopback(host_of(connection.headers))
        and connection.scope["http_version"] >= "1.1"
        and not any(
            name in _PROXY_HEADERS or name.startswith(_FORWARDED) for name in connection.headers
        )
    )
