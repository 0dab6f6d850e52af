"""Metrics of how likely the target finds a response: one pass over a view or two."""

from __future__ import annotations

from pydantic import Field

from respsel.metrics.contract import (
    PLAIN,
    UNCONDITIONAL,
    Direction,
    Evidence,
    Metric,
    Needs,
    Parameters,
    Ratio,
    Template,
    View,
)
from respsel.records import TokenScores

_RANK_CLIP = 100
_CAPTION = "arXiv 2502.11779"
_BOTH_VIEWS = Needs((PLAIN, UNCONDITIONAL))


class SelfAlignedParameters(Parameters):
    """The parameters of self-aligned perplexity.

    k: how many own outputs to other inputs are in the prompt.
    template: the model's own chat template, or the published code's "[INST] ... [/INST]". "paper"
        is as for Mistral; "paper-system" has the system text that the code gives the others.
    """

    k: int = Field(2, ge=1, le=16)
    template: Template = "native"


class IfdParameters(Parameters):
    """The parameters of IFD.

    direction: publications select both ways; "lower" (easier by the instruction) is the default.
    """

    direction: Direction = "lower"


class RankParameters(Parameters):
    """The parameters of the rank-surprisal ratio.

    clip: larger ranks count as this.
    """

    clip: int = Field(_RANK_CLIP, ge=1)


def mean_nll(scores: TokenScores) -> float:
    """Nats per token."""
    import numpy as np

    return float(scores.nll.mean(dtype=np.float64))


def perplexity(_parameters: Parameters, evidence: Evidence) -> float:
    """exp of the mean nll (nats) over the response's tokens."""
    import math

    return math.exp(mean_nll(evidence.tokens()))


def self_aligned_perplexity(_parameters: Parameters, evidence: Evidence) -> float:
    """Perplexity in the self-aligned view."""
    import math

    return math.exp(mean_nll(evidence.tokens("self-aligned")))


def mean_log_likelihood(_parameters: Parameters, evidence: Evidence) -> float:
    """Minus the mean nll."""
    return -mean_nll(evidence.tokens())


def rank_surprisal_ratio(parameters: RankParameters, evidence: Evidence) -> Ratio:
    """Mean of clipped ranks over mean nll.

    They are means and not sums, so that in a dataset each response counts alike.
    """
    import numpy as np

    scores = evidence.tokens()
    if not scores.rank.all():
        raise ValueError("the endpoint gives no ranks")
    return Ratio(
        float(scores.rank.clip(max=parameters.clip).mean(dtype=np.float64)), mean_nll(scores)
    )


def log_probability_plus_entropy(_parameters: Parameters, evidence: Evidence) -> float:
    """Mean of log-probability plus entropy."""
    import numpy as np

    scores = evidence.tokens()
    if np.isnan(scores.entropy).any():
        raise ValueError("the endpoint gives no entropies")
    return float((scores.entropy.astype(np.float64) - scores.nll).mean())


def mean_brier(_parameters: Parameters, evidence: Evidence) -> float:
    """Mean over the tokens of the squared distance of the target's probabilities to the token."""
    import numpy as np

    scores = evidence.tokens()
    if scores.squares is None:
        raise ValueError("the endpoint gives no sums of squared probabilities")
    p = np.exp(-scores.nll.astype(np.float64))
    # Where p is nearly 1, float32 can give a little less than 0.
    return float((1 - 2 * p + scores.squares).clip(min=0).mean())


def lark(_parameters: Parameters, evidence: Evidence) -> float:
    """Mean Brier score over mean nll; its limit of 0 where the nll is 0, as in the paper's code."""
    brier = mean_brier(_parameters, evidence)
    nll = mean_nll(evidence.tokens())
    return brier / nll if nll > 0 else 0.0


def ifd_loss_ratio(_parameters: IfdParameters, evidence: Evidence) -> float:
    """Mean nll given the input over mean nll given nothing."""
    return mean_nll(evidence.tokens()) / mean_nll(evidence.tokens("unconditional"))


def ifd_perplexity_ratio(_parameters: IfdParameters, evidence: Evidence) -> float:
    """Perplexity given the input over perplexity given nothing."""
    import math

    return math.exp(mean_nll(evidence.tokens()) - mean_nll(evidence.tokens("unconditional")))


