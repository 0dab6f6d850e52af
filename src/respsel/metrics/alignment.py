"""Expected alignment: how similar a response is, on average, to what the target itself wrote."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from respsel.metrics import kernels
from respsel.metrics.contract import Evidence, Metric, Needs, Parameters

_COST = "0 besides own outputs; hidden: 1, and 1 for each own output"


class AlignmentParameters(Parameters):
    """The parameters of alignment.

    kernel: the similarity S (kernels.py).
    """

    kernel: Literal["chrf", "rouge-l", "exact", "embedding", "hidden"] = "chrf"


class MixParameters(Parameters):
    """The parameters of the mix.

    kernel: the alignment's.
    weight: of the alignment, between 0 and 1; the rest is the perplexity's.
    """

    kernel: Literal["chrf", "rouge-l", "exact", "embedding", "hidden"] = "chrf"
    weight: float = Field(0.5, ge=0, le=1)


def alignment(parameters: AlignmentParameters, evidence: Evidence) -> float:
    """Mean similarity of the response to each own output to the same input: E[S(y, y')].

    Raises ValueError if there is no own output to this input.
    """
    if parameters.kernel == "hidden":
        if evidence.vector is None:
            raise ValueError("no hidden states of the response")
        return kernels.mean_over(kernels.cosine, evidence.vector, evidence.own_vectors)
    texts = {"chrf": kernels.chrf, "rouge-l": kernels.rouge_l, "embedding": kernels.embedding}
    if parameters.kernel == "exact":
        return kernels.mean_over(
            lambda one, other: kernels.exact(evidence.check, one, other),
            evidence.text,
            evidence.own_outputs,
        )
    return kernels.mean_over(texts[parameters.kernel], evidence.text, evidence.own_outputs)


def _needs(parameters: AlignmentParameters) -> Needs:
    kernel = parameters.kernel
    extra: Literal["", "embedding"] = "embedding" if kernel == "embedding" else ""
    return Needs(own_outputs=True, hidden=kernel == "hidden", answer=kernel == "exact", extra=extra)


METRICS = (
    Metric(
        name="alignment",
        version=1,
        direction="higher",
        scale="linear",
        unit="similarity",
        summary="expected similarity to the target's own outputs to the same input",
        formula="mean of S(y, y') over own outputs y'; S: chrf, rouge-l, exact (same answer; of "
        "several numbers the first), "
        "embedding, hidden (cosine)",
        source="arXiv 2502.11779 (expected alignment); chrF: Popovic 2015, sacrebleu; ROUGE-L: "
        "Lin 2004",
        reported="the idea that perplexity (S = exact match of texts) and its softer forms follow "
        "from",
        mask="the text; hidden: every response token",
        cost=_COST,
        parameters=AlignmentParameters,
        needs=_needs,
        measure=alignment,
    ),
    Metric(
        name="alignment-perplexity-mix",
        version=1,
        direction="higher",
        scale="linear",
        unit="spreads",
        summary="alignment and perplexity, each in units of its spread over the strategies",
        formula="weight * alignment / sd(alignment) - (1 - weight) * perplexity / sd(perplexity); "
        "sd: population standard deviation, over the dataset's strategies, of their means",
        source="arXiv 2502.11779, first version",
        reported="later versions select by self-aligned perplexity. Its values depend on which "
        "strategies are compared",
        cost="perplexity's and alignment's",
        parameters=MixParameters,
        needs=Needs(),
        combine=("alignment", "perplexity"),
    ),
)
