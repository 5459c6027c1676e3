"""What a page would show after all that it was told, and whether it was told by the rules of the stream."""

from typing import Any

Json = dict[str, Any]
Place = tuple[str, int]


class View:
    """Sessions and actions of one reader; each broken promise of the stream, and how its connection broke, is kept in `faults`.

    Args:
        whole: whether every change is to be heard of: no filter.
    """

    def __init__(self, *, whole: bool = True) -> None:
        self.sessions: dict[str, Json] = {}
        self.actions: dict[Place, Json] = {}
        self.gone: list[str] = []
        self.faults: list[str] = []
        self.cursor: str | None = None
        self._whole = whole
        self._revisions: dict[str, int] = {}
        self._this_connection: set[Place] = set()

    def begin(self) -> None:
        """A connection begins: repeats of what an earlier one said are allowed."""
        self._this_connection.clear()

    def load(self, listing: Json, details: list[Json] | tuple[()] = ()) -> None:
        """Show the list, and all actions of sessions whose list shows an excerpt; these may be newer than the cursor."""
        self.sessions.clear()
        self.actions.clear()
        self._revisions = {session["id"]: session["revision"] for session in listing["sessions"]}
        for session in [*listing["sessions"], *(detail["session"] for detail in details)]:
            self._show(session, session["actions"])
        self.cursor = listing["cursor"]

    def take(self, event: str, identity: str | None, data: Json) -> None:
        """Take in one message."""
        if event == "job-sessions:updated":
            self._check_range(identity, data)
            self._check_session(data["session"], data["actions"])
            self._show(data["session"], data["actions"])
        elif event == "job-sessions:gone":
            self._check_range(identity, data)
            self.gone.append(data["session_id"])
            self.sessions.pop(data["session_id"], None)
        elif event == "sync" and self._whole and self.cursor and identity != self.cursor:
            self.faults.append(f"a sync went from {self.cursor} to {identity} without a message")
        self.cursor = identity or self.cursor

    @property
    def position(self) -> int:
        """The position up to which all is known."""
        return int((self.cursor or ".0").partition(".")[2])

    def knows(self, epoch: str, position: int) -> bool:
        """Return whether all is known up to a position of an epoch."""
        return (self.cursor or "").startswith(epoch) and self.position >= position

    def _check_range(self, identity: str | None, data: Json) -> None:
        begins, expected = data["from"], self.position + 1
        if self.cursor and (begins != expected if self._whole else begins > expected):
            self.faults.append(f"positions from {begins} after {self.position}")
        epoch = (identity or "").partition(".")[0]
        if identity not in {self.cursor, f"{epoch}.{data['to']}"}:
            self.faults.append(f"id {identity} for positions {begins} to {data['to']}")

    def _check_session(self, session: Json, actions: list[Json]) -> None:
        if session["revision"] < self._revisions.get(session["id"], 0):
            self.faults.append(f"the revision of {session['id']} fell to {session['revision']}")
        self._revisions[session["id"]] = session["revision"]
        places = {(action["session_id"], action["ord"]) for action in actions}
        self.faults += [f"{place} came twice" for place in places & self._this_connection]
        self._this_connection |= places

    def _show(self, session: Json, actions: list[Json]) -> None:
        # Those who wait for a session's state compare its actions next.
        self.actions.update({(action["session_id"], action["ord"]): action for action in actions})
        self.sessions[session["id"]] = session
