"""The names by which rules may refer to ads accounts and datasets, as Amazon or BidBeacon has them.

BidBeacon's form of a name is repeated here, because the sandbox imports nothing from the product.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any

from bidbeacon_sandbox.accounts import AdsAccount

_SHORT_ID = 8
_LONGEST_SLUG = 20
_NOUNS = {"ad": "product"}
"""BidBeacon's nouns for datasets, where they differ from those of `datasets.json`."""


def plain(name: str) -> str:
    """Return a name in lower case, with a hyphen for each run of blanks and punctuation."""
    return re.sub(r"[\W_]+", "-", name.casefold()).strip("-")


def account_names(account: AdsAccount, countries: Iterable[str]) -> frozenset[str]:
    """Return the plain names of an ads account, and of its accounts in the given countries.

    They are its id, the part of the id after the last dot, its name and BidBeacon's key.
    """
    tail, key = account.account_id.rpartition(".")[2], _key(account)
    every = {account.account_id, tail, account.name, key}
    for country in countries:
        every |= {f"{account.name} · {country}", f"{country}.{key}"}
    return frozenset(map(plain, every))


def find_account(name: str, accounts: Iterable[AdsAccount]) -> AdsAccount | None:
    """Return the ads account that a rule may call `name`, or None."""
    wanted = plain(name)
    fitting = (one for one in accounts if wanted in account_names(one, one.country_codes))
    return next(fitting, None)


def _key(account: AdsAccount) -> str:
    """Return BidBeacon's key of an ads account, such as `acme-merch.1kc1bk21`."""
    latin = unicodedata.normalize("NFKD", account.name).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", latin).strip("-")[:_LONGEST_SLUG].strip("-")
    short = account.account_id.rpartition(".")[2][:_SHORT_ID]
    return f"{slug}.{short}" if slug else short


def dataset_names(name: str) -> tuple[str, str, str]:
    """Return a name of `datasets.json`, this name without its ad product, and BidBeacon's name.

    For example: `sp_target_daily`, `target_daily` and `daily_targets`.
    """
    short = name.partition("_")[2]
    noun, _, grain = short.rpartition("_")
    return name, short, f"{grain}_{_NOUNS.get(noun, noun)}s"


def nearest(given: Any, known: Sequence[str]) -> str:
    """Return a sentence with the known word closest to `given`, or with all if none is close."""
    close = get_close_matches(str(given), known, n=1)
    return f"The nearest is {close[0]}." if close else f"Expected one of: {', '.join(known)}."
