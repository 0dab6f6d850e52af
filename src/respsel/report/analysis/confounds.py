"""What a ranking may really be about: lengths of responses and of their steps, right answers.

Judges nothing: the verdict stays as it is. The ranking with length controlled is that of a
regression with an effect of each example, one of each strategy, and one slope for the logarithm of
length,

    score[i, j] = example[i] + strategy[j] + slope * log(length[i, j]) + error.

The slope is what is left of length within examples and strategies. A strategy's controlled score is
its mean less the slope times how much longer its responses are than the average strategy's. Errors
come from resampled examples (all strategies' values of an example together), with Student's t.
Source: the within estimator of two-way fixed effects (Wooldridge, Econometric Analysis of Cross
Section and Panel Data, chapter 10).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from respsel.selection.statistics import VALUES_AT_ONCE, reach

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from respsel.report.analysis.score_matrix import Lengths

    Matrix = npt.NDArray[np.float64]
    Values = npt.NDArray[np.float64]

_DRAWS = 1000
# With fewer strategies a rank correlation across them says nothing; with fewer examples a slope
# does not.
FEWEST_STRATEGIES = 4
FEWEST_EXAMPLES = 12


@dataclass(frozen=True)
class Controlled:
    """A strategy's score with length controlled.

    difference: score minus the verdict's leader's; score / leader's on a log scale.
    low, high: the interval of the difference.
    All three are None for the leader itself.
    """

    strategy: str
    score: float
    difference: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Confound:
    """How a metric goes with one property of responses; None where there is too little.

    across: Spearman's correlation of the strategies' means.
    within: the mean over examples of the correlation of an example's responses.
    by_strategy: the property's means.
    """

    name: str
    unit: str
    across: float | None
    within: float | None
    by_strategy: tuple[float | None, ...]


@dataclass(frozen=True)
class Confounds:
    """What the ranking of one dataset may really be about.

    strategies: in the verdict's order.
    examples: how many have all values.
    unit: that of lengths.
    found: one entry a property.
    extreme: "shortest" or "longest" if the leader's responses are that of all, or empty.
    slope: that of the score on the logarithm of length; None with too few examples.
    controlled: best first; empty with too few examples.
    """

    strategies: tuple[str, ...]
    examples: int
    unit: str
    found: tuple[Confound, ...]
    extreme: str
    slope: float | None
    controlled: tuple[Controlled, ...]

    def extreme_of(self, strategy: str) -> str:
        """ "shortest" or "longest" if a strategy is that of all, else nothing."""
        lengths = [length for length in self.found[0].by_strategy if length is not None]
        return _extreme(lengths, self.strategies.index(strategy)) if lengths else ""


def find_confounds(
    strategies: Sequence[str],
    scores: Matrix,
    sizes: Lengths,
    right: Sequence[float | None],
    *,
    log: bool,
    lower: bool,
    confidence: float,
) -> Confounds:
    """Find what a ranking may really be about. An example with a NaN anywhere is left out.

    scores: (examples, strategies) on the metric's scale, the leader first.
    right: the share of right answers of each strategy; None where they are not checked.
    """
    import numpy as np

    whole = ~(np.isnan(scores) | np.isnan(sizes.sizes) | np.isnan(sizes.steps)).any(axis=1)
    scores = scores[whole]
    length = sizes.sizes[whole]
    of_step = length / np.maximum(sizes.steps[whole], 1)
    properties = [
        _confound("response length", sizes.unit, scores, length),
        _confound("step length", f"{sizes.unit} a step", scores, of_step),
        *_right_answers(scores, right),
    ]
    names = tuple(strategies)
    if not len(scores):
        return Confounds(names, 0, sizes.unit, tuple(properties), "", None, ())
    scale = _Scale(log, lower, confidence)
    slope, controlled = _control(strategies, scores, np.log(length), scale)
    return Confounds(
        strategies=names,
        examples=len(scores),
        unit=sizes.unit,
        found=tuple(properties),
        extreme=_extreme(length.mean(axis=0).tolist(), 0),
        slope=slope,
        controlled=controlled,
    )


def _right_answers(scores: Matrix, right: Sequence[float | None]) -> list[Confound]:
    """The share of right answers; nothing where a strategy's answers are not checked."""
    import numpy as np

    if any(value is None for value in right):
        return []
    shares = np.array(right, np.float64)
    enough = len(scores) and len(shares) >= FEWEST_STRATEGIES
    across = _of_two(scores.mean(axis=0), shares) if enough else None
    return [Confound("right answers", "share", across, None, tuple(right))]


def _extreme(lengths: Sequence[float], place: int) -> str:
    length = lengths[place]
    if len(lengths) < 2 or lengths.count(length) > 1:
        return ""
    return "shortest" if length == min(lengths) else "longest" if length == max(lengths) else ""


