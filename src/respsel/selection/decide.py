"""Scores to a verdict: which strategy leads, by how much, and whether that is decided.

Scores are compared on the metric's scale (logarithms for perplexities), paired over examples. Knows
nothing of files or models. Invariant: the same scores and parameters give the same verdict.

Decided: the leader beats each other strategy by a paired t-test at the asked confidence, corrected
for all pairs of strategies, stepping down (statistics.limits), and each over FEWEST_EXAMPLES. Equal
strategies must be called decided in at most 5 % of cases at 95 %, and one of them worse in at most
5 %. Simulated with 12 to 100 examples, uncorrected tests call 2 equal strategies decided in 5.0 %:
just the bound, with nothing left for the leader being chosen from the same scores. Holm's
correction over the strategies keeps "decided" (2.8 %), but calls one of 8 equal strategies worse in
11.7 %. Over all pairs it is 4.1 % at most, and on published outcomes (benchmarks/ replay.py) as
many verdicts are decided. A score's interval is at the asked confidence; a difference's at the
level that it was tested at, so that it excludes no difference just where the strategy is called
worse.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from respsel.selection.gap import Gap, effect, error_of, gap_between, needed
from respsel.selection.statistics import (
    TOLERANCE,
    Estimates,
    Values,
    estimate,
    limits,
    noise,
    pair,
    reach,
    responses,
    share_of_wins,
)
from respsel.selection.verdict import FEWEST_EXAMPLES, Ranked, Verdict

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Matrix = npt.NDArray[np.float64]

VERSION = 4
# e to this is as far as an interval is followed: with two examples and many strategies its ends are
# beyond any float.
_FARTHEST = 230.0


@dataclass(frozen=True)
class Rule:
    """How a verdict is reached."""

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


Scores = Mapping[str, Values]


def is_weighed(weights: Iterable[Scores]) -> bool:
    """Whether scores have weights. A metric is a ratio of means, or it is not: one weight tells."""
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
) -> Verdict:
    """Return the verdict over one or more datasets, each a table strategy -> example id -> value.

    A value may also be the values of an example's several responses. weights: of the same shape;
    where a metric over a dataset is a ratio of means, such as all nats by all tokens. dropped: by
    dataset, the strategies that were left out on the way (a race): they need not have every example
    and cannot lead. Over several datasets the scores are standardised: a strategy's is the mean,
    over datasets of equal weight, of its distance from the strategies' mean in the dataset's paired
    standard deviations (taken as known). Strategies that are not in every dataset are left out.
    """
    names = [name for name in strata[0] if all(name in stratum for stratum in strata)]
    out = [set(item) for item in dropped] or [set()] * len(strata)
    paired = [
        pair(stratum, names, rule.scale == "log", weights[i] if weights else None, out[i])
        for i, stratum in enumerate(strata)
    ]
    unscored = {
        name: sum(1 for s in strata for value in s[name].values() if not responses(value))
        for name in names
    }
    count = sum(len(totals) for totals, _ in paired)
    head = (dataset, rule.metric, rule.direction, rule.scale, rule.confidence, count)
    if not names or min(len(totals) for totals, _ in paired) == 0:
        return Verdict(*head, None, False, (), None, (), unscored)
    parts = []
    for i, (totals, sums) in enumerate(paired):
        parts.append(
            estimate(
                totals,
                sums,
                _first(totals, sums, names, out[i], rule),
                rule.resamples,
                _stream(rule, i),
            )
        )
    if len(strata) == 1:
        return _weigh(head, names, parts, out[0], rule, unscored)
    rule = replace(rule, scale="standardised")
    parts = [part.scaled(float(part.scores.mean()), noise(part.errors)) for part in parts]
    return _weigh(
        (*head[:3], "standardised", *head[4:]), names, parts, set.intersection(*out), rule, unscored
    )


def _weigh(
    head: tuple[str, str, str, str, float, int],
    names: Sequence[str],
    parts: Sequence[Estimates],
    dropped: Collection[str],
    rule: Rule,
    unscored: Mapping[str, int],
) -> Verdict:
    """Rank the strategies by the mean over the parts, and test the leader against each
    other one.
    """
    import numpy as np

    scores = np.mean([part.scores for part in parts], axis=0)
    draws = np.mean([part.draws for part in parts], axis=0)
    order = sorted(
        range(len(names)), key=lambda i: (names[i] in dropped, rule.sign * scores[i], names[i])
    )
    leader = order[0]
    p_best = share_of_wins(rule.sign * draws)
    places = np.mean([_places(rule.sign * part.scores) for part in parts], axis=0)
    gaps = [gap_between(parts, i, leader, rule.sign) for i in order]
    allowed = limits([gap.chance for gap in gaps[1:]], 1 - rule.confidence, all_pairs=True)
    tied = [
        (gap, limit) for gap, limit in zip(gaps[1:], allowed, strict=True) if gap.chance > limit
    ]
    most = max((needed(gap, 1 - limit) for gap, limit in tied), default=math.inf)
    ranking = []
    for gap, limit in zip(gaps, [None, *allowed], strict=True):
        i = gap.column
        shown = (
            names[i],
            *_interval(scores[i], error_of(parts, i, None), gap, rule),
            float(p_best[i]),
        )
        apart: tuple[float | None, float | None, float | None] = (None, None, None)
        level = None if limit is None else 1 - limit
        if level is not None:
            apart = _interval(rule.sign * gap.size, gap.error, gap, rule, level)
        size = None if level is None else effect(parts, gap, rule.sign)
        ranking.append(Ranked(*shown, *apart, size, float(places[i]), gap.examples, level))
    decided = not tied and min(gap.fewest for gap in gaps) >= FEWEST_EXAMPLES
    enough = max(FEWEST_EXAMPLES, math.ceil(most)) if math.isfinite(most) else None
    by_rank = min(range(len(names)), key=lambda i: (round(places[i], 9), i != leader, names[i]))
    first = names[by_rank] if len(parts) > 1 else None
    tied_names = tuple(names[gap.column] for gap, _ in tied)
    return Verdict(
        *head, names[leader], decided, tied_names, enough, tuple(ranking), unscored, first
    )


@dataclass(frozen=True)
class Comparison:
    """Scores before and after, over the examples that have both; the difference is after - before,
    or after / before on a log scale, with its paired interval (None over a single example)."""

    examples: int
    before: float
    after: float
    difference: float
    low: float | None
    high: float | None


def compare(
    before: Values, after: Values, rule: Rule, weights: tuple[Values, Values] | None = None
) -> Comparison | None:
    """Compare two runs' scores of one strategy; None if no example has both. weights:
    see decide.
    """
    names = ("before", "after")
    by_name = dict(zip(names, weights, strict=True)) if weights else None
    totals, sums = pair(
        dict(zip(names, (before, after), strict=True)), names, rule.scale == "log", by_name, ()
    )
    if not len(totals):
        return None
    found = estimate(totals, sums, 0, 0, _stream(rule, 0))
    old, new = found.scores
    gap = gap_between([found], 1, 0, rule.sign)
    shown = _interval(float(new - old), gap.error, gap, rule)
    return Comparison(len(totals), _shown(old, rule), _shown(new, rule), *shown)


def _stream(rule: Rule, stratum: int) -> np.random.Generator:
    import numpy as np

    return np.random.Generator(np.random.Philox(key=[rule.seed, stratum]))


def _first(
    totals: Matrix, sums: Matrix, names: Sequence[str], dropped: Collection[str], rule: Rule
) -> int:
    """The leader of those that were not dropped."""
    means = totals.sum(axis=0) / sums.sum(axis=0)
    return min(
        (i for i in range(len(names)) if names[i] not in dropped),
        key=lambda i: (rule.sign * means[i], names[i]),
    )


def _places(worse: Matrix) -> Matrix:
    """Ranks from 1, ties sharing theirs."""
    less = (worse[None] < worse[:, None] - TOLERANCE).sum(axis=1)
    equal = (abs(worse[None] - worse[:, None]) <= TOLERANCE).sum(axis=1)
    places: Matrix = less + (equal + 1) / 2
    return places


def _interval(
    value: float, error: float, gap: Gap, rule: Rule, confidence: float | None = None
) -> tuple[float, float | None, float | None]:
    """The value with its interval's ends, as they are shown. confidence: by default the rule's."""
    if gap.fewest < 2:
        return _shown(value, rule), None, None
    margin = reach(confidence or rule.confidence, gap.fewest) * error
    return _shown(value, rule), _shown(value - margin, rule), _shown(value + margin, rule)


def _shown(value: float, rule: Rule) -> float:
    return math.exp(min(max(value, -_FARTHEST), _FARTHEST)) if rule.scale == "log" else float(value)
