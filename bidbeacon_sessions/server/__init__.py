"""The stream: sessions as they happen, over HTTP, Server-Sent Events and WebSocket, and the page that shows them.

`serve` runs it; `create_app` gives the ASGI app. It knows no jobs of its own: whoever starts it imports the action classes first.
"""

from bidbeacon_sessions.server.app import create_app
from bidbeacon_sessions.server.auth import Access
from bidbeacon_sessions.server.coverage import CoverageReader, UnknownDatasetError
from bidbeacon_sessions.server.explaining import Explainer, NothingToExplainError
from bidbeacon_sessions.server.serve import StreamServer, serve

__all__ = [
    "Access",
    "CoverageReader",
    "Explainer",
    "NothingToExplainError",
    "StreamServer",
    "UnknownDatasetError",
    "create_app",
    "serve",
]
