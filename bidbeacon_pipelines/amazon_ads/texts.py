"""The texts of Amazon's answers, as they may leave this package."""

from typing import Final

from bidbeacon_sessions.masking import mask_text

LONGEST_TEXT: Final = 1_000


def as_text(value: object, longest: int = LONGEST_TEXT) -> str:
    """Mask the secrets in a decoded text, then truncate it.

    A truncated secret would not be recognized.
    """
    return mask_text(str(value))[:longest]
