"""Controls: what a ranking may really be about, and what training may harm."""

from __future__ import annotations

import zlib

from pydantic import Field

from respsel.metrics.contract import Evidence, Metric, Needs, Parameters


class ConflictParameters(Parameters):
    """The parameters of confident conflicts. Both are thresholds that a conflict stays below.

    probability: of the token.
    entropy: of the target's distribution there, in nats. Below 1, its own favourite has more than
        1/e, which is 37 %.
    """

    probability: float = Field(0.1, gt=0, le=1)
    entropy: float = Field(1.0, gt=0)


def response_tokens(_parameters: Parameters, evidence: Evidence) -> float:
    """The number of scored tokens. Raises ValueError if there are none."""
    return float(len(evidence.tokens()))


def compression_ratio(_parameters: Parameters, evidence: Evidence) -> float:
    """Deflated bytes over bytes of the text. Raises ValueError if there are none."""
    data = evidence.text.encode()
    if not data:
        raise ValueError("no text")
    # Raw deflate: a header would count most in the shortest texts.
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return len(packer.compress(data) + packer.flush()) / len(data)


def confident_conflicts(parameters: ConflictParameters, evidence: Evidence) -> float:
    """The share of tokens that have low probability where the target is sure of others."""
    import numpy as np

    scores = evidence.tokens()
    if np.isnan(scores.entropy).any():
        raise ValueError("the endpoint gives no entropies")
    unlikely = np.exp(-scores.nll.astype(np.float64)) < parameters.probability
    return float((unlikely & (scores.entropy < parameters.entropy)).mean())


METRICS = (
    Metric(
        name="response-tokens",
        version=1,
        direction="lower",
        scale="linear",
        unit="tokens",
        summary="length of the response in the target's tokens (a control, not a reason to select)",
        formula="number of scored tokens",
        source="respsel",
        measure=response_tokens,
        control=True,
    ),
    Metric(
        name="compression-ratio",
        version=1,
        direction="higher",
        scale="linear",
        unit="ratio",
        summary="a control: repetitive text compresses well, and is easy to predict",
        formula="deflated bytes / bytes",
        variant="of raw deflate at level 9; builds of zlib may differ by a few bytes",
        source="respsel",
        mask="the text",
        cost="0",
        needs=Needs(),
        measure=compression_ratio,
        control=True,
    ),
    Metric(
        name="confident-conflicts",
        version=1,
        direction="lower",
        scale="linear",
        unit="share of tokens",
        summary="forgetting risk: tokens that the target is sure are others (a control)",
        formula="share of tokens with p < `probability` = 0.1 and entropy < `entropy` = 1 nat",
        variant="absolute thresholds; the paper's pilot masks the lowest 15 % of a training set's "
        "tokens in both",
        source="arXiv 2601.02151 (entropy-adaptive fine-tuning)",
        reported="not training on such tokens nearly ended the loss of general abilities there; "
        "as a measure of data it is new and unproven",
        parameters=ConflictParameters,
        measure=confident_conflicts,
        control=True,
        risk=True,
    ),
)
