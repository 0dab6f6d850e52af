"""Verdicts: rankings, intervals, decisions, and how often they are wrong."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pytest

from respsel.selection import VERDICTS, Rule, decide

LOG = Rule("perplexity", "lower", "log", 0.95, 2000, 0)
LINEAR = Rule("alignment", "higher", "linear", 0.95, 2000, 0)
Scores = dict[str, dict[str, float | None]]


def table(**columns: list[float]) -> Scores:
    return {name: {f"e{i}": value for i, value in enumerate(values)} for name, values in columns.items()}


def noisy(seed: int, shifts: Mapping[str, float], n: int = 40, own: float = 0.2) -> Scores:
    stream = np.random.default_rng(seed)
    shared = stream.normal(1, 1, n)
    return table(**{name: list(np.exp(shared + shift + stream.normal(0, own, n))) for name, shift in shifts.items()})


def test_the_score_is_the_geometric_mean_on_a_log_scale() -> None:
    """Perplexities are averaged as logarithms; the difference to the leader is a ratio."""
    verdict = decide("d", [table(a=[2.0, 8.0] * 6, b=[4.0, 16.0] * 6)], LOG)
    first, second = verdict.ranking
    assert (first.strategy, second.strategy) == ("a", "b")
    assert first.score == pytest.approx(4)
    assert second.difference == pytest.approx(2)
    assert second.difference_low == pytest.approx(2)
    assert verdict.decided
    assert verdict.winner == "a"


def test_the_direction_is_the_metrics() -> None:
    """Where higher is better the highest leads, and a difference is a difference."""
    verdict = decide("d", [table(a=[0.1, 0.2] * 6, b=[0.3, 0.4] * 6)], LINEAR)
    assert verdict.winner == "b"
    assert verdict.ranking[1].difference == pytest.approx(-0.2)
    assert verdict.decided


def test_pairing_sees_through_the_examples_own_spread() -> None:
    """A small steady advantage is decided, however much the examples differ among themselves."""
    verdict = decide("d", [noisy(1, {"a": 0.0, "b": 0.3})], LOG)
    low, high = verdict.ranking[0].low, verdict.ranking[1].high
    assert verdict.decided
    assert low < verdict.ranking[1].score < high


def test_equal_strategies_are_seldom_decided() -> None:
    """At 95 %, two or four strategies that are equal are called decided in about 5 % of the cases at most."""
    rule = Rule("m", "lower", "log", 0.95, 400, 0)
    for names, n in (("ab", 12), ("ab", 30), ("abcd", 30)):
        decided = sum(decide("d", [noisy(seed, dict.fromkeys(names, 0.0), n=n)], rule).decided for seed in range(400))
        assert decided / 400 <= 0.08


def test_the_examples_needed_would_mostly_decide() -> None:
    """With as many examples as an undecided verdict asks for, a true difference is decided in most cases."""
    rule = Rule("m", "lower", "log", 0.95, 400, 0)
    shifts = {"a": 0.0, "b": 0.1}
    # The number that the true gap and spread call for: ((1.96 + 0.84) * 0.2 * sqrt(2) / 0.1)^2 = 63.
    decided = sum(decide("d", [noisy(seed, shifts, n=63)], rule).decided for seed in range(100))
    assert 65 <= decided <= 95


def test_the_interval_covers_the_truth() -> None:
    """The interval of a mean of 20 skewless examples holds the true mean in about 95 % of the cases."""
    rule = Rule("m", "lower", "linear", 0.95, 400, 0)
    covered = 0
    for seed in range(400):
        values = np.random.default_rng(seed).normal(3, 1, 20)
        ranked = decide("d", [table(a=list(values))], rule).ranking[0]
        covered += ranked.low <= 3 <= ranked.high
    assert 0.92 <= covered / 400 <= 0.98


def test_ties_are_named_with_what_would_decide_them() -> None:
    """An undecided verdict names who is tied and about how many examples would do."""
    verdict = decide("d", [noisy(3, {"a": 0.0, "b": 0.02, "c": 2.0}, own=0.3)], LOG)
    assert not verdict.decided
    assert len(verdict.tied) == 1
    assert "c" not in verdict.tied
    assert verdict.examples_needed is not None
    assert verdict.examples_needed > 40


def test_identical_strategies_stay_undecided() -> None:
    """Two strategies with the same scores share the probability of being best; no number of examples helps."""
    verdict = decide("d", [table(a=[1.0, 2.0] * 5, b=[1.0, 2.0] * 5)], LOG)
    assert not verdict.decided
    assert verdict.examples_needed is None
    assert verdict.ranking[0].p_best == pytest.approx(0.5)


def test_a_handful_of_examples_decides_nothing() -> None:
    """With fewer than twelve examples nothing is decided."""
    assert not decide("d", [table(a=[1.0] * 11, b=[9.0] * 11)], LOG).decided
    assert decide("d", [table(a=[1.0] * 12, b=[9.0] * 12)], LOG).decided


def test_only_examples_with_all_scores_are_compared() -> None:
    """An example that one strategy lacks counts for none, and is counted as missing."""
    scores = table(a=[1.0] * 8, b=[2.0] * 8)
    scores["a"]["e0"] = None
    scores["b"]["e1"] = None
    verdict = decide("d", [scores], LOG)
    assert verdict.examples == 6
    assert verdict.unscored == {"a": 1, "b": 1}


def test_no_common_example_means_no_winner() -> None:
    """Where nothing can be compared, no strategy is named."""
    scores = table(a=[1.0], b=[1.0])
    scores["b"]["e0"] = None
    verdict = decide("d", [scores], LOG)
    assert verdict.winner is None
    assert verdict.ranking == ()


def test_datasets_count_equally_overall() -> None:
    """The overall score is the mean of the datasets' scores, however many examples each has."""
    many, few = table(a=[1.0] * 50, b=[2.0] * 50), table(a=[4.0] * 5, b=[1.0] * 5)
    verdict = decide("overall", [many, few], LOG)
    assert {r.strategy: r.score for r in verdict.ranking} == pytest.approx({"a": 2.0, "b": math.sqrt(2)})


def test_only_strategies_in_all_datasets_are_ranked_overall() -> None:
    """A strategy limited to one dataset is not in the overall ranking."""
    verdict = decide("overall", [table(a=[1.0] * 6, b=[2.0] * 6), table(a=[1.0] * 6)], LOG)
    assert [r.strategy for r in verdict.ranking] == ["a"]


def test_a_verdict_survives_the_store() -> None:
    """A verdict comes back from JSON as it was."""
    verdict = decide("d", [noisy(5, {"a": 0.0, "b": 0.1})], LOG)
    assert VERDICTS.decode(VERDICTS.encode([verdict])) == [verdict]


def test_the_order_of_examples_does_not_matter_to_the_score() -> None:
    """Scores are means: shuffled examples give the same."""
    scores = noisy(8, {"a": 0.0, "b": 0.1})
    turned = {name: dict(reversed(list(values.items()))) for name, values in scores.items()}
    assert [r.score for r in decide("d", [turned], LOG).ranking] == pytest.approx(
        [r.score for r in decide("d", [scores], LOG).ranking]
    )
