"""One horizontal axis of a figure and the rows of names next to it, as SVG text.

The axis is linear or logarithmic. Knows nothing of verdicts. Invariant: every string that comes
from a recipe is escaped; colours come from the page's style sheet.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from html import escape
from unicodedata import east_asian_width

WIDTH = 720
ROW = 30
LEFT = 190
RIGHT = 70
TOP = 8
# In widths of a usual letter: what fits at the left of the axis.
_LONGEST_NAME = 24.0
_WIDE = frozenset("MWmw@%—…")
_MOST_TICKS = 8
_LEAST_SPAN = 1e-300


@dataclass(frozen=True)
class Axis:
    """Values to places: from `low` to `high`, with marks at `ticks`."""

    low: float
    high: float
    ticks: Sequence[float]
    log: bool

    def x(self, value: float) -> float:
        """The place of a value, cut off at the axis's ends."""
        return LEFT + self.share(value) * (WIDTH - LEFT - RIGHT)

    def share(self, value: float) -> float:
        """How far along the axis a value is, from 0 to 1."""
        value = min(max(value, self.low), self.high)
        low = self._at(self.low)
        high = self._at(self.high)
        return (self._at(value) - low) / ((high - low) or 1.0)

    def _at(self, value: float) -> float:
        return math.log(value) if self.log else value


def axis_for(values: Iterable[float], log: bool) -> Axis:
    """An axis that holds all values; a logarithmic one only if all are positive."""
    found = list(values)
    low = min(found)
    high = max(found)
    log = log and low > 0
    ticks = _log_ticks(low, high) if log else _ticks(low, high)
    return Axis(min(ticks[0], low), max(ticks[-1], high), ticks, log)


def marked(names: Sequence[str], by_target: Collection[str]) -> list[str]:
    """Names, marked where the target wrote the texts; a line under the figure explains it."""
    return [f"{name} *" if name in by_target else name for name in names]


def figure(axis: Axis, names: Sequence[str], about: str, below: str, rows: Sequence[str]) -> str:
    """The whole SVG: grid, names, and what was drawn for each row.

    about: for those who cannot see it.
    """
    bottom = TOP + ROW * len(names)
    label = escape(about, quote=True)
    parts = [
        f'<svg class="plot" viewBox="0 0 {WIDTH} {bottom + 42}" role="img" aria-label="{label}">'
    ]
    for tick in axis.ticks:
        x = axis.x(tick)
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{bottom}"/>')
        parts.append(
            f'<text class="tick" x="{x:.1f}" y="{bottom + 17}" text-anchor="middle">{tick:g}</text>'
        )
    for i, name in enumerate(names):
        parts.append(
            f'<text class="name" x="{LEFT - 12}" y="{middle(i) + 4.5:.1f}" '
            f'text-anchor="end">{escape(shortened(name))}{_whole(name)}</text>'
        )
    parts += rows
    parts.append(f'<text class="tick" x="{LEFT}" y="{bottom + 36}">{escape(below)}</text></svg>')
    return "".join(parts)


def middle(row: int) -> float:
    """The height of a row's middle."""
    return TOP + ROW * row + ROW / 2


def value_beside(row: int, text: str) -> str:
    """A value written at the right of a row."""
    return (
        f'<text class="value" x="{WIDTH - RIGHT + 10}" '
        f'y="{middle(row) + 4.5:.1f}">{escape(text)}</text>'
    )


def shortened(name: str) -> str:
    """A name that fits next to the axis.

    Names that begin alike often end differently, so the middle goes.
    """
    if name_width(name) <= _LONGEST_NAME:
        return name
    half = len(name) // 2
    while half > 1 and name_width(f"{name[:half]}…{name[-half:]}") > _LONGEST_NAME:
        half -= 1
    return f"{name[:half]}…{name[-half:]}"


def name_width(text: str) -> float:
    """About how wide a text is, in widths of a usual letter."""
    return sum(map(_width, text))


def _width(char: str) -> float:
    if east_asian_width(char) in "WF":
        return 2.0
    return 1.6 if char in _WIDE else 1.25 if char.isupper() else 1.0


def _whole(name: str) -> str:
    """What a reader who points at a shortened name is shown."""
    return "" if shortened(name) == name else f"<title>{escape(name)}</title>"


def _ticks(low: float, high: float) -> list[float]:
    """About five round numbers within the range."""
    span = (high - low) or abs(high) or 1.0
    if span < _LEAST_SPAN:
        # A quarter of the smallest float is 0, which has no logarithm.
        return [low]
    step = 10 ** math.floor(math.log10(span / 4))
    step *= next(factor for factor in (1, 2, 5, 10) if span / (step * factor) <= 6)
    first = math.ceil(low / step)
    return [round(i * step, 10) for i in range(first, math.floor(high / step) + 1)] or [low]


def _log_ticks(low: float, high: float) -> list[float]:
    """Ticks of a logarithmic axis within the range.

    They are 1, 2 and 5 of each power of ten. Where those are too many, they are powers alone, or
    some of them; where that is less than three, round numbers.
    """
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [factor * 10.0**power for power in powers for factor in (1, 2, 5)]
    found = [tick for tick in ticks if low <= tick <= high]
    if len(found) > _MOST_TICKS:
        every = -(-len(powers) // _MOST_TICKS)
        found = [
            tick
            for tick in (10.0**power for power in powers if power % every == 0)
            if low <= tick <= high
        ]
    return found if len(found) >= 3 else [tick for tick in _ticks(low, high) if tick > 0] or [low]
