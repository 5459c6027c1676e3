"""Print stored and given text without letting it control the terminal."""

import json
from collections.abc import Iterable
from typing import Any, Final

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

_C0 = {code: chr(0x2400 + code) for code in range(0x20) if chr(code) not in "\t\n"} | {0x7F: "␡"}
_C1_AND_BIDI = (
    *range(0x80, 0xA0),
    0x61C,
    0x200E,
    0x200F,
    *range(0x202A, 0x202F),
    *range(0x2066, 0x206A),
)
_VISIBLE: Final = _C0 | dict.fromkeys(_C1_AND_BIDI, "\N{REPLACEMENT CHARACTER}")
_ESCAPED: Final = {code: f"\\u{code:04x}" for code in (0x7F, *_C1_AND_BIDI)}


def safe_text(text: str) -> str:
    """Return the text with control characters, also those that change the direction of writing, as visible ones."""
    return text.translate(_VISIBLE)


def safe_json(value: Any, *, indent: int | None = None) -> str:
    """Return a value as JSON without raw control characters; what JSON has no form for, as text."""
    return json.dumps(value, ensure_ascii=False, indent=indent, default=str).translate(_ESCAPED)


class SafeConsole(Console):
    """A console that shows control characters in text instead of sending them; its own colors are not text."""

    def render_str(self, text: str, **options: Any) -> Text:
        """Read markup from a safe text, so that its width is known before columns are laid out."""
        return super().render_str(safe_text(text), **options)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Render to segments whose text and links are safe."""
        for text, style, control in super().render(renderable, options):
            if control:
                yield Segment(text, style, control)
            else:
                linked = style.update_link(safe_text(style.link)) if style and style.link else style
                yield Segment(safe_text(text), linked)
