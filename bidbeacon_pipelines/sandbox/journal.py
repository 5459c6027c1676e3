"""Keeps records over a restart, one JSON line each, where a folder for them is given."""

from pathlib import Path
from typing import Generic, TypeVar

from pydantic import BaseModel

from bidbeacon_pipelines.private_files import make_private_folder

_Record = TypeVar("_Record", bound=BaseModel)


class Journal(Generic[_Record]):
    """An append-only file of records of one model; without a folder it keeps nothing."""

    def __init__(self, folder: Path | None, name: str, model: type[_Record]) -> None:
        self._path = None if folder is None else folder / f"{name}.jsonl"
        self._model = model

    def read(self) -> list[_Record]:
        """Give the records of earlier runs, oldest first.

        Raises:
            pydantic.ValidationError: a line isn't such a record (of another version, say): remove the file.
        """
        if self._path is None or not self._path.exists():
            return []
        return [self._model.model_validate_json(line) for line in self._path.read_text().splitlines()]

    def append(self, record: _Record) -> None:
        """Add a record; it is on disk when this returns."""
        if self._path is None:
            return
        make_private_folder(self._path.parent)
        self._path.touch(mode=0o600)
        with self._path.open("a") as file:
            file.write(record.model_dump_json() + "\n")
