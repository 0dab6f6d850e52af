"""The reference's metrics by ours: evidence from any backend, measured through the registry."""

from __future__ import annotations

import json
from typing import Any

from respsel.metrics.contract import ChosenMetric, Evidence
from respsel.metrics.registry import choose
from respsel.recipe.places import plain_place
from respsel.recipe.schema import MetricEntry
from tests.conftest import SHARED

# By the name in ../shared/reference/golden.json: our metric and its parameters.
GOLDEN: dict[str, dict[str, Any]] = {
    "perplexity": {"name": "perplexity"},
    "self_aligned_perplexity": {"name": "self-aligned-perplexity"},
    "ifd_loss_ratio": {"name": "ifd-loss-ratio"},
    "ifd_perplexity_ratio": {"name": "ifd-perplexity-ratio"},
    "rank_surprisal_ratio": {"name": "rank-surprisal-ratio"},
    "mean_logp_plus_entropy": {"name": "log-probability-plus-entropy"},
    "hidden_cosine": {"name": "alignment", "kernel": "hidden"},
}


def read_golden() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The reference's cases, and its values of them."""
    folder = SHARED / "reference"
    return json.loads((folder / "cases.json").read_text()), json.loads(
        (folder / "golden.json").read_text()
    )


def chosen(name: str, **parameters: object) -> ChosenMetric:
    """A metric as a recipe asks for it."""
    metric, problems = choose(
        MetricEntry.model_validate({"name": name, **parameters}),
        plain_place("a.toml", "metrics", 0),
    )
    assert metric is not None, problems
    return metric


def measured(evidence: Evidence, *names: str) -> dict[str, float]:
    """The reference's metrics of one response, by their names there."""
    values = {}
    for name in names:
        value, problem, _ = chosen(**GOLDEN[name]).measure(evidence)
        assert value is not None, (name, problem)
        values[name] = value
    return values
