"""The digests of a report row: of its key, and of its target's name. Pure.

Digests are stored, so the digest of an existing value must never change. Tests have fixed examples.

The key identifies a row within its account, day and hour. Reports have no target ids. A row belongs
to the target that is in the row's ad group and has a name with the same digest. Negative targets
are not considered. These are the names that are compared:

    row's matchType and value                the target's
    EXACT PHRASE BROAD, keyword text         match type and keyword
    TARGETING_EXPRESSION asin="B0…"          PRODUCT_EXACT and asin
    TARGETING_EXPRESSION asin-expanded="B0…" PRODUCT_SIMILAR and asin
    TARGETING_EXPRESSION anything else       expression
    TARGETING_EXPRESSION_PREDEFINED          the automatic match type of this name

Letter case, Unicode form (NFC) and extra blanks make no difference, because reports and exports may
write a keyword differently.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
from hashlib import blake2b

from bidbeacon_pipelines.datasets.registry import Dataset

DIGEST_BYTES = 16
_VERSION = "1"
_TYPE_LETTERS = {"id": "i", "text": "t", "product": "t", "marketplace": "t", "placement": "t"}

KEYWORD_MATCH_TYPES = frozenset({"EXACT", "PHRASE", "BROAD"})
AUTO_MATCH_TYPES = {
    "close-match": "SEARCH_CLOSE_MATCH",
    "loose-match": "SEARCH_LOOSE_MATCH",
    "substitutes": "PRODUCT_SUBSTITUTES",
    "complements": "PRODUCT_COMPLEMENTS",
}

_ASIN = re.compile(
    r'\s*asin(?P<expanded>-expanded)?\s*=\s*"\s*(?P<asin>[A-Za-z0-9]+)\s*"\s*\Z', re.IGNORECASE
)

MatchName = tuple[str, str]
"""The name of a target: a kind (PHRASE, PRODUCT_SIMILAR, EXPRESSION and so on) and a text."""


def row_key_of(dataset: Dataset) -> Callable[[Sequence[str | None]], str]:
    """Return a function that computes the key of a dataset's row, in hexadecimal digits.

    The function's argument is a list of values: currency, ad product and the dataset's key
    dimensions, in order. The digest includes a version and, for each value, the column's name and
    type, and the value's length and text. Nulls are omitted, so null differs from empty text, and a
    dimension that is added later does not change the keys of rows in which it is null.
    """
    columns = [("currency_code", "t"), ("ad_product", "t")]
    columns += [(dimension.column, _TYPE_LETTERS[dimension.kind]) for dimension in dataset.keys]
    heads = [f"{len(name)}:{name}{letter}" for name, letter in columns]

    def row_key(values: Sequence[str | None]) -> str:
        parts = [
            f"{head}{len(value)}:{value}"
            for head, value in zip(heads, values, strict=True)
            if value is not None
        ]
        return blake2b((_VERSION + "".join(parts)).encode(), digest_size=DIGEST_BYTES).hexdigest()

    return row_key


def digest_of_row(match_type: str | None, value: str | None) -> bytes | None:
    """Return the digest of the target's name in a row; None if the row names no target."""
    return _digest(name_in_row(match_type or "", value or ""))


def digest_of_target(
    match_type: str | None, keyword: str | None, asin: str | None, expression: str | None
) -> bytes | None:
    """Return the digest of a target's name; None if the target has no name in reports."""
    return _digest(name_of_target(match_type or "", keyword, asin, expression))


def name_of_target(
    match_type: str, keyword: str | None, asin: str | None, expression: str | None
) -> MatchName | None:
    """Return a target's name in reports as (kind, text); None if reports have no name for it."""
    match_type = match_type.upper()
    if match_type in KEYWORD_MATCH_TYPES and keyword is not None:
        return match_type, keyword
    if match_type in AUTO_MATCH_TYPES.values():
        return match_type, ""
    if match_type in {"PRODUCT_EXACT", "PRODUCT_SIMILAR"} and asin is not None:
        return match_type, asin.upper()
    return None if expression is None else ("EXPRESSION", expression)


def name_in_row(match_type: str, value: str) -> MatchName | None:
    """Return the target's name in a report row as (kind, text); None if the row has none."""
    match_type = match_type.strip().upper()
    if match_type in KEYWORD_MATCH_TYPES:
        return match_type, value
    if match_type == "TARGETING_EXPRESSION_PREDEFINED":
        automatic = AUTO_MATCH_TYPES.get(value.strip().lower())
        return None if automatic is None else (automatic, "")
    return _expression_name(value) if match_type == "TARGETING_EXPRESSION" else None


def fold(text: str) -> str:
    """Return a text with normalized letter case, Unicode form and blanks."""
    return " ".join(
        unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold()).split()
    )


def _expression_name(value: str) -> MatchName:
    product = _ASIN.match(value)
    if product is None:
        return "EXPRESSION", value
    return "PRODUCT_SIMILAR" if product["expanded"] else "PRODUCT_EXACT", product["asin"].upper()


def _digest(name: MatchName | None) -> bytes | None:
    if name is None:
        return None
    kind, text = name
    folded = f"{kind}\0{fold(text)}".encode("utf-8", "surrogatepass")
    return blake2b(folded, digest_size=DIGEST_BYTES).digest()
