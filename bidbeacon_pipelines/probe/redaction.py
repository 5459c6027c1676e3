"""Replace everything in exchanges that is a customer's: the same value by the same stand-in, so that joins stay.

Kept are Amazon's names of fields, words of the contract's vocabularies, dates, and error codes.
Every other text, id and number is replaced, also in fields that nobody knows; the product's masker
for secrets runs over the result.
"""

import re
import secrets
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import msgspec

from bidbeacon_pipelines.probe.expectations import CALLS, FIELD_VARIANTS
from bidbeacon_pipelines.probe.leaves import ANYTHING, Leaf
from bidbeacon_pipelines.probe.shapes import ENTITIES, ERROR, Shape, fitting, known_words, row_leaf
from bidbeacon_pipelines.recordings import FILE_HOST, Exchange, Recording, file_text
from bidbeacon_sessions.masking import mask, names_secret

_WORDS = known_words()
_MESSAGES = frozenset(
    {
        "message",
        "details",
        "detail",
        "errorMessage",
        "failureReason",
        "error_description",
        "fieldLocation",
    }
)
_OURS = {other: ours for ours, other in FIELD_VARIANTS.items()}
_FROM_ANSWERS = frozenset({"advertiserAccountId", "reportIds", "nextToken"})
_KEPT_NUMBERS = frozenset({"index", "errorId"})
_SIZES = ("sizeInBytes", "fileSize")
_LONGEST_WORD = 80
_SHORTEST_ID = 9
_MOST_DIGITS = 19
_DIGIT = re.compile(r"[0-9]")
_KEY = re.compile(r"[A-Za-z_][\w.]{0,80}")
_ASIN = re.compile(r"B0[A-Z0-9]{8}")
_EXPRESSION = re.compile(r'(asin|asin-expanded|category)="([^"]*)"')
_AUTO_TARGETS = frozenset({"close-match", "loose-match", "substitutes", "complements"})
_LOOKS_PRIVATE = re.compile(
    r"amzn1\.[\w.-]+|[\w.+-]+@[\w-]+\.[\w.]+|\bB0[A-Z0-9]{8}\b|\b[0-9a-fA-F]{8}-[0-9a-fA-F-]{27}\b|\d{7,}"
)
"""Parts of a message that are an id, an address or a product, whether they came elsewhere or not."""
_QUOTED = re.compile(r"(['\"“])(?![A-Za-z]+(?:\.[A-Za-z]+)*['\"”])[^'\"”]*(['\"”])")


def redacted(exchanges: Iterable[Exchange]) -> Recording:
    """Return a recording of the exchanges that can be attached to an issue."""
    return _Redactor(tuple(exchanges)).recording()


