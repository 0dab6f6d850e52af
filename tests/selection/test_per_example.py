"""The best response for each example."""

from __future__ import annotations

import json

import polars as pl
import pytest

from respsel.selection.per_example import Choice, choose_responses, mix
from respsel.selection.rule import Rule
from tests.conftest import Bench

LOWER = Rule("perplexity", "lower", "log", 0.95, 1, 0)
HIGHER = Rule("alignment", "higher", "linear", 0.95, 1, 0)
SCORES = {
    "a": {"e0": 2.0, "e1": 8.0, "e2": None, "e3": None},
    "b": {"e0": 4.0, "e1": 2.0, "e2": 4.0, "e3": None},
}


def test_each_example_has_its_best_response() -> None:
    """The lowest or the highest score wins, by the metric's direction; an example without a score
    has no choice.
    """
    assert choose_responses(SCORES, LOWER) == [
        Choice("e0", "a", 2.0),
        Choice("e1", "b", 2.0),
        Choice("e2", "b", 4.0),
    ]
    assert [choice.strategy for choice in choose_responses(SCORES, HIGHER)] == ["b", "a", "b"]


def test_equal_scores_go_to_the_first_strategy() -> None:
    """The choice between equal responses is always the same."""
    assert choose_responses({"b": {"e": 1.0}, "a": {"e": 1.0}}, LOWER) == [Choice("e", "b", 1.0)]


def test_the_mixture_counts_and_averages() -> None:
    """The mixture says how often each strategy is chosen, and the mean of what was chosen on the
    metric's scale.
    """
    mixture = mix(choose_responses(SCORES, LOWER), ("a", "b"), 4, "log")
    assert list(mixture.counts.items()) == [("b", 2), ("a", 1)]
    assert mixture.without == 1
    assert mixture.score == pytest.approx((2 * 2 * 4) ** (1 / 3))
    assert mix([], ("a",), 2, "log").score is None


def test_a_run_chooses_beside_the_verdict(bench: Bench) -> None:
    """With mode = "per-example" the report has both, and each choice is the best score of its
    example.
    """
    plain = bench.run()
    bench.edit("[selection]", '[selection]\nmode = "per-example"')
    done = bench.run()
    assert (done["calls_made"], done["steps_run"]) == (0, 1)
    assert done["verdicts"] == plain["verdicts"]
    (data,) = json.loads((bench.folder / "runs/a/report.json").read_text())["datasets"]
    scores = pl.read_parquet(bench.folder / "runs/a/scores.parquet").filter(
        pl.col("metric") == "perplexity"
    )
    best = scores.group_by("id").agg(pl.col("value").min())
    assert {choice["id"]: choice["score"] for choice in data["choices"]} == dict(best.iter_rows())
    assert sum(data["mixture"]["counts"].values()) == 6
    assert "best response for each of 6 examples" in bench.respsel("run", "a.toml").out


def test_without_it_there_is_no_mixture(bench: Bench) -> None:
    """By default nothing is chosen per example."""
    bench.run()
    (data,) = json.loads((bench.folder / "runs/a/report.json").read_text())["datasets"]
    assert (data["mixture"], data["choices"]) == (None, [])
