"""What the log told since the last look, for all readers: each takes what its filter lets through."""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import Self
from uuid import UUID

from bidbeacon_sessions.change_log import Cursor
from bidbeacon_sessions.search import SessionFilter
from bidbeacon_sessions.server.bundles import Bundle, bundle_sessions
from bidbeacon_sessions.server.rendering import RenderedSession

EVERYTHING = SessionFilter()


@dataclass(frozen=True)
class Share:
    """What of a batch concerns the readers of one filter, and how many characters that is."""

    sessions: Sequence[RenderedSession]
    size: int


@dataclass(frozen=True)
class Batch:
    """What happened in the positions `(after, upto]` of one epoch.

    Args:
        after: the cursor that this goes on from.
        upto: the cursor of whoever has taken this in.
        sessions: the changed sessions.
        matches: for each filter that was asked about, the ids of the changed sessions that match it, its status left aside.
        more: whether there is more to read at once.
    """

    after: Cursor
    upto: Cursor
    sessions: Sequence[RenderedSession] = ()
    matches: Mapping[SessionFilter, AbstractSet[UUID]] = field(default_factory=dict)
    more: bool = False
    _shares: dict[SessionFilter, Share] = field(default_factory=dict, init=False, repr=False, compare=False)
    _bundles: dict[tuple[SessionFilter, Cursor], Bundle] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def share(self, wanted: SessionFilter) -> Share:
        """Give what readers of a filter hear of, its status left aside: whoever lost that one is told so."""
        if wanted not in self._shares:
            anyhow = replace(wanted, status=None)
            sessions = self.sessions
            if sessions and anyhow != EVERYTHING:  # where nothing happened, nobody was asked about
                matching = self.matches[anyhow]
                sessions = [session for session in sessions if session.session_id in matching]
            self._shares[wanted] = Share(sessions, sum(session.size for session in sessions))
        return self._shares[wanted]

    def bundle(self, wanted: SessionFilter, told: Cursor, earlier: Iterable[Self]) -> Bundle:
        """Give what readers of a filter are sent who know everything up to `told`: the very same for all of them.

        Args:
            wanted: the filter.
            told: as of when they were sent something for the last time.
            earlier: the batches since then, without this one.
        """
        key = (wanted, told)
        if key not in self._bundles:
            newest: dict[UUID, RenderedSession] = {}
            for batch in (*earlier, self):
                merge_newest(newest, batch.share(wanted).sessions)
            self._bundles[key] = bundle_sessions(newest.values(), wanted, told, self.upto)
        return self._bundles[key]


def merge_newest(into: dict[UUID, RenderedSession], sessions: Iterable[RenderedSession]) -> None:
    """Put newer states in the place of older ones, last changed last; actions add up."""
    for session in sessions:
        into[session.session_id] = session.after(into.pop(session.session_id, None))
