"""A plot of spend and sales by day as SVG: some 3 kB for 60 days with any gaps, drawn without a library, shown wherever an image is."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

_WIDTH, _HEIGHT = 720, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 12, 34, 26
_SPEND, _SALES, _INK, _GRID = "#c2410c", "#0f766e", "#475569", "#e2e8f0"
_LINES = 4
_FEW = 2


@dataclass(frozen=True)
class Point:
    """One day's amounts in one currency; None where unknown, which leaves a gap."""

    day: date
    spend: Decimal | None
    sales: Decimal | None


def plot_svg(points: Sequence[Point], currency_code: str) -> str:
    """Draw spend and sales by day, days ascending; a day that is missing is a gap in time, too.

    Raises:
        ValueError: there are no points.
    """
    if not points:
        raise ValueError("expected at least one day to plot")
    frame = _Frame.around(points)
    body = "".join(
        [
            *_grid(frame),
            *_dates(frame),
            *_curve(frame, [(p.day, p.sales) for p in points], _SALES),
            *_curve(frame, [(p.day, p.spend) for p in points], _SPEND),
            _text(_LEFT, 20, "Spend", _SPEND, weight="bold"),
            _text(_LEFT + 56, 20, "Sales", _SALES, weight="bold"),
            _text(_WIDTH - _RIGHT, 20, f"{currency_code} a day", _INK, anchor="end"),
        ]
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}" '
        f'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="#fff"/>{body}</svg>'
    )


@dataclass(frozen=True)
class _Frame:
    """Where a day and an amount are on the picture."""

    first: date
    last: date
    top: Decimal

    @classmethod
    def around(cls, points: Sequence[Point]) -> "_Frame":
        amounts = [amount for p in points for amount in (p.spend, p.sales) if amount is not None]
        return cls(points[0].day, points[-1].day, _round_up(max(amounts, default=Decimal(0))))

    def x(self, day: date) -> int:
        span = (self.last - self.first).days or 1
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * (day - self.first).days // span

    def y(self, amount: Decimal) -> int:
        height = _HEIGHT - _TOP - _BOTTOM
        return _HEIGHT - _BOTTOM - round(height * amount / self.top)


def _round_up(amount: Decimal) -> Decimal:
    """Return the next of 1, 2, 3, 4, 6, 8, 10, 20, 30, …, which four lines divide well; 1 for nothing."""
    step = Decimal(1).scaleb(amount.adjusted()) if amount > 0 else Decimal(1)
    return next(step * factor for factor in (1, 2, 3, 4, 6, 8, 10) if step * factor >= amount)


def _grid(frame: _Frame) -> Iterator[str]:
    amounts = [frame.top * number / _LINES for number in range(_LINES + 1)]
    lines = "".join(f"M{_LEFT} {frame.y(amount)}H{_WIDTH - _RIGHT}" for amount in amounts)
    yield f'<path d="{lines}" stroke="{_GRID}"/>'
    for amount in amounts:
        shown = f"{amount:,.2f}" if frame.top < _LINES else f"{amount:,.0f}"
        yield _text(_LEFT - 8, frame.y(amount) + 4, shown, _INK, anchor="end")


def _dates(frame: _Frame) -> Iterator[str]:
    middle = frame.first + (frame.last - frame.first) / 2
    y = _HEIGHT - 8
    yield _text(_LEFT, y, str(frame.first), _INK)
    if (frame.last - frame.first).days > _FEW:
        yield _text(frame.x(middle), y, str(middle), _INK, anchor="middle")
    if frame.last > frame.first:
        yield _text(_WIDTH - _RIGHT, y, str(frame.last), _INK, anchor="end")


def _curve(
    frame: _Frame, amounts: Sequence[tuple[date, Decimal | None]], color: str
) -> Iterator[str]:
    """Draw lines through days that follow each other, and dots for those that stand alone: two elements, however many gaps there are."""
    places = [
        [f"{frame.x(day)} {frame.y(amount)}" for day, amount in stretch]
        for stretch in _stretches(amounts)
    ]
    if lines := "".join(f"M{first}L{' '.join(rest)}" for first, *rest in places if rest):
        yield f'<path d="{lines}" fill="none" stroke="{color}" stroke-width="2" stroke-linejoin="round"/>'
    if dots := "".join(f"M{first}h0" for first, *rest in places if not rest):
        yield f'<path d="{dots}" stroke="{color}" stroke-width="6" stroke-linecap="round"/>'


def _stretches(
    amounts: Sequence[tuple[date, Decimal | None]],
) -> Iterator[list[tuple[date, Decimal]]]:
    """Yield the runs of days that are known and follow each other."""
    stretch: list[tuple[date, Decimal]] = []
    for day, amount in [*amounts, (date.max, None)]:
        if stretch and (amount is None or (day - stretch[-1][0]).days > 1):
            yield stretch
            stretch = []
        if amount is not None:
            stretch.append((day, amount))


def _text(x: int, y: int, text: str, color: str, *, anchor: str = "", weight: str = "") -> str:
    anchored = f' text-anchor="{anchor}"' if anchor else ""
    weighed = f' font-weight="{weight}"' if weight else ""
    return f'<text x="{x}" y="{y}" fill="{color}"{anchored}{weighed}>{text}</text>'
