"""The template language of sentences: an action's payload as readable parts, plain data for page, terminal and Dagster.

`"Requested {report_id:badge} for {windows:count:window} {windows:windows}[ after {waited_seconds:duration}]"`

- `{field}` or `{field:kind}` or `{field:kind:argument}`; kinds are listed in `KINDS`. The argument of `money` is the field of its currency.
  A `count` belongs to its action alone, so that actions can be added up; a `total` goes on from action to action, and the last one counts.
- `[…]` is left out when any field inside is `None`, empty or 0.

A part is a JSON object with `kind` and `text`; `badge`, `window`, `account`, `time` and `link` parts carry a `value` too (for
`time` an ISO instant, for `link` a URL).
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import cached_property
from typing import Any

Part = dict[str, str]

_FIELD = re.compile(r"\{(?P<name>[a-z_][a-z0-9_]*)(?::(?P<kind>[a-z]+))?(?::(?P<argument>[^}]*))?\}")
_OPTIONAL = re.compile(r"\[(?P<inside>[^\[\]]*)\]")
MOST_SINGLE_WINDOWS = 4
_SECONDS_IN_HOUR = 3600
_SECONDS_IN_MINUTE = 60


@dataclass(frozen=True)
class Piece:
    """A run of literal text, or one field with the kind it is shown as."""

    text: str = ""
    name: str | None = None
    kind: str = "text"
    argument: str = ""

    @property
    def fields(self) -> frozenset[str]:
        """The names of the payload's fields that it needs."""
        named = (self.name, self.argument if self.kind in _TAKES_FIELD else None)
        return frozenset(name for name in named if name)

    @property
    def step(self) -> "Step":
        """How it is rendered."""
        argument = self.text if self.name is None else self.argument
        return self.name, _TEXTS.get(self.kind), _PARTS.get(self.kind, _no_parts), argument


@dataclass(frozen=True)
class Segment:
    """Some pieces that stand or fall together."""

    pieces: tuple[Piece, ...]
    optional: bool

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of the payload's fields that it shows."""
        return tuple(piece.name for piece in self.pieces if piece.name is not None)


@dataclass(frozen=True)
class Template:
    """A parsed sentence."""

    source: str
    segments: tuple[Segment, ...]

    @property
    def fields(self) -> frozenset[str]:
        """The names of all payload fields that the sentence uses, also as an argument."""
        return frozenset().union(*(piece.fields for segment in self.segments for piece in segment.pieces))

    def fields_of(self, kind: str) -> list[str]:
        """Return the names of the payload fields that are shown as this kind."""
        pieces = (piece for segment in self.segments for piece in segment.pieces)
        return [piece.name for piece in pieces if piece.name and piece.kind == kind]

    @cached_property
    def _plan(self) -> "Plan":
        """Each segment's fields without which it has nothing to say, and its steps: a long session has thousands of sentences."""
        return tuple(
            (segment.fields if segment.optional else (), tuple(piece.step for piece in segment.pieces))
            for segment in self.segments
        )

    def render(self, values: Mapping[str, Any]) -> list[Part]:
        """Return the parts of the sentence for one payload (Python values, by field name)."""
        parts: list[Part] = []
        text = ""
        for needed, steps in self._plan:
            for name in needed:
                if not values[name]:
                    break
            else:
                for field, as_text, as_parts, argument in steps:
                    if field is None:
                        text += argument
                    elif as_text is not None:
                        text += as_text(values[field], argument, values)
                    else:
                        text = _add_parts(parts, text, as_parts(values[field], argument))
        if text:
            parts.append({"kind": "text", "text": text})
        return parts


def parse_template(source: str) -> Template:
    """Parse a sentence template.

    Raises:
        ValueError: a brace or bracket is left over, or a kind is unknown.
    """
    segments: list[Segment] = []
    position = 0
    for match in _OPTIONAL.finditer(source):
        segments.append(Segment(tuple(_pieces(source[position : match.start()])), optional=False))
        segments.append(Segment(tuple(_pieces(match["inside"])), optional=True))
        position = match.end()
    segments.append(Segment(tuple(_pieces(source[position:])), optional=False))
    return Template(source, tuple(s for s in segments if s.pieces))


def plain_text(parts: Sequence[Part]) -> str:
    """Return a sentence as text, the way a log line or a Markdown list shows it; many windows as ranges of days."""
    return "".join(part["text"] for part in fold_windows(parts))


