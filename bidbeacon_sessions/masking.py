"""Mask secrets before anything is stored, logged or shown.

A secret is found by its value, if this process knows it; by the name before it; or by its form.
`docs/explanation/security.md` lists what is masked, and what can't be. Every pattern runs in time
proportional to the text: repetitions are bounded or possessive, or the next search starts after
them.
"""

import re
from collections.abc import Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from functools import lru_cache
from html.entities import html5
from typing import Any
from uuid import UUID

MASK = "•••"
SHORTEST_KNOWN = 12
"""The shortest secret that is masked by its value: a shorter one may be part of a word."""

_CACHED_LENGTH = 64
_PLAIN = (bool, int, float, Decimal, date, time, timedelta, UUID)
"""Types of values that are masked only if their key denotes a secret."""

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_SECRET_NAME = re.compile(
    r"(?:password|passwd|passphrase|pwd|secret|token|authorization|cookie|signature|jwt"
    r"|(?:access|api|encryption|private|shared|signing)_?key)s?(?=_|$)|(?:^|_)(?:auth|pass|pw|sig)$"
)
_PAGE_MARKERS = frozenset({"next_token", "page_token", "continuation_token"})
_HARMLESS_ENDS = frozenset(
    """
    at count created days env error errors expected expired expires expiry field fields file format
    host id in length limit missing name names path present region required seconds status ttl type
    until url used valid version
    """.split()  # noqa: SIM905 - one word a line would fill a screen
)
"""Last words of names that concern a secret without containing it, such as `token_type`."""

_HINT = re.compile(r"(?i)[=:|%]|bearer|amzn1\.oa2|atz")
"""Matches every text that may have a secret whose value this process does not know."""
_FORMS = (
    (re.compile(r"Atz[a-z](?:\||%7[Cc]|\\u007[Cc])[\w\-+/=.|%~]+"), MASK),
    (re.compile(r"(?i)\bamzn1\.oa2-cs\.v1\.[0-9a-f]+"), MASK),
    (re.compile(r"(?i)\b(bearer(?:\s|%20))[\w\-+/=.|~]{16,}"), rf"\1{MASK}"),
    (re.compile(r"(://[^\s/?#\"'<>@:]*+:)[^\s/?#\"'<>]+(?=@)"), rf"\1{MASK}"),
)
"""Tokens and client secrets of Login with Amazon, bearer tokens, and passwords in URLs."""

_NAME = re.compile(
    r"""(?:(?<![\w-])|(?<=%3[Dd]))(?P<name>[\w-]{1,60}+)(?P<close>\\*+["'])?+\]?"""
    r"""[ \t]{0,4}+(?P<separator>=>|=(?!=)|:|%3[Dd])[ \t]{0,4}+"""
)
_OPENING = re.compile(r"""b?(\\*+["'])""")
_HEADER = re.compile(r"""(?:[^\r\n"'\\]|(?<==)["'][^"'\r\n]*+["'])*+""")
_COOKIE = re.compile(r"[\w.-]{1,60}+=")
_VALUE = re.compile(r"""[^\s&"'<>\\]*+""")
_NO_SECRET = re.compile(r"(?i)(?:none|null|true|false|secretstr\()?")

_ESCAPES = r"(?:\\|%(?:25){0,3}5c){0,15}"
"""Matches the backslashes of nested JSON, plain or URL-encoded."""
_RUN = re.compile("[a-z0-9]*")

_remembered: dict[str, str] = {}
_known: list[tuple[str, re.Pattern[str]]] = []
"""Of each secret, the longest run of letters and digits and a pattern; longest secret first."""


def remember_secret(name: str, value: str) -> None:
    """Mask a value from now on, in place of an earlier value with the same name.

    The value is found in upper and lower case, URL-encoded, in HTML, in JSON, and in JSON inside
    JSON. A value of fewer than 12 characters is found only by its form or by the name before it.
    """
    if _remembered.get(name) == value:
        return
    _remembered[name] = value
    long = {each for each in _remembered.values() if len(each) >= SHORTEST_KNOWN}
    _known[:] = map(_run_and_pattern, sorted(long, key=len, reverse=True))
    _mask_short.cache_clear()


@lru_cache
def _run_and_pattern(secret: str) -> tuple[str, re.Pattern[str]]:
    """Return a secret's longest run of letters and digits, and a pattern of all its encodings."""
    run = max(_RUN.findall(secret.lower()), key=len)
    chars = re.sub(r"\\+", r"\\", secret)  # the pattern of a backslash matches any number of them
    return run, re.compile("".join(map(_forms_of, chars)), re.IGNORECASE)


