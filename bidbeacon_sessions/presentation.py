"""Sessions and actions as the JSON that page, terminal and Dagster render.

```json
{"id": "…", "job_name": "refresh-account", "status": "running", "outcome": "ok", "mark": "running",
 "status_text": "running", "recovered_by": null, "account": "US.acme-merch.1kc1bk21",
 "account_label": "Acme Merch · US", "run_id": "…", "run_url": "…", "step_key": "…",
 "retry_number": 0, "started_at": "…Z", "finished_at": null, "duration": null, "error": null,
 "input": {}, "labels": {}, "revision": 3, "action_count": 2, "url": "…"}
{"session_id": "…", "ord": 1, "type": "report-requested", "at": "…Z", "tone": "progress",
 "accounts": [{"key": "US.acme-merch.1kc1bk21", "label": "Acme Merch · US"}], "parts": [{"kind":
 "text", "text": "Requested "}, {"kind": "badge", "text": "rpt-1", "value": "rpt-1"}], "text": "…",
 "payload": {}}
```
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from bidbeacon_sessions.actions import accounts_of, render_action
from bidbeacon_sessions.queries import read_subject_labels
from bidbeacon_sessions.sentences import explain_cause, plain_text
from bidbeacon_sessions.settings import get_session_settings

_MOST_NAMES = 3


_AS_STORED = (
    *("job_name", "run_id", "step_key", "retry_number", "account_label", "input", "labels"),
    *("status", "outcome", "mark", "revision", "action_count"),
)


def session_json(header: Mapping[Any, Any]) -> dict[str, Any]:
    """Return a session's header as JSON; instants are ISO 8601 in UTC, `duration` in seconds."""
    started, finished = header["started_at"], header["finished_at"]
    error, cause = header["error"], (header["error"] or {}).get("cause")
    settings = get_session_settings()
    return {name: header[name] for name in _AS_STORED} | {
        "id": str(header["id"]),
        "status_text": describe_status(header),
        "account": header["account_key"],
        "recovered_by": header["recovered_by"] and str(header["recovered_by"]),
        "run_url": header["run_id"] and f"{settings.dagster_public_url}/runs/{header['run_id']}",
        "started_at": instant(started),
        "finished_at": instant(finished),
        "duration": None if finished is None else (finished - started).total_seconds(),
        "error": error and {**error, "explained": cause and explain_cause(cause)},
        "url": session_url(str(header["id"])),
    }


def error_text(error: Mapping[str, Any]) -> str:
    """Return a session's error as text: its explanation with advice, else class and message."""
    if explained := error["explained"]:
        return " ".join(filter(None, (explained["sentence"], explained.get("advice"))))
    return f"{error['type']}: {error['message']}"


def describe_status(session: Mapping[Any, Any]) -> str:
    """Return a session's status for people, such as "failed, recovered by a later attempt"."""
    status, outcome, recovered_by = (session[it] for it in ("status", "outcome", "recovered_by"))
    if session["mark"] == "retried":
        return f"{status}, {'recovered by a later attempt' if recovered_by else 'retried'}"
    if session["mark"] == "skipped":
        return "deferred"
    if recovered_by:
        return f"{status}, a later attempt succeeded"
    if outcome in {"warnings", "problems"} and status in {"succeeded", "cancelled"}:
        return f"{'finished' if status == 'succeeded' else status}, with {outcome}"
    return str(status)


def read_labels(connection: Connection, rows: Iterable[Mapping[Any, Any]]) -> dict[str, str]:
    """Return the labels of the accounts that are named in stored actions, by account key."""
    keys = {key for row in rows for key in accounts_of(row["type"], row["payload"])}
    return read_subject_labels(connection, keys)


def action_json(row: Mapping[Any, Any], labels: Mapping[str, str]) -> dict[str, Any]:
    """Return a stored action as JSON with its sentence; `labels` comes from `read_labels`."""
    parts = render_action(row["type"], row["payload"])
    accounts = accounts_of(row["type"], row["payload"])
    for part in parts if labels else ():
        if part["kind"] == "account":
            part["text"] = labels.get(part["value"], part["text"])
    return {
        "session_id": str(row["session_id"]),
        "ord": row["ord"],
        "type": row["type"],
        "at": instant(row["at"]),
        "tone": row["tone"],
        "accounts": [{"key": key, "label": labels.get(key)} for key in accounts],
        "parts": parts,
        "text": plain_text(parts),
        "payload": row["payload"],
    }


def whose(action: Mapping[str, Any], session_account: str | None) -> str:
    """Return the names of an action's accounts that neither its sentence nor session shows."""
    known = {part["value"] for part in action["parts"] if part["kind"] == "account"} | {
        session_account
    }
    others = [one["label"] or one["key"] for one in action["accounts"] if one["key"] not in known]
    more = f" and {len(others) - _MOST_NAMES} more" if len(others) > _MOST_NAMES else ""
    return ", ".join(others[:_MOST_NAMES]) + more


def instant(value: datetime | None) -> str | None:
    """Return an instant as ISO 8601 text."""
    return None if value is None else value.isoformat()


def session_url(session_id: str) -> str:
    """Return the address of a session's own page."""
    return f"{get_session_settings().stream_public_url}/sessions/{session_id}"
