"""Mask secrets before anything is stored, logged or shown: by the name of a value, and by the look of a text.

`docs/security.md` says what this promises and what it can't. Each pattern takes time in proportion
to the text, however odd that
is: repetitions are possessive (`*+`) or bounded, and the search goes on behind what was masked.
"""

import re
from base64 import b64decode
from collections.abc import Callable, Mapping, Sequence
from datetime import date, time, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any
from uuid import UUID

KEY_KINDS = (
    "access",
    "api",
    "encryption",
    "license",
    "master",
    "private",
    "shared",
    "signing",
    "ssh",
)
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

    A name of several words with spaces may be a campaign's or a keyword's ("secret santa 2026"), so
    its last word decides.
    """
    words = [word.lower() for word in _WORD.findall(name)]
    joined = "_".join(words)
    if _KEY_ID.search(joined):
        return True
    if not words or words[-1] in _HARMLESS_ENDS or joined in _PAGE_MARKERS:
        return False
    return (_AT_THE_END if " " in name else _ANYWHERE).search(joined) is not None


MASK = "•••"

_PLAIN = (bool, int, float, Decimal, date, time, timedelta, UUID)
"""Values that are no text and can hold no secret, unless their key says so."""
_NAME_KEYS = ("name", "Name", "key", "Key", "loc", "field", "header")
_VALUE_KEYS = frozenset({"value", "Value", "input"})

_NAME_MARKS = (
    "pass",
    "pwd",
    "secret",
    "token",
    "auth",
    "credential",
    "cookie",
    "sig",
    "jwt",
    "key",
    "header",
)
"""One of these is in the name of every secret, in small letters."""

_LOGIN_TOKEN = re.compile(r"Atz[a-z](?:\||%(?:25)*+7[Cc]|\\*+u007[Cc]|&#124;)[\w\-+/=.|%~]+")
"""Access and refresh tokens of Login with Amazon; the bar may be encoded."""
_BEARER = re.compile(
    r"(?i)\bbearer(?:\s++|%20|\+)(?=[\w\-+/=.|~]*\d|[\w\-+/=.|~]{20})[\w\-+/=.|~]{8,}"
)
_BASIC = re.compile(r"(?i)\bbasic\s++([A-Za-z0-9_\-+/]{6,}+={0,2})")
_JSON_WEB_TOKEN = re.compile(r"(?<![\w-])eyJ[\w-]{8,}+\.[\w-]{8,}+(?:\.[\w-]*+)+")
_AWS_KEY = re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b")
_CLIENT_SECRET = re.compile(r"(?i)\bamzn1\.oa2-cs\.v1\.[0-9a-f]+")
_PRIVATE_KEY = re.compile(
    r"-----BEGIN [A-Z ]{0,20}PRIVATE KEY[A-Z ]{0,20}-----.*?(?:-----END [A-Z ]{0,40}-----|\Z)",
    re.DOTALL,
)
_URL = re.compile(r"(?i)(?:://|%3a%2f%2f)[^\s\"<>]*+")
_PYDANTIC_INPUT = re.compile(
    r"(?:^|(?<=\n)|(?<=\\n))(?P<field>[^\s\\]{1,200}+)(?:\n|\\++n)"
    r"(?P<before>[ \t]++(?>(?:(?!\\n)[^\n])*?input_value=))(?:.*?(?=, input_type=)|.*)"
)

_QUOTE = r"(?:(?<!\\)\\*+(?:[\"']|u002[27])|%(?:25)*+2[27]|&quot;|&\#(?:3[49]|x2[27]);)"
"""A quotation mark as text, in JSON or a `repr` at any depth (`\\\\\\"`), in a URL, in HTML."""
_FIELD = re.compile(
    rf"""(?x)
    (?P<name>
      (?:pass|pwd|secret|token|auth|credential|cookie|sig|jwt|header[\ _]value|api\ key|{"|".join(f"{kind}[_-]?key" for kind in KEY_KINDS)})
      [\w-]{{0,40}}+
    )
    (?P<close>{_QUOTE})?+ (?:\]|\)(?==))?+ (?P<gap>[ \t]*+)
    (?:(?P<comma>,)\s*+ | (?P<separator>=>|:=|[:>]|=(?!=)|%(?:25)*+3[ad]|) [ \t]*+)
    """
)
"""What may be a secret's name and what follows it, in small letters."""
_OPENING = re.compile(rf"(?i)[bruf]{{0,2}}(?P<quote>{_QUOTE})")
_QUOTES = re.compile(rf"(?i){_QUOTE}")
_QUOTE_OR_LINE_END = re.compile(rf"(?i){_QUOTE}|[\r\n]|\\[rn]")
_PAIR = re.compile(rf"(?P<bracket>[(\[])\s?b?{_QUOTE}\Z")
_NAME_KEY = re.compile(
    rf"(?i)(?<!\w)(?:(?:name|key|field|header){_QUOTE}?\s?[:=]\s?|loc{_QUOTE}?\s?[:=]\s?[(\[][^()\[\]]*+){_QUOTE}?\Z"
)
_VALUE_KEY = re.compile(
    rf"(?i)(?:[^{{}}]{{0,200}}?{_QUOTE}|\s*+)(?:value|input){_QUOTE}?\s?[:=]\s?"
)
_NAME_CHARACTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"
_RUN = re.compile(r"(?:[^\s&\"'<>]|&(?![\w.%-]{1,60}=|quot;|#|[lg]t;))*+")
_LINE_END = re.compile(r"[\r\n]|\\[rn]")
_BRACKETS = re.compile(rf"[\[({{]|[\])}}]|{_QUOTE}")
_NO_SECRET = re.compile(
    r"(?i)none|null|true|false|\[secure\]|[*•]*+|secret(?:str|bytes)\(b?'\**'\)"
)
_PROSE = frozenset(
    """
    a an and are at by cannot can't empty expected expired for from given got has in invalid is isn't it missing
    must no none not of or refused rejected required revoked see set should the this to too unknown use was were
    wrong your
    """.split()  # noqa: SIM905 - one word a line would fill a screen
)
"""Words after "token: " or "--token " that go on with a sentence: "BIDBEACON_STREAM_TOKEN: expected …"."""
_ORDINARY_WORDS = frozenset({"auth", "bearer", "cookie", "credential", "pass", "sig", "signature"})
"""Names that are ordinary words too ("Cookie: Chocolate Chip"): what follows must look random."""
_SHORTEST_RANDOM = 20
_LONGEST_PROSE = 200
"""How much of a word tells whether it is prose. What is not masked is read again at the next name, so it must be short."""
_CACHED_LENGTH = 64
_WINDOW = 48
"""How many characters before a name are looked at."""