class _Redactor:
    """The stand-ins of one recording."""

    def __init__(self, exchanges: Sequence[Exchange]) -> None:
        self._exchanges = exchanges
        self._texts: dict[str, str] = {}
        self._numbers: dict[Decimal, int | Decimal] = {}
        self._files: dict[str, Exchange] = {}
        self._sent = frozenset(
            text for exchange in exchanges for text in _own_texts(exchange.request)
        )

    def recording(self) -> Recording:
        """Redact files first, since answers name their sizes."""
        for exchange in self._exchanges:
            if exchange.is_file:
                self._files[exchange.path] = self._file(exchange)
        calls = (
            self._files[exchange.path] if exchange.is_file else self._call(exchange)
            for exchange in self._exchanges
        )
        return Recording(
            exchanges=tuple(msgspec.structs.replace(call, body=mask(call.body)) for call in calls)
        )

    def _file(self, exchange: Exchange) -> Exchange:
        """Return a file under a name of its own, announced with the size that it has, or as wrongly as before."""
        body = self._value(exchange.body, _shape_of_file(exchange))
        size = len(file_text(body))
        is_right = exchange.announced in (exchange.sizes or ())
        return msgspec.structs.replace(
            exchange,
            path=f"/downloads/file-{len(self._files) + 1}.json.gz",
            body=body,
            text=self._message(exchange.text),
            announced=None if exchange.announced is None else size if is_right else size + 1,
            sizes=None if exchange.sizes is None else (size, size),
        )

    def _call(self, exchange: Exchange) -> Exchange:
        body = self._value(exchange.body, _shape_of_answer(exchange))
        scope = "amazon-advertising-api-scope"
        headers = dict(exchange.request_headers)
        if scope in headers:
            headers[scope] = self._text(headers[scope])
        return msgspec.structs.replace(
            exchange,
            path="/".join(self._texts.get(part, part) for part in exchange.path.split("/")),
            request=self._request(exchange.request),
            request_headers=headers,
            body=body,
            text=self._message(exchange.text),
        )

    def _request(self, value: Any, name: str = "") -> Any:
        """Replace ids and tokens that came from answers; the rest of a request is ours."""
        if isinstance(value, dict):
            return {key: self._request(inner, key) for key, inner in value.items()}
        if isinstance(value, list):
            return [self._request(inner, name) for inner in value]
        return self._text(value) if isinstance(value, str) and name in _FROM_ANSWERS else value

    def _value(self, value: Any, shape: Shape, name: str = "") -> Any:
        """Return a value without what is a customer's; `shape` says where the contract has vocabularies."""
        shape = fitting(value, shape)
        if isinstance(value, dict):
            return self._object(value, shape if isinstance(shape, dict) else {})
        if isinstance(value, list):
            inner = shape[0] if isinstance(shape, list) else ANYTHING
            return [self._value(item, inner, name) for item in value]
        is_word = isinstance(shape, Leaf) and shape.is_word
        if isinstance(value, str):
            return self._word_or_text(value, name, is_word=is_word)
        if value is None or isinstance(value, bool) or is_word or name in _KEPT_NUMBERS:
            return value
        return self._number(value)

    def _object(self, value: dict[str, Any], shape: dict[str, Shape]) -> dict[str, Any]:
        known = {key.rstrip("?"): inner for key, inner in shape.items()}
        clean = {
            key if _KEY.fullmatch(key) else self._text(key): self._value(
                inner, known.get(key, known.get("*", ANYTHING)), key
            )
            for key, inner in value.items()
        }
        file = (
            self._files.get(urlsplit(url).path)
            if isinstance(url := value.get("url"), str)
            else None
        )
        if file is not None:
            clean["url"] = FILE_HOST + file.path
            clean |= {key: file.announced for key in _SIZES if isinstance(clean.get(key), int)}
        return clean

    def _word_or_text(self, value: str, name: str, *, is_word: bool) -> str:
        if names_secret(name):
            return "stand-in"
        if name in _MESSAGES:
            return self._message(value) or ""
        is_harmless = not value or value in _WORDS or value in _AUTO_TARGETS or value in self._sent
        if is_harmless or (is_word and value not in self._texts):
            return _encodable(value[:_LONGEST_WORD])
        if match := _EXPRESSION.fullmatch(value):
            return f'{match[1]}="{self._text(match[2])}"'
        return self._text(value)

    def _text(self, value: str) -> str:
        if value not in self._texts:
            self._texts[value] = self._new_text(value, len(self._texts) + 1)
        return self._texts[value]

    def _new_text(self, value: str, number: int) -> str:
        if value.isascii() and value.isdigit():
            return "9" + str(number).zfill(min(max(len(value), 6), _MOST_DIGITS) - 1)
        if _ASIN.fullmatch(value):
            return f"B0{number:08d}"
        if value.startswith("amzn1."):
            return f"{value.rpartition('.')[0]}.standin{number:04d}"
        return f"{FILE_HOST}/unknown-{number}" if "://" in value else f"text-{number}"

    def _number(self, value: int | Decimal) -> int | Decimal:
        """Return a number with as many digits; an id's stand-in is that of the same id as text."""
        if isinstance(value, int) and value >= 10 ** (_SHORTEST_ID - 1):
            return int(self._text(str(value)))
        key = Decimal(value)
        if key not in self._numbers:
            self._numbers[key] = _same_form(value)
        return (
            self._numbers[key] if isinstance(self._numbers[key], type(value)) else _same_form(value)
        )

    def _message(self, text: str | None) -> str | None:
        """Return a message without ids, products and quoted names; the names of fields stay."""
        if text is None:
            return None
        for original in sorted(
            (text for text in self._texts if len(text) >= _SHORTEST_ID), key=len, reverse=True
        ):
            text = text.replace(original, self._texts[original])
        text = _LOOKS_PRIVATE.sub(lambda match: self._stand_in_of_part(match[0]), text)
        return _encodable(str(mask(_QUOTED.sub(r"\1…\2", text))))

    def _stand_in_of_part(self, part: str) -> str:
        return part if part in self._texts.values() else self._text(part)


def _shape_of_answer(exchange: Exchange) -> Shape:
    call = next((call for call in CALLS if call.covers(exchange)), None)
    return call.shape if call is not None and exchange.is_success else ERROR


def _shape_of_file(exchange: Exchange) -> Shape:
    if exchange.step in ENTITIES:
        return [ENTITIES[exchange.step]]
    rows = exchange.body if isinstance(exchange.body, list) else []
    names = {name for row in rows if isinstance(row, dict) for name in row}
    return [{name: row_leaf(_OURS.get(name, name)) for name in names}]


def _own_texts(request: Any, name: str = "") -> Iterator[str]:
    """Yield the texts of a request that did not come from an answer: our own."""
    if isinstance(request, dict):
        for key, inner in request.items():
            yield from _own_texts(inner, key)
    elif isinstance(request, list):
        for inner in request:
            yield from _own_texts(inner, name)
    elif isinstance(request, str) and name not in _FROM_ANSWERS:
        yield request


def _encodable(text: str) -> str:
    """Return a text without lone surrogates, which no file can hold."""
    return text.encode(errors="replace").decode()


def _same_form(value: int | Decimal) -> int | Decimal:
    """Return another number of the same sign, with as many digits before and after the point; zero stays zero."""
    if not value:
        return value
    mantissa, mark, exponent = str(value).partition("E")
    digits = mantissa.lstrip("-0.")
    head = mantissa[: len(mantissa) - len(digits)]
    rest = _DIGIT.sub(lambda _: str(secrets.randbelow(10)), digits[1:_MOST_DIGITS])
    text = f"{head}{1 + secrets.randbelow(9)}{rest}{mark}{exponent}"
    return int(text) if isinstance(value, int) else Decimal(text)
