"""Numbers that depend only on what they are asked for: the root of "same seed, same data"."""

from hashlib import blake2b


def digest(*parts: object) -> bytes:
    """Give 16 bytes that are a pure function of the parts' texts."""
    text = "\x1f".join(str(part) for part in parts)
    return blake2b(text.encode(), digest_size=16).digest()


def seed_number(*parts: object) -> int:
    """Give a 128-bit integer that is a pure function of the parts; fit to seed `random.Random`."""
    return int.from_bytes(digest(*parts), "big")


def unit_interval(*parts: object) -> float:
    """Give a number in [0, 1) that is a pure function of the parts."""
    return (seed_number(*parts) >> 75) / 2**53
