"""Ways to break the stream on purpose: each is a copy of our package with a few lines changed, which the processes of a test import."""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from bidbeacon_pipelines.settings import PROJECT_ROOT


@dataclass(frozen=True)
class Change:
    """One place in the code of `bidbeacon_sessions` that becomes another.

    Attributes:
        files: a pattern of names; it must be in exactly one of them, once.
        old: what stands there, as a regular expression.
        new: what stands there then, with the groups of `old`.
    """

    files: str
    old: str
    new: str


def _lines(file: str, old: str, new: str) -> Change:
    return Change(file, re.escape(old), new.replace("\\", r"\\"))


Mutation = tuple[Change, ...]

NOTHING: Mutation = ()

SEQ_ABOVE_LAST: Mutation = (
    _lines(
        "change_log.py",
        "published_snapshot = pg_current_snapshot(), stepped_at = clock_timestamp()\n    RETURNING position",
        """published_snapshot = coalesce((
               SELECT CAST(n || ':' || n || ':' AS pg_snapshot)
                 FROM (SELECT max(CAST(CAST(changed_xid AS text) AS bigint)) + 1 AS n FROM changed) newest
                WHERE n IS NOT NULL), published_snapshot), stepped_at = clock_timestamp()
    RETURNING position""",
    ),
)
"""The cursor is the highest number published so far; transaction ids are such numbers, taken before the commit."""

ORD_ABOVE_LAST: Mutation = (
    _lines(
        "server/log_reader.py",
        "from bidbeacon_sessions.queries import find_matching_ids, list_actions_at, list_sessions_by_id\n",
        "from bidbeacon_sessions.queries import find_matching_ids, list_actions, list_actions_at, list_sessions_by_id\n_LAST = {}\n",
    ),
    _lines(
        "server/log_reader.py",
        "    places = [(change.session_id, change.ord) for change in changes if change.ord > 0]\n",
        """    places = [
        (session_id, row["ord"])
        for session_id in ids
        for row in list_actions(connection, session_id, after=_LAST.get(session_id, 0))
    ]
    _LAST.update(places)
""",
    ),
)
"""Of a changed session, the actions above the last `ord` are read."""

NO_EPOCH_CHECK: Mutation = (
    _lines(
        "change_log.py",
        'if place != taken["system_identifier"] or is_from_the_future:',
        'if taken["system_identifier"] is None:',
    ),
)
"""Nobody looks whether transaction ids are still those of the same cluster."""

NO_AS_OF: Mutation = (
    _lines(
        "server/listing.py",
        "append(action)\n        cursor = ",
        "append(action)\n    with store.begin() as connection:\n        cursor = ",
    ),
)
"""The list's cursor is of a later moment than its rows."""

FOREIGN_IDS_KEPT: Mutation = (
    _lines(
        "change_log.py", 'for table in ("session_headers", "session_actions"):', "for table in ():"
    ),
)
"""Restored rows keep the transaction ids of where they come from."""

NO_BOUND_ON_FREEZING: Mutation = (
    _lines(
        "change_log.py", "set_config('idle_in_transaction_session_timeout', '5s', true)", "NULL"
    ),
)
"""A frozen stepper may hold the cursor for ever."""

NO_LOOK_AT_THE_OLDEST: Mutation = (
    _lines(
        "server/log_reader.py", "if after.position < newest.oldest - 1:", "if after.position < 0:"
    ),
    _lines(
        "server/log_reader.py",
        "if not changes or changes[0].position != after.position + 1:",
        "if not changes:",
    ),
)
"""A reader goes on with the oldest change there is, whatever was trimmed before."""

GONE_UNTOLD: Mutation = (
    _lines(
        "server/messages.py",
        "if session.status is None or not is_kept:",
        "if session.status is None:",
    ),
)
"""Who asked for one status is not told when a session leaves it."""

EVERY_MESSAGE_MOVES_THE_CURSOR: Mutation = (
    _lines(
        "server/messages.py", "before, last = str(told), str(upto)", "before = last = str(upto)"
    ),
)
"""Of several messages for the same positions the first one moves the cursor."""

ALL: tuple[Mutation, ...] = (
    SEQ_ABOVE_LAST,
    ORD_ABOVE_LAST,
    NO_EPOCH_CHECK,
    NO_AS_OF,
    FOREIGN_IDS_KEPT,
    NO_BOUND_ON_FREEZING,
    NO_LOOK_AT_THE_OLDEST,
    GONE_UNTOLD,
    EVERY_MESSAGE_MOVES_THE_CURSOR,
)


def mutated_code(folder: Path, mutation: Mutation) -> Path:
    """Make a folder to import our packages from, with the changes."""
    code = folder / "code"
    ours = code / "bidbeacon_sessions"
    skipped = shutil.ignore_patterns("__pycache__")
    shutil.copytree(PROJECT_ROOT / "bidbeacon_sessions", ours, ignore=skipped)
    (code / "bidbeacon_pipelines").symlink_to(PROJECT_ROOT / "bidbeacon_pipelines")
    for change in mutation:
        _make(change, ours)
    return code


def _make(change: Change, package: Path) -> None:
    """Make a change.

    Raises:
        AssertionError: the place is not there exactly once: the code has moved on, and the mutation
            must too.
    """
    places = 0
    for file in package.glob(change.files):
        changed, number = re.subn(change.old, change.new, file.read_text())
        file.write_text(changed)
        places += number
    assert 1 == places, f"{change.files} has {places} places like {change.old}"
