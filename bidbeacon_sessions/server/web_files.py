"""The page's own files, read once and kept in memory: a page asks for some twenty of them at once, and they are small."""

import hashlib
import mimetypes
from pathlib import Path

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import Response

_TYPES = {".js": "text/javascript", ".svg": "image/svg+xml", ".css": "text/css", ".html": "text/html"}


class WebFiles:
    """The files of one folder without folders inside; what changes in it is seen after a restart.

    Args:
        folder: where the files are.
    """

    def __init__(self, folder: Path) -> None:
        self._files = {path.name: _read(path) for path in folder.iterdir() if path.is_file()}

    def answer(self, name: str, headers: Headers) -> Response:
        """Give a file, or 304 where the browser has it already.

        Raises:
            HTTPException: there is no such file.
        """
        if name not in self._files:
            raise HTTPException(404)
        body, kind, tag = self._files[name]
        if headers.get("if-none-match") == tag:
            return Response(status_code=304, headers={"ETag": tag})
        return Response(body, media_type=kind, headers={"ETag": tag})


def _read(path: Path) -> tuple[bytes, str, str]:
    """Give a file's content, its type, and a tag that changes with the content."""
    body = path.read_bytes()
    kind = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return body, kind, f'"{hashlib.sha256(body).hexdigest()[:20]}"'