def redact(value: Any) -> Any:
    """Return a copy of a JSON-like value with every secret masked, at any depth.

    Keys that name a secret lose their whole value; every text is searched for secrets. What JSON
    has no form for (a URL object, an exception) becomes its text, masked.
    """
    if isinstance(value, str):
        return redact_text(value)
    if value is None or isinstance(value, _PLAIN):
        return value
    if isinstance(value, Mapping):
        return _redact_mapping(value)
    if isinstance(value, list | tuple | set | frozenset):
        return _redact_sequence(value if isinstance(value, tuple) else list(value))
    if isinstance(value, bytes | bytearray):
        return redact_text(value.decode("utf-8", "replace"))
    return redact_text(str(value))


def redact_text(text: str) -> str:
    """Return the text with tokens, passwords, signatures of URLs and values of secret names masked."""
    return _redact_short(text) if len(text) <= _CACHED_LENGTH else _redact_text(text)


def _redact_text(text: str) -> str:
    lowered = text.lower()
    if not any(map(lowered.__contains__, _MARKS)):
        return text
    for mark, pattern, replacement in _FORMS:
        if mark in lowered:
            text = pattern.sub(replacement, text)
    return _mask_fields(text) if any(map(lowered.__contains__, _NAME_MARKS)) else text


_redact_short = lru_cache(4_096)(_redact_text)
"""Most texts of actions come again and again: accounts, datasets, days."""


def _redact_mapping(mapping: Mapping[Any, Any]) -> dict[str, Any]:
    clean: dict[str, Any] = {}
    for given, value in mapping.items():
        key, is_secret = _redact_key(str(given))
        is_masked = is_secret and value is not None and not isinstance(value, bool)
        clean[key] = MASK if is_masked else redact(value)
    if not _VALUE_KEYS.isdisjoint(clean) and any(
        _is_secret_name(mapping.get(key)) for key in _NAME_KEYS
    ):
        clean |= dict.fromkeys(_VALUE_KEYS & clean.keys(), MASK)
    return clean


@lru_cache(4_096)
def _redact_key(key: str) -> tuple[str, bool]:
    """Return a key without secrets, and whether it names one."""
    return redact_text(key), names_secret(key)


