"""Confounds on data whose truth is known: what length does goes, what a strategy does stays."""

from __future__ import annotations

import numpy as np
import pytest

from respsel.report.analysis.confounds import Confounds, find_confounds
from respsel.report.analysis.score_matrix import Lengths

NAMES = ("a", "b", "c", "d")


def simulate(
    seed: int,
    effects: tuple[float, ...],
    slope: float,
    longer: tuple[float, ...],
    examples: int = 200,
) -> tuple[np.ndarray, Lengths]:
    """Log scores = example + strategy + slope * log length + noise."""
    rng = np.random.default_rng(seed)
    length = np.exp(
        rng.normal(4.5, 0.4, (examples, 1))
        + np.array(longer)
        + rng.normal(0, 0.3, (examples, len(longer)))
    )
    scores = rng.normal(1, 0.5, (examples, 1)) + np.array(effects) + slope * np.log(length)
    return scores + rng.normal(0, 0.2, scores.shape), Lengths(
        "tokens", length, np.full(length.shape, 3.0)
    )


def found(
    scores: np.ndarray,
    sizes: Lengths,
    right: tuple[float | None, ...] = (None,) * 4,
    log: bool = True,
) -> Confounds:
    return find_confounds(NAMES, scores, sizes, right, log=log, lower=True, confidence=0.95)


def test_what_is_only_length_disappears() -> None:
    """Strategies that differ by their length alone differ no more once length is controlled, in 95
    of 100 or so.
    """
    inside = 0
    for seed in range(200):
        result = found(*simulate(seed, (0, 0, 0, 0), -0.3, (0.6, 0.4, 0.2, 0.0)))
        other = next(item for item in result.controlled if item.strategy == "d")
        assert other.low is not None
        assert other.high is not None
        inside += other.low <= 1 <= other.high
    assert 0.9 <= inside / 200 <= 0.99
    assert result.slope == pytest.approx(-0.3, abs=0.06)
    assert result.extreme == "longest"
    assert result.found[0].across == pytest.approx(-1)


def test_what_is_not_length_stays() -> None:
    """A strategy that is better at every length is still first, by as much as it truly is."""
    result = found(*simulate(1, (-0.5, 0, 0, 0), 0.2, (0.5, 0.0, 0.1, 0.2)))
    assert result.controlled[0].strategy == "a"
    assert result.controlled[0].difference is None
    for other in result.controlled[1:]:
        assert other.difference == pytest.approx(np.exp(0.5), rel=0.08)
        assert other.low is not None
        assert other.low > 1


def test_length_can_hide_the_better_one() -> None:
    """A leader that is only shorter is overtaken by one that is better at equal length."""
    result = found(*simulate(2, (0, -0.15, 0.1, 0.1), 0.5, (-0.8, 0, 0, 0)))
    assert result.extreme == "shortest"
    assert result.controlled[0].strategy == "b"


def test_the_slope_is_that_of_least_squares() -> None:
    """The slope and the controlled means are those of a regression with dummies for examples and
    strategies.
    """
    scores, sizes = simulate(3, (0.1, 0, 0.2, 0.3), 0.4, (0.3, 0.1, 0, 0.2), examples=30)
    rows, columns = scores.shape
    design = np.zeros((rows * columns, rows + columns - 1 + 1))
    for i in range(rows):
        for j in range(columns):
            design[i * columns + j, i] = 1
            if j:
                design[i * columns + j, rows + j - 1] = 1
    design[:, -1] = np.log(sizes.sizes).ravel()
    fit = np.linalg.lstsq(design, scores.ravel(), rcond=None)[0]
    result = found(scores, sizes, log=False)
    assert result.slope == pytest.approx(fit[-1])
    for item in result.controlled:
        if item.difference is not None:
            assert item.difference == pytest.approx(fit[rows + NAMES.index(item.strategy) - 1])


def test_what_cannot_be_told_is_not() -> None:
    """Few examples, equal lengths, missing values and unjudged answers give no number rather than a
    wild one.
    """
    scores, sizes = simulate(4, (0, 0, 0, 0), 0.1, (0, 0, 0, 0))
    few = found(scores[:11], Lengths("tokens", sizes.sizes[:11], sizes.steps[:11]))
    assert few.controlled == ()
    assert few.slope is None
    assert few.found[0].within is None
    same = found(scores, Lengths("tokens", np.full(scores.shape, 50.0), sizes.steps))
    assert same.controlled == ()
    assert same.found[0].across is None
    assert same.extreme == ""
    assert [item.name for item in same.found] == ["response length", "step length"]
    nothing = found(np.full(scores.shape, np.nan), sizes)
    assert nothing.examples == 0
    assert nothing.controlled == ()


def test_right_answers_are_a_confound_where_all_are_judged() -> None:
    """A metric that ranks by how wrong answers are shows it: the right ones come last."""
    scores, sizes = simulate(5, (-0.3, -0.2, -0.1, 0), 0, (0, 0, 0, 0))
    shown = {item.name: item for item in found(scores, sizes, (0.1, 0.4, 0.8, 0.9)).found}
    assert shown["right answers"].across == pytest.approx(1)
    assert shown["right answers"].by_strategy == (0.1, 0.4, 0.8, 0.9)
