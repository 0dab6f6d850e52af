"""Gaps between strategies: their size, effect, and what it takes to decide them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from respsel.selection.gap import Gap, effect, error_of, gap_between, needed
from respsel.selection.statistics import Estimates, estimate, pair


def part(n: int, shift: float) -> Estimates:
    stream = np.random.default_rng(n)
    values = {"a": stream.normal(0, 1, n), "b": stream.normal(shift, 1, n)}
    totals, sums = pair(
        {k: {f"e{i}": float(x) for i, x in enumerate(v)} for k, v in values.items()},
        ["a", "b"],
        False,
        None,
        (),
    )
    return estimate(totals, sums, 0, 1, stream)


def test_over_datasets_gaps_are_means() -> None:
    """The size is the mean of the datasets' sizes and the error that of a mean; the fewest examples
    count.
    """
    parts = [part(20, 1.0), part(80, 2.0)]
    both = gap_between(parts, 1, 0, 1.0)
    each = [gap_between([item], 1, 0, 1.0) for item in parts]
    assert both.size == pytest.approx(np.mean([gap.size for gap in each]))
    assert both.error == pytest.approx(math.hypot(*(gap.error for gap in each)) / 2)
    assert (both.examples, both.fewest) == (100, 20)
    assert error_of(parts, 1, 1) == 0.0


def test_where_higher_is_better_a_gap_turns_round() -> None:
    """A size is positive where the strategy is worse; the effect keeps the sign of the
    difference.
    """
    one = [part(40, 1.0)]
    up = gap_between(one, 1, 0, 1.0)
    down = gap_between(one, 1, 0, -1.0)
    assert up.size == -down.size > 0
    assert up.chance < 0.01 < down.chance == 1.0
    assert effect(one, up, 1.0) == effect(one, down, -1.0)


def test_half_the_gap_needs_four_times_the_examples() -> None:
    """The number that is needed goes with the square; no number decides a gap of none."""
    whole = Gap(0, 1.0, 0.5, 20, 20)
    half = Gap(0, 0.5, 0.5, 20, 20)
    assert needed(half, 0.95) == pytest.approx(4 * needed(whole, 0.95))
    assert needed(whole, 0.95) == pytest.approx(20 * (2.8016 * 0.5) ** 2, rel=1e-4)
    assert needed(Gap(0, 0.0, 0.5, 20, 20), 0.95) == math.inf
