"""Metrics of how likely the target finds a response: perplexity under a view."""

from __future__ import annotations

from pydantic import Field

from respsel.metrics.base import Evidence, Metric, Parameters, View


class SelfAlignedParameters(Parameters):
    """k: how many own outputs to other inputs stand in the prompt."""

    k: int = Field(2, ge=1, le=16)


def perplexity(_parameters: Parameters, evidence: Evidence) -> float:
    """exp of the mean nll (nats) over the response's tokens. Raises ValueError if there are none."""
    import numpy as np

    scores = evidence.token_scores
    if scores is None or len(scores) == 0:
        raise ValueError("no scored token")
    return float(np.exp(scores.nll.mean(dtype=np.float64)))


PERPLEXITY = Metric(
    name="perplexity",
    version=1,
    direction="lower",
    scale="log",
    unit="per token",
    summary="exp of the mean nll of the response's tokens, given the input",
    source="arXiv 2502.11779",
    parameters=Parameters,
    view=lambda _parameters: View("plain"),
    wants_own_outputs=False,
    measure=perplexity,
)
SELF_ALIGNED_PERPLEXITY = Metric(
    name="self-aligned-perplexity",
    version=1,
    direction="lower",
    scale="log",
    unit="per token",
    summary="perplexity, given the input and k of the target's own outputs to other inputs",
    source="arXiv 2502.11779",
    parameters=SelfAlignedParameters,
    view=lambda parameters: View("self-aligned", parameters.k),
    wants_own_outputs=False,
    measure=perplexity,
)
METRICS = (PERPLEXITY, SELF_ALIGNED_PERPLEXITY)
