"""Listens to the calls of a client: the shape of each answer, and how it differs from the contract."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx

from bidbeacon_pipelines.amazon_ads.client import AdsApiClient
from bidbeacon_pipelines.amazon_ads.failures import find_json
from bidbeacon_pipelines.probe.answers import find_call, find_differences
from bidbeacon_pipelines.probe.shapes import Shape, add_to


@dataclass
class Answers:
    """The answers of one status to one call: how many, the slowest in seconds, their shape and differences."""

    call: str
    status: int
    is_success: bool
    count: int = 0
    slowest: float = 0.0
    shape: Shape = field(default_factory=dict)
    differences: dict[str, None] = field(default_factory=dict)


class Listener:
    """The answers of a client's calls, but for downloads: by call, status and whether it is a success."""

    def __init__(self) -> None:
        self.answers: dict[tuple[str, int, bool], Answers] = {}

    @contextmanager
    def listening(self, client: AdsApiClient) -> Iterator[None]:
        """Listen to the calls that a client makes inside the block."""
        hooks = client.http.event_hooks
        client.http.event_hooks = {"request": [], "response": [self._note]}
        try:
            yield
        finally:
            client.http.event_hooks = hooks

    def _note(self, response: httpx.Response) -> None:
        call = find_call(response.request.url.path)
        if call is None:
            return
        response.read()
        body = find_json(response)
        is_refused = isinstance(body, dict) and bool(body.get("error")) and "success" in body
        is_success = response.is_success and not is_refused
        key = (call.name, response.status_code, is_success)
        answers = self.answers.setdefault(key, Answers(*key))
        answers.count += 1
        answers.slowest = max(answers.slowest, response.elapsed.total_seconds())
        add_to(answers.shape, body)
        if is_success:
            answers.differences |= dict.fromkeys(find_differences(call, body))
