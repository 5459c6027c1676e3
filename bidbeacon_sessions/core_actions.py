"""The actions that sessions record about themselves."""

from datetime import datetime

from bidbeacon_sessions.actions import Action


class SessionFinalized(Action):
    """A session whose process gave no sign of life was closed by somebody else."""

    sentence = "Closed as {status:badge}: {reason}.[ Last sign of life {last_seen_at:time}.][ Last action: {last_action}.]"
    tone = "warning"
    ends_wait_for = "a sign of life"

    status: str
    reason: str
    last_seen_at: datetime | None = None
    last_action: str | None = None


class ActionsOmitted(Action):
    """A session recorded more actions than one timeline holds; these were only counted."""

    sentence = "Left out {omitted:count:further action}: {by_type}"
    tone = "warning"

    omitted: int
    by_type: str
