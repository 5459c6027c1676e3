"""The key of a report row: a digest that identifies it among the rows of its account, day and hour.

Pure.

The digest is part of every stored row, so its input never changes for values that exist:
`tests/unit/reports/test_row_keys.py` has golden ones.
"""

from collections.abc import Callable, Sequence
from hashlib import blake2b

from bidbeacon_pipelines.datasets.registry import Dataset

KEY_BYTES = 16
_VERSION = "1"
_TYPE_LETTERS = {"id": "i", "text": "t", "product": "t", "marketplace": "t", "placement": "t"}


def row_key_of(dataset: Dataset) -> Callable[[Sequence[str | None]], str]:
    """Return the function that makes the key of a dataset's row, in hexadecimal digits.

    Its argument has the canonical values of currency, ad product and the dataset's key dimensions,
    in their order. The input of the digest is a version, and for each value its column's name,
    type, length in characters and text; a null is left out, so that it differs from an empty text,
    and a dimension that is added later changes no key where it is null.
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
        return blake2b((_VERSION + "".join(parts)).encode(), digest_size=KEY_BYTES).hexdigest()

    return row_key
