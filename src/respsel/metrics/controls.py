"""Controls: what a ranking may really be about."""

from __future__ import annotations

import zlib

from respsel.metrics.contract import Evidence, Metric, Needs, Parameters


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
)
