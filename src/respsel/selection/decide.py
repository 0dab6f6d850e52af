"""Scores to a verdict: which strategy leads, by how much, and whether that is decided.

Scores are compared on the metric's scale (logarithms for perplexities), paired over examples. Knows
nothing of files or models. Invariant: the same scores and parameters give the same verdict.

A verdict is decided if the leader beats each other strategy by a paired t-test at the asked
confidence, each over FEWEST_EXAMPLES or more. The tests are corrected for all pairs of strategies,
stepping down (statistics.limits).

Why this correction: at 95 %, equal strategies must be called decided in at most 5 % of cases, and
one of them worse in at most 5 %. Simulated with 12 to 100 examples:
- Without a correction, 2 equal strategies are called decided in 5.0 %. That is just the bound, and
  leaves nothing for the leader being chosen from the same scores.
- Holm's correction over the strategies keeps "decided" (2.8 %), but calls one of 8 equal strategies
  worse in 11.7 %.
- Holm's correction over all pairs does so in 4.1 % at most. On published outcomes
  (benchmarks/replay.py) as many verdicts are decided.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from respsel.selection.rule import Rule
from respsel.selection.statistics import Estimates, Values, estimate, noise, pair, responses
from respsel.selection.verdict import Verdict

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Matrix = npt.NDArray[np.float64]

# Raised when the same scores would give another verdict.
VERSION = 4

# By strategy.
Scores = Mapping[str, Values]


def is_weighed(weights: Iterable[Scores]) -> bool:
    """Whether scores have weights. All scores of a ratio of means have one, others have none."""
    return any(
        weight is not None
        for table in weights
        for mine in table.values()
        for weight in mine.values()
    )


def decide(
    dataset: str,
    strata: Sequence[Scores],
    rule: Rule,
    weights: Sequence[Scores] | None = None,
    dropped: Sequence[Collection[str]] = (),
    barred: Mapping[str, str] = MappingProxyType({}),
) -> Verdict:
    """Return the verdict over one or more datasets, each a table strategy -> example id -> value.

    A value may also be the values of an example's several responses. Over several datasets see
    `_over_all`; strategies that are not in every dataset are left out.

    weights: of the same shape, where a metric over a dataset is a ratio of means.
    dropped: by dataset, the strategies that were left out on the way (a race). They need not have
        every example and cannot lead.
    barred: by strategy that may not be recommended, why. It is shown, and need not have every
        example; it cannot lead or be tied, and no other one is tested against it.
    """
    names = [name for name in strata[0] if all(name in stratum for stratum in strata)]
    # Where all are barred, they are ranked among themselves.
    behind = set() if barred.keys() >= set(names) else barred.keys() & names
    out = [set(some) | behind for some in dropped] or [behind] * len(strata)
    # A race of one dataset may have dropped all that no other dataset bars.
    out = [some if some < set(names) else set(behind) for some in out]
    names, paired = _paired(strata, names, rule, weights, out)
    counts = [len(totals) for totals, _ in paired]
    unranked = _unranked(dataset, rule, sum(counts), _unscored(strata, names), barred)
    if not names or min(counts) == 0:
        return unranked
    parts = []
    for i, (totals, sums) in enumerate(paired):
        best = _first(totals, sums, names, out[i], rule)
        parts.append(estimate(totals, sums, best, rule.resamples, rule.stream(i)))
    if len(strata) == 1:
        return _ranked(unranked, names, parts, out[0], rule)
    return _over_all(unranked, names, parts, set.intersection(*out), rule)


def _ranked(
    unranked: Verdict,
    names: Sequence[str],
    parts: Sequence[Estimates],
    dropped: Collection[str],
    rule: Rule,
) -> Verdict:
    # Late: a cached run ranks nothing.
    from respsel.selection.ranking import rank

    return rank(unranked, names, parts, dropped, rule)


def _over_all(
    unranked: Verdict,
    names: Sequence[str],
    parts: Sequence[Estimates],
    dropped: Collection[str],
    rule: Rule,
) -> Verdict:
    """The verdict over several datasets, whose scores are standardised.

    A strategy's score is the mean, over datasets of equal weight, of its distance from the
    strategies' mean, in the dataset's paired standard deviations (taken as known).
    """
    scaled = [part.scaled(float(part.scores.mean()), noise(part.errors)) for part in parts]
    standardised = replace(rule, scale="standardised")
    unranked = replace(unranked, scale=standardised.scale)
    return _ranked(unranked, names, scaled, dropped, standardised)


def _paired(
    strata: Sequence[Scores],
    names: Sequence[str],
    rule: Rule,
    weights: Sequence[Scores] | None,
    out: Sequence[Collection[str]],
) -> tuple[list[str], list[tuple[Matrix, Matrix]]]:
    """The strategies that can be ranked, and by dataset their sums (statistics.pair).

    out: by dataset, the strategies that need not have every example. One that has none of those
        over which the others are compared cannot be ranked.
    """
    paired = [
        pair(stratum, names, rule.is_log, weights[i] if weights else None, out[i])
        for i, stratum in enumerate(strata)
    ]
    empty = {
        names[column]
        for totals, sums in paired
        if len(totals)
        for column in range(len(names))
        if not sums[:, column].any()
    }
    if not empty:
        return list(names), paired
    return _paired(strata, [name for name in names if name not in empty], rule, weights, out)


def _unscored(strata: Sequence[Scores], names: Sequence[str]) -> Mapping[str, int]:
    """By strategy, how many examples have no score."""
    return {
        name: sum(
            1 for stratum in strata for value in stratum[name].values() if not responses(value)
        )
        for name in names
    }


def _unranked(
    dataset: str,
    rule: Rule,
    examples: int,
    unscored: Mapping[str, int],
    barred: Mapping[str, str],
) -> Verdict:
    """The verdict that ranks nothing."""
    return Verdict(
        dataset=dataset,
        metric=rule.metric,
        direction=rule.direction,
        scale=rule.scale,
        confidence=rule.confidence,
        examples=examples,
        winner=None,
        decided=False,
        tied=(),
        examples_needed=None,
        ranking=(),
        unscored=unscored,
        barred=dict(barred),
    )


def _first(
    totals: Matrix, sums: Matrix, names: Sequence[str], dropped: Collection[str], rule: Rule
) -> int:
    """The leader of those that were not dropped."""
    means = totals.sum(axis=0) / sums.sum(axis=0)
    return min(
        (i for i in range(len(names)) if names[i] not in dropped),
        key=lambda i: (rule.sign * means[i], names[i]),
    )
