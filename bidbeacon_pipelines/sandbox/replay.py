"""A sandbox that answers as Amazon did in a recording of `bidbeacon probe`.

A call is answered with what the same method, path, profile scope and JSON body got; a call that was
made several times gets its answers in their order, and the last one again and again. What was not
recorded is a 404 with the code `NOT_RECORDED`.
"""

import gzip
import json
from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from bidbeacon_pipelines.recordings import (
    FILE_HOST,
    NOT_RECORDED,
    RECORDED_SECONDS_HEADER,
    Exchange,
    file_text,
    read_recording,
)

_SCOPE = "amazon-advertising-api-scope"
_TOKEN = "Atza|replayed"  # noqa: S105 - a recording has no token
_Key = tuple[str, str, str, str]


class Replay:
    """The answers of a recording, and how many of each call's were given."""

    def __init__(self, exchanges: Iterable[Exchange]) -> None:
        self._answers: defaultdict[_Key, list[Exchange]] = defaultdict(list)
        for exchange in exchanges:
            scope = exchange.request_headers.get(_SCOPE, "")
            self._answers[
                exchange.method, exchange.path, scope, _canonical(exchange.request)
            ].append(exchange)

    async def answer(self, request: Request) -> Response:
        """Answer a call with the next of its answers."""
        key = (
            request.method,
            request.url.path,
            request.headers.get(_SCOPE, ""),
            _canonical(_json(await request.body())),
        )
        answers = self._answers.get(key)
        if not answers:
            return Response(
                json.dumps({"code": NOT_RECORDED, "message": "The recording has no such call"}),
                404,
                media_type="application/json",
            )
        exchange = answers.pop(0) if len(answers) > 1 else answers[0]
        headers = exchange.headers | {RECORDED_SECONDS_HEADER: str(exchange.seconds)}
        base_url = f"{request.url.scheme}://{request.headers.get('host', request.url.netloc)}"
        return Response(_content(exchange, base_url), exchange.status, headers)


def create_replay_app(path: Path) -> Starlette:
    """Return the app that replays a recording.

    Raises:
        RecordingError: The file is not a recording.
    """
    replay = Replay(read_recording(path).exchanges)
    return Starlette(
        routes=[
            Route("/healthz", lambda _: PlainTextResponse("ok")),
            Route("/{path:path}", replay.answer, methods=["GET", "POST"]),
        ]
    )


def _content(exchange: Exchange, base_url: str) -> bytes:
    if exchange.is_file and exchange.body is not None:
        return gzip.compress(file_text(exchange.body), mtime=0)
    if exchange.body is None:
        return (exchange.text or "").encode()
    body = exchange.body
    if isinstance(body, dict) and "access_token" in body:
        body = body | {"access_token": _TOKEN}
    text = msgspec.json.Encoder(decimal_format="number").encode(body)
    return text.replace(FILE_HOST.encode(), base_url.encode())


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def _json(body: bytes) -> Any:
    try:
        return json.loads(body, parse_float=Decimal)
    except ValueError:
        return None
