"""Metrics: values worked out by hand, and what they say where there is none."""

from __future__ import annotations

import math

import numpy as np
import pytest

from respsel.metrics.base import ChosenMetric, Evidence, View, all_metrics, choose
from respsel.recipe import MetricEntry
from respsel.records import TokenScores


def chosen(name: str, **parameters: object) -> ChosenMetric:
    metric, problems = choose(MetricEntry.model_validate({"name": name, **parameters}), "a.toml", "metrics[0]")
    assert metric is not None, problems
    return metric


def evidence(nll: list[float], text: str = "some text", own: tuple[str, ...] = ()) -> Evidence:
    n = len(nll)
    scores = TokenScores(np.arange(n, dtype=np.int32), np.array(nll, np.float32), np.ones(n, np.int32), np.ones(n, np.float32))
    return Evidence(text, scores, own)


def test_perplexity_by_hand() -> None:
    """Tokens of probability 1/2, 1/4 and 1/2: nll ln 2, 2 ln 2, ln 2; mean 4/3 ln 2; exp gives 2^(4/3)."""
    value, problem = chosen("perplexity").measure(evidence([math.log(2), 2 * math.log(2), math.log(2)]))
    assert value == pytest.approx(2 ** (4 / 3), rel=1e-6)
    assert problem == ""


def test_self_aligned_perplexity_is_perplexity_under_another_view() -> None:
    """It reads the view with k own outputs; the number is computed alike."""
    metric = chosen("self-aligned-perplexity", k=3)
    assert metric.view == View("self-aligned", 3)
    assert metric.measure(evidence([math.log(2)]))[0] == pytest.approx(2)


def test_alignment_is_the_mean_over_own_outputs() -> None:
    """One own output is the response itself (chrF 1), the other shares no character with it (chrF 0)."""
    assert chosen("alignment").measure(evidence([], "abcdef", ("abcdef", "xyz")))[0] == pytest.approx(0.5)


def test_response_tokens_counts_the_scored_tokens() -> None:
    """Its length is the number of scored tokens."""
    assert chosen("response-tokens").measure(evidence([0.1, 0.2]))[0] == 2


@pytest.mark.parametrize(
    ("name", "given", "reason"),
    [
        ("perplexity", evidence([]), "no scored token"),
        ("perplexity", evidence([1e5]), "the value is inf"),
        ("alignment", evidence([1.0]), "no own output to this input is kept"),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow")
def test_no_value_has_a_reason(name: str, given: Evidence, reason: str) -> None:
    """Where a metric has no finite value it says why; it never returns NaN."""
    assert chosen(name).measure(given) == (None, reason)


def test_every_metric_states_its_contract() -> None:
    """Each has a source, a unit and a summary, and is known under its own name."""
    for name, metric in all_metrics().items():
        assert metric.name == name
        assert metric.version >= 1
        assert metric.source
        assert metric.unit
        assert metric.summary