@lru_cache
def _forms_of(char: str) -> str:
    """Return a pattern that matches a character, plain or encoded for a URL, JSON or HTML."""
    if re.fullmatch("[A-Za-z0-9_.~-]", char):  # no encoding changes it
        return re.escape(char)
    url = "".join(f"%(?:25){{0,3}}{byte:02x}" for byte in char.encode())
    units = char.encode("utf-16-be").hex(" ", 2).split()
    names = [name for name, meant in html5.items() if meant == char and name.endswith(";")]
    entity = "|".join([f"#0*{ord(char)};", f"#x0*{ord(char):x};", *names])
    forms = [re.escape(char), url, _ESCAPES.join(f"u{unit}" for unit in units), f"&(?:{entity})"]
    if char == "\\":
        return f"(?:{'|'.join(forms)})++"
    pattern = f"{_ESCAPES}(?:{'|'.join(forms)})"
    return f"(?:{pattern}|{_forms_of('+')})" if char == " " else pattern


@lru_cache(4_096)
def names_secret(name: str) -> bool:
    """Return whether a name denotes a secret, as `client_secret` or `PGPASSWORD` does.

    If a name has spaces, as the campaign "secret santa 2026" does, only its last word counts.
    """
    words = [word.lower() for word in _WORD.findall(name.rpartition(" ")[2])]
    joined = "_".join(words)
    if not words or words[-1] in _HARMLESS_ENDS or joined in _PAGE_MARKERS:
        return False
    return _SECRET_NAME.search(joined) is not None


def mask(value: Any) -> Any:
    """Return a copy of a JSON-like value with every secret masked, at any depth.

    If a key denotes a secret, its whole value is masked. In a tuple of two items, such as a header,
    the first item counts as the key of the second. Values that JSON can't represent, such as URL
    objects, become masked text. If a value is nested too deeply, all of it is masked.
    """
    if isinstance(value, str):
        return mask_text(value)
    if value is None or isinstance(value, _PLAIN):
        return value
    try:
        if isinstance(value, Mapping):
            return {mask_text(str(key)): _mask_named(key, item) for key, item in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return _mask_items(value)
    except RecursionError:
        return MASK
    return mask_text(_text(value))


def mask_text(text: str) -> str:
    """Mask secrets in a text: known values, values after secret names, and well-known forms."""
    return _mask_short(text) if len(text) <= _CACHED_LENGTH else _mask_text(text)


def _mask_text(text: str) -> str:
    lower = text.lower()
    for run, pattern in _known:
        if run in lower:
            text = pattern.sub(MASK, text)
    if _HINT.search(text) is None:
        return text
    for form, replacement in _FORMS:
        text = form.sub(replacement, text)
    return _mask_values_of_names(text)


_mask_short = lru_cache(4_096)(_mask_text)
"""Cached, since most texts of actions recur: accounts, datasets, days."""


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _mask_named(name: Any, value: Any) -> Any:
    is_secret = isinstance(name, str | bytes) and names_secret(_text(name))
    return MASK if is_secret and value is not None and not isinstance(value, bool) else mask(value)


def _mask_items(items: Any) -> list[Any]:
    if isinstance(items, tuple) and len(items) == 2:  # noqa: PLR2004 - a name and its value
        return [mask(items[0]), _mask_named(*items)]
    return [mask(item) for item in items]


def _mask_values_of_names(text: str) -> str:
    """Mask `token=…`, `"client_secret": "…"`, `Authorization: …`, also in quoted JSON."""
    clean: list[str] = []
    copied = 0
    match = _NAME.search(text)
    while match:
        start = end = match.end()
        if names_secret(match["name"]):
            start, end = _find_value(text, match)
        if not _NO_SECRET.fullmatch(text, start, end):
            clean += text[copied:start], MASK
            copied = end
        match = _NAME.search(text, end)
    return "".join(clean) + text[copied:]


def _find_value(text: str, name: re.Match[str]) -> tuple[int, int]:
    """Return start and end of the value after a secret's name; both are equal without a value."""
    start = name.end()
    if opening := _OPENING.match(text, start):
        closing = re.compile(rf"(?<!\\){re.escape(opening[1])}").search(text, opening.end())
        return opening.end(), closing.start() if closing else len(text)
    if name["separator"] != ":" or name["close"]:
        word = _run_at(_VALUE, text, start).rstrip(",;)]}.")
        return start, start + len(word)
    if _is_header(name["name"], text, start):
        return start, start + len(_run_at(_HEADER, text, start))
    return start, start


def _run_at(pattern: re.Pattern[str], text: str, start: int) -> str:
    match = pattern.match(text, start)
    return match[0] if match else ""


def _is_header(name: str, text: str, start: int) -> bool:
    """Return whether `name` begins a header that contains a secret.

    "Cookie: session=17" is such a header; the text "Cookie: Chocolate" is not.
    """
    word = name.lower().rpartition("-")[2]
    return word == "authorization" or (word == "cookie" and _COOKIE.match(text, start) is not None)
