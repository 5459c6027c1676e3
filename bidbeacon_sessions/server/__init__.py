"""The server: live sessions over HTTP, Server-Sent Events and WebSocket, and their pages.

`serve` runs it; `create_app` returns the ASGI app. Import the action classes first.
"""

from bidbeacon_sessions.server.app import create_app
from bidbeacon_sessions.server.auth import Access
from bidbeacon_sessions.server.pages import STREAM_PAGE, Extension
from bidbeacon_sessions.server.serve import StreamServer, serve

__all__ = ["STREAM_PAGE", "Access", "Extension", "StreamServer", "create_app", "serve"]
