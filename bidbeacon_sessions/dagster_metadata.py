"""What Dagster shows of a session, small: an event's metadata is kept for good, and is read whenever an asset's page is opened."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from dagster import MetadataValue

from bidbeacon_sessions.presentation import action_json, session_json, session_url
from bidbeacon_sessions.store import SessionStore, find_session, list_actions

MAX_MARKDOWN_BYTES = 5_000
"""What one Markdown value may take as it is stored, so that an event with some figures beside it stays below 8 KB."""

_MOST_SENTENCES = 60
_LONGEST_SENTENCE = 400


def session_metadata(store: SessionStore, session_id: UUID) -> dict[str, MetadataValue[Any]]:
    """Give what a materialization, observation or check shows of a session: its page, its status, its sentences as Markdown."""
    with store.begin() as connection:
        header = find_session(connection, session_id)
        actions = list_actions(connection, session_id, limit=_MOST_SENTENCES)
    if header is None:
        return {}
    return {
        "session": MetadataValue.url(session_url(str(session_id))),
        "session_status": MetadataValue.text(session_json(header)["status"]),
        "timeline": timeline(actions, more=header["action_count"] - len(actions)),
    }


def timeline(actions: Sequence[Mapping[Any, Any]], *, more: int = 0) -> MetadataValue[Any]:
    """Give the sentences of stored actions as a Markdown list; `more` is how many of the session's are not among them."""
    shown = [action_json(action) for action in actions]
    lines = [f"- `{action['at'][11:19]}` {escape_markdown(_shortened(action['text']))}" for action in shown]
    return MetadataValue.md(
        bounded_lines(lines, "- … and {} more on the session's page", more=more) or "No actions."
    )


def bounded_lines(lines: Iterable[str], rest: str, *, more: int = 0) -> str:
    """Join lines as long as they stay within `MAX_MARKDOWN_BYTES` as JSON; `rest` says how many were left out."""
    kept: list[str] = []
    left, room = more, MAX_MARKDOWN_BYTES
    for line in lines:
        room -= len(json.dumps(line)) + 2
        if room >= 0:
            kept.append(line)
        else:
            left += 1
    return "\n".join([*kept, rest.format(f"{left:,}")] if left > 0 else kept)


def escape_markdown(text: str) -> str:
    """Give text from outside as Markdown that shows it as it is."""
    for character in "\\`*_{}[]<>#|":
        text = text.replace(character, f"\\{character}")
    return text


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_SENTENCE else f"{text[:_LONGEST_SENTENCE]}…"
