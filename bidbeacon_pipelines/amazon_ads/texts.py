"""The texts of Amazon's answers, as they may leave this package."""

from typing import Final

from bidbeacon_sessions.masking import mask_text

LONGEST_TEXT: Final = 1_000


def as_text(value: object, longest: int = LONGEST_TEXT) -> str:
    """Return a decoded text with its secrets masked, and then cut: a part of a secret is not known any more."""
    return mask_text(str(value))[:longest]
