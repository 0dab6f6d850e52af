"""Fit against risk: means, intervals and what is beaten, worked out by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from respsel.report.analysis.risks import find_risk
from respsel.selection.decide import decide
from respsel.selection.rule import Rule
from respsel.selection.verdict import Verdict


def verdict_of(**scores: list[float]) -> Verdict:
    tables = {
        name: {f"e{i}": value for i, value in enumerate(mine)} for name, mine in scores.items()
    }
    rule = Rule("m", "lower", "linear", 0.95, 100, 0)
    return decide("d", [tables], rule)


def test_means_and_differences_by_hand() -> None:
    """Risks 0.1, 0.2, 0.3 of the leader a and 0.3, 0.3, 0.3 of b: means 0.2 and 0.3. b minus a is
    0.2, 0.1, 0: mean 0.1, standard deviation 0.1, and Student's t for 2 degrees is 4.3027, so the
    interval is 0.1 +- 4.3027 * 0.1 / sqrt(3) = 0.1 +- 0.2484. a's own would begin at 0.2 - 0.2484,
    but a share is never below 0.
    """
    verdict = verdict_of(a=[1.0, 1.1, 1.2], b=[2.0, 2.3, 2.2])
    values = np.array([[0.1, 0.3], [0.2, 0.3], [0.3, 0.3]])
    risk = find_risk("r", "share", "s", verdict, values)
    assert risk is not None
    a, b = risk.strategies
    assert (a.strategy, a.difference, a.low) == ("a", None, None)
    assert (a.fit, a.risk) == pytest.approx((1.1, 0.2))
    assert (a.risk_low, a.risk_high) == pytest.approx((0.0, 0.2 + 4.302653 * 0.1 / math.sqrt(3)))
    assert (b.risk, b.difference) == pytest.approx((0.3, 0.1))
    assert (b.low, b.high) == pytest.approx((-0.148414, 0.348414), abs=1e-5)
    assert risk.unbeaten == ("a",)


def test_what_is_beaten_in_both() -> None:
    """a fits best and c has the least risk; b is behind a in both, and d behind c."""
    verdict = verdict_of(a=[1.0, 1.2], b=[2.0, 2.2], c=[3.0, 3.2], d=[4.0, 4.2])
    values = np.array([[0.2, 0.3, 0.1, 0.1]] * 2)
    risk = find_risk("r", "share", "s", verdict, values)
    assert risk is not None
    assert risk.unbeaten == ("a", "c")
    turned = replace(verdict, direction="higher")
    found = find_risk("r", "share", "s", turned, values)
    assert found is not None
    assert found.unbeaten == ("d",)


def test_strategies_without_a_value_are_left_out() -> None:
    """A missing value is no 0: a strategy with none is left out, and with no value at all there is
    nothing to show. One value has no interval.
    """
    verdict = verdict_of(a=[1.0, 1.2], b=[2.0, 2.2], c=[3.0, 3.2])
    nan = math.nan
    risk = find_risk("r", "u", "s", verdict, np.array([[nan, 0.3, 0.1], [nan, nan, 0.1]]))
    assert risk is not None
    b, c = risk.strategies
    assert (b.strategy, b.risk, b.risk_low, b.difference) == ("b", 0.3, None, None)
    assert (c.strategy, c.difference) == ("c", None)
    assert find_risk("r", "u", "s", verdict, np.full((2, 3), nan)) is None
