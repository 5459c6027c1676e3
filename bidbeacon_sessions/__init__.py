"""Job sessions: what every job was given and what it did, typed, queryable in SQL and live on a page.

The public surface is this module. The core knows neither Dagster nor advertising;
`bidbeacon_sessions.dagster` adds the Dagster resource, metadata and sensor on top.
"""

from bidbeacon_sessions.actions import Action, Reference, Subject
from bidbeacon_sessions.connections import SessionStore
from bidbeacon_sessions.errors import ActionDefinitionError, SessionClosedError, SessionsError
from bidbeacon_sessions.session import SessionRecorder, with_job_session

__all__ = [
    "Action",
    "ActionDefinitionError",
    "Reference",
    "SessionClosedError",
    "SessionRecorder",
    "SessionStore",
    "SessionsError",
    "Subject",
    "with_job_session",
]
