"""How the sandbox says no: bodies as uneven as the real ones, and errors that carry their answer."""

import json
from typing import Any
from xml.sax.saxutils import escape

from starlette.responses import Response


class Refusal(Exception):  # noqa: N818 - an answer, and no failure of ours
    """A call ends here with this answer."""

    def __init__(self, response: Response) -> None:
        super().__init__(f"refused with status {response.status_code}")
        self.response = response


class RequestError(Exception):
    """A v1 report request that can't be met: Amazon's code, a message, and where in the body it is wrong."""

    def __init__(self, code: str, message: str, location: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.location = location

    def entry(self) -> dict[str, Any]:
        """Give it as an entry of a 207 answer's `errors`."""
        return {"code": self.code, "fieldLocation": self.location, "message": self.message}


def json_response(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Answer with JSON, ids as the integers they are and text in its own alphabet."""
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return Response(text, status, headers, media_type="application/json")


def refuse(status: int, body: dict[str, Any], headers: dict[str, str] | None = None) -> Refusal:
    """Make a refusal with a JSON body of any shape."""
    return Refusal(json_response(body, status, headers))


def refuse_xml(status: int, code: str, message: str) -> Refusal:
    """Make a refusal as the file store gives it: XML."""
    text = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{escape(code)}</Code><Message>{escape(message)}</Message></Error>"
    )
    return Refusal(Response(text, status, media_type="application/xml"))


def refuse_html(status: int) -> Refusal:
    """Make a refusal as a gateway gives it when nothing behind it answers: HTML."""
    text = (
        f"<html><head><title>{status}</title></head><body><h1>{status} Service Unavailable</h1></body></html>"
    )
    return Refusal(Response(text, status, media_type="text/html"))


def throttled(headers: dict[str, str] | None = None) -> Refusal:
    """Make the gateway's 429, with whatever Retry-After the headers hold."""
    return refuse(429, {"message": "Too Many Requests"}, headers)
