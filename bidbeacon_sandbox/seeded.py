"""Everything drawn from the seed: numbers that depend only on their inputs, names and search words.

Same seed, same data. Some names are awkward on purpose: quotes, markup, right-to-left text, emoji.
"""

from hashlib import blake2b
from random import Random


def digest(*parts: object) -> bytes:
    """Return 16 bytes that are a pure function of the parts' texts."""
    text = "\x1f".join(str(part) for part in parts)
    return blake2b(text.encode(), digest_size=16).digest()


def seed_number(*parts: object) -> int:
    """Return a 128-bit integer that is a pure function of the parts; fit to seed `random.Random`."""
    return int.from_bytes(digest(*parts), "big")


def unit_interval(*parts: object) -> float:
    """Return a number in [0, 1) that is a pure function of the parts."""
    return (seed_number(*parts) >> 75) / 2**53


AWKWARD_NAMES = (
    'O\'Brien "Deluxe" – 50 % off \\ half',
    "<img src=x onerror=alert(1)>",
    "חולצות כלב – קמפיין",
    "قمصان مضحكة للكلاب",
    "犬用シャツ「春」",
    "Dog shirts 🐶👕",
    "  blanks around  ",
    "{{ 7 * 7 }} ${HOME} %s %(x)s",
    "'; DROP TABLE campaigns; --",
    "zero\u200bwidth and \u202eright-to-left override",
    "very long " + "name " * 48,
)
AWKWARD_KEYWORDS = (
    "café  hund",
    "größe xxl hundeshirt",
    "犬 シャツ",
    "חולצה לכלב",
    'shirt 12" dog',
    "dog's tee\u00a0shirt",
    "t-shirt & hoodie <pets>",
    "🐶 shirt",
)
CATEGORIES = (
    "Dog Shirts",
    "Cat Apparel",
    "Men's Novelty T-Shirts",
    'Signs 12" & Plaques',
    "Haustier & Garten",
)
BRANDS = ("Pawsome", "Wald & Kauz", "さくら", "Acme")
_ADJECTIVES = (
    *("funny", "warm", "vintage", "cute", "organic", "large", "matching", "birthday", "retro"),
    *("soft"),
)
_NOUNS = (
    *("dog shirt", "cat hoodie", "puppy pajamas", "pet bandana", "dad tee", "mom mug"),
    *("pug sweater", "hat"),
)
_TAILS = (
    *("", "", " gift", " for men", " for women", " xl", " cotton", " 2 pack", " sale"),
    *(" summer", " winter"),
)
_CAMPAIGN_KINDS = {"SPONSORED_BRANDS": "Brand", "SPONSORED_DISPLAY": "Retargeting"}
_TERM_TAILS = ("", " cheap", " near me", " amazon", " für kinder", " 2026")


def campaign_name(rng: Random, product: str, *, automatic: bool) -> str:
    """Make a campaign's name; about every seventh is awkward."""
    if rng.random() < 1 / 7:
        return rng.choice(AWKWARD_NAMES)
    kind = _CAMPAIGN_KINDS.get(product, "Auto" if automatic else "Manual")
    return f"{kind} - {rng.choice(_ADJECTIVES)} {rng.choice(_NOUNS)}"


def keyword(rng: Random) -> str:
    """Make a keyword's text; about every twentieth is awkward."""
    if rng.random() < 1 / 20:
        return rng.choice(AWKWARD_KEYWORDS)
    return f"{rng.choice(_ADJECTIVES)} {rng.choice(_NOUNS)}{rng.choice(_TAILS)}"


def product_category(rng: Random) -> str:
    """Choose a category's name."""
    return rng.choice(CATEGORIES)


def brand(rng: Random) -> str | None:
    """Choose a brand's name, or none: most category targets name no brand."""
    return rng.choice(BRANDS) if rng.random() < 1 / 3 else None


def asin(rng: Random) -> str:
    """Make a product's ASIN."""
    return "B0" + "".join(rng.choices("ABCDEFGHJKLMNPQRSTUVWXYZ0123456789", k=8))


def search_term(text: str, index: int) -> str:
    """Make the `index`-th search term that a target's text would be matched with."""
    return text.lower() + _TERM_TAILS[index % len(_TERM_TAILS)]
