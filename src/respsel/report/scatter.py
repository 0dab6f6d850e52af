"""The figure of fit against risk as SVG text: a dot for each strategy, named.

Knows what a verdict and a risk are, and nothing of files. Invariants: every number in it is also in
a table. Names do not cover each other.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from html import escape
from typing import TYPE_CHECKING

from respsel.report.axis import WIDTH, Axis, axis_for, marked, name_width, shortened

if TYPE_CHECKING:
    from respsel.report.analysis.risks import Risk, RiskOfStrategy
    from respsel.selection.verdict import Verdict

_LEFT = 72
_RIGHT = 24
_TOP = 34
_HEIGHT = 280
_BOTTOM = _TOP + _HEIGHT
# The height of a name, and about the width of one of its characters.
_LINE = 17
_CHARACTER = 7.5


def risk_plot(risk: Risk, verdict: Verdict, by_target: Collection[str] = ()) -> str:
    """Fit from left to right, risk upwards; bars are the intervals of both."""
    points = risk.strategies
    across = axis_for([v for p in points for v in _span(p.fit, p.fit_low, p.fit_high)], log=False)
    up = axis_for([v for p in points for v in _span(p.risk, p.risk_low, p.risk_high)], log=False)
    about = escape(f"{verdict.metric} against {risk.metric}, a dot for each strategy", quote=True)
    parts = [
        f'<svg class="plot" viewBox="0 0 {WIDTH} {_BOTTOM + 42}" role="img" aria-label="{about}">',
        *_grid(across, up),
    ]
    places = [(_x(across, point.fit), _y(up, point.risk)) for point in points]
    for point, (x, y) in zip(points, places, strict=True):
        parts += _cross(point, across, up, x, y, _kind(verdict, point.strategy))
    parts += _names(marked([point.strategy for point in points], by_target), places)
    better = "lower" if verdict.direction == "lower" else "higher"
    parts.append(
        f'<text class="tick" x="{_LEFT}" y="{_BOTTOM + 36}">'
        f"{escape(verdict.metric)}; {better} is better</text>"
        f'<text class="tick" x="8" y="16">{escape(risk.metric)}, {escape(risk.unit)}; lower is '
        "less risk</text></svg>"
    )
    return "".join(parts)


def _grid(across: Axis, up: Axis) -> list[str]:
    parts = []
    for tick in across.ticks:
        x = _x(across, tick)
        parts.append(
            f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{_BOTTOM}"/>'
            f'<text class="tick" x="{x:.1f}" y="{_BOTTOM + 17}" text-anchor="middle">'
            f"{tick:g}</text>"
        )
    for tick in up.ticks:
        y = _y(up, tick)
        parts.append(
            f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text class="tick" x="{_LEFT - 10}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>'
        )
    return parts


def _cross(
    point: RiskOfStrategy, across: Axis, up: Axis, x: float, y: float, kind: str
) -> list[str]:
    """A dot with its two intervals."""
    left, right = (_x(across, v) for v in _span(point.fit, point.fit_low, point.fit_high))
    low, high = (_y(up, v) for v in _span(point.risk, point.risk_low, point.risk_high))
    return [
        f'<line class="bar {kind}" x1="{left:.1f}" x2="{right:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>',
        f'<line class="bar {kind}" x1="{x:.1f}" x2="{x:.1f}" y1="{low:.1f}" y2="{high:.1f}"/>',
        f'<circle class="dot {kind}" cx="{x:.1f}" cy="{y:.1f}" r="5.5"/>',
    ]


def _names(names: Sequence[str], places: Sequence[tuple[float, float]]) -> list[str]:
    """Names beside their dots; one that would cover another goes to the nearest free line.

    A thin line leads from a dot to a name that is not beside it.
    """
    taken: list[tuple[float, float, float]] = []
    parts = []
    for i in sorted(range(len(names)), key=lambda i: places[i][1]):
        x, y = places[i]
        text = shortened(names[i])
        width = name_width(text) * _CHARACTER
        toward_left = x + 12 + width > WIDTH
        start = x - 12 - width if toward_left else x + 12
        line = _free_line(y - 9, start, start + width, taken)
        taken.append((start, start + width, line))
        end = x - 12 if toward_left else x + 12
        if abs(line - y) > _LINE:
            parts.append(
                f'<line class="grid" x1="{x:.1f}" x2="{end:.1f}" y1="{y:.1f}" y2="{line:.1f}"/>'
            )
        anchor = "end" if toward_left else "start"
        parts.append(
            f'<text class="name" x="{end:.1f}" y="{line + 4.5:.1f}" text-anchor="{anchor}">'
            f"{escape(text)}<title>{escape(names[i])}</title></text>"
        )
    return parts


def _free_line(
    line: float, start: float, end: float, taken: Sequence[tuple[float, float, float]]
) -> float:
    """The height nearest to `line` where a name covers none that is there; within the figure if
    there is room.
    """
    near = [y for begin, stop, y in taken if start < stop and begin < end]
    # A name takes the heights of at most four steps, so one of these is free.
    most = 4 * len(taken) + 4
    steps = sorted(range(-most, most + 1), key=lambda step: (abs(step), -step))
    free = [
        height
        for height in (line + step * _LINE / 2 for step in steps)
        if all(abs(height - other) >= _LINE for other in near)
    ]
    return next((height for height in free if _TOP - 10 <= height <= _BOTTOM), free[0])


def _kind(verdict: Verdict, strategy: str) -> str:
    if strategy == verdict.winner:
        return "lead"
    return "tied" if strategy in verdict.tied else "rest"


def _span(value: float, low: float | None, high: float | None) -> tuple[float, float]:
    return (value if low is None else low, value if high is None else high)


def _x(axis: Axis, value: float) -> float:
    return _LEFT + axis.share(value) * (WIDTH - _LEFT - _RIGHT)


def _y(axis: Axis, value: float) -> float:
    return _BOTTOM - axis.share(value) * _HEIGHT
