"""Fit against risk: each strategy's selection score next to what training on it may harm.

Judges nothing: the verdict stays as it is. Knows nothing of tables. Invariant: fits are the
verdict's scores, and a difference of risks is paired over examples.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from respsel.selection.statistics import reach

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from respsel.selection.verdict import Verdict

    Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class RiskOfStrategy:
    """A strategy's two scores.

    fit: its score in the verdict.
    fit_low, fit_high: the interval of it.
    risk: the mean of the risk metric over the responses that have one.
    risk_low, risk_high: the interval of it; None over one example.
    difference: risk minus the leader's, over the examples that have both; None for the leader.
    low, high: the interval of the difference.
    """

    strategy: str
    fit: float
    fit_low: float | None
    fit_high: float | None
    risk: float
    risk_low: float | None
    risk_high: float | None
    difference: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Risk:
    """A risk metric's means against the ranking.

    metric: what the recipe calls it.
    unit: that of its values.
    summary: what it measures.
    strategies: in the verdict's order, without those that have no value.
    unbeaten: those that no other strategy beats both in fit and in risk, by the means alone.
    """

    metric: str
    unit: str
    summary: str
    strategies: tuple[RiskOfStrategy, ...]
    unbeaten: tuple[str, ...]


def find_risk(
    metric: str, unit: str, summary: str, verdict: Verdict, values: npt.NDArray[np.float64]
) -> Risk | None:
    """Set a risk metric against the ranking; None if no strategy has a value.

    values: (examples, strategies in the verdict's order), NaN where there is none.
    """
    import numpy as np

    found = []
    for ranked, column in zip(verdict.ranking, values.T, strict=True):
        known = column[~np.isnan(column)]
        if not len(known):
            continue
        apart = column - values[:, 0]
        apart = apart[~np.isnan(apart)]
        behind = ranked.difference is not None and len(apart) > 0
        difference, low, high = _mean(apart, verdict.confidence) if behind else (None,) * 3
        found.append(
            RiskOfStrategy(
                ranked.strategy,
                ranked.score,
                ranked.low,
                ranked.high,
                *_within(_mean(known, verdict.confidence), known),
                difference,
                low,
                high,
            )
        )
    if not found:
        return None
    return Risk(metric, unit, summary, tuple(found), _unbeaten(found, verdict.direction == "lower"))


def _mean(values: Values, confidence: float) -> tuple[float, float | None, float | None]:
    """The mean and its interval by Student's t."""
    mean = float(values.mean())
    n = len(values)
    if n < 2:
        return mean, None, None
    width = reach(confidence, n) * float(values.std(ddof=1)) / math.sqrt(n)
    return mean, mean - width, mean + width


def _within(
    mean: tuple[float, float | None, float | None], values: Values
) -> tuple[float, float | None, float | None]:
    """A share is never below 0, and neither is its interval."""
    at, low, high = mean
    return (at, max(low, 0.0), high) if low is not None and values.min() >= 0 else mean


def _unbeaten(found: Sequence[RiskOfStrategy], lower: bool) -> tuple[str, ...]:
    def beats(one: RiskOfStrategy, other: RiskOfStrategy) -> bool:
        ahead = other.fit - one.fit if lower else one.fit - other.fit
        less = other.risk - one.risk
        return ahead >= 0 and less >= 0 and (ahead > 0 or less > 0)

    return tuple(one.strategy for one in found if not any(beats(other, one) for other in found))
