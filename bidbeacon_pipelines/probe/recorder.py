"""Keep every exchange of a client as it happens."""

import gzip
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import msgspec

from bidbeacon_pipelines.amazon_ads.client import AdsApiClient
from bidbeacon_pipelines.probe.compare import one_of_each_form
from bidbeacon_pipelines.probe.expectations import TOKEN_PATH
from bidbeacon_pipelines.probe.shapes import Shape
from bidbeacon_pipelines.recordings import NOT_RECORDED, RECORDED_SECONDS_HEADER, Exchange

_REQUEST_HEADERS = ("content-type", "accept", "amazon-advertising-api-scope")
_HEADERS = (
    "content-type",
    "date",
    "retry-after",
    "x-amz-rid",
    "x-amzn-requestid",
    "x-amz-request-id",
)
_TEXT_CHARACTERS = 300


class Recorder:
    """The exchanges of a client, each with the step that the probe was at; use it while `recording`."""

    def __init__(self, client: AdsApiClient) -> None:
        self.exchanges: list[Exchange] = []
        self.step = ""
        self._client = client

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Keep the exchanges that are made inside the block."""
        hooks = self._client.http.event_hooks
        self._client.http.event_hooks = {"request": [], "response": [self._keep]}
        try:
            yield
        finally:
            self._client.http.event_hooks = hooks

    def keep_file(self, path: Path, announced: int | None, shape: Shape) -> None:
        """Add the rows of a downloaded file to its exchange, which is the last one; one of each form.

        Raises:
            OSError: The file can't be read.
            ValueError: It is no JSON.
        """
        text = gzip.decompress(path.read_bytes())
        rows = json.loads(text, parse_float=Decimal, parse_constant=str)
        self.exchanges[-1] = msgspec.structs.replace(
            self.exchanges[-1],
            body=one_of_each_form(rows, shape) if isinstance(rows, list) else rows,
            row_count=len(rows) if isinstance(rows, list) else None,
            announced=announced,
            sizes=(path.stat().st_size, len(text)),
        )

    def _keep(self, response: httpx.Response) -> None:
        place = self._find_place(response.request.url)
        is_file = place is None
        if not (is_file and response.is_success):
            response.read()
        exchange = _exchange(response, self.step, place, is_file=is_file)
        if not _is_unrecorded(exchange):
            self.exchanges.append(exchange)

    def _find_place(self, url: httpx.URL) -> str | None:
        """Return region and path of a call as the sandbox has them; None for a download."""
        endpoints = self._client.endpoints
        for region, token_url in endpoints.token.items():
            if str(url) == token_url:
                return f"/{region.lower()}{TOKEN_PATH}"
        for region, base in endpoints.api.items():
            if str(url).startswith(f"{base}/"):
                return f"/{region.lower()}{str(url).removeprefix(base)}"
        return None


def _is_unrecorded(exchange: Exchange) -> bool:
    """Return whether a sandbox that replays a recording says that it has no such call."""
    return isinstance(exchange.body, dict) and exchange.body.get("code") == NOT_RECORDED


def _exchange(response: httpx.Response, step: str, place: str | None, *, is_file: bool) -> Exchange:
    request = response.request
    is_read = response.is_closed
    body = _json(response.content) if is_read else None
    return Exchange(
        step=step,
        method=request.method,
        path=request.url.path if place is None else place,
        request=None if is_file else _json(request.content),
        request_headers=_chosen(request.headers, _REQUEST_HEADERS),
        status=response.status_code,
        headers=_chosen(response.headers, _HEADERS),
        body=body,
        text=response.text[:_TEXT_CHARACTERS] if is_read and body is None else None,
        seconds=_seconds(response) if is_read else 0.0,
        is_file=is_file,
    )


def _seconds(response: httpx.Response) -> float:
    recorded = response.headers.get(RECORDED_SECONDS_HEADER)
    return float(recorded) if recorded else round(response.elapsed.total_seconds(), 3)


def _chosen(headers: Mapping[str, str], names: tuple[str, ...]) -> dict[str, str]:
    return {name: headers[name] for name in names if name in headers}


def _json(content: bytes) -> Any:
    try:
        return json.loads(content, parse_float=Decimal, parse_constant=str)
    except (ValueError, RecursionError):
        return None
