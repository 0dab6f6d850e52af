"""Two runs' scores of one strategy, and how far they are apart.

Knows nothing of runs. Invariant: only examples that have both scores are compared.
"""

from __future__ import annotations

from dataclasses import dataclass

from respsel.selection.gap import gap_between
from respsel.selection.rule import Rule
from respsel.selection.statistics import Values, estimate, pair


@dataclass(frozen=True)
class Comparison:
    """Scores before and after, over the examples that have both.

    examples: how many those are.
    before, after: the scores.
    difference: after - before, or after / before on a log scale.
    low, high: its paired interval; None over a single example.
    """

    examples: int
    before: float
    after: float
    difference: float
    low: float | None
    high: float | None


def compare(
    before: Values, after: Values, rule: Rule, weights: tuple[Values, Values] | None = None
) -> Comparison | None:
    """Compare two runs' scores of one strategy; None if no example has both.

    weights: see decide.
    """
    names = ("before", "after")
    by_name = dict(zip(names, weights, strict=True)) if weights else None
    scores = {"before": before, "after": after}
    totals, sums = pair(scores, names, rule.is_log, by_name, ())
    if not len(totals):
        return None
    estimates = estimate(totals, sums, 0, 0, rule.stream(0))
    old, new = estimates.scores
    gap = gap_between([estimates], 1, 0, rule.sign)
    shown = rule.interval(float(new - old), gap.error, gap.fewest)
    return Comparison(
        examples=len(totals),
        before=rule.shown(old),
        after=rule.shown(new),
        difference=shown.value,
        low=shown.low,
        high=shown.high,
    )