def fold_windows(parts: Sequence[Part]) -> list[Part]:
    """Return the parts with runs of following days as one window part each, `2026-07-27 … 2026-11-23`, where a sentence has many.

    Of more than four runs the first three are shown, and how many days follow.
    """
    windows = [part["value"] for part in parts if part["kind"] == "window"]
    if len(windows) <= MOST_SINGLE_WINDOWS:
        return list(parts)
    days = [date.fromisoformat(window) for window in windows]
    first = next(n for n, part in enumerate(parts) if part["kind"] == "window")
    last = max(n for n, part in enumerate(parts) if part["kind"] == "window")
    runs = list(_runs(sorted(days)))
    shown = runs if len(runs) <= MOST_SINGLE_WINDOWS else runs[: MOST_SINGLE_WINDOWS - 1]
    spaced = [part for run in shown for part in (_range_part(*run), {"kind": "text", "text": " "})][:-1]
    if left := sum((end - start).days + 1 for start, end in runs[len(shown) :]):
        spaced.append({"kind": "text", "text": f" and {left:,} more days"})
    return [*parts[:first], *spaced, *parts[last + 1 :]]


def _range_part(start: date, end: date) -> Part:
    text = str(start) if start == end else f"{start} … {end}"
    return {"kind": "window", "text": text, "value": f"{start}/{end}"}


def _runs(days: Sequence[date]) -> Iterator[tuple[date, date]]:
    """Yield first and last day of each run of following days."""
    start = previous = days[0]
    for day in days[1:]:
        if (day - previous).days > 1:
            yield start, previous
            start = day
        previous = day
    yield start, previous


def _pieces(source: str) -> Iterator[Piece]:
    position = 0
    for match in _FIELD.finditer(source):
        yield from _literal(source[position : match.start()])
        kind = match["kind"] or "text"
        if kind not in KINDS:
            raise ValueError(f"unknown kind {kind!r} in {match[0]!r}; known: {', '.join(sorted(KINDS))}")
        yield Piece(name=match["name"], kind=kind, argument=match["argument"] or "")
        position = match.end()
    yield from _literal(source[position:])


def _literal(text: str) -> Iterator[Piece]:
    if any(c in text for c in "{}[]"):
        raise ValueError(f"a brace or bracket is left over in {text!r}")
    if text:
        yield Piece(text=text)


def _add_parts(parts: list[Part], text: str, more: Sequence[Part]) -> str:
    """Add the text before them, and then parts without the empty ones; return the text that follows the last of them."""
    for part in more:
        if part["kind"] == "text":
            text += part["text"]
        elif part["text"]:
            if text:
                parts.append({"kind": "text", "text": text})
            parts.append(part)
            text = ""
    return text


def format_duration(seconds: float) -> str:
    """Return a length of time the way people say it: `0.4 s`, `3 min 12 s`, `2 h 05 min`."""
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


def _count(value: Any, argument: str, _values: Mapping[str, Any]) -> str:
    number = len(value) if isinstance(value, (list, tuple, dict)) else int(value or 0)
    singular, _, plural = argument.partition("|")
    noun = singular if number == 1 else plural or f"{singular}s"
    return f"{number:,} {noun}".strip()


def _duration(value: Any, _argument: str, _values: Mapping[str, Any]) -> str:
    return format_duration(float(value))


def _money(value: Any, argument: str, values: Mapping[str, Any]) -> str:
    currency = values.get(argument) if argument else None
    return f"{value:,.2f}" + (f" {currency}" if currency else "")


def _flag(_value: Any, _argument: str, _values: Mapping[str, Any]) -> str:
    """Show nothing: the field only decides whether its segment stands."""
    return ""


def _valued(kind: str) -> "AsParts":
    def render(value: Any, _argument: str) -> list[Part]:
        shown: list[Part] = []
        many = value if isinstance(value, (list, tuple)) else () if value is None else (value,)
        for one in many:
            if shown:
                shown.append({"kind": "text", "text": " "})
            said = str(one)
            shown.append({"kind": kind, "text": said, "value": said})
        return shown

    return render


def _time(value: Any, _argument: str) -> list[Part]:
    if not isinstance(value, datetime):
        return []
    iso = value.isoformat()
    return [{"kind": "time", "text": f"{iso[:10]} {iso[11:19]} UTC", "value": iso}]


def _link(value: Any, argument: str) -> list[Part]:
    return [{"kind": "link", "text": argument or str(value), "value": str(value)}] if value else []


def _no_parts(_value: Any, _argument: str) -> list[Part]:
    """Stand in where a kind is text."""
    return []


AsText = Callable[[Any, str, Mapping[str, Any]], str]
AsParts = Callable[[Any, str], list[Part]]
Step = tuple[str | None, AsText | None, AsParts, str]
"""A field (None for literal text), what makes text or else parts of its value, and its argument, or the literal text."""
Plan = tuple[tuple[tuple[str, ...], tuple[Step, ...]], ...]
_TEXTS: Mapping[str, AsText] = {
    "text": _text,
    "count": _count,
    "total": _count,
    "duration": _duration,
    "money": _money,
    "flag": _flag,
}
_TAKES_FIELD = frozenset({"money"})
"""Kinds whose argument names another field."""
_PARTS: Mapping[str, AsParts] = {
    "badge": _valued("badge"),
    "account": _valued("account"),
    "windows": _valued("window"),
    "time": _time,
    "link": _link,
}
KINDS = frozenset({*_TEXTS, *_PARTS})
