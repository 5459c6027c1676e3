"""Follows the stream: loads the list, then listens from its cursor, and resumes from the last one."""

import json
import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Protocol
from urllib.parse import urlsplit

import httpx
from httpx_sse import ServerSentEvent, SSEError, connect_sse

from bidbeacon_pipelines.cli.errors import BadOptionError, CommandFailedError
from bidbeacon_sessions.filters import SessionFilter

_READ_SECONDS = 25
"""The stream says every ten seconds where it stands; when it is silent for longer than this, its connection is dead."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 5.0
_MOST_REMEMBERED = 2_000
_MOST_LOADED = 200
_AWAY = (httpx.TransportError, SSEError)


class Shown(Protocol):
    """Shows sessions and actions."""

    def session(self, session: Mapping[str, Any]) -> None:
        """Show a session that began, or changed its status."""

    def action(self, session: Mapping[str, Any], action: Mapping[str, Any]) -> None:
        """Show an action, once."""

    def gone(self, session_id: str) -> None:
        """A session does not match any more."""

    def notice(self, text: str) -> None:
        """Show a notice about the stream itself."""


class Tail:
    """Follows sessions until it is interrupted.

    Args:
        url: the stream's address.
        wanted: which sessions.
        shown: shows them.
        token: the stream's token, if it needs one.
    """

    def __init__(
        self, url: str, wanted: SessionFilter, shown: Shown, *, token: str | None = None
    ) -> None:
        self._url = url.rstrip("/")
        self._query = {name: _as_query(value) for name, value in wanted.__dict__.items() if value}
        self._shown = shown
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._cursor: str | None = None
        self._accounts: frozenset[str] = frozenset()
        self._seen: OrderedDict[str, _Seen] = OrderedDict()
        self._pause = 0.0

    def follow(self, last: int) -> None:
        """Show the last sessions, then everything new; reconnect when the server was away.

        Raises:
            CommandFailedError: the address is no stream, or wants another token.
        """
        first = last
        with httpx.Client(
            base_url=self._url, headers=self._headers, timeout=httpx.Timeout(5, read=_READ_SECONDS)
        ) as client:
            while True:
                try:
                    if self._cursor is None:
                        self._load(client, first)
                        first = _MOST_LOADED
                    self._listen(client)
                except _AWAY as error:
                    self._wait(type(error).__name__)

    def _load(self, client: httpx.Client, last: int) -> None:
        """Show what the list has and was not shown; load the actions of a session that the list leaves out."""
        is_first = not self._seen
        response = client.get(
            "/api/job-sessions", params=self._query | {"limit": str(max(last, 1))}
        )
        self._check(response)
        loaded = response.json()
        self._accounts = frozenset(loaded["accounts"])
        for session in reversed(loaded["sessions"][:last]):
            known = self._seen.get(session["id"])
            whole = (
                not is_first
                and len(session["actions"]) < session["action_count"]
                and (known is None or known.count < session["action_count"])
            )
            actions = self._whole(client, session["id"]) if whole else session["actions"]
            self._take(session, actions)
        self._cursor = loaded["cursor"]
        self._is_back()

    def _whole(self, client: httpx.Client, session_id: str) -> list[dict[str, Any]]:
        actions: list[dict[str, Any]] = []
        after: int | None = 0
        while after is not None:
            response = client.get(f"/api/job-sessions/{session_id}", params={"after": after})
            self._check(response)
            page = response.json()
            actions += page["session"]["actions"]
            after = page["more_after"]
        return actions

    def _listen(self, client: httpx.Client) -> None:
        """Read messages until the stream ends; resume from there afterwards."""
        params = self._query | ({"cursor": self._cursor} if self._cursor else {})
        with connect_sse(client, "GET", "/api/job-sessions/stream", params=params) as source:
            self._check(source.response)
            self._is_back()
            for event in source.iter_sse():
                self._hear(event)
                if self._cursor is None:
                    return
        raise httpx.ReadError("the stream ended")

    def _hear(self, event: ServerSentEvent) -> None:
        data = json.loads(event.data)
        if event.event == "reset":
            self._cursor = None
            self._shown.notice(f"The stream restarted ({data['reason']}): loading what was missed.")
            return
        if event.event == "job-sessions:updated":
            self._take(data["session"], data["actions"])
        elif event.event == "job-sessions:gone":
            self._shown.gone(data["session_id"])
        self._cursor = event.id or self._cursor

    def _take(self, session: Mapping[str, Any], actions: Iterable[Mapping[str, Any]]) -> None:
        """Show what is new of a session; its end only after its last action, since a message about a session may be ahead of its actions."""
        seen = self._seen.setdefault(session["id"], _Seen())
        self._seen.move_to_end(session["id"])
        if len(self._seen) > _MOST_REMEMBERED:
            self._seen.popitem(last=False)
        if seen.status is None:
            self._shown.session(
                {**session, "status": "running", "duration": None, "finished_at": None}
            )
            seen.status = "running"
        for action in actions:
            if seen.is_new(action["ord"]) and self._is_wanted(session, action):
                self._shown.action(session, action)
        if session["status"] != seen.status and seen.highest >= session["action_count"]:
            seen.status = session["status"]
            self._shown.session(session)

    def _is_wanted(self, session: Mapping[str, Any], action: Mapping[str, Any]) -> bool:
        """Return whether an action concerns a requested account; in its own sessions all do."""
        if "account" not in self._query or session["account"] in self._accounts:
            return True
        return any(account["key"] in self._accounts for account in action["accounts"])

    def _check(self, response: httpx.Response) -> None:
        if response.status_code == httpx.codes.OK:
            return
        if response.status_code in {httpx.codes.SERVICE_UNAVAILABLE, httpx.codes.BAD_GATEWAY}:
            raise httpx.ReadError("the stream is not ready")
        response.read()
        try:
            problem = response.json()
            message = f"{problem['error']} {problem['what_to_do']}"
        except (ValueError, KeyError, TypeError):
            message = "This is not an Event Stream."
        raise CommandFailedError(f"{self._url} answered {response.status_code}: {message}")

    def _wait(self, reason: str) -> None:
        if not self._pause:
            self._shown.notice(
                f"The Event Stream at {self._url} does not answer ({reason}); retrying. Start it with `bidbeacon stream`."
            )
        self._pause = min(self._pause * 2 or _FIRST_PAUSE, _LONGEST_PAUSE)
        time.sleep(self._pause)

    def _is_back(self) -> None:
        if self._pause:
            self._shown.notice("The Event Stream is back.")
        self._pause = 0.0


def parse_stream_url(value: str) -> str:
    """Return the address of a stream as it was given.

    Raises:
        BadOptionError: it is not an http address with a host.
    """
    try:
        parts = urlsplit(value)
        is_address = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        httpx.URL(value)
    except (ValueError, httpx.InvalidURL):
        is_address = False
    if not is_address:
        raise BadOptionError(
            f"--url: expected an address like http://127.0.0.1:3030, got: {value!r}."
        )
    return value


def _as_query(value: object) -> str:
    """Return a filter's value as the stream reads it."""
    return value.isoformat() if isinstance(value, datetime) else str(value)


class _Seen:
    """What of a session was shown already: its status, and its actions up to the one with the highest place."""

    def __init__(self) -> None:
        self.status: str | None = None
        self.highest = 0
        self._ords: set[int] = set()

    @property
    def count(self) -> int:
        """How many of its actions were shown."""
        return len(self._ords)

    def is_new(self, place: int) -> bool:
        """Return whether an action was not shown yet, and remember it."""
        if place in self._ords:
            return False
        self._ords.add(place)
        self.highest = max(self.highest, place)
        return True