METRICS = (
    Metric(
        name="perplexity",
        version=1,
        direction="lower",
        scale="log",
        unit="per token",
        summary="exp of the mean nll of the response's tokens, given the input",
        formula="exp(mean nll)",
        variant="of a response, not of a corpus: over responses its geometric mean",
        source=_CAPTION,
        reported="the baseline: 63.53 accuracy over 51 published cells, picking by 50 examples "
        "(the average strategy: 62.74)",
        cost="1",
        measure=perplexity,
    ),
    Metric(
        name="self-aligned-perplexity",
        version=1,
        direction="lower",
        scale="log",
        unit="per token",
        summary="perplexity, given the input and k of the target's own outputs to other inputs",
        formula="exp(mean nll | k own outputs, input)",
        variant="of the native chat template, unless template says otherwise; the published code "
        "used none",
        source=_CAPTION,
        reported="best of the published metrics there: 64.02 over the same 51 cells; k from 1 to "
        "4 hardly matters",
        cost="1.7 with 2 own outputs (2.9 where no prompt is shared), and sampling them once",
        parameters=SelfAlignedParameters,
        needs=lambda parameters: Needs((View("self-aligned", parameters.k, parameters.template),)),
        measure=self_aligned_perplexity,
    ),
    Metric(
        name="mean-log-likelihood",
        version=1,
        direction="higher",
        scale="linear",
        unit="nats per token",
        summary="mean log-likelihood of the response's tokens, given the input; ranks as "
        "perplexity does",
        formula="-mean nll",
        source="GRAPE, arXiv 2502.04194",
        reported="selecting each example's likeliest response for the base model improved "
        "fine-tuning",
        measure=mean_log_likelihood,
    ),
    Metric(
        name="rank-surprisal-ratio",
        version=2,
        direction="lower",
        scale="linear",
        unit="ranks per nat",
        summary="informative and aligned: unlikely tokens that still rank high. Over a dataset a "
        "ratio of means",
        formula="mean min(rank, 100) / mean nll; over a dataset: mean over responses of the one / "
        "of the other",
        variant="ratio of means, as the paper's code (its appendix A.8); a long response weighs "
        "no more than a short one",
        source="arXiv 2601.14249",
        reported="average Spearman 0.86 with post-training performance, five students, "
        "trajectories of 11 teachers",
        parameters=RankParameters,
        measure=rank_surprisal_ratio,
    ),
    Metric(
        name="log-probability-plus-entropy",
        version=1,
        direction="higher",
        scale="linear",
        unit="nats per token",
        summary="how much likelier the tokens are than the target's own draws would be: about 0 "
        "for its own text",
        formula="mean(entropy - nll)",
        source="arXiv 2602.12222 (distribution discriminant theory)",
        reported="quantifies the alignment of data with the model's distribution, for its "
        "on-policy fine-tuning",
        measure=log_probability_plus_entropy,
    ),
    Metric(
        name="mean-brier",
        version=1,
        direction="lower",
        scale="linear",
        unit="from 0 to 2",
        summary="mean Brier score of the tokens: a bounded loss, which one odd token cannot rule",
        formula="mean(1 - 2 * p + sum of p^2 over the vocabulary), p = exp(-nll)",
        source="Brier 1950; of tokens in LARK, arXiv 2605.30651",
        measure=mean_brier,
    ),
    Metric(
        name="lark",
        version=1,
        direction="higher",
        scale="linear",
        unit="per nat",
        summary="learnability: about how fast training brings the response's loss down",
        formula="mean Brier / mean nll",
        variant="the paper's learnability factor rho over the whole vocabulary; the paper's code "
        "takes the 50 likeliest tokens alone, and selects by a score of rho and the loss among an "
        "example's candidates",
        source="LARK, arXiv 2605.30651; code: Tianrun-Yu/LARK",
        reported="selecting by that score beat the selection baselines there, several base models "
        "and tasks (its abstract); rho alone ranks no strategies there",
        measure=lark,
    ),
    Metric(
        name="ifd-loss-ratio",
        version=1,
        direction="lower",
        scale="linear",
        unit="ratio",
        summary="instruction-following difficulty as a ratio of losses",
        formula="mean nll / mean nll given nothing",
        variant="loss ratio; see ifd-perplexity-ratio",
        source="IFD, arXiv 2308.12032",
        reported="there higher (below 1) was selected; in 2502.11779's comparison higher is "
        "worse, 62.91 over 51 cells",
        cost="1.8: perplexity's and 0.8",
        parameters=IfdParameters,
        needs=_BOTH_VIEWS,
        measure=ifd_loss_ratio,
    ),
    Metric(
        name="ifd-perplexity-ratio",
        version=1,
        direction="lower",
        scale="log",
        unit="ratio",
        summary="instruction-following difficulty as a ratio of perplexities",
        formula="exp(mean nll - mean nll given nothing)",
        variant="perplexity ratio; see ifd-loss-ratio",
        source="IFD, arXiv 2308.12032",
        reported="as ifd-loss-ratio; publications differ in which of the two they compute",
        cost="1.8: perplexity's and 0.8",
        parameters=IfdParameters,
        needs=_BOTH_VIEWS,
        measure=ifd_perplexity_ratio,
    ),
)
