"""Scores to a verdict: which strategy leads, by how much, and whether that is decided.

Paired over examples: every resample draws the same examples for all strategies. Scores are compared on
the metric's scale (logarithms for perplexities). Knows nothing of files or models. Invariant: the same
scores and parameters give the same verdict.

Decided: for each other strategy, the interval (at the asked confidence, two-sided) of its paired
difference to the leader excludes zero, and there are FEWEST_EXAMPLES. All of them must, so no further
correction for their number is needed (an intersection-union test): equal strategies are called decided
about as often as asked, or less.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from respsel.tables import Document

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Matrix = npt.NDArray[np.float64]

VERSION = 1
# With fewer paired examples the intervals are too narrow: simulated, equal strategies would be called
# decided at 95 % in 9 % of cases with 5 examples, and in 5 % with 12.
FEWEST_EXAMPLES = 12
# The chance at which `examples_needed` is meant to decide (a usual choice of power).
_POWER = 0.8
_CHUNK_VALUES = 4_000_000


@dataclass(frozen=True)
class Ranked:
    """One strategy in a ranking. low, high: the interval of its score. For the others than the leader,
    difference (with its interval) is score minus the leader's, or score / leader's on a log scale."""

    strategy: str
    score: float
    low: float
    high: float
    p_best: float
    difference: float | None
    difference_low: float | None
    difference_high: float | None


@dataclass(frozen=True)
class Verdict:
    """The selection for one dataset, or for all of them (dataset = "overall").

    examples: how many are paired, i.e. have a score for every strategy. unscored: by strategy, how many
    have none. tied: the strategies that the leader does not beat. examples_needed: about how many would
    decide it in four cases of five if the differences are as they look; None where no number would.
    """

    dataset: str
    metric: str
    direction: str
    scale: str
    confidence: float
    examples: int
    winner: str | None
    decided: bool
    tied: tuple[str, ...]
    examples_needed: int | None
    ranking: tuple[Ranked, ...]
    unscored: Mapping[str, int]


@dataclass(frozen=True)
class Rule:
    """How a verdict is reached."""

    metric: str
    direction: str
    scale: str
    confidence: float
    resamples: int
    seed: int


Scores = Mapping[str, Mapping[str, float | None]]


def verdict_from_json(data: Any) -> Verdict:
    """Read a verdict from what asdict and JSON made of it."""
    ranking = tuple(Ranked(**item) for item in data["ranking"])
    return Verdict(**{**data, "ranking": ranking, "tied": tuple(data["tied"])})


VERDICTS = Document("verdicts", verdict_from_json)


def decide(dataset: str, strata: Sequence[Scores], rule: Rule) -> Verdict:
    """Return the verdict over one or more datasets, each a table strategy -> example id -> value.

    A strategy's score is the mean over its datasets (equal weight) of the mean over examples, on the
    rule's scale; strategies that are not in every dataset are left out.
    """
    import numpy as np

    names = [name for name in strata[0] if all(name in stratum for stratum in strata)]
    matrices = [_paired(stratum, names, rule) for stratum in strata]
    unscored = {name: sum(1 for s in strata for value in s[name].values() if value is None) for name in names}
    count = sum(len(matrix) for matrix in matrices)
    if not names or min(len(matrix) for matrix in matrices) == 0:
        return Verdict(
            dataset, rule.metric, rule.direction, rule.scale, rule.confidence, count, None, False, (), None, (), unscored
        )
    means = np.mean([matrix.mean(axis=0) for matrix in matrices], axis=0)
    draws = np.mean([_resample(matrix, rule, i) for i, matrix in enumerate(matrices)], axis=0)
    sign = 1.0 if rule.direction == "lower" else -1.0
    order = sorted(range(len(names)), key=lambda i: (sign * means[i], names[i]))
    leader, smallest = order[0], min(len(matrix) for matrix in matrices)
    p_best = _share_of_wins(sign * draws)
    tail = _tail(rule.confidence, smallest)
    ranking, tied, needed = [], [], 0.0
    for i in order:
        low, high = _interval(draws[:, i], tail)
        gap, gap_low, gap_high = means[i] - means[leader], *_interval(draws[:, i] - draws[:, leader], tail)
        difference = (None,) * 3 if i == leader else tuple(_shown(x, rule) for x in (gap, gap_low, gap_high))
        ranking.append(
            Ranked(names[i], _shown(means[i], rule), _shown(low, rule), _shown(high, rule), float(p_best[i]), *difference)
        )
        if i != leader and not min(sign * gap_low, sign * gap_high) > 0:
            tied.append(names[i])
            needed = max(needed, _times_more(gap, gap_high - gap_low, rule.confidence))
    decided = not tied and smallest >= FEWEST_EXAMPLES
    more = math.ceil(count * needed) if tied and math.isfinite(needed) else None
    return Verdict(
        dataset,
        rule.metric,
        rule.direction,
        rule.scale,
        rule.confidence,
        count,
        names[leader],
        decided,
        tuple(tied),
        more,
        tuple(ranking),
        unscored,
    )


@dataclass(frozen=True)
class Comparison:
    """Scores before and after, over the examples that have both; the difference is after - before, or
    after / before on a log scale, with its paired interval."""

    examples: int
    before: float
    after: float
    difference: float
    low: float
    high: float


def compare(before: Mapping[str, float | None], after: Mapping[str, float | None], rule: Rule) -> Comparison | None:
    """Compare two runs' scores of one strategy; None if no example has both."""
    import numpy as np

    matrix = _paired({"before": before, "after": after}, ("before", "after"), rule)
    if not len(matrix):
        return None
    old, new = matrix.mean(axis=0)
    draws = _resample(matrix, rule, 0)
    low, high = _interval(np.subtract(draws[:, 1], draws[:, 0]), _tail(rule.confidence, len(matrix)))
    return Comparison(len(matrix), *(_shown(float(x), rule) for x in (old, new, new - old, low, high)))


