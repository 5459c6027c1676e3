"""What is kept over a restart: JSON by kind and key, in a SQLite file of the state folder."""

import sqlite3
from pathlib import Path
from threading import Lock
from typing import Any

_TABLE = "CREATE TABLE IF NOT EXISTS kept (kind TEXT, key TEXT, json TEXT, PRIMARY KEY (kind, key))"
_PUT = "INSERT INTO kept VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET json = excluded.json"


class SandboxError(Exception):
    """The sandbox can't be started as asked; the message says why."""


class Store:
    """JSON texts by kind and key, in the order in which they came; without a folder they are kept nowhere."""

    def __init__(self, folder: Path | None = None) -> None:
        self._lock = Lock()
        file: Path | str = ":memory:"
        try:
            if folder is not None:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                file = folder / "state.db"
                file.touch(mode=0o600)
            self._database = sqlite3.connect(file, check_same_thread=False, isolation_level=None)
            self._run("PRAGMA synchronous = OFF")
            self._run(_TABLE)
        except (OSError, sqlite3.Error) as error:
            raise SandboxError(
                f"--state-dir: expected a folder that can be written, got: {folder} ({error})."
            ) from error

    def put(self, kind: str, key: str, json: str) -> None:
        """Keep a text, in place of what its key had."""
        self._run(_PUT, kind, key, json)

    def remove(self, kind: str, key: str) -> None:
        """Forget a text."""
        self._run("DELETE FROM kept WHERE kind = ? AND key = ?", kind, key)

    def read(self, kind: str) -> list[str]:
        """Return the texts of a kind, oldest first."""
        rows = self._run("SELECT json FROM kept WHERE kind = ? ORDER BY rowid", kind)
        return [json for (json,) in rows]

    def _run(self, statement: str, *values: str) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._database.execute(statement, values).fetchall()
