"""Agreement of metrics: Kendall's tau-b, as scipy has it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kendalltau

from respsel.report.analysis.agreement import find_agreement


def test_it_is_the_tau_of_scipy() -> None:
    """Within examples the mean of tau-b, with ties; across them tau-b of the means."""
    rng = np.random.default_rng(0)
    one = rng.integers(0, 4, (40, 5)).astype(float)
    other = rng.integers(0, 4, (40, 5)).astype(float)
    result = find_agreement(("one", "other"), (one, other))
    assert result is not None
    each = [float(kendalltau(a, b).statistic) for a, b in zip(one, other, strict=True)]
    known = [tau for tau in each if not np.isnan(tau)]
    assert result.within[0][1] == pytest.approx(np.mean(known))
    assert result.examples[0][1] == len(known)
    assert result.across[0][1] == pytest.approx(
        kendalltau(one.mean(axis=0), other.mean(axis=0)).statistic
    )
    assert result.within[0][0] == pytest.approx(1)
    assert result.within[0][1] == result.within[1][0]


def test_examples_with_a_gap_are_left_out() -> None:
    """A pair of metrics is compared over the examples that have both for every strategy."""
    one = np.array([[1.0, 2, 3], [1, 2, 3], [np.nan, 2, 3]])
    other = np.array([[1.0, 2, 3], [3, 2, 1], [1, 2, 3]])
    result = find_agreement(("one", "other"), (one, other))
    assert result is not None
    assert result.examples[0][1] == 2
    assert result.within[0][1] == pytest.approx(0)
    assert result.across[0][1] is None


def test_nothing_to_compare_is_no_matrix() -> None:
    """One metric or one strategy agrees with nothing."""
    table = np.ones((3, 2))
    assert find_agreement(("one",), (table,)) is None
    assert find_agreement(("one", "other"), (table[:, :1], table[:, :1])) is None
    flat = find_agreement(("one", "other"), (table, table))
    assert flat is not None
    assert flat.within[0][1] is None
