"""A metric of its own package: how surprised the target is at the worst token of a response."""

from __future__ import annotations

from respsel.metrics.base import Evidence, Metric, Parameters


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
