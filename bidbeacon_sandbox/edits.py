"""Edits that rules make to JSON in answers and rows: drop, add or rewrite fields."""

from collections.abc import Callable
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, Field

Writing = Literal["null", "null_if_zero", "number", "text", "list"]
_WRITERS: dict[Writing, Callable[[Any], Any]] = {
    "null": lambda _: None,
    "null_if_zero": lambda value: value or None,
    "number": lambda value: int(value) if value else value,
    "text": lambda value: value if value is None else str(value),
    "list": lambda value: [value],
}
_Value = TypeVar("_Value")


class Edits(BaseModel):
    """Edits of JSON fields at any depth; a field name may end with the wildcard `*`."""

    drop: tuple[str, ...] = ()
    add: dict[str, Any] = Field({}, description="Fields to add to each object.")
    words: dict[str, dict[str, str]] = Field({}, description="Replacements of texts, by field.")
    write: dict[str, Writing] = Field({}, description="Forms in which to write values, by field.")
    where: dict[str, tuple[str, ...]] = Field(
        {}, description="Edit only objects with these values."
    )

    @property
    def edits_anything(self) -> bool:
        """Whether there is at least one edit."""
        return any((self.drop, self.add, self.words, self.write))

    def concerns(self, item: dict[str, Any]) -> bool:
        """Return whether the fields of an object have the values that `where` requires."""
        return all(item.get(key) in values for key, values in self.where.items())

    def edited(self, body: Any, *, in_field: str = "") -> Any:
        """Return `body`, the JSON value of field `in_field`, with the edits made in all objects."""
        if isinstance(body, list):
            return [self.edited(item) for item in body]
        if not isinstance(body, dict):
            return body
        known = {key: self.edited(item, in_field=key) for key, item in body.items()}
        is_map = in_field == "errors"  # an account's, whose keys are countries
        if is_map or not self.concerns(known):
            return known
        dropped = dict.fromkeys(self.drop, True)
        kept = {key: item for key, item in known.items() if not _find(key, dropped)}
        return {key: self._written(key, item) for key, item in kept.items()} | self.add

    def _written(self, key: str, value: Any) -> Any:
        words, writing = _find(key, self.words), _find(key, self.write)
        if words is not None and isinstance(value, str):
            value = words.get(value, value)
        return value if writing is None else _WRITERS[writing](value)


def _find(key: str, named: dict[str, _Value]) -> _Value | None:
    """Return the value of the first name that matches `key`; a final `*` matches any ending."""
    for name, value in named.items():
        if key == name or (name.endswith("*") and key.startswith(name[:-1])):
            return value
    return None
