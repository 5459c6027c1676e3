"""The short keys of accounts and ads accounts: partitions in Dagster, tags on the page, names on the command line."""

import re
import unicodedata
from collections.abc import Iterable

_PLAIN = re.compile(r"[A-Za-z0-9_-]+")
_SHORTEST_PREFIX = 8
_LONGEST_SLUG = 20


def account_key(country_code: str, ads_account_key: str) -> str:
    """Return `<country>.<key of the ads account>`, e.g. `US.acme-merch.1kc1bk21`.

    The country comes first because Dagster's UI cuts long keys in the middle.
    """
    return f"{country_code}.{ads_account_key}"


def ads_account_key(account_id: str, name: str, other_ids: Iterable[str]) -> str:
    """Return `<slug of the name>.<prefix of the id's end>`, e.g.

    `acme-merch.1kc1bk21`; without the slug where a name leaves nothing of it.

    Args:
        account_id: Amazon's id.
        name: Its name at first sight; the key stays when it changes.
        other_ids: The ids of all other ads accounts: the prefix has eight characters, or as many as
            tell it from these.

    Raises:
        ValueError: the id's tail has characters that a key can't have.
    """
    tail = _tail(account_id)
    others = [other.rsplit(".", 1)[-1] for other in other_ids]
    prefixes = (tail[:length] for length in range(_SHORTEST_PREFIX, len(tail)))
    prefix = next(
        (prefix for prefix in prefixes if not any(other.startswith(prefix) for other in others)),
        tail,
    )
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:_LONGEST_SLUG].strip("-")
    return f"{slug}.{prefix}" if slug else prefix


def _tail(account_id: str) -> str:
    tail = account_id.rsplit(".", 1)[-1]
    if not _PLAIN.fullmatch(tail):
        raise ValueError(
            f"Expected an account id that ends in letters, digits, - or _, got: {account_id!r}."
        )
    return tail
