"""Paired statistics: what is summed, what errors are, and the limits of p-values."""

from __future__ import annotations

import numpy as np
import pytest

from respsel.selection.statistics import chance, estimate, limits, noise, pair, reach, share_of_wins

STREAM = np.random.default_rng(0)


def test_limits_are_those_of_holm_over_all_strategies() -> None:
    """The smallest p-value of three may be a quarter of the error, the largest a half; the leader
    keeps its share.
    """
    assert limits([0.001, 0.02, 0.01], 0.05, all_pairs=False) == pytest.approx(
        [0.05 / 4, 0.05 / 2, 0.05 / 3]
    )


def test_behind_one_that_is_not_beaten_none_is() -> None:
    """After the first p-value above its limit the limits stay, so a larger one is above its own
    too.
    """
    chances = [0.2, 0.03, 0.001, 0.021]
    found = limits(chances, 0.05, all_pairs=False)
    assert found == pytest.approx([0.05 / 4, 0.05 / 4, 0.05 / 5, 0.05 / 4])
    assert [p <= most for p, most in zip(chances, found, strict=True)] == [
        False,
        False,
        True,
        False,
    ]


def test_limits_over_all_pairs() -> None:
    """The smallest p-value of three may be a sixth of the error, as four strategies make six pairs;
    two keep the half.
    """
    assert limits([0.001, 0.02, 0.002], 0.05, all_pairs=True) == pytest.approx(
        [0.05 / 6, 0.05 / 2, 0.05 / 3]
    )


def test_a_gap_of_none_or_the_other_way_is_no_evidence() -> None:
    """The p-value of a strategy that is as good or better is 1; that of a steady gap is 0."""
    assert chance(0.0, 0.1, 20) == chance(-1.0, 0.1, 20) == 1.0
    assert chance(1.0, 0.0, 20) == 0.0
    assert chance(2.093 * 0.1, 0.1, 20) == pytest.approx(0.05, abs=1e-4)


def test_a_score_is_a_ratio_of_sums_with_its_error() -> None:
    """Equal weights give the mean and its usual standard error."""
    values = {"a": {f"e{i}": float(i) for i in range(10)}}
    totals, sums = pair(values, ["a"], False, None, ())
    found = estimate(totals, sums, 0, 200, STREAM)
    assert found.scores == pytest.approx([4.5])
    assert found.error(0, None) == pytest.approx(np.std(range(10), ddof=1) / np.sqrt(10))
    assert found.draws.std() == pytest.approx(np.std(range(10)) / np.sqrt(10), rel=0.2)


def test_resamples_take_the_same_examples_for_all() -> None:
    """A strategy that is always 1 above another is so in every resample, with weights too."""
    values = {
        "a": {f"e{i}": float(i) for i in range(10)},
        "b": {f"e{i}": i + 1.0 for i in range(10)},
    }
    weights = {name: {f"e{i}": 1.0 + i % 3 for i in range(10)} for name in values}
    for given in (None, weights):
        totals, sums = pair(values, ["a", "b"], False, given, ())
        found = estimate(totals, sums, 0, 50, STREAM)
        assert found.draws[:, 1] - found.draws[:, 0] == pytest.approx(np.ones(50))
        assert found.error(1, 0) == 0.0


def test_ties_share_the_probability_of_being_best() -> None:
    """Two that are lowest together have a half each, whatever the last bit says."""
    assert share_of_wins(np.array([[1.0, 1.0 + 1e-15, 2.0]])) == pytest.approx([0.5, 0.5, 0.0])


def test_one_example_says_nothing_of_its_error() -> None:
    """Intervals of a single example are infinite, and where nothing varies the unit is 1."""
    assert reach(0.95, 1) == float("inf")
    assert noise(np.zeros((5, 2))) == 1.0
