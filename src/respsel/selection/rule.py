"""How a verdict is reached: the metric's direction and scale, the confidence, and the seed.

Knows nothing of scores. Invariant: a value leaves the metric's scale in one place, `shown`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from respsel.selection.statistics import reach

if TYPE_CHECKING:
    import numpy as np

# e to this is as far as an interval is followed: with two examples and many strategies its ends are
# beyond any float.
_FARTHEST = 230.0


@dataclass(frozen=True)
class Interval:
    """A value as it is shown, and its interval's ends; None over a single example."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Rule:
    """How a verdict is reached.

    metric: the label of the metric.
    direction: "lower" or "higher", whichever is better.
    scale: "log" compares logarithms, "linear" values; "standardised" over several datasets.
    confidence: that of the verdict and of the scores' intervals.
    resamples: how often the examples are drawn again.
    seed: that of the draws.
    """

    metric: str
    direction: str
    scale: str
    confidence: float
    resamples: int
    seed: int

    @property
    def sign(self) -> float:
        """What turns a difference into "so much worse"."""
        return 1.0 if self.direction == "lower" else -1.0

    @property
    def is_log(self) -> bool:
        """Whether values are compared by their logarithms."""
        return self.scale == "log"

    def stream(self, dataset: int) -> np.random.Generator:
        """The random numbers for the dataset at a place."""
        import numpy as np

        return np.random.Generator(np.random.Philox(key=[self.seed, dataset]))

    def shown(self, value: float) -> float:
        """A value on the scale of the comparison, as it is shown."""
        if not self.is_log:
            return float(value)
        return math.exp(min(max(value, -_FARTHEST), _FARTHEST))

    def interval(
        self, value: float, error: float, fewest: int, confidence: float | None = None
    ) -> Interval:
        """A value with its interval, as they are shown.

        error: the value's standard error.
        fewest: over how many examples it is known, at the least.
        confidence: by default the rule's.
        """
        if fewest < 2:
            return Interval(self.shown(value))
        margin = reach(confidence or self.confidence, fewest) * error
        return Interval(self.shown(value), self.shown(value - margin), self.shown(value + margin))
