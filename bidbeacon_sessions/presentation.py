"""Sessions and actions as the JSON that page, terminal and Dagster render: the same from list, stream and metadata.

```json
{"id": "…", "job_name": "refresh-account", "status": "running", "skipped_only": false, "account": "US.38rle97…", "account_id": "…", "country_code": "US",
 "run_id": "…", "run_url": "…", "step_key": "…", "retry_number": 0, "started_at": "…Z", "finished_at": null, "duration": 12.3,
 "error": null, "input": {}, "labels": {}, "parent_session_id": null, "revision": 3, "action_count": 2, "url": "…"}
{"session_id": "…", "ord": 1, "type": "report-requested", "at": "…Z", "tone": "progress", "known": true,
 "parts": [{"kind": "text", "text": "Requested "}, {"kind": "badge", "text": "rpt-1", "value": "rpt-1"}], "text": "…", "payload": {}}
```
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from bidbeacon_sessions.actions import render_action
from bidbeacon_sessions.sentences import plain_text
from bidbeacon_sessions.settings import get_session_settings


def session_json(header: Mapping[Any, Any]) -> dict[str, Any]:
    """Give one session's header (columns as `store.HEADER_COLUMNS`); instants in ISO 8601 UTC, `duration` in seconds."""
    started, finished = header["started_at"], header["finished_at"]
    return {
        "id": str(header["id"]),
        "job_name": header["job_name"],
        "status": header["status"],
        "skipped_only": header["skipped_only"],
        "account": header["account_key"],
        "account_id": header["account_id"],
        "country_code": header["country_code"],
        "run_id": header["run_id"],
        "run_url": run_url(header["run_id"]),
        "step_key": header["step_key"],
        "retry_number": header["retry_number"],
        "started_at": instant(started),
        "finished_at": instant(finished),
        "duration": None if finished is None else (finished - started).total_seconds(),
        "error": header["error"],
        "input": header["input"],
        "labels": header["labels"],
        "parent_session_id": None
        if header["parent_session_id"] is None
        else str(header["parent_session_id"]),
        "revision": header["revision"],
        "action_count": header["action_count"],
        "url": session_url(str(header["id"])),
    }


def action_json(row: Mapping[Any, Any]) -> dict[str, Any]:
    """Give one stored action with its sentence."""
    rendered = render_action(row["type"], row["schema_version"], row["payload"])
    return {
        "session_id": str(row["session_id"]),
        "ord": row["ord"],
        "type": row["type"],
        "at": instant(row["at"]),
        "tone": rendered.tone,
        "known": rendered.known,
        "parts": rendered.parts,
        "text": plain_text(rendered.parts),
        "payload": row["payload"],
    }


def instant(value: datetime | None) -> str | None:
    """Give an instant as ISO 8601 text."""
    return None if value is None else value.isoformat()


def session_url(session_id: str) -> str:
    """Give the address of a session's own page."""
    return f"{get_session_settings().stream_public_url}/sessions/{session_id}"


def run_url(run_id: str | None) -> str | None:
    """Give the address of a run in Dagster's UI."""
    return None if run_id is None else f"{get_session_settings().dagster_public_url}/runs/{run_id}"
