"""What the stream says, the same over Server-Sent Events and WebSocket."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

Event = Literal["job-sessions:updated", "job-sessions:gone", "sync", "reset"]
ResetReason = Literal["epoch", "expired", "overflow"]


@dataclass(frozen=True)
class Message:
    """One message.

    Args:
        event: what kind.
        id: the cursor to go on from after this message, where it says one.
        data: JSON text on one line.
    """

    event: Event
    id: str | None
    data: str

    def as_sse(self) -> bytes:
        """Give it as a Server-Sent Event."""
        identity = "" if self.id is None else f"id: {self.id}\n"
        return f"event: {self.event}\n{identity}data: {self.data}\n\n".encode()

    def as_websocket(self) -> str:
        """Give it as the text of a WebSocket frame."""
        return f'{{"event":"{self.event}","id":{to_json(self.id)},"data":{self.data}}}'


def to_json(value: Any) -> str:
    """Give compact JSON text on one line."""
    return json_bytes(value).decode()


json_bytes = msgspec.json.Encoder(enc_hook=str).encode
"""The same as UTF-8, as answers are sent."""


def updated_data(header: str, actions: Iterable[str], covers: tuple[int, int]) -> str:
    """Put the data of `job-sessions:updated` together from JSON texts that are made once for all clients."""
    return f'{{"session":{header},"actions":[{",".join(actions)}],{_range(covers)}}}'


def gone_data(session_id: str, covers: tuple[int, int]) -> str:
    """Give the data of `job-sessions:gone`."""
    return f'{{"session_id":"{session_id}",{_range(covers)}}}'


def _range(covers: tuple[int, int]) -> str:
    return f'"from":{covers[0]},"to":{covers[1]}'
