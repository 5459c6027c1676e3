"""Job sessions: record the input and actions of jobs, for SQL and for a live page.

This module is the public interface. The core depends neither on Dagster nor on advertising;
`bidbeacon_sessions.dagster` adds the Dagster resource and metadata. `bidbeacon_sessions.reaper`
adds the sensor.
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
