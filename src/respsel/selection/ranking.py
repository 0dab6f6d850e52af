"""Estimates to a ranking: the strategies in order, each tested against the leader.

Knows nothing of examples. Invariant: a difference's interval is at the level that it was tested at,
so it excludes no difference just where the strategy is called worse.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from respsel.selection.gap import Gap, effect, error_of, gap_between, needed
from respsel.selection.rule import Interval, Rule
from respsel.selection.statistics import TOLERANCE, Estimates, limits, share_of_wins
from respsel.selection.verdict import FEWEST_EXAMPLES, Ranked, Verdict

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True)
class _Tested:
    """A strategy's gap to the leader, and its test.

    limit: the most that the gap's p-value may be for the leader to beat the strategy; None for the
        leader.
    """

    gap: Gap
    limit: float | None

    @property
    def level(self) -> float | None:
        """The confidence that it was tested at."""
        return None if self.limit is None else 1 - self.limit

    @property
    def is_tied(self) -> bool:
        """Whether the leader does not beat it."""
        return self.limit is not None and self.gap.chance > self.limit


@dataclass(frozen=True)
class _Figures:
    """The strategies' figures over all parts, by their places in `names`.

    scores: the means over the parts.
    p_best: the share of resamples in which each is the best.
    places: the means of their ranks.
    parts: the estimates that these come from.
    """

    names: Sequence[str]
    scores: Matrix
    p_best: Matrix
    places: Matrix
    parts: Sequence[Estimates]


def rank(
    unranked: Verdict,
    names: Sequence[str],
    parts: Sequence[Estimates],
    dropped: Collection[str],
    rule: Rule,
) -> Verdict:
    """Rank the strategies by the mean over the parts, and test the leader against each other one.

    parts: by dataset, the estimates of the strategies in the order of `names`.
    dropped: the strategies that cannot lead.
    """
    figures = _figures(names, parts, rule)
    order = sorted(
        range(len(names)),
        key=lambda i: (names[i] in dropped, rule.sign * figures.scores[i], names[i]),
    )
    leader = order[0]
    tested = _test(parts, order, rule)
    tied = [one for one in tested if one.is_tied]
    most = max((needed(one.gap, one.level) for one in tied if one.level), default=math.inf)
    by_rank = min(order, key=lambda i: (round(float(figures.places[i]), 9), i != leader, names[i]))
    fewest = min(one.gap.fewest for one in tested)
    return replace(
        unranked,
        winner=names[leader],
        decided=not tied and fewest >= FEWEST_EXAMPLES,
        tied=tuple(names[one.gap.column] for one in tied),
        examples_needed=max(FEWEST_EXAMPLES, math.ceil(most)) if math.isfinite(most) else None,
        ranking=tuple(_ranked(figures, one, rule) for one in tested),
        first_by_rank=names[by_rank] if len(parts) > 1 else None,
    )


def _figures(names: Sequence[str], parts: Sequence[Estimates], rule: Rule) -> _Figures:
    import numpy as np

    draws = np.mean([part.draws for part in parts], axis=0)
    return _Figures(
        names=names,
        scores=np.mean([part.scores for part in parts], axis=0),
        p_best=share_of_wins(rule.sign * draws),
        places=np.mean([_places(rule.sign * part.scores) for part in parts], axis=0),
        parts=parts,
    )


def _test(parts: Sequence[Estimates], order: Sequence[int], rule: Rule) -> list[_Tested]:
    """The strategies in their order; the first is the leader."""
    gaps = [gap_between(parts, i, order[0], rule.sign) for i in order]
    allowed = limits([gap.chance for gap in gaps[1:]], 1 - rule.confidence, all_pairs=True)
    return [_Tested(gap, limit) for gap, limit in zip(gaps, [None, *allowed], strict=True)]


def _ranked(figures: _Figures, tested: _Tested, rule: Rule) -> Ranked:
    gap = tested.gap
    i = gap.column
    score = rule.interval(figures.scores[i], error_of(figures.parts, i, None), gap.fewest)
    difference = _difference(tested, rule)
    return Ranked(
        strategy=figures.names[i],
        score=score.value,
        low=score.low,
        high=score.high,
        p_best=float(figures.p_best[i]),
        difference=None if difference is None else difference.value,
        difference_low=None if difference is None else difference.low,
        difference_high=None if difference is None else difference.high,
        effect=None if difference is None else effect(figures.parts, gap, rule.sign),
        place=float(figures.places[i]),
        examples=gap.examples,
        level=tested.level,
    )


def _difference(tested: _Tested, rule: Rule) -> Interval | None:
    """How much the score differs from the leader's; None for the leader."""
    if tested.level is None:
        return None
    gap = tested.gap
    return rule.interval(rule.sign * gap.size, gap.error, gap.fewest, tested.level)


def _places(worse: Matrix) -> Matrix:
    """Ranks from 1, ties sharing theirs."""
    less = (worse[None] < worse[:, None] - TOLERANCE).sum(axis=1)
    equal = (abs(worse[None] - worse[:, None]) <= TOLERANCE).sum(axis=1)
    places: Matrix = less + (equal + 1) / 2
    return places
