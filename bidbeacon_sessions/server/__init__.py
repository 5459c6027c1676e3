"""The server: sessions as they happen, over HTTP, Server-Sent Events and WebSocket, and the pages that show them.

`serve` runs it; `create_app` returns the ASGI app, for any ASGI server. It knows no jobs of its
own: import the action classes first.
"""

from bidbeacon_sessions.server.app import create_app
from bidbeacon_sessions.server.auth import Access
from bidbeacon_sessions.server.pages import STREAM_PAGE, Extension
from bidbeacon_sessions.server.serve import StreamServer, serve

__all__ = ["STREAM_PAGE", "Access", "Extension", "StreamServer", "create_app", "serve"]
