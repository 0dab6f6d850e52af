"""Paired statistics of scores: means over examples, their errors, and how often each is the best.

An example counts once, however many responses it has: their values are summed before anything is
compared. A strategy's score is sum(weight x value) / sum(weight); with equal weights, the mean. Its
error is that of the linearised ratio, over examples; intervals use Student's t. Knows nothing of
verdicts, metrics or files. Invariant: everything is paired, so what examples have in common cancels
out of every difference.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Matrix = npt.NDArray[np.float64]

# Examples are drawn again for so many values at once: what fits a processor's cache is also counted
# faster.
VALUES_AT_ONCE = 1 << 18
# Means that differ by less than this are equal; sums of the same values in another order may differ
# by it.
TOLERANCE = 1e-12

# A value for an example, or one for each of its responses; None where there is none.
Value = float | None | Sequence[float | None]
Values = Mapping[str, Value]


@dataclass(frozen=True)
class Estimates:
    """Scores of several strategies over the same examples.

    scores: (strategies,).
    errors: (examples, strategies), how far each example moves each score. The squares of a column,
        or of the difference of two, sum to its variance.
    counts: over how many examples each strategy is compared.
    draws: (resamples, strategies), the scores over examples that are drawn again.
    """

    scores: Matrix
    errors: Matrix
    counts: Sequence[int]
    draws: Matrix

    def error(self, one: int, other: int | None) -> float:
        """The standard error of a strategy's score, or of its difference to another's."""
        columns = self.errors[:, one] - (0.0 if other is None else self.errors[:, other])
        error = math.sqrt(float((columns**2).sum()))
        return error if error > TOLERANCE else 0.0

    def scaled(self, centre: float, size: float) -> Estimates:
        """The same in units of `size` from `centre`."""
        return Estimates(
            (self.scores - centre) / size,
            self.errors / size,
            self.counts,
            (self.draws - centre) / size,
        )


def pair(
    scores: Mapping[str, Values],
    names: Sequence[str],
    log: bool,
    weights: Mapping[str, Values] | None,
    dropped: Collection[str],
) -> tuple[Matrix, Matrix]:
    """Return sums of weight x value, and of weights, both (examples, strategies).

    They are over each example's responses. Only examples count that all strategies but the dropped
    ones have a value for; what a dropped one lacks is 0.
    """
    import numpy as np

    usable = {
        name: {key: responses(value) for key, value in scores[name].items()} for name in names
    }
    full = [name for name in names if name not in dropped]
    keys = (
        [key for key in scores[full[0]] if all(usable[name].get(key) for name in full)]
        if full
        else []
    )
    totals = np.zeros((len(keys), len(names)))
    sums = np.zeros((len(keys), len(names)))
    for column, name in enumerate(names):
        mine = None if weights is None else weights[name]
        for row, key in enumerate(keys):
            values = usable[name].get(key, [])
            for place, value in values:
                weight = 1 / len(values) if mine is None else _weight(mine[key], place)
                totals[row, column] += weight * (math.log(value) if log else value)
                sums[row, column] += weight
    return totals, sums


def responses(value: Value) -> list[tuple[int, float]]:
    """The values that there are, each with the place of its response."""
    values = value if isinstance(value, Sequence) else (value,)
    return [(place, item) for place, item in enumerate(values) if item is not None]


def _weight(value: Value, place: int) -> float:
    weight = value[place] if isinstance(value, Sequence) else value
    assert weight is not None, "what has a value has a weight"
    return weight


def estimate(
    totals: Matrix, sums: Matrix, best: int, draws: int, stream: np.random.Generator
) -> Estimates:
    """Return scores, errors and resamples.

    A strategy that lacks examples is compared with `best` over those that it has. Its score is
    best's over all examples, plus the difference of the two over its own.
    """
    import numpy as np

    partial = [column for column in range(totals.shape[1]) if not sums[:, column].all()]
    has = sums[:, partial] > 0
    totals = np.hstack([totals, totals[:, [best]] * has])
    sums = np.hstack([sums, sums[:, [best]] * has])
    columns = totals.shape[1] - len(partial)
    means = totals.sum(axis=0) / sums.sum(axis=0)
    counts = (sums > 0).sum(axis=0)
    errors = (
        (totals - means * sums) / sums.sum(axis=0) * np.sqrt(counts / np.maximum(counts - 1, 1))
    )
    return Estimates(
        _combined(means[None], best, partial)[0],
        _combined(errors, best, partial),
        counts[:columns].tolist(),
        _combined(_resampled(totals, sums, means, draws, stream), best, partial),
    )


def _combined(values: Matrix, best: int, partial: Sequence[int]) -> Matrix:
    """Fold the columns of `best` over partial strategies' examples into these strategies' own."""
    columns = values.shape[1] - len(partial)
    folded = values[:, :columns].copy()
    for place, column in enumerate(partial):
        folded[:, column] += values[:, best] - values[:, columns + place]
    return folded


def _resampled(
    totals: Matrix, sums: Matrix, means: Matrix, draws: int, stream: np.random.Generator
) -> Matrix:
    import numpy as np

    n = len(totals)
    chunk = max(1, VALUES_AT_ONCE // n)
    parts = [np.empty((0, totals.shape[1]))]
    equal = bool((sums == 1).all())
    for start in range(0, draws, chunk):
        size = min(chunk, draws - start)
        drawn = stream.integers(0, n, (size, n)) + n * np.arange(size)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n).astype(np.float64)
        over = np.float64(n) if equal else counts @ sums
        with np.errstate(divide="ignore", invalid="ignore"):
            # Where none of a strategy's few examples was drawn, nothing is known but its score.
            parts.append(np.where(over > 0, counts @ totals / over, means))
    return np.concatenate(parts)


def share_of_wins(draws: Matrix) -> Matrix:
    """Return, by strategy, the share of resamples in which it is lowest; ties are shared."""
    import numpy as np

    lowest = draws.min(axis=1, keepdims=True)
    best = draws <= lowest + TOLERANCE * np.maximum(1, np.abs(lowest))
    share: Matrix = (best / best.sum(axis=1, keepdims=True)).mean(axis=0)
    return share


def reach(confidence: float, examples: int) -> float:
    """Half an interval's width in standard errors; infinite over one example, without an error."""
    from scipy.special import stdtrit

    return float(stdtrit(examples - 1, (1 + confidence) / 2)) if examples > 1 else math.inf


