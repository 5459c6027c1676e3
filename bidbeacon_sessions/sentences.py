"""The template language that renders payloads as sentences, and the causes of failures.

`"Requested {report_id:badge} for {windows:count:window} {windows:windows}[ after
{waited_seconds:duration}]"`

`{field}`, `{field:kind}` or `{field:kind:argument}` shows a field; kinds are listed in `KINDS`.
`[…]` is omitted if a field inside is `None`, empty or 0 (but an amount of money may be 0). If a
punctuation mark follows a field in the template, a full stop at the end of the field's text is
omitted.

A part is a JSON object with `kind` and `text`; `badge`, `window`, `account` and `time` parts have a
`value` too (for `time` an ISO instant). A cause is a JSON object about a
failure. The application stores it, and explains it to users.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from difflib import get_close_matches
from functools import cached_property, partial
from string import Formatter
from typing import Any, Final

Part = dict[str, str]

Explainer = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""Returns the texts for a cause: `sentence`, and others such as `advice`. Never raises."""

PROCESS_KILLED: Final = {"code": "process-killed"}
"""The cause of a session whose process died."""

_explainers: list[Explainer] = []


def explain_causes_with(explainer: Explainer) -> None:
    """Set the function that explains causes in this process."""
    _explainers[:] = [explainer]


