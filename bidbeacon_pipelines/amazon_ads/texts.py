"""The texts of Amazon's answers, as they may leave this package."""

from typing import Final

from bidbeacon_pipelines.values.lenient import clean
from bidbeacon_sessions.masking import mask_text

LONGEST_TEXT: Final = 1_000


def as_text(value: object, longest: int = LONGEST_TEXT) -> str:
    """Return a decoded text as Postgres can store it, its secrets masked, then truncated.

    A truncated secret would not be recognized.
    """
    return mask_text(clean(str(value)))[:longest]
