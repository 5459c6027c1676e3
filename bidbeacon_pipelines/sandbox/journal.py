"""Keeps records over a restart, one JSON line each, where a folder for them is given."""

from pathlib import Path
from typing import Generic, TypeVar

from pydantic import BaseModel

from bidbeacon_pipelines.private_files import make_private_folder
from bidbeacon_pipelines.sandbox.errors import StateFolderError

_Record = TypeVar("_Record", bound=BaseModel)


class Journal(Generic[_Record]):
    """An append-only file of records of one model; without a folder it keeps nothing."""

    def __init__(self, folder: Path | None, name: str, model: type[_Record]) -> None:
        self._path = None if folder is None else folder / f"{name}.jsonl"
        self._model = model

    def read(self) -> list[_Record]:
        """Return the records of earlier runs, oldest first; make the file where there is none.

        Raises:
            StateFolderError: the file can't be read and written, or a line isn't such a record (of another version, say).
        """
        if self._path is None:
            return []
        try:
            make_private_folder(self._path.parent)
            self._path.touch(mode=0o600)
            self._path.open("a").close()
            return [self._model.model_validate_json(line) for line in self._path.read_text().splitlines()]
        except OSError as error:
            raise StateFolderError(
                f"--state-dir: expected a folder that can be written, got: {self._path.parent} ({error.strerror})."
            ) from error
        except ValueError as error:
            raise StateFolderError(
                f"{self._path} holds something else than {self._path.stem}: remove it, and start again."
            ) from error

    def append(self, record: _Record) -> None:
        """Add a record; it is on disk when this returns."""
        if self._path is None:
            return
        with self._path.open("a") as file:
            file.write(record.model_dump_json() + "\n")
