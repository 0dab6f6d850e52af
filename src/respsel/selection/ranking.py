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


# Worse than any score.
_LAST = 1e300


@dataclass(frozen=True)
class _Tested:
    """A strategy's gap to the leader, and its test.

    limit: the most that the gap's p-value may be for the leader to beat the strategy; None for the
        leader. For a strategy that cannot lead nothing is tested; its interval is at this level.
    can_lead: whether it was tested.
    """

    gap: Gap
    limit: float | None
    can_lead: bool = True

    @property
    def level(self) -> float | None:
        """The confidence of its interval, at which it was tested."""
        return None if self.limit is None else 1 - self.limit

    @property
    def is_tied(self) -> bool:
        """Whether the leader does not beat it."""
        return self.can_lead and self.limit is not None and self.gap.chance > self.limit


@dataclass(frozen=True)
class _Figures:
    """The strategies' figures over all parts, by their places in `names`.

    scores: the means over the parts.
    p_best: the share of resamples in which each is the best; NaN for those that cannot lead.
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
    barred = [name in unranked.barred for name in names]
    behind = [False for _ in names] if all(barred) else barred
    figures = _figures(names, parts, behind, rule)
    order = sorted(
        range(len(names)),
        key=lambda i: (behind[i], names[i] in dropped, rule.sign * figures.scores[i], names[i]),
    )
    leader = order[0]
    tested = _test(parts, order, behind, rule)
    if all(barred):
        return replace(unranked, ranking=tuple(_ranked(figures, one, rule) for one in tested))
    tied = [one for one in tested if one.is_tied]
    most = max((needed(one.gap, one.level) for one in tied if one.level), default=math.inf)
    by_rank = min(
        (i for i in order if not behind[i]),
        key=lambda i: (round(float(figures.places[i]), 9), i != leader, names[i]),
    )
    fewest = min(one.gap.fewest for one in tested if not behind[one.gap.column])
    return replace(
        unranked,
        winner=names[leader],
        decided=not tied and fewest >= FEWEST_EXAMPLES,
        tied=tuple(names[one.gap.column] for one in tied),
        examples_needed=max(FEWEST_EXAMPLES, math.ceil(most)) if math.isfinite(most) else None,
        ranking=tuple(_ranked(figures, one, rule) for one in tested),
        first_by_rank=names[by_rank] if len(parts) > 1 else None,
    )


def _figures(
    names: Sequence[str], parts: Sequence[Estimates], behind: Sequence[bool], rule: Rule
) -> _Figures:
    """behind: whether a strategy cannot lead."""
    import numpy as np

    draws = np.mean([part.draws for part in parts], axis=0)
    ahead = ~np.array(behind)
    p_best = np.full(len(names), np.nan)
    p_best[ahead] = share_of_wins(rule.sign * draws[:, ahead])
    return _Figures(
        names=names,
        scores=np.mean([part.scores for part in parts], axis=0),
        p_best=p_best,
        places=np.mean([_places(rule.sign * part.scores, ahead) for part in parts], axis=0),
        parts=parts,
    )


def _test(
    parts: Sequence[Estimates], order: Sequence[int], behind: Sequence[bool], rule: Rule
) -> list[_Tested]:
    """The strategies in their order; the first is the leader. Those behind are not tested."""
    gaps = [gap_between(parts, i, order[0], rule.sign) for i in order]
    tested = [gap for gap in gaps[1:] if not behind[gap.column]]
    error = 1 - rule.confidence
    allowed = limits([gap.chance for gap in tested], error, all_pairs=True)
    first = [_Tested(gaps[0], None)]
    first += [_Tested(gap, limit) for gap, limit in zip(tested, allowed, strict=True)]
    return first + [_Tested(gap, error, can_lead=False) for gap in gaps if behind[gap.column]]


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
        p_best=None if math.isnan(figures.p_best[i]) else float(figures.p_best[i]),
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


def _places(worse: Matrix, ahead: npt.NDArray[np.bool_]) -> Matrix:
    """Ranks from 1, ties sharing theirs; those that cannot lead share the last."""
    import numpy as np

    worse = np.where(ahead, worse, _LAST)
    less = (worse[None] < worse[:, None] - TOLERANCE).sum(axis=1)
    equal = (abs(worse[None] - worse[:, None]) <= TOLERANCE).sum(axis=1)
    places: Matrix = less + (equal + 1) / 2
    return places
