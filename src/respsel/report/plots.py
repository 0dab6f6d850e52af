"""Plots as SVG text: no library, no script, colours from the page's style sheet.

Invariant: every string that comes from a recipe is escaped.
"""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from respsel.selection import Verdict

_WIDTH, _ROW, _LEFT, _RIGHT, _TOP = 720, 30, 190, 70, 8


def ranking_plot(verdict: Verdict) -> str:
    """One line per strategy: its score as a dot and its interval as a bar; best at the top."""
    lows, highs = [r.low for r in verdict.ranking], [r.high for r in verdict.ranking]
    ticks = _ticks(min(lows), max(highs))
    low, high = min(ticks[0], *lows), max(ticks[-1], *highs)
    span = (high - low) or 1.0
    height = _TOP + _ROW * len(verdict.ranking) + 42

    def x(value: float) -> float:
        return _LEFT + (value - low) / span * (_WIDTH - _LEFT - _RIGHT)

    bottom = _TOP + _ROW * len(verdict.ranking)
    label = escape(f"{verdict.metric} by strategy, with intervals at {percent(verdict.confidence)}")
    parts = [f'<svg class="plot" viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{label}">']
    for tick in ticks:
        parts.append(f'<line class="grid" x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="{_TOP}" y2="{bottom}"/>')
        parts.append(f'<text class="tick" x="{x(tick):.1f}" y="{bottom + 17}" text-anchor="middle">{tick:g}</text>')
    for i, ranked in enumerate(verdict.ranking):
        y = _TOP + _ROW * i + _ROW / 2
        kind = "lead" if i == 0 else "tied" if ranked.strategy in verdict.tied else "rest"
        parts.append(
            f'<text class="name" x="{_LEFT - 12}" y="{y + 4.5:.1f}" text-anchor="end">{escape(_short(ranked.strategy))}</text>'
        )
        parts.append(f'<line class="bar {kind}" x1="{x(ranked.low):.1f}" x2="{x(ranked.high):.1f}" y1="{y}" y2="{y}"/>')
        parts.append(f'<circle class="dot {kind}" cx="{x(ranked.score):.1f}" cy="{y}" r="5.5"/>')
        parts.append(f'<text class="value" x="{_WIDTH - _RIGHT + 10}" y="{y + 4.5:.1f}">{number(ranked.score)}</text>')
    better = "lower is better" if verdict.direction == "lower" else "higher is better"
    parts.append(f'<text class="tick" x="{_LEFT}" y="{bottom + 36}">{escape(verdict.metric)}; {better}</text></svg>')
    return "".join(parts)


def number(value: float | None) -> str:
    """A score for people: three significant digits, no exponent for usual sizes."""
    if value is None:
        return "–"
    if value and (abs(value) >= 1e6 or abs(value) < 1e-3):
        return f"{value:.2e}"
    digits = 2 if value == 0 else max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:.{digits}f}"


def percent(value: float) -> str:
    """A confidence as it was asked for: 95%, 97.5%, 99.9%."""
    return f"{value * 100:.6g}%"


def share(value: float) -> str:
    """A probability in whole percent that never claims certainty it does not have."""
    if 0 < value < 0.005:
        return "<1%"
    return ">99%" if 0.995 <= value < 1 else f"{value:.0%}"


def _short(name: str) -> str:
    return name if len(name) <= 22 else f"{name[:21]}…"


def _ticks(low: float, high: float) -> list[float]:
    """About five round numbers within the range."""
    span = (high - low) or abs(high) or 1.0
    step = 10 ** math.floor(math.log10(span / 4))
    step *= next(factor for factor in (1, 2, 5, 10) if span / (step * factor) <= 6)
    first = math.ceil(low / step)
    return [round(i * step, 10) for i in range(first, math.floor(high / step) + 1)] or [low]
