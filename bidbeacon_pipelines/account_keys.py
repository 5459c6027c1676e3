"""The short key of an account: its partition in Dagster, its tag on the page, its name on the command line."""

import re

_PLAIN = re.compile(r"[A-Za-z0-9_-]+")


def account_key(account_id: str, country_code: str) -> str:
    """Give `<country>.<tail of the id>`, e.g. `US.38rle97xonvbq66bhw6gsyl4g`.

    The country comes first because Dagster's UI cuts long keys in the middle. Uniqueness is the database's to defend.

    Raises:
        ValueError: the id's tail has characters that a partition key can't have.
    """
    tail = account_id.rsplit(".", 1)[-1]
    if not _PLAIN.fullmatch(tail):
        raise ValueError(f"Expected an account id that ends in letters, digits, - or _, got: {account_id!r}.")
    return f"{country_code}.{tail}"
