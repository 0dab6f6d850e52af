"""Verdicts: rankings, intervals, decisions, and how often they are wrong."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest

from respsel.report.figures import difference_plot, ranking_plot
from respsel.selection.comparison import compare
from respsel.selection.decide import decide
from respsel.selection.rule import Rule
from respsel.selection.verdict import VERDICTS

LOG = Rule("perplexity", "lower", "log", 0.95, 2000, 0)
LINEAR = Rule("alignment", "higher", "linear", 0.95, 2000, 0)
Scores = dict[str, dict[str, Any]]


def table(**columns: list[float]) -> Scores:
    return {
        name: {f"e{i}": value for i, value in enumerate(values)} for name, values in columns.items()
    }


def noisy(seed: int, shifts: Mapping[str, float], n: int = 40, own: float = 0.2) -> Scores:
    stream = np.random.default_rng(seed)
    shared = stream.normal(1, 1, n)
    return table(
        **{
            name: list(np.exp(shared + shift + stream.normal(0, own, n)))
            for name, shift in shifts.items()
        }
    )


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
    low = verdict.ranking[0].low
    high = verdict.ranking[1].high
    assert verdict.decided
    assert low is not None
    assert high is not None
    assert low < verdict.ranking[1].score < high


def test_one_example_has_no_intervals() -> None:
    """What one example says of how scores vary is nothing: no interval, and no number of examples
    that would decide.
    """
    verdict = decide("d", [table(a=[520.0], b=[3460.0])], LOG)
    for ranked in verdict.ranking:
        assert (ranked.low, ranked.high, ranked.difference_low, ranked.difference_high) == (
            None,
        ) * 4
    assert (verdict.decided, verdict.tied, verdict.examples_needed) == (False, ("b",), None)
    found = compare({"e0": 2.0}, {"e0": 4.0}, LOG)
    assert found is not None
    assert found.difference == pytest.approx(2)
    assert (found.low, found.high) == (None, None)


@pytest.mark.parametrize("confidence", [0.95, 0.99, 0.9999])
def test_two_examples_and_many_strategies_have_finite_intervals(confidence: float) -> None:
    """Student's t with one degree of freedom reaches beyond any float; the report is written all
    the same.
    """
    for seed in range(20):
        verdict = decide(
            "d",
            [noisy(seed, {name: i / 9 for i, name in enumerate("abcdefghij")}, 2, 1.0)],
            replace(LOG, confidence=confidence),
        )
        json.dumps(asdict(verdict), allow_nan=False)
        assert "NaN" not in ranking_plot(verdict) + difference_plot(verdict)


@pytest.mark.parametrize("names", ["ab", "abcd", "abcdefgh"])
def test_equal_strategies_are_seldom_decided_and_seldom_called_worse(names: str) -> None:
    """At 95 %, strategies that are equal are called decided in at most 5 % of the cases, and any of
    them worse in as few.
    """
    rule = Rule("m", "lower", "log", 0.95, 1, 0)
    verdicts = [
        decide("d", [noisy(seed, dict.fromkeys(names, 0.0), n=12 + seed % 40)], rule)
        for seed in range(2000)
    ]
    assert sum(verdict.decided for verdict in verdicts) / 2000 <= 0.05
    assert sum(len(verdict.tied) < len(names) - 1 for verdict in verdicts) / 2000 <= 0.05


def test_a_differences_interval_agrees_with_its_label() -> None:
    """It excludes no difference just where the strategy is worse than the leader, and not tied with
    it.
    """
    tied = 0
    for seed in range(200):
        verdict = decide(
            "d",
            [noisy(seed, {"a": 0.0, "b": 0.05, "c": 0.12, "d": 0.3})],
            replace(LOG, resamples=1),
        )
        for ranked in verdict.ranking[1:]:
            assert ranked.difference_low is not None
            assert (ranked.difference_low > 1) == (ranked.strategy not in verdict.tied)
            assert ranked.level is not None
            assert 0.95 < ranked.level < 1
        tied += len(verdict.tied)
    assert 100 < tied < 500


def test_two_equal_strategies_before_others_are_seldom_decided() -> None:
    """That others are far behind does not make a tie at the top a decision."""
    rule = Rule("m", "lower", "log", 0.95, 1, 0)
    shifts = {"a": 0.0, "b": 0.0, "c": 3.0, "d": 3.0}
    assert (
        sum(decide("d", [noisy(seed, shifts, n=30)], rule).decided for seed in range(1000)) / 1000
        <= 0.05
    )


def test_the_examples_needed_would_mostly_decide() -> None:
    """With as many examples as an undecided verdict asks for, a true difference is decided in most
    cases.
    """
    rule = Rule("m", "lower", "log", 0.95, 400, 0)
    shifts = {"a": 0.0, "b": 0.1}
    # The number that the true gap and spread call for: ((2.24 + 0.84) * 0.2 * sqrt(2) / 0.1)^2 =
    # 76.
    decided = sum(decide("d", [noisy(seed, shifts, n=76)], rule).decided for seed in range(200))
    assert 0.72 <= decided / 200 <= 0.88


@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_intervals_cover_the_truth(confidence: float) -> None:
    """A score's interval and a difference's hold the truth as often as asked, within 1.5 points in
    2,000 draws.
    """
    rule = Rule("m", "lower", "log", confidence, 1, 0)
    # The difference's interval is at the level of its test, which is that of half the error for two
    # strategies.
    level = 1 - (1 - confidence) / 2
    score = difference = 0
    for seed in range(2000):
        by_name = {
            r.strategy: r
            for r in decide("d", [noisy(seed, {"a": 0.0, "b": 1.0}, n=20)], rule).ranking
        }
        b = by_name["b"]
        assert b.difference_low is not None
        assert b.difference_high is not None
        assert b.low is not None
        assert b.high is not None
        score += b.low <= math.exp(2) <= b.high
        difference += b.difference_low <= math.e <= b.difference_high
    assert abs(score / 2000 - confidence) <= 0.015
    assert b.level == pytest.approx(level)
    assert abs(difference / 2000 - level) <= 0.015


def test_ties_are_named_with_what_would_decide_them() -> None:
    """An undecided verdict names who is tied and about how many examples would do."""
    verdict = decide("d", [noisy(3, {"a": 0.0, "b": 0.02, "c": 2.0}, own=0.3)], LOG)
    assert not verdict.decided
    assert len(verdict.tied) == 1
    assert "c" not in verdict.tied
    assert verdict.examples_needed is not None
    assert verdict.examples_needed > 40


def test_identical_strategies_stay_undecided() -> None:
    """Two strategies with the same scores share the probability of being best; no number of
    examples helps.
    """
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
    """The overall score is the mean of the datasets' standardised scores, however many examples
    each has.
    """
    steady = [0.0, 1.0, 0.0, -1.0]
    many = table(
        a=[math.exp(x) for x in steady * 10], b=[math.exp(x + 3) for x in steady[::-1] * 10]
    )
    few = table(
        a=[math.exp(x + 1.5) for x in steady * 3], b=[math.exp(x) for x in steady[::-1] * 3]
    )
    verdict = decide("overall", [many, few], LOG)
    assert verdict.scale == "standardised"
    assert verdict.winner == "a"
    # 3 and 1.5 nats in paired standard deviations (1 nat over these examples, each with its own n -
    # 1), halved.
    unit = [math.sqrt(n / (n - 1)) for n in (40, 12)]
    assert verdict.ranking[1].difference == pytest.approx((3 / unit[0] - 1.5 / unit[1]) / 2)
    assert verdict.ranking[1].effect == pytest.approx(verdict.ranking[1].difference)


def test_datasets_that_disagree_are_said_to() -> None:
    """Where one dataset's large difference outweighs two small ones, the mean of ranks names
    another strategy.
    """
    small = noisy(1, {"a": 0.3, "b": 0.0})
    verdict = decide(
        "overall", [small, noisy(2, {"a": 0.3, "b": 0.0}), noisy(3, {"a": 0.0, "b": 3.0})], LOG
    )
    assert verdict.winner == "a"
    assert verdict.first_by_rank == "b"
    assert verdict.datasets_disagree
    assert {r.strategy: r.place for r in verdict.ranking} == pytest.approx({"a": 5 / 3, "b": 4 / 3})
    assert not decide("overall", [small, small], LOG).datasets_disagree


def test_an_example_counts_once_however_many_responses_it_has() -> None:
    """Several responses to an example are averaged: copies of a value change neither score nor
    certainty.
    """
    once = noisy(1, {"a": 0.0, "b": 0.1})
    copied = {
        name: {key: [value] * 5 for key, value in values.items()} for name, values in once.items()
    }
    assert decide("d", [copied], LOG) == decide("d", [once], LOG)
    several: Scores = {
        "a": {f"e{i}": [1.0, None, 3.0] for i in range(12)},
        "b": {f"e{i}": 5.0 for i in range(12)},
    }
    assert decide("d", [several], replace(LOG, scale="linear")).ranking[0].score == pytest.approx(
        2.0
    )


def test_weights_make_a_score_a_ratio_of_sums() -> None:
    """With weights a score is sum(weight x value) / sum(weight), and heavy examples
    move it more.
    """
    values = table(a=[1.0, 2.0] * 6, b=[4.0, 4.0] * 6)
    weights = table(a=[1.0, 3.0] * 6, b=[1.0, 1.0] * 6)
    rule = replace(LOG, scale="linear")
    first = decide("d", [values], rule, [weights]).ranking[0]
    assert first.score == pytest.approx(7 / 4)
    assert decide("d", [values], rule, [table(a=[2.0] * 12, b=[9.0] * 12)]).ranking[
        0
    ].score == pytest.approx(1.5)


def test_the_interval_of_a_ratio_covers_the_truth() -> None:
    """The interval of a weighted score holds the true ratio about as often as asked."""
    rule = Rule("m", "lower", "linear", 0.95, 1, 0)
    held = 0
    truth = 0.0
    for seed in range(1000):
        stream = np.random.default_rng(seed)
        lengths = stream.integers(20, 200, 60).astype(float)
        values = 1 + lengths / 100 + stream.normal(0, 0.5, 60)
        found = decide("d", [table(a=list(values))], rule, [table(a=list(lengths))]).ranking[0]
        uniform = np.arange(20, 200)
        truth = 1 + float((uniform**2).sum() / uniform.sum()) / 100
        assert found.low is not None
        assert found.high is not None
        held += found.low <= truth <= found.high
    assert abs(held / 1000 - 0.95) <= 0.015


def test_a_dropped_strategy_is_compared_over_what_it_has() -> None:
    """A strategy that was dropped needs not have every example: it is paired with the leader over
    its own.
    """
    scores = noisy(1, {"a": 0.0, "b": 0.0, "c": 1.0}, n=60, own=0.1)
    for key in list(scores["c"])[12:]:
        del scores["c"][key]
    verdict = decide("d", [scores], LOG, dropped=[{"c"}])
    by_name = {r.strategy: r for r in verdict.ranking}
    assert verdict.examples == 60
    assert [r.examples for r in verdict.ranking] == [60, 60, 12]
    assert by_name["c"].difference == pytest.approx(math.e, rel=0.15)
    assert (by_name["c"].p_best or 0) < 0.001
    # Its score stands beside the leader's although its few examples may be harder or easier ones.
    assert by_name["c"].score == pytest.approx(
        verdict.ranking[0].score * (by_name["c"].difference or 0)
    )


def test_the_effect_is_the_difference_in_paired_standard_deviations() -> None:
    """A difference of 1 that varies by 2 is an effect of about a half."""
    verdict = decide("d", [table(a=[1.0] * 12, b=[0.0, 4.0] * 6)], replace(LOG, scale="linear"))
    assert verdict.ranking[1].effect == pytest.approx(1 / (2 * math.sqrt(12 / 11)))


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
