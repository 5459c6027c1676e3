"""The feed of one filter: a chain of frames that grows at its end and that all its readers share."""

import asyncio
from collections.abc import Sequence

from bidbeacon_sessions.change_log import Cursor
from bidbeacon_sessions.server.messages import Frame, Message

MAX_BEHIND = 8_000_000
"""The most characters that a reader may be behind before it must load again."""


class StreamClosedError(Exception):
    """The process is stopping."""


class Link:
    """A frame in a chain: up to where a reader knows everything after it, and how many characters the chain has up to and with it."""

    def __init__(self, frame: Frame, upto: Cursor, behind_it: int) -> None:
        self.frame = frame
        self.upto = upto
        self.behind_it = behind_it
        self.is_followed = asyncio.Event()
        self._next: Link | None = None
        self._ended: Exception | None = None

    def append(self, frame: Frame, upto: Cursor) -> "Link":
        """Put a frame behind this one."""
        self._next = Link(frame, upto, self.behind_it + frame.size)
        self.is_followed.set()
        return self._next

    def end(self, error: Exception) -> None:
        """Have those who wait for the next frame hear that there is none."""
        self._ended = error
        self.is_followed.set()

    async def next(self) -> "Link":
        """Wait for the next frame.

        Raises:
            CursorRefusedError: there is none, since the log begins anew.
            StreamClosedError: there is none, since the process is stopping.
        """
        await self.is_followed.wait()
        if self._next is None:
            assert self._ended is not None  # noqa: S101 - one of the two is there
            raise self._ended
        return self._next


class Feed:
    """The chain of frames for the readers of one filter, who know everything up to `upto`."""

    def __init__(self, upto: Cursor) -> None:
        self.upto = upto
        self.readers = 0
        self.last = Link(Frame(()), upto, 0)

    def add(self, messages: Sequence[Message], upto: Cursor) -> None:
        """Take in what was read up to a place; where nothing of it matches, readers are not told."""
        self.upto = upto
        if messages:
            self.last = self.last.append(Frame(messages), upto)

    def begin_at(self, upto: Cursor) -> None:
        """Begin at another place: nobody follows yet."""
        self.upto = upto
        self.last = Link(Frame(()), upto, 0)

    @property
    def told(self) -> Cursor:
        """Up to where readers were told: the next message covers all since then."""
        return self.last.upto

    def is_far_from(self, link: Link) -> bool:
        """Return whether a reader that is sent this frame now would be too far behind; one long frame alone is never too much."""
        return self.last.behind_it - link.behind_it > MAX_BEHIND
