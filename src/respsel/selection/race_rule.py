"""The rule of a race: which strategies are dropped, when, and when it is over.

All strategies begin with the first FIRST examples in sample order; those that gates bar also end
there. After every batch some are dropped: those that are worse than the leader by a paired t-test
on the metric's scale (logarithms for perplexities), corrected by Holm over the strategies still in.
The others go on, until one is left or the sample is used up. It asks for scores and is sent them,
so it knows nothing of models or files. Invariant: the same scores give the same race. A larger
sample begins with the same laps; it may lengthen the last of them.

The constants are tuned on half of the published outcomes (benchmarks/replay.py). At DROP_ERROR =
0.2 a race over 50 examples picks what all 50 would in 99 % of shuffles, for 42 % of the scoring.
With 0.05 the pick is the same in 99.8 %, for 51 %. A race looks often and drops early, so it seldom
decides on its own: the verdict says whether the leader beats the dropped ones at the asked
confidence. Two equal strategies that race over 100 examples are called decided at 95 % in 3 % of
simulated cases.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from respsel.selection.decide import is_weighed
from respsel.selection.rule import Rule
from respsel.selection.statistics import Value, Values, chance, estimate, limits, pair
from respsel.tables.table import Document

# Raised when the same scores would give another race, or when what it asks for has more parts.
VERSION = 3
FIRST = 12
STEP = 4
DROP_ERROR = 0.2


@dataclass(frozen=True)
class Batch:
    """Examples that some strategies are to be scored on.

    strategies: their names.
    start: the place of the first example in sample order.
    stop: the place behind the last.
    """

    strategies: tuple[str, ...]
    start: int
    stop: int


@dataclass(frozen=True)
class BatchScores:
    """What a batch was scored.

    values: the scores by strategy and example id.
    weights: theirs, where the metric over examples is a ratio of means.
    """

    values: Mapping[str, Values]
    weights: Mapping[str, Values] | None = None


@dataclass(frozen=True)
class Lap:
    """A batch that was scored, and what followed from it.

    examples: how many were scored so far.
    strategies: those that were in it.
    leader: the one that led after it; None if nothing could be compared.
    dropped: those that were dropped after it.
    problem: why a call failed in it, so that it is made again; empty if none failed.
    """

    examples: int
    strategies: tuple[str, ...]
    leader: str | None
    dropped: tuple[str, ...]
    problem: str = ""


def lap_from_json(data: Any) -> Lap:
    """Read a lap from what asdict and JSON made of it."""
    return Lap(
        **{**data, "strategies": tuple(data["strategies"]), "dropped": tuple(data["dropped"])}
    )


LAPS = Document("laps", lap_from_json)


def reach_of(laps: Sequence[Lap], strategy: str) -> int:
    """Over how many examples, from the first on, a strategy was scored."""
    return max((lap.examples for lap in laps if strategy in lap.strategies), default=0)


def dropped_in(laps: Sequence[Lap]) -> set[str]:
    """Who was dropped on the way."""
    return {name for lap in laps for name in lap.dropped}


Race = Generator[Batch, BatchScores, list[Lap]]


def race(strategies: Sequence[str], sample: int, rule: Rule, barred: Collection[str] = ()) -> Race:
    """Ask for batches of scores; return the laps.

    barred: those that may not be recommended. They drop nobody, and are out after the first lap:
        so many examples show where they stand.
    """
    within = tuple(strategies)
    if set(barred) >= set(within):
        # Nobody can win, so they race among themselves.
        barred = ()
    stop = 0
    laps: list[Lap] = []
    scores: dict[str, dict[str, Value]] = {name: {} for name in strategies}
    weights: dict[str, dict[str, Value]] = {name: {} for name in strategies}
    while stop < sample and (len(within) > 1 or not laps):
        start = stop
        stop = min(sample, stop + STEP if stop else FIRST)
        scored = yield Batch(within, start, stop)
        for name in within:
            scores[name].update(scored.values[name])
            if scored.weights is not None:
                weights[name].update(scored.weights[name])
        leader, dropped = _look(
            {name: scores[name] for name in within if name not in barred},
            rule,
            weights if is_weighed([weights]) else None,
        )
        dropped += tuple(name for name in within if name in barred)
        laps.append(Lap(stop, within, leader, dropped))
        within = tuple(name for name in within if name not in dropped)
    return laps


def _look(
    scores: Mapping[str, Values], rule: Rule, weights: Mapping[str, Values] | None = None
) -> tuple[str | None, tuple[str, ...]]:
    """Who leads, if anything can be compared, and who is so far behind that they are dropped.

    weights: see decide.
    """
    import numpy as np

    names = list(scores)
    totals, sums = pair(scores, names, rule.is_log, weights, ())
    if not len(totals):
        return None, ()
    estimates = estimate(totals, sums, 0, 0, np.random.default_rng(0))
    leader = min(range(len(names)), key=lambda i: (rule.sign * estimates.scores[i], names[i]))
    if len(totals) < FIRST:
        return names[leader], ()
    others = [i for i in range(len(names)) if i != leader]
    gaps = [rule.sign * float(estimates.scores[i] - estimates.scores[leader]) for i in others]
    chances = [
        chance(gap, estimates.error(i, leader), len(totals))
        for gap, i in zip(gaps, others, strict=True)
    ]
    allowed = limits(chances, DROP_ERROR, all_pairs=False)
    return names[leader], tuple(
        names[i] for i, p, most in zip(others, chances, allowed, strict=True) if p <= most
    )
