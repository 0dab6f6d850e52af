"""Metrics that ask held-out examples what a response is worth: as context, or as what is scored.

Both are differences of mean nll with and without examples in the prompt. In-context learning stands
in for training: what helps in the prompt is taken to help in training.
"""

from __future__ import annotations

from pydantic import Field

from respsel.metrics.contract import PLAIN, Evidence, Metric, Needs, Parameters, View
from respsel.metrics.likelihood import mean_nll


class IcaParameters(Parameters):
    """The parameters of the ICA score.

    k: how many held-out examples are in the prompt.
    """

    k: int = Field(4, ge=1, le=16)


class DemonstrationParameters(Parameters):
    """The parameters of the demonstration gain.

    k: how many responses are shown together. With more than 1 a value is about so many examples.
    references: how many held-out references are scored behind them.
    """

    k: int = Field(1, ge=1, le=16)
    references: int = Field(2, ge=1, le=64)


def ica_score(_parameters: IcaParameters, evidence: Evidence) -> float:
    """Mean nll of the response behind its input minus that with held-out examples before it.

    In nats per token of the response.
    """
    return mean_nll(evidence.tokens()) - mean_nll(evidence.tokens("validation"))


def demonstration_gain(_parameters: DemonstrationParameters, evidence: Evidence) -> float:
    """Mean nll of held-out references behind their inputs minus that with the response before them.

    In nats per token of the references, which are the same for all strategies. The unit of a value
    is an example: its response is shown for no other value, so a paired test over examples takes
    each response once. With k > 1 the unit is a group of k examples that follow each other in the
    sample. Its value is that of its first example, and the others have none. The examples vary in
    this test; the held-out file is taken as it is.
    """
    return mean_nll(evidence.tokens("reference")) - mean_nll(evidence.tokens("demonstrations"))


def _ica_needs(parameters: IcaParameters) -> Needs:
    return Needs((PLAIN, View("validation", parameters.k)))


def _gain_needs(parameters: DemonstrationParameters) -> Needs:
    k = parameters.k
    references = parameters.references
    return Needs(
        (
            View("reference", k, references=references),
            View("demonstrations", k, references=references),
        )
    )


METRICS = (
    Metric(
        name="ica-score",
        version=1,
        direction="higher",
        scale="linear",
        unit="nats per token",
        summary="how much likelier the response is behind k held-out examples: a stand-in for what "
        "training on it does to their loss",
        formula="mean nll - mean nll | k held-out inputs with references, input",
        variant="of means over tokens, and of k that are drawn for each example; the paper weighs "
        "examples within a training run by it",
        source="ICA, arXiv 2510.14459",
        reported="weighing examples by it improved SFT, DPO and SimPO (its abstract). To choose a "
        "strategy by it is new and unproven",
        cost="3.5: perplexity's, and 2.5 with 4 held-out examples (5 where no prompt is shared)",
        parameters=IcaParameters,
        needs=_ica_needs,
        measure=ica_score,
    ),
    Metric(
        name="demonstration-gain",
        version=1,
        direction="higher",
        scale="linear",
        unit="nats per token",
        summary="how much likelier held-out references are behind the response as a worked example",
        formula="mean nll of held-out references - mean nll of them | k inputs with responses, "
        "their input",
        variant="of a difference of mean nll, not the share of references that gain; of drawn "
        "references, not all",
        source="after Nuggets, arXiv 2312.10302, and ICon, arXiv 2505.05327",
        reported="single examples picked by such scores trained better than all data (their "
        "abstracts). To choose a strategy by it is new and unproven",
        mask="every token of the held-out references",
        cost="6.7 with 2 references: 2 calls for a response, and 2 for an example, once for all",
        parameters=DemonstrationParameters,
        needs=_gain_needs,
        measure=demonstration_gain,
    ),
)