def _paired(scores: Scores, names: Sequence[str], rule: Rule) -> Matrix:
    """Return (examples, strategies) of the examples that have a value for every strategy."""
    import numpy as np

    shared = [key for key in next(iter(scores.values())) if all(scores[name].get(key) is not None for name in names)]
    matrix = np.array([[scores[name][key] for name in names] for key in shared], np.float64).reshape(len(shared), len(names))
    return np.log(matrix) if rule.scale == "log" else matrix


def _resample(matrix: Matrix, rule: Rule, stratum: int) -> Matrix:
    """Return (resamples, strategies): means over examples drawn with replacement, paired."""
    import numpy as np

    stream = np.random.Generator(np.random.Philox(key=[rule.seed, stratum]))
    n = len(matrix)
    chunk = max(1, _CHUNK_VALUES // n)
    parts = []
    for start in range(0, rule.resamples, chunk):
        size = min(chunk, rule.resamples - start)
        drawn = stream.integers(0, n, (size, n)) + n * np.arange(size)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n)
        parts.append(counts @ matrix / n)
    return np.concatenate(parts)


def _share_of_wins(draws: Matrix) -> npt.NDArray[np.float64]:
    """Return, by strategy, the share of resamples in which it is lowest; ties are shared."""
    best = draws == draws.min(axis=1, keepdims=True)
    share: npt.NDArray[np.float64] = (best / best.sum(axis=1, keepdims=True)).mean(axis=0)
    return share


def _tail(confidence: float, n: int) -> float:
    """The tail to cut off a bootstrap distribution of n examples, expanded for small n.

    Percentile intervals are too narrow by sqrt((n-1)/n) and ignore Student's t; this is the correction
    of Hesterberg 2015 (What Teachers Should Know About the Bootstrap, section 4.3.2).
    """
    from scipy.special import ndtr, stdtrit

    if n < 2:
        return 0.0
    return float(ndtr(math.sqrt(n / (n - 1)) * stdtrit(n - 1, (1 - confidence) / 2)))


def _interval(values: npt.NDArray[np.float64], tail: float) -> tuple[float, float]:
    import numpy as np

    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)


def _times_more(gap: float, width: float, confidence: float) -> float:
    """How many times the examples would decide a gap that is as large as it looks, with _POWER."""
    from scipy.special import ndtri

    if not gap:
        return math.inf
    z = float(ndtri((1 + confidence) / 2))
    return ((z + float(ndtri(_POWER))) * width / (2 * z) / gap) ** 2


def _shown(value: float, rule: Rule) -> float:
    return math.exp(value) if rule.scale == "log" else float(value)
