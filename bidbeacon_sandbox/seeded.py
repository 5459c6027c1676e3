"""Numbers that depend only on seed and inputs, and names drawn from `world.json`.

Some names are awkward on purpose: they contain quotes, markup, right-to-left text, emoji.
"""

import json
from hashlib import blake2b
from importlib.resources import files
from random import Random
from typing import Any

WORLD: dict[str, Any] = json.loads((files("bidbeacon_sandbox") / "world.json").read_text("utf-8"))
"""Markets, names, and templates of entities."""


def seed_number(*parts: object) -> int:
    """Return a 128-bit integer that depends only on the parts' texts, to seed a generator."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(blake2b(text.encode(), digest_size=16).digest(), "big")


def unit_interval(*parts: object) -> float:
    """Return a number from 0 to 1 that depends only on the parts' texts."""
    return seed_number(*parts) / 2**128


def campaign_name(rng: Random, kind: str) -> str:
    """Make a campaign's name; about every seventh is awkward."""
    if rng.random() < 1 / 7:
        return str(rng.choice(WORLD["awkward_names"]))
    return f"{kind} - {rng.choice(WORLD['adjectives'])} {rng.choice(WORLD['nouns'])}"


def keyword(rng: Random) -> str:
    """Make a keyword's text; about every twentieth is awkward."""
    if rng.random() < 1 / 20:
        return str(rng.choice(WORLD["awkward_keywords"]))
    words = rng.choice(WORLD["adjectives"]), rng.choice(WORLD["nouns"])
    return f"{' '.join(words)}{rng.choice(WORLD['tails'])}"


def asin(rng: Random) -> str:
    """Make a product's ASIN."""
    return "B0" + "".join(rng.choices("ABCDEFGHJKLMNPQRSTUVWXYZ0123456789", k=8))


def search_term(text: str, index: int) -> str:
    """Make the `index`-th search term for a target's text, a keyword or an ASIN."""
    tails = WORLD["search_term_tails"]
    return f"{text.lower()}{tails[index % len(tails)]}"
