"""Masks secrets before anything is written: by key, by the look of a value, and inside longer texts and URLs."""

import re
from collections.abc import Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any
from uuid import UUID

MASK = "•••"

_WORDS = (
    r"pass(?:word|wd|phrase)?|pwd|secret|token|authorization|api[_-]?key|access[_-]?key(?:[_-]?id)?|credential|cookie"
    r"|private[_-]?key|signing[_-]?key|signature"
)
_SECRET_KEY = re.compile(rf"(?:{_WORDS})s?$", re.IGNORECASE)
_HARMLESS_KEY = re.compile(r"^(?:next_?token|token_type)$", re.IGNORECASE)
_PLAIN = (bool, int, float, Decimal, date, time, timedelta, UUID)
"""Values that are no text and can hold no secret, unless their key says so."""

_SECRETS_IN_TEXT = (
    re.compile(r"\bAtz[ar]\|[A-Za-z0-9_\-+/=.|]+"),  # Login with Amazon access and refresh tokens
    re.compile(r"(?i)\b(?:bearer|basic)\s+[A-Za-z0-9_\-+/=.|~]{8,}"),
    re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+"),  # JSON Web Tokens
    re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),  # AWS access keys
    re.compile(r"(?i)\bamzn1\.oa2-cs\.v1\.[0-9a-f]+"),  # client secrets of Login with Amazon
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL),
)
_PREFIX = r"(?<![a-z0-9_-])"
"""Where a name begins. Names are bounded, so that no text, however odd, takes long."""
_SECRET_PARAMETER = re.compile(
    r"(?i)("
    + _PREFIX
    + r"(?:x-amz-[a-z-]{1,40}|(?:[a-z0-9_-]{0,40}[_-])?(?:"
    + _WORDS
    + r"|sig))=)[^&\s\"'<>,;)]+"
)
# JSON and Python's own notation inside a text: an answer's body in an error, the repr of an object.
_SECRET_ENTRY = re.compile(
    r"(?i)("
    + _PREFIX
    + r"[a-z0-9_-]{0,40}(?:"
    + _WORDS
    + r")s?[\"']?\s{0,3}[:=]\s{0,3}b?)(?![\"']"
    + MASK
    + r"[\"'])(?:\"[^\"]*\"?|'[^']*'?)"
)
_URL_PASSWORD = re.compile(r"(?i)((?<![a-z0-9+.-])[a-z][a-z0-9+.-]{0,30}://[^/\s:@]*:)[^@\s/]+(@)")
_MARKS = (*"=|@\"'", "bearer", "basic", "eyj", "akia", "asia", "oa2-cs", "-----begin")
"""One of these is in every text that holds a secret, in small letters; nearly all texts are words, names and days, and have none."""


def redact(value: Any) -> Any:
    """Give a copy of a JSON-like value with every secret masked, at any depth.

    Keys that name a secret lose their whole value; every text is searched for tokens, presigned URLs and passwords in URLs. What JSON
    has no form for (a URL object, an exception) becomes its text, masked.
    """
    if isinstance(value, str):
        return redact_text(value)
    if value is None or isinstance(value, _PLAIN):
        return value
    if isinstance(value, Mapping):
        return dict(_masked_entry(str(key), item) for key, item in value.items())
    if isinstance(value, list | tuple | set | frozenset):
        return [redact(item) for item in value]
    if isinstance(value, bytes | bytearray):
        return redact_text(value.decode("utf-8", "replace"))
    return redact_text(str(value))


def redact_text(text: str) -> str:
    """Give the text with tokens, presigned URLs' signatures and passwords masked."""
    if not any(map(text.casefold().__contains__, _MARKS)):
        return text
    for pattern in _SECRETS_IN_TEXT:
        text = pattern.sub(MASK, text)
    text = _SECRET_PARAMETER.sub(rf"\1{MASK}", text)
    text = _SECRET_ENTRY.sub(rf"\1{MASK}", text)
    return _URL_PASSWORD.sub(rf"\1{MASK}\2", text)


def _masked_entry(key: str, value: Any) -> tuple[str, Any]:
    name, names_a_secret = _masked_key(key)
    if names_a_secret and value is not None and not isinstance(value, bool):
        return name, MASK
    return name, redact(value)


@lru_cache(4_096)
def _masked_key(key: str) -> tuple[str, bool]:
    """Give a key without secrets, and whether it names one."""
    names_a_secret = _SECRET_KEY.search(key) is not None and _HARMLESS_KEY.match(key) is None
    return redact_text(key), names_a_secret
