"""The actions that sessions record about themselves."""

from datetime import datetime

from bidbeacon_sessions.actions import Action


class SessionFinalized(Action):
    """A session whose process gave no sign of life was closed by somebody else."""

    sentence = "Closed as {status:badge}: {reason}.[ Last sign of life {last_seen_at:time}.][ Last action: {last_action}.]"
    tone = "warning"

    status: str
    reason: str
    last_seen_at: datetime | None = None
    last_action: str | None = None


class ActionRolledBack(Action):
    """An action was told inside a transaction that was rolled back: what it says did not happen."""

    sentence = "Rolled back, so it did not happen: {said}"
    tone = "warning"

    action: str
    said: str
    told_at: datetime


class ActionsOmitted(Action):
    """A session recorded more actions than one timeline holds; these were only counted."""

    sentence = "Left out {omitted:count:further action}: {by_type}"
    tone = "warning"

    omitted: int
    by_type: str


class ActionsLost(Action):
    """The database was away for longer than actions can be kept in memory, or refused some of them."""

    sentence = "Lost {lost:count:action} that could not be written: {by_type}"
    tone = "warning"

    lost: int
    by_type: str
