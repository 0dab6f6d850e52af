"""How a metric's values are distributed over examples, by strategy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

# So many values are drawn one by one; of more, the quantiles say enough.
_MOST_POINTS = 60


@dataclass(frozen=True)
class Distribution:
    """Quantiles of one strategy's values as they are shown; where they are few, all values."""

    strategy: str
    examples: int
    low: float
    q05: float
    q25: float
    median: float
    q75: float
    q95: float
    high: float
    points: tuple[float, ...]


def distributions(
    strategies: Sequence[str], scores: npt.NDArray[np.float64], log: bool
) -> tuple[Distribution, ...]:
    """The distributions of strategies; one without any value is left out.

    scores: (examples, strategies) on the metric's scale; NaN where there is none.
    """
    import numpy as np

    shown = []
    for name, column in zip(strategies, scores.T, strict=True):
        values = column[~np.isnan(column)]
        if len(values):
            low, q05, q25, median, q75, q95, high = _shown(
                np.quantile(values, (0, 0.05, 0.25, 0.5, 0.75, 0.95, 1)), log
            )
            points = _shown(values, log) if len(values) <= _MOST_POINTS else ()
            shown.append(
                Distribution(name, len(values), low, q05, q25, median, q75, q95, high, points)
            )
    return tuple(shown)


def _shown(values: npt.NDArray[np.float64], log: bool) -> tuple[float, ...]:
    return tuple(math.exp(value) if log else float(value) for value in values)