def chance(gap: float, error: float, examples: int) -> float:
    """The two-sided p-value of a gap by Student's t; 1 for a gap that is 0 or less."""
    from scipy.special import stdtr

    if gap <= TOLERANCE or examples < 2:
        return 1.0
    return 2 * float(stdtr(examples - 1, -gap / error)) if error else 0.0


def limits(chances: Sequence[float], error: float, all_pairs: bool) -> list[float]:
    """For each other strategy's p-value, the most that it may be for the leader to beat it.

    The p-values are gone through from the smallest on, as Holm does. With `left` strategies not yet
    beaten, the leader among them, the limit is

        error / left                        or, with all_pairs and where that is less,
        error / (left (left - 1) / 2).

    The leader counts because it was chosen from the same scores. All pairs count because the leader
    of equal strategies may beat any of them by chance. From the first p-value above its limit on,
    the limit stays, so no larger p-value is within it.
    """
    allowed = [0.0] * len(chances)
    left = len(chances) + 1
    for place in sorted(range(len(chances)), key=lambda i: chances[i]):
        allowed[place] = error / (max(left, left * (left - 1) / 2) if all_pairs else left)
        if chances[place] <= allowed[place]:
            left -= 1
    return allowed


def noise(errors: Matrix) -> float:
    """The standard deviation over examples of a difference between two strategies.

    It is pooled over all strategies; 1 if none varies.
    """
    import numpy as np

    n, columns = errors.shape
    own = errors - errors.mean(axis=1, keepdims=True)
    deviation = float(np.sqrt(2 * n * (own**2).sum() / max(1, columns - 1)))
    return deviation if deviation > TOLERANCE else 1.0