def explain_cause(cause: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the explanation of a cause, or None if no explainer is set."""
    return _explainers[0](cause) if _explainers else None


_OPTIONAL = re.compile(r"\[(?P<inside>[^\[\]]*)\]")
MOST_SINGLE_WINDOWS = 7
_SECONDS_IN_HOUR = 3600
_SECONDS_IN_MINUTE = 60
_OWN_MARKS = (".", ",", ";", ":", ")")
_ENDS_OF_SENTENCES = (".", "!", "?", "…")
_BLANK: Part = {"kind": "text", "text": " "}


@dataclass(frozen=True)
class Piece:
    """A piece of a template: literal text, or a field with the kind that renders it.

    Pieces with the same `group` above 0 are omitted together if one of their fields is empty.
    """

    text: str = ""
    name: str = ""
    kind: str = "text"
    argument: str = ""
    group: int = 0

    def is_empty(self, values: Mapping[str, Any]) -> bool:
        """Return whether the field is empty or 0; an amount of money may be 0, but not None."""
        value = values[self.name]
        return value is None if self.kind == "money" else not value


@dataclass(frozen=True)
class Template:
    """A parsed sentence template, which renders payloads."""

    pieces: tuple[Piece, ...]

    @cached_property
    def fields(self) -> Sequence[Piece]:
        """The pieces that show a field of the payload."""
        return [piece for piece in self.pieces if piece.name]

    def field_names(self) -> set[str]:
        """Return the names of all fields in the sentence, including fields with a currency."""
        currencies = {each.argument for each in self.fields if each.kind == "money"}
        return {piece.name for piece in self.fields} | currencies - {""}

    def render(self, values: Mapping[str, Any]) -> list[Part]:
        """Return a payload's sentence as parts; `values` is the payload, by field name."""
        hidden = {piece.group for piece in self.fields if piece.is_empty(values)} - {0}
        parts: list[Part] = []
        is_after_field = False
        for piece in self.pieces:
            if piece.group in hidden:
                continue
            if piece.name:
                shown = KINDS[piece.kind](values[piece.name], piece.argument, values)
                _add(parts, *([_text_part(shown)] if isinstance(shown, str) else shown))
            else:
                if is_after_field and piece.text.startswith(_OWN_MARKS):
                    _strip_stop(parts)
                _add(parts, _text_part(piece.text))
            is_after_field = bool(piece.name)
        return parts


def _add(parts: list[Part], *more: Part) -> None:
    for part in more:
        if parts and part["kind"] == parts[-1]["kind"] == "text":
            parts[-1] = _text_part(parts[-1]["text"] + part["text"])
        elif part["text"]:
            parts.append(part)


def _strip_stop(parts: list[Part]) -> None:
    if parts and parts[-1]["kind"] == "text":
        parts[-1] = _text_part(without_stop(parts[-1]["text"]))


def _text_part(text: str) -> Part:
    return {"kind": "text", "text": text}


def without_stop(text: str) -> str:
    """Return a text without its final full stop."""
    return text.rstrip().rstrip(".")


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """Return " Did you mean …?" with the known word that is most like `given`; "" if none is."""
    close = get_close_matches(given, list(known), n=1)
    return f" Did you mean {close[0]}?" if close else ""


def join_sentences(*texts: str) -> str:
    """Join texts that are not empty; a text without a final mark gets a full stop."""
    ends = [without_stop(text.strip()) for text in texts if text.strip()]
    return " ".join(end if end.endswith(_ENDS_OF_SENTENCES) else f"{end}." for end in ends)


def parse_template(source: str) -> Template:
    """Parse a sentence template.

    Raises:
        ValueError: a brace or bracket is unmatched, or a kind is unknown.
    """
    pieces: list[Piece] = []
    position = 0
    for number, match in enumerate(_OPTIONAL.finditer(source), start=1):
        pieces += _pieces(source[position : match.start()], 0)
        pieces += _pieces(match["inside"], number)
        position = match.end()
    return Template((*pieces, *_pieces(source[position:], 0)))


def plain_text(parts: Sequence[Part]) -> str:
    """Return a sentence as text for log lines and lists; many windows become a range of days."""
    return "".join(part["text"] for part in fold_windows(parts))


def fold_windows(parts: Sequence[Part]) -> list[Part]:
    """Replace more than seven windows by one range: `2026-07-27 … 2026-11-23 with gaps`."""
    places = [place for place, part in enumerate(parts) if part["kind"] == "window"]
    if len(places) <= MOST_SINGLE_WINDOWS:
        return list(parts)
    days = {date.fromisoformat(parts[place]["value"]) for place in places}
    first, last = min(days), max(days)
    gaps = " with gaps" if len(days) <= (last - first).days else ""
    folded = {"kind": "window", "text": f"{first} … {last}{gaps}", "value": f"{first}/{last}"}
    return [*parts[: places[0]], folded, *parts[places[-1] + 1 :]]


def _pieces(source: str, group: int) -> Iterator[Piece]:
    for text, name, shown_as, _ in Formatter().parse(source):
        if "[" in text or "]" in text or name == "":
            raise ValueError(f"unmatched brace or bracket in {source!r}")
        if text:
            yield Piece(text, group=group)
        if name is None:
            continue
        kind, _, argument = (shown_as or "text").partition(":")
        if kind not in KINDS:
            raise ValueError(f"unknown kind {kind!r} of {name}; known: {', '.join(sorted(KINDS))}")
        yield Piece(name=name, kind=kind, argument=argument, group=group)


def format_duration(seconds: float) -> str:
    """Format a duration: `0.4 s`, `3 min 12 s`, `2 h 05 min`."""
    if seconds < 10:  # noqa: PLR2004 - below ten seconds the tenth matters
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < _SECONDS_IN_MINUTE:
        return f"{whole} s"
    if whole < _SECONDS_IN_HOUR:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def _text(value: Any, _argument: str, _values: Mapping[str, Any]) -> str:
    if isinstance(value, (int, Decimal)) and not isinstance(value, bool):
        return f"{value:,}"
    return "" if value is None else str(value)


def _cause(value: Any, _argument: str, _values: Mapping[str, Any]) -> str:
    explained = explain_cause(value or {})
    return str(explained["sentence"] if explained else value or "")


def _count(value: Any, argument: str, _values: Mapping[str, Any]) -> str:
    number = len(value) if isinstance(value, (list, tuple, dict)) else int(value or 0)
    singular, _, plural = argument.partition("|")
    noun = singular if number == 1 else plural or f"{singular}s"
    return f"{number:,} {noun}".strip()


def _money(value: Any, argument: str, values: Mapping[str, Any]) -> str:
    currency = values.get(argument) if argument else None
    return f"{value:,.2f}" + (f" {currency}" if currency else "")


def _valued(kind: str, value: Any, _argument: str, _values: Mapping[str, Any]) -> list[Part]:
    many = value if isinstance(value, (list, tuple)) else () if value is None else (value,)
    spaced = [
        part
        for one in map(str, many)
        for part in (_BLANK, {"kind": kind, "text": one, "value": one})
    ]
    return spaced[1:]


def _time(value: Any, _argument: str, _values: Mapping[str, Any]) -> list[Part]:
    if not isinstance(value, datetime):
        return []
    iso = value.isoformat()
    return [{"kind": "time", "text": f"{iso[:10]} {iso[11:19]} UTC", "value": iso}]


KINDS: Mapping[str, Callable[[Any, str, Mapping[str, Any]], str | list[Part]]] = {
    "text": _text,
    "cause": _cause,
    "count": _count,
    "duration": lambda value, *_: format_duration(float(value)),
    "money": _money,
    "flag": lambda *_: "",  # the field only decides whether its segment is shown
    "badge": partial(_valued, "badge"),
    "account": partial(_valued, "account"),
    "windows": partial(_valued, "window"),
    "time": _time,
}
"""Renderers by kind. Each gets a field's value and argument, and the values of all fields."""
