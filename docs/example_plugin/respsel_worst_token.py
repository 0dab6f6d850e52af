"""A metric, a strategy and a backend of a package of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from respsel.backends.contract import Model
from respsel.backends.fake import FakeModel
from respsel.backends.registry import BackendPlugin
from respsel.metrics.contract import Evidence, Metric, Parameters
from respsel.records import Example
from respsel.strategies.plugin import StrategyPlugin


def worst_token(_parameters: Parameters, evidence: Evidence) -> float:
    """The largest nll (nats). Raises ValueError if no token is scored."""
    return float(evidence.tokens("plain").nll.max())


WORST_TOKEN = Metric(
    name="worst-token",
    version=1,
    direction="lower",
    scale="linear",
    unit="nats",
    summary="surprise at the least likely token of the response",
    formula="max nll",
    source="an example",
    measure=worst_token,
)


def reversed_reference(options: Mapping[str, Any], examples: Sequence[Example]) -> list[str]:
    """Each example's reference with its words in reverse order, up to `words` of them."""
    return [
        " ".join(reversed((example.reference or "").split()[: options.get("words", 100)]))
        for example in examples
    ]


REVERSED = StrategyPlugin(version=1, respond=reversed_reference)


def identify(options: Mapping[str, Any], _folder: Path) -> Mapping[str, Any]:
    """What tells this model from another: here, the words that it is made of."""
    return {"seed": options["seed"]}


def open_model(options: Mapping[str, Any], _folder: Path) -> Model:
    """A model that satisfies respsel.backends.contract.Model; a real one would load its weights
    here.
    """
    return FakeModel(f"example-{options['seed']}", 4096)


SEEDED = BackendPlugin(identify, open_model)
