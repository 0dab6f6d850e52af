"""Numbers as people read them.

Knows nothing of what they are numbers of. Invariant: rounding never makes a share look certain.
"""

from __future__ import annotations

import math


def number(value: float | None) -> str:
    """A score for people: three significant digits, no exponent for usual sizes."""
    if value is None:
        return "–"
    if value and (abs(value) >= 1e6 or abs(value) < 1e-3):
        return f"{value:.2e}"
    digits = 2 if value == 0 else max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:.{digits}f}"


def interval(low: float | None, high: float | None, between: str = " – ") -> str:
    """Both ends of an interval, or that there is none."""
    return "–" if low is None or high is None else f"{number(low)}{between}{number(high)}"


def percent(value: float) -> str:
    """A confidence as it was asked for: 95%, 97.5%, 99.9%."""
    return f"{value * 100:.6g}%"


def share(value: float | None) -> str:
    """A probability in whole percent that never claims certainty it does not have."""
    if value is None:
        return "–"
    if 0 < value < 0.005:
        return "<1%"
    return ">99%" if 0.995 <= value < 1 else f"{value:.0%}"


def counted(count: int, what: str) -> str:
    """A number of things: 1 call, 2 calls."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def short(count: int) -> str:
    """A large number in three digits: 950, 12.3k, 4.56M."""
    for size, letter in ((1_000_000, "M"), (1_000, "k")):
        if count >= size:
            return f"{number(count / size)}{letter}"
    return str(count)


def duration(seconds: float) -> str:
    """A time that is about right: 8 s, 50 s, 3 min, 1 h 20 min, 2 days 3 h."""
    if seconds < 90:
        step = 1 if seconds < 20 else 5
        return f"{max(round(seconds / step) * step, 1)} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours = minutes // 60
    if hours < 24:
        rest = round(minutes % 60 / 5) * 5
        whole = hours + rest // 60
        return f"{whole} h" if rest in (0, 60) else f"{hours} h {rest} min"
    days = hours // 24
    return f"{counted(days, 'day')} {hours % 24} h" if hours % 24 else counted(days, "day")
