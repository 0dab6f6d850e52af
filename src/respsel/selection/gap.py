"""How far each strategy is behind the leader, and how many examples it takes to decide that.

Sizes are on the scale of the estimates they come from, positive where a strategy is worse. Knows
nothing of verdicts. Invariant: over several datasets sizes are means and errors those of means, of
equal weight.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from respsel.selection.statistics import TOLERANCE, Estimates, chance

# The chance at which the number of examples that are needed is meant to decide (a usual choice of
# power).
_POWER = 0.8


@dataclass(frozen=True)
class Gap:
    """How much worse than the leader a strategy is.

    column: the strategy's place in the estimates.
    size: the distance, positive where the strategy is worse.
    error: its standard error.
    examples: over how many examples it is known.
    fewest: over how many of a dataset, at the least.
    """

    column: int
    size: float
    error: float
    examples: int
    fewest: int

    @property
    def chance(self) -> float:
        """The p-value of the distance."""
        return chance(self.size, self.error, self.fewest)


def gap_between(parts: Sequence[Estimates], i: int, leader: int, sign: float) -> Gap:
    """How much worse than the leader a strategy is; sign: 1 where lower is better, else -1."""
    counts = [part.counts[i] for part in parts]
    size = sign * sum(float(part.scores[i] - part.scores[leader]) for part in parts) / len(parts)
    return Gap(i, size, error_of(parts, i, leader), sum(counts), min(counts))


def error_of(parts: Sequence[Estimates], i: int, other: int | None) -> float:
    """The standard error of a strategy's score, or of its difference to another's, over all."""
    return math.sqrt(sum(part.error(i, other) ** 2 for part in parts)) / len(parts)


def effect(parts: Sequence[Estimates], gap: Gap, sign: float) -> float | None:
    """The paired difference in standard deviations; standardised scores are in those already."""
    if len(parts) > 1:
        return sign * gap.size
    return sign * gap.size / (gap.error * math.sqrt(gap.fewest)) if gap.error else None


def needed(gap: Gap, confidence: float) -> float:
    """How many examples would decide a gap that is as large as it looks, with _POWER.

    Infinite where that is not known.
    """
    from scipy.special import ndtri

    if gap.size <= TOLERANCE or gap.fewest < 2:
        return math.inf
    return (
        gap.examples
        * ((float(ndtri((1 + confidence) / 2)) + float(ndtri(_POWER))) * gap.error / gap.size) ** 2
    )