def _redact_sequence(items: Sequence[Any]) -> list[Any]:
    """Return the items masked, also the one after `--token`, and the second of a pair like `("client_secret", …)`."""
    if len(items) == 2 and _is_secret_name(items[0]) and _is_pair(items):  # noqa: PLR2004 - a pair
        return [redact(items[0]), MASK]
    clean: list[Any] = []
    follows_option = False
    for item in items:
        clean.append(MASK if follows_option else redact(item))
        follows_option = isinstance(item, str) and item.startswith("-") and _is_secret_name(item)
    return clean


def _is_pair(items: Sequence[Any]) -> bool:
    """Return whether two items are a name and its value: a list of two keywords ("password", "password book") is not."""
    return isinstance(items, tuple) or not str(items[0]).isalpha()


def _is_secret_name(value: Any) -> bool:
    """Return whether a value is the name of a secret, or a path (pydantic's `loc`) that ends in one."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, list | tuple):
        return any(map(_is_secret_name, value))
    return isinstance(value, str) and " " not in value and "=" not in value and names_secret(value)


def _mask_basic(match: re.Match[str]) -> str:
    """Mask HTTP's basic credentials, which are `user:password` in base64; "Basic T-shirts" are none."""
    given = match[1]
    try:
        holds_password = b":" in b64decode(
            given.rstrip("=") + "==", altchars=b"-_" if "-" in given else None
        )
    except ValueError:
        holds_password = False
    return MASK if holds_password or given.endswith("=") else match[0]


def _mask_password(match: re.Match[str]) -> str:
    """Mask what stands between the first colon and the last @ behind `://`."""
    url = match[0]
    slashes, colon, at = ("%3a%2f%2f", "%3a", "%40") if url.startswith("%") else ("://", ":", "@")
    lowered = _lower(url)
    end = lowered.rfind(at)
    start = lowered.find(colon, len(slashes), max(end, 0)) + len(colon)
    return url[:start] + MASK + url[end:] if len(slashes) < start < end else url


def _mask_input(match: re.Match[str]) -> str:
    """Mask the value that pydantic quotes in an error about a secret field."""
    if not any(map(names_secret, match["field"].split("."))):
        return match[0]
    return match[0][: match.end("before") - match.start()] + MASK


def _mask_fields(text: str) -> str:
    """Mask the values of all names of secrets: `token=…`, `"client_secret": "…"`, `--token …`, `Authorization: …`."""
    lowered = _lower(text)
    clean: list[str] = []
    copied = 0
    match = _FIELD.search(lowered)
    while match:
        start, end = _find_value(text, match)
        if not _NO_SECRET.fullmatch(text, start, end):
            clean += text[copied:start], MASK
            copied = end
        match = _FIELD.search(lowered, max(end, match.end("name")))
    return "".join(clean) + text[copied:]


def _lower(text: str) -> str:
    """Return the text in small letters with each character in its place; "İ" alone becomes two."""
    return text.replace("İ", "I").lower()


def _find_value(text: str, match: re.Match[str]) -> tuple[int, int]:
    """Return where the secret begins and ends that a name announces; an empty range where there is none."""
    head = text[max(0, match.start() - _WINDOW) : match.start()]
    prefix = len(head) - len(head.rstrip(_NAME_CHARACTERS))
    name = text[match.start() - prefix : match.end("name")]
    before = text[max(0, match.start() - prefix - _WINDOW) : match.start() - prefix]
    start = _find_start(text, match, name, before) if names_secret(name) else None
    if start is None:
        return match.end("name"), match.end("name")
    if match["separator"] == ">":
        return start, _index(text, "<", start)
    return _value_at(text, start, name, "" if match["close"] else match["separator"])


def _find_start(text: str, match: re.Match[str], name: str, before: str) -> int | None:
    """Return where the value of a name begins; None where nothing says that one follows."""
    if match["separator"] == ">":
        return match.end() if before.endswith(("<", ":")) else None
    if match["separator"] or _is_option(match, name):
        return match.end()
    if _NAME_KEY.search(before) and (value := _VALUE_KEY.match(text, match.end())):
        return value.end()
    if name.lower().startswith("header"):  # "Illegal header value b'…'"
        return match.end() if _OPENING.match(text, match.end()) else None
    return match.end() if _is_pair_in_text(match, name, before) else None


