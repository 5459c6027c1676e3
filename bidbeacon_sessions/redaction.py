"""Masks secrets before anything is written: by key, by the look of a value, and inside longer texts and URLs."""

import re
from collections.abc import Mapping
from typing import Any

MASK = "•••"

_SECRET_KEY = re.compile(
    r"(pass(word|wd)?|secret|token|authorization|api[_-]?key|credential|cookie|private[_-]?key|signature)s?$",
    re.IGNORECASE,
)
_HARMLESS_KEY = re.compile(r"^(next_?token|token_type)$", re.IGNORECASE)
_SECRETS_IN_TEXT = (
    re.compile(r"\bAtz[ar]\|[A-Za-z0-9_\-+/=.|]+"),  # Login with Amazon access and refresh tokens
    re.compile(r"(?i)\b(?:bearer|basic)\s+[A-Za-z0-9_\-+/=.|~]{8,}"),
    re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+"),  # JSON Web Tokens
    re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),  # AWS access keys
    re.compile(r"(?i)\bamzn1\.oa2-cs\.v1\.[0-9a-f]+"),  # client secrets of Login with Amazon
)
_SECRET_PARAMETER = re.compile(
    r"(?i)((?:[?&;]|\b)(?:x-amz-[a-z-]+|signature|sig|token|access_token|refresh_token|client_secret|password|api_key)=)[^&\s\"'<>]+"
)
_MOST_HARMLESS = re.compile(r"[0-9:. -]*\Z")
"""Dates, times and numbers: an action may name hundreds of days, and no secret is made of these characters."""
_URL_PASSWORD = re.compile(r"(?i)(\b[a-z][a-z0-9+.-]*://[^/\s:@]+:)[^@\s/]+(@)")


def redact(value: Any) -> Any:
    """Give a copy of a JSON-like value with every secret masked, at any depth.

    Keys that name a secret lose their whole value; every text is searched for tokens, presigned URLs and passwords in URLs.
    """
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, Mapping):
        return {
            redact_text(str(key)): MASK if _hides(str(key), item) else redact(item)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [redact(item) for item in value]
    return value


def redact_text(text: str) -> str:
    """Give the text with tokens, presigned URLs' signatures and passwords in URLs masked."""
    if _MOST_HARMLESS.match(text):
        return text
    for pattern in _SECRETS_IN_TEXT:
        text = pattern.sub(MASK, text)
    text = _SECRET_PARAMETER.sub(rf"\1{MASK}", text)
    return _URL_PASSWORD.sub(rf"\1{MASK}\2", text)


def _hides(key: str, value: Any) -> bool:
    harmless = value is None or isinstance(value, bool) or _HARMLESS_KEY.match(key)
    return not harmless and _SECRET_KEY.search(key) is not None
