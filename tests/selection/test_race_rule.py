"""Races: who is dropped when, and that the rule is the same whoever drives it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from respsel.selection.decide import decide
from respsel.selection.race_rule import (
    FIRST,
    STEP,
    Batch,
    BatchScores,
    Lap,
    dropped_in,
    race,
    reach_of,
)
from respsel.selection.rule import Rule
from respsel.selection.statistics import Values

RULE = Rule("perplexity", "lower", "log", 0.95, 1, 0)
Columns = dict[str, list[float | None]]


def columns(seed: int, n: int = 60, **shifts: float) -> Columns:
    stream = np.random.default_rng(seed)
    shared = stream.normal(0, 1, n)
    return {
        name: list(np.exp(shared + shift + stream.normal(0, 0.2, n)))
        for name, shift in shifts.items()
    }


def run(
    scores: Columns, sample: int, rule: Rule = RULE, weights: Columns | None = None
) -> list[Lap]:
    going = race(tuple(scores), sample, rule)
    found: BatchScores | None = None

    def part(of: Columns, batch: Batch) -> dict[str, dict[str, float | None]]:
        return {
            name: {f"e{i}": of[name][i] for i in range(batch.start, batch.stop)}
            for name in batch.strategies
        }

    while True:
        try:
            batch = next(going) if found is None else going.send(found)
        except StopIteration as done:
            laps: list[Lap] = done.value
            return laps
        found = BatchScores(part(scores, batch), None if weights is None else part(weights, batch))


def scored(laps: list[Lap]) -> int:
    before = [0, *(lap.examples for lap in laps)]
    return sum(
        (lap.examples - start) * len(lap.strategies)
        for lap, start in zip(laps, before, strict=False)
    )


def test_one_that_is_far_behind_is_dropped_at_once() -> None:
    """After the first batch the worst is out; the two that are equal go on to the end of the
    sample.
    """
    laps = run(columns(1, a=0.0, b=0.0, c=2.0), 30)
    assert laps[0].dropped == ("c",)
    assert [lap.examples for lap in laps] == [*range(FIRST, 30, STEP), 30]
    assert all(lap.strategies == ("a", "b") for lap in laps[1:])
    assert scored(laps) == FIRST * 3 + (30 - FIRST) * 2


def test_a_race_ends_when_one_is_left() -> None:
    """A clear winner is found in one batch."""
    (lap,) = run(columns(1, a=0.0, b=1.0, c=2.0), 60)
    assert (lap.leader, lap.dropped, lap.examples) == ("a", ("b", "c"), FIRST)


def test_a_ratio_of_means_is_raced_as_such() -> None:
    """Where the metric over examples is a ratio of means, the mean of ratios drops nobody."""
    # b's ratio is the lower one over all of its weight; a third of its examples have next to no
    # weight and a high ratio.
    weights: Columns = {"a": [1.0] * 24, "b": [0.05 if i % 3 == 0 else 1.4 for i in range(24)]}
    ratios: Columns = {
        "a": [5.0 + i % 2 / 10 for i in range(24)],
        "b": [12.0 if i % 3 == 0 else 3.6 for i in range(24)],
    }
    rule = Rule("m", "lower", "linear", 0.95, 1, 0)
    laps = run(ratios, 24, rule, weights)
    assert (laps[0].leader, laps[0].dropped) == ("b", ("a",))
    assert run(ratios, 24, rule)[0].leader == "a"


def test_a_batch_without_scores_does_not_make_a_ratio_of_means_another_metric() -> None:
    """What was weighed before still is."""
    going = race(("a", "b"), 16, Rule("m", "lower", "linear", 0.95, 1, 0))
    batch = next(going)
    names = [f"e{i}" for i in range(batch.stop)]
    weights = {
        "a": dict.fromkeys(names, 1.0),
        "b": {name: 0.05 if i % 3 == 0 else 1.4 for i, name in enumerate(names)},
    }
    # Nearly the same as a ratio of means; as a mean of ratios b is far behind.
    ratios = {
        "a": {name: 3.9 + i % 2 / 2 for i, name in enumerate(names)},
        "b": {name: 12.0 if i % 3 == 0 else 3.9 + i % 5 / 10 for i, name in enumerate(names)},
    }
    batch = going.send(BatchScores(ratios, weights))
    none = {name: {f"e{i}": None for i in range(batch.start, batch.stop)} for name in ("a", "b")}
    with pytest.raises(StopIteration) as done:
        going.send(BatchScores(none, None))
    assert [lap.dropped for lap in done.value.value] == [(), ()]


def test_the_direction_is_the_metrics() -> None:
    """Where higher is better, the lowest are dropped."""
    (lap,) = run(columns(1, a=0.0, b=1.0), 60, Rule("m", "higher", "log", 0.95, 1, 0))
    assert (lap.leader, lap.dropped) == ("b", ("a",))


def test_a_larger_sample_begins_with_the_same_laps() -> None:
    """What a smaller sample's race asked for, a larger one's asks for too."""
    for seed in range(20):
        scores = columns(seed, a=0.0, b=0.05, c=0.1, d=0.2)
        short = run(scores, 25)
        long = run(scores, 60)
        whole = [lap for lap in short if lap.examples < 25]
        assert long[: len(whole)] == whole


def test_a_race_seldom_drops_the_best() -> None:
    """The best of four is picked about as often as with all examples, for less than half of the
    scores.
    """
    same = cost = 0
    for seed in range(200):
        scores = columns(seed, a=0.0, b=0.1, c=0.3, d=0.6)
        laps = run(scores, 60)
        full = min(scores, key=lambda name: sum(math.log(value or 0) for value in scores[name]))
        same += laps[-1].leader == full
        cost += scored(laps)
    assert same >= 194
    assert cost / (200 * 240) < 0.45


def test_equal_strategies_that_race_are_seldom_decided() -> None:
    """That a race looks often and stops early does not make equal strategies decided in more than 5
    % of the cases.
    """
    decided = 0
    for seed in range(300):
        scores = columns(seed, a=0.0, b=0.0)
        laps = run(scores, 60)
        some: dict[str, Values] = {
            name: {f"e{i}": values[i] for i in range(reach_of(laps, name))}
            for name, values in scores.items()
        }
        decided += decide("d", [some], RULE, dropped=[dropped_in(laps)]).decided
    assert decided / 300 <= 0.05


def test_few_examples_drop_none() -> None:
    """With fewer than a first batch of examples that all strategies have a score for, nobody is
    dropped.
    """
    scores = columns(1, n=FIRST, a=0.0, b=3.0)
    scores["a"][0] = None
    (lap,) = run(scores, FIRST)
    assert (lap.leader, lap.dropped) == ("a", ())


def test_nothing_to_compare_has_no_leader() -> None:
    """A race in which no example has a score for all strategies runs on without one."""
    laps = run({"a": [None] * 20, "b": [1.0] * 20}, 20)
    assert [lap.leader for lap in laps] == [None] * len(laps)