def _confound(name: str, unit: str, scores: Matrix, values: Matrix) -> Confound:
    import numpy as np

    if not len(scores):
        return Confound(name, unit, None, None, (None,) * scores.shape[1])
    columns = scores.shape[1]
    across = (
        _of_two(scores.mean(axis=0), values.mean(axis=0)) if columns >= FEWEST_STRATEGIES else None
    )
    known = _spearman(scores, values) if columns >= 3 else np.empty(0)
    within = float(known.mean()) if len(known) >= FEWEST_EXAMPLES else None
    return Confound(
        name, unit, across, within, tuple(float(value) for value in values.mean(axis=0))
    )


def _of_two(one: Values, other: Values) -> float | None:
    """Spearman's rank correlation; None where one of the two does not vary."""
    correlations = _spearman(one[None], other[None])
    return float(correlations[0]) if len(correlations) else None


def _spearman(one: Matrix, other: Matrix) -> Values:
    """Spearman's rank correlation of each row in which both vary."""
    import numpy as np

    a = _from_middle(one)
    b = _from_middle(other)
    size = np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
    varies = size > 0
    correlations: Values = (a * b).sum(axis=1)[varies] / size[varies]
    return correlations.clip(-1, 1)


def _from_middle(values: Matrix) -> Matrix:
    """Twice the rank of each value in its row, counted from the middle.

    That is how many more values of the row it is above than below.
    scipy.stats ranks too, but to load it takes 50 MiB and a second.
    """
    import numpy as np

    columns = [values[:, [j]] for j in range(values.shape[1])]
    above = [(values < column).sum(axis=1) - (values > column).sum(axis=1) for column in columns]
    return np.stack(above, axis=1).astype(np.float64)


@dataclass(frozen=True)
class _Scale:
    """How scores are read.

    log: they are logarithms.
    lower: a lower one is better.
    confidence: that of the intervals.
    """

    log: bool
    lower: bool
    confidence: float


def _control(
    strategies: Sequence[str], scores: Matrix, length: Matrix, scale: _Scale
) -> tuple[float | None, tuple[Controlled, ...]]:
    """The slope on `length` and the strategies with it taken out, best first.

    None and no strategies where there is too little to find a slope.
    """
    import numpy as np

    n, columns = scores.shape
    if n < FEWEST_EXAMPLES or columns < 2:
        return None, ()
    # What an example has in common goes; what a strategy has in common goes in _slope.
    s = scores - scores.mean(axis=1, keepdims=True)
    x = length - length.mean(axis=1, keepdims=True)
    left = x - x.mean(axis=0)
    # Where all responses differ in length only as their strategies do, there is nothing to learn a
    # slope from.
    if (left**2).mean() < 1e-4:
        return None, ()
    slope, by_strategy = _slope(np.ones((1, n)), s, x)
    means = by_strategy[0]
    drawn = _drawn(s, x)
    level = float(scores.mean())
    width = reach(scale.confidence, n)

    def controlled(j: int) -> Controlled:
        gap = float(means[j] - means[0])
        error = float((drawn[:, j] - drawn[:, 0]).std(ddof=1)) * math.sqrt(n / (n - 1))
        ends = None if j == 0 else (gap, gap - width * error, gap + width * error)
        return _shown(strategies[j], level + float(means[j]), ends, scale.log)

    order = sorted(
        range(columns), key=lambda j: (means[j] if scale.lower else -means[j], strategies[j])
    )
    return float(slope[0]), tuple(controlled(j) for j in order)


def _shown(
    strategy: str, score: float, ends: tuple[float, float, float] | None, log: bool
) -> Controlled:
    """A controlled score and its difference to the leader's on the metric's own scale."""

    def own(value: float) -> float:
        return math.exp(value) if log else value

    if ends is None:
        return Controlled(strategy, own(score), None, None, None)
    return Controlled(strategy, own(score), *map(own, ends))


def _drawn(s: Matrix, x: Matrix) -> Matrix:
    """The strategies' controlled means, (draws, strategies), over resampled examples."""
    import numpy as np

    n = len(s)
    stream = np.random.Generator(np.random.Philox(key=[0, n]))
    # All draws at once would take 8 kB an example.
    some = max(1, VALUES_AT_ONCE // n)
    parts = []
    for start in range(0, _DRAWS, some):
        counts = stream.multinomial(n, np.full(n, 1 / n), size=min(some, _DRAWS - start)).astype(
            np.float64
        )
        parts.append(_slope(counts, s, x)[1])
    return np.concatenate(parts)


def _slope(counts: Matrix, s: Matrix, x: Matrix) -> tuple[npt.NDArray[np.float64], Matrix]:
    """The slope and the strategies' controlled means, for each row of `counts`.

    counts: (draws, examples), how often each example is drawn.
    """
    total = counts.sum(axis=1, keepdims=True)
    mean_s = counts @ s / total
    mean_x = counts @ x / total
    both = (counts @ (s * x).sum(axis=1, keepdims=True))[:, 0] - total[:, 0] * (
        mean_s * mean_x
    ).sum(axis=1)
    size = (counts @ (x * x).sum(axis=1, keepdims=True))[:, 0] - total[:, 0] * (
        mean_x * mean_x
    ).sum(axis=1)
    slope = both / size.clip(min=1e-12)
    return slope, mean_s - slope[:, None] * mean_x
