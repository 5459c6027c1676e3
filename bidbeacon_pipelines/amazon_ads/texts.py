"""Cleans the texts of Amazon's answers."""

from typing import Final

from bidbeacon_pipelines.values.lenient import clean
from bidbeacon_sessions.masking import mask_text

LONGEST_TEXT: Final = 1_000


def as_text(value: object, longest: int = LONGEST_TEXT) -> str:
    """Return a text without characters that Postgres can't store, masked, then truncated."""
    return mask_text(clean(str(value)))[:longest]