def _is_option(match: re.Match[str], name: str) -> bool:
    """Return whether a name is an option with its value behind it: `--token X`, or `'--token', 'X'`."""
    return name.startswith("-") and bool(match["comma"] if match["close"] else match["gap"])


def _is_pair_in_text(match: re.Match[str], name: str, before: str) -> bool:
    """Return whether a name is the first of two: `("token", …)`, `["x-api-key", …]`; keywords in a list are not."""
    pair = _PAIR.search(before) if match["close"] and match["comma"] else None
    return pair is not None and (pair["bracket"] == "(" or not name.isalpha())


def _value_at(text: str, start: int, name: str, separator: str | None) -> tuple[int, int]:
    """Return where the value begins and ends that stands at `start`: quoted, a header's, in brackets, or one word."""
    if opening := _OPENING.match(text, start):
        return opening.end(), _find_closing(text, opening["quote"], opening.end())
    header = name.lower().rpartition("-")[2]
    if _is_prose(_word_at(text, start, start + _LONGEST_PROSE), header, separator):
        return start, start
    if separator == ":" and header in {"authorization", "cookie"}:
        return start, _end_of_header(text, start)
    word = _word_at(text, start, len(text))
    if sum(map(word.count, "([{")) > sum(map(word.count, ")]}")):
        # Not before the word's end: going on from within it would read the same word again for each
        # name in it.
        return start, max(_find_closing_bracket(text, start), start + len(word))
    return start, start + len(word.rstrip("\\,;)]}."))


def _is_prose(word: str, name: str, separator: str | None) -> bool:
    """Return whether a word after "name: " or "--name " goes on with a sentence, an option, or a campaign's name."""
    if separator and separator != ":":
        return False
    if word.startswith("--") or word.rstrip(".,;:").lower() in _PROSE:
        return True
    if name == "cookie":
        return separator == ":" and "=" not in word
    looks_random = len(word) >= _SHORTEST_RANDOM or any(map(str.isdigit, word))
    return separator == ":" and name.rstrip("s") in _ORDINARY_WORDS and not looks_random


def _end_of_header(text: str, start: int) -> int:
    """Return where a header's value ends: at the end of the line, or at a quotation mark that it stands within."""
    stop = _QUOTE_OR_LINE_END.search(text, start)
    if stop and text[stop.start() - 1] == "=":  # Digest username="…", response="…"
        line_end = _LINE_END.search(text, start)
        return line_end.start() if line_end else len(text)
    return stop.start() if stop else len(text)


def _find_closing(text: str, quote: str, start: int) -> int:
    """Return where the same quotation mark comes again, with as many backslashes."""
    found = (match.start() for match in _QUOTES.finditer(text, start) if match[0] == quote)
    return next(found, len(text))


def _find_closing_bracket(text: str, start: int) -> int:
    """Return the end of the brackets that open at `start` or soon after it; quoted brackets don't count."""
    depth, position = 0, start
    while match := _BRACKETS.search(text, position):
        position = match.end()
        if match[0] in "([{":
            depth += 1
        elif match[0] in ")]}":
            depth -= 1
            if depth <= 0:
                return position
        else:
            position = min(_find_closing(text, match[0], position) + len(match[0]), len(text))
    return len(text)


def _word_at(text: str, start: int, end: int) -> str:
    """Return the word that begins at `start`, up to `end` at most; empty where none does."""
    match = _RUN.match(text, start, end)
    return match[0] if match else ""


def _index(text: str, mark: str, start: int) -> int:
    """Return where a mark comes next, or the end of the text."""
    found = text.find(mark, start)
    return len(text) if found < 0 else found


_FORMS: tuple[tuple[str, re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    ("atz", _LOGIN_TOKEN, MASK),
    ("bearer", _BEARER, MASK),
    ("basic", _BASIC, _mask_basic),
    ("eyj", _JSON_WEB_TOKEN, MASK),
    ("akia", _AWS_KEY, MASK),
    ("asia", _AWS_KEY, MASK),
    ("oa2-cs", _CLIENT_SECRET, MASK),
    ("-----begin", _PRIVATE_KEY, MASK),
    ("://", _URL, _mask_password),
    ("%3a%2f", _URL, _mask_password),
    ("input_value=", _PYDANTIC_INPUT, _mask_input),
)
"""Secrets known by their look: what is in each such text in small letters, its pattern, and what stands for it."""
_MARKS = (*_NAME_MARKS, *(mark for mark, *_ in _FORMS))
