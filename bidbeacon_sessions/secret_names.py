"""Decide whether the name of a field, header, parameter or option says that its value is a secret."""

import re
from functools import lru_cache

KEY_KINDS = ("access", "api", "encryption", "license", "master", "private", "shared", "signing", "ssh")
_SECRETS = (
    r"(?:password|passwd|passphrase|pwd|secret|token|authorization|credential|cookie|signature|jwt|header_value"
    rf"|(?:{'|'.join(KEY_KINDS)})_?key)s?"
)
_SHORT = r"(?:^|_)(?:auth|bearer|pass|pw|sig)$"
_ANYWHERE = re.compile(rf"{_SECRETS}(?=_|$)|{_SHORT}")
_AT_THE_END = re.compile(rf"{_SECRETS}$|{_SHORT}")
_KEY_ID = re.compile(r"access_?key_?id$")
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")

_PAGE_MARKERS = frozenset({"next_token", "nexttoken", "page_token", "continuation_token"})
_HARMLESS_ENDS = frozenset(
    """
    age at bytes class clicks column count counts created days endpoint env error errors expired expires expiry
    field fields file folder format host impressions in kind length limit method missing name names orders path
    policy present provider rate region remaining required sales seconds share size spend state status store
    supported ttl type types units until updated uri url usage used valid version
    """.split()  # noqa: SIM905 - one word a line would fill a screen
)
"""Last words of names that are about a secret and don't hold it: `token_type`, `secret_name`, `password_file`."""


@lru_cache(4_096)
def names_secret(name: str) -> bool:
    """Return whether a name says that its value is a secret: `client_secret`, `X-Api-Key`, `PGPASSWORD`, `secretValue`.

    A name of several words with spaces may be a campaign's or a keyword's ("secret santa 2026"), so its last word decides.
    """
    words = [word.lower() for word in _WORD.findall(name)]
    joined = "_".join(words)
    if _KEY_ID.search(joined):
        return True
    if not words or words[-1] in _HARMLESS_ENDS or joined in _PAGE_MARKERS:
        return False
    return (_AT_THE_END if " " in name else _ANYWHERE).search(joined) is not None
