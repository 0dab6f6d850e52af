"""Controls: what a ranking may really be about."""

from __future__ import annotations

from respsel.metrics.base import Evidence, Metric, Parameters, View


def response_tokens(_parameters: Parameters, evidence: Evidence) -> float:
    """The number of scored tokens. Raises ValueError if there are none."""
    if evidence.token_scores is None:
        raise ValueError("no scored token")
    return float(len(evidence.token_scores))


RESPONSE_TOKENS = Metric(
    name="response-tokens",
    version=1,
    direction="lower",
    scale="linear",
    unit="tokens",
    summary="length of the response in the target's tokens (a control, not a reason to select)",
    source="respsel",
    parameters=Parameters,
    view=lambda _parameters: View("plain"),
    wants_own_outputs=False,
    measure=response_tokens,
    control=True,
)
METRICS = (RESPONSE_TOKENS,)
